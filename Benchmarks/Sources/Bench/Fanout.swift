import DiskCache
import Workloads

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A cache of eight shards under one process and under eight, beside Python's FanoutCache at the same work (`Peers/fanout_peer.py`, which does
/// a fifth of the operations): the mix of DiskCache's own benchmark, 90 % get, 9 % set, 1 % delete, over 100 keys. The two take turns.
enum Fanout {
    /// The argument by which a child knows what it is.
    static let childArgument = "fanout-worker"
    private static let verbs = ["get", "set", "delete"]

    /// What workers did: how long each verb took, and how many sets were dropped.
    private struct Tally {
        var durations: [String: Histogram] = [:]
        var dropped = 0

        /// Takes in lines of a verb, nanoseconds, and how often; as both sides' workers write them.
        mutating func take(_ text: String) {
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ")
                guard words.count == 3, let nanoseconds = UInt32(words[1]), let count = Int(words[2]) else { continue }
                if words[0] == "dropped" {
                    dropped += count
                } else {
                    for _ in 0..<count { durations[String(words[0]), default: Histogram()].add(nanoseconds) }
                }
            }
        }
    }

    static func run(operations: Int, rounds: Int, directory: String) throws -> String {
        var text = """
            The mix of DiskCache's own benchmark (90 % get, 9 % set, 1 % delete; 100 keys), 8 shards; microseconds, all rounds together.

            | processes | verb | diskcache: median | p99 | greatest | python-diskcache: median | p99 | greatest | times as fast: median | p99 |
            |--:|---|--:|--:|--:|--:|--:|--:|--:|--:|

            """
        var dropped = ""
        for processes in [1, 8] {
            var (ours, theirs) = (Tally(), Tally())
            for round in 0..<rounds {
                Files.log("fanout: \(processes) processes, round \(round + 1) of \(rounds)\n")
                let path = "\(directory)/fanout-\(processes)-\(round)"
                try Files.makeDirectory(path)
                try work("\(path)/ours", processes, operations, Child.itself, ["bench", childArgument], into: &ours)
                let source = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
                setenv("PYTHONPATH", "/\(source)/.build/python", 1)
                let script = ["python3", "/\(source)/Peers/fanout_peer.py"]
                try work("\(path)/theirs", processes, operations / 5, "python3", script, into: &theirs)
                try Files.remove(path)
            }
            for verb in verbs {
                guard let mine = ours.durations[verb] else { continue }
                text += "| \(processes) | \(verb) | \(figures(mine)) "
                if let peer = theirs.durations[verb] {
                    let ratios = [0.5, 0.99].map { ratio(peer.percentile($0) / mine.percentile($0)) }
                    text += "| \(figures(peer)) | \(ratios[0]) | \(ratios[1]) |\n"
                } else {
                    text += "| - | - | - | - | - |\n"
                }
            }
            dropped +=
                "Sets dropped with \(processes): \(share(ours)), python-diskcache \(share(theirs)).\n"
        }
        return text + "\n" + dropped + "\n" + (try hotPath(keys: operations, rounds: rounds, directory: directory))
    }

    /// What finding the shard costs: get and set of 16-byte keys with values of 100, in a loop, beside a plain cache.
    private static func hotPath(keys: Int, rounds: Int, directory: String) throws -> String {
        var times: [String: [Double]] = [:]
        let value = [UInt8](repeating: UInt8(ascii: "x"), count: 100)
        let names = (0..<keys).map { number in Array("key-\(1_000_000_000_000 - number)".utf8.prefix(16)) }
        for round in 0..<rounds {
            let plain = try Cache(directory: "\(directory)/plain-\(round)")
            let fanout = try FanoutCache(directory: "\(directory)/fanout-\(round)")
            func timed(_ name: String, _ body: () throws -> Void) rethrows {
                let start = monotonicNanoseconds()
                try body()
                times[name, default: []].append(Double(monotonicNanoseconds() - start) / Double(keys))
            }
            try timed("plain set") { for key in names { try plain.set(key, value) } }
            try timed("fanout set") { for key in names { try fanout.set(key, value) } }
            for _ in 0..<3 {
                try timed("plain get") { for key in names { _ = try plain.withValue(key) { $0.byteCount } } }
                try timed("fanout get") { for key in names { _ = try fanout.withValue(key) { $0.byteCount } } }
            }
            try plain.close()
            try fanout.close()
        }
        func median(_ name: String) -> Int {
            let sorted = (times[name] ?? [0]).sorted()
            return Int(sorted[sorted.count / 2].rounded())
        }
        return """
            One process, nanoseconds: get \(median("plain get")) of a Cache, \(median("fanout get")) of a FanoutCache; set \(median("plain set")) and \(median("fanout set")).

            """
    }

    private static func share(_ tally: Tally) -> String {
        "\(tally.dropped) of \(tally.durations["set"]?.count ?? 0)"
    }

    private static func figures(_ durations: Histogram) -> String {
        [durations.percentile(0.5), durations.percentile(0.99), Double(durations.maximum)]
            .map { "\(($0 / 10).rounded() / 100)" }.joined(separator: " | ")
    }

    private static func ratio(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }

    /// Lets workers of a program work at the same time on one cache.
    private static func work(
        _ path: String, _ processes: Int, _ operations: Int, _ program: String, _ arguments: [String],
        into tally: inout Tally
    ) throws {
        try Files.makeDirectory(path)
        // All are there by then: Python takes a while.
        let start = monotonicNanoseconds() + 1_500_000_000
        let children = try (0..<processes).map { seed in
            try Child.start(
                program, arguments + ["\(path)/cache", "\(operations)", "\(seed)", "\(start)", "\(path)/\(seed).txt"])
        }
        for (seed, child) in children.enumerated() {
            guard try Child.wait(child) == 0 else {
                Files.log("fanout: a worker of \(program) failed\n")
                continue
            }
            tally.take(try Files.read("\(path)/\(seed).txt"))
        }
    }

    /// A worker: its directory, operations, seed, start and output.
    static func work(_ arguments: ArraySlice<String>) throws -> Never {
        let words = Array(arguments)
        guard words.count == 5, let operations = Int(words[1]), let seed = UInt64(words[2]),
            let start = UInt64(words[3])
        else { throw UsageError("a worker needs five arguments") }
        let cache = try FanoutCache(directory: words[0])
        let keys = (0..<100).map { Array("\($0)".utf8) }
        var durations = verbs.map { _ in Histogram() }
        var dropped = 0
        var random = Random(state: seed &* 0x2545_F491_4F6C_DD1D &+ 1)
        while monotonicNanoseconds() < start { usleep(1000) }
        for number in 0..<operations {
            let key = keys[Int.random(in: 0..<100, using: &random)]
            let digits = Array("\(number)".utf8)
            let value = [UInt8]((0..<Int.random(in: 1..<100, using: &random)).map { _ in digits }.joined())
            let choice = Int.random(in: 0..<100, using: &random)
            let verb = choice < 90 ? 0 : choice < 99 ? 1 : 2
            let begun = monotonicNanoseconds()
            switch verb {
            case 0: _ = try cache.get(key, as: [UInt8].self)
            case 1: if try !cache.set(key, value) { dropped += 1 }
            default: try cache.delete(key)
            }
            durations[verb].add(UInt32(clamping: monotonicNanoseconds() &- begun))
        }
        var text = "dropped 0 \(dropped)\n"
        for (verb, durations) in zip(verbs, durations) {
            // The greatest as it was, and not as the middle of its bucket.
            var counts = durations.counts
            if let last = counts.indices.last, counts[last].count > 0 {
                counts[last].count -= 1
                counts.append((UInt64(durations.maximum), 1))
            }
            for (nanoseconds, count) in counts where count > 0 { text += "\(verb) \(nanoseconds) \(count)\n" }
        }
        try cache.close()
        try Files.write(text, to: words[4])
        exit(0)
    }

    /// SplitMix64.
    private struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var word = state
            word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            return word ^ (word >> 31)
        }
    }
}
