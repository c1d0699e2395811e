import DiskCacheCore

/// `demo`: the main job on real input, from several processes at once, one of which is killed.
enum DemoCommand: Command {
    static let name = "demo"
    static let summary = "store a folder's files from several processes, kill a writer, find everything again"
    static let help = """
        usage: diskcache demo [--keep] [FOLDER]

        Stores every file under FOLDER (the current folder if it isn't given) in a cache in a temporary directory, from
        several processes at once; reads everything back in other processes and compares it byte by byte; kills a
        process that writes, with SIGKILL, several times; opens the cache again, looks for every write that had been
        acknowledged, and checks the whole. Exit status: 0 all is there, 1 something is missing or differs, 2 it
        couldn't be done.

          --keep  don't remove the cache at the end; print where it is
        """

    private static let processes = 4
    private static let kills = 5

    static func run(_ arguments: [String]) throws -> ExitCode {
        let arguments = try Arguments(arguments, flags: ["--keep"])
        try arguments.expect(0...1, [])
        Platform.catchInterrupts()
        var source = try Platform.currentFolder()
        if let given = arguments.positional.first, given != "." {
            source = given.utf8.first == Platform.slash ? [] : source + [Platform.slash]
            source += Array(given.utf8)
        }
        let walk = try FolderWalk(source)
        let folder = try DemoFolder.make(besides: source)
        defer { if !arguments.has("--keep") { Platform.remove(folder.path) } }
        do {
            let report = try run(walk, source, folder)
            try report.print()
            if arguments.has("--keep") { try Output.line("\nThe cache is in \(folder.store)") }
            return report.isGood ? .success : .negative
        } catch is Platform.Interrupted {
            Output.note("diskcache demo: interrupted")
            return .failure
        }
    }

    private static func run(_ walk: FolderWalk, _ source: [UInt8], _ folder: DemoFolder) throws -> DemoReport {
        var report = DemoReport(walk: walk, processes: processes)
        try folder.write(list: walk.files)
        let count = grouped(walk.files.count)
        try Output.line("Storing \(count) files under \(displayed(source)) from \(processes) processes ...")
        var configuration = Cache.Configuration()
        configuration.evictionPolicy = EvictionPolicy.none
        configuration.sizeLimit = 1 << 50
        try Cache(directory: folder.store, configuration: configuration).close()

        let writers = try start(.store, folder, source)
        let stored = try step(writers, saying: 2)
        for writer in writers { try writer.finish() }
        report.stored = DemoReport.Work(
            operations: stored.words[0], bytes: stored.words[1], nanoseconds: stored.nanoseconds)
        report.unreadable = walk.files.count - stored.words[0]

        try Output.line("Reading everything back in \(processes) other processes, comparing byte by byte ...")
        let readers = try start(.verify, folder, source)
        let read = try step(readers, saying: 3)
        report.read = DemoReport.Work(operations: read.words[0], bytes: read.words[1], nanoseconds: read.nanoseconds)
        let compared = try step(readers, saying: 2)
        for reader in readers { try reader.finish() }
        report.wrong = compared.words[0]
        report.changed = compared.words[1]
        report.volume = try Cache(directory: folder.store).volume

        try Output.line("Killing a process that writes, \(kills) times, and looking for what it had acknowledged ...")
        var keys = stored.words[0]
        for round in 0..<kills {
            let acknowledged = try killWriter(folder, source, round: round)
            let start = Platform.clock()
            let cache = try Cache(directory: folder.store)
            try cache.set("reopened", round)
            report.reopening = max(report.reopening, Platform.clock() - start)
            let found = try DemoWrite.lost(in: cache, round: round, acknowledged: acknowledged)
            keys += found.keys
            report.acknowledged += Int(acknowledged)
            report.lost += found.lost
            report.kills += 1
            try cache.close()
        }
        let cache = try Cache(directory: folder.store)
        report.findings = try cache.check().map(\.description)
        let items = try cache.count
        if items != keys + 1 { report.findings.append("\(items) items are counted, \(keys + 1) were stored") }
        if Platform.isInterrupted { throw Platform.Interrupted() }
        return report
    }

    /// Starts the processes of a phase; all of them have opened the cache when this returns.
    private static func start(_ role: DemoRole, _ folder: DemoFolder, _ source: [UInt8]) throws -> [DemoProcess] {
        let children = try (0..<processes).map {
            try DemoProcess(role, folder, source: source, part: $0, of: processes)
        }
        for child in children { _ = try child.words(1) }
        return children
    }

    /// Lets all processes take a step at once; the sums of what they say, and how long it took until the last was done.
    private static func step(_ children: [DemoProcess], saying count: Int) throws -> (words: [Int], nanoseconds: UInt64)
    {
        let start = Platform.clock()
        for child in children { try child.step() }
        var sums = [Int](repeating: 0, count: count)
        for child in children {
            for (index, word) in try child.words(count).enumerated() { sums[index] += Int(word) }
        }
        return (sums, Platform.clock() - start)
    }

    /// Starts a writer and kills it after a while that isn't known beforehand; how many writes it had acknowledged.
    private static func killWriter(_ folder: DemoFolder, _ source: [UInt8], round: Int) throws -> UInt64 {
        let writer = try DemoProcess(.write, folder, source: source, part: round, of: kills)
        _ = try writer.words(1)
        try writer.step()
        let end = Platform.clock() + UInt64.random(in: 20_000_000...120_000_000)
        var heard = 0
        var isDead = false
        while true {
            let bytes = try Platform.readSome(writer.output, maximum: 1 << 16)
            // What it had told before it died counts as well.
            if bytes.isEmpty { break }
            heard += bytes.count
            if !isDead, heard >= 200 * 8, Platform.clock() >= end {
                writer.kill()
                isDead = true
            }
        }
        try writer.buried()
        return UInt64(heard / 8)
    }
}
