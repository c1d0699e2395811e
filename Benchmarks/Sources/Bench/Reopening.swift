import DiskCache
import Workloads

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

// Inside the enum below, `open` is its own.
private func openForWriting(_ path: String) -> Int32 { open(path, O_RDWR) }

/// How long opening takes after a kill, after a close, and after another boot of the system: with the index as it was left, and made again
/// with and without hints.
///
/// Another boot is another boot id, bound over the system's in a mount namespace of a child's own; that needs root and `unshare`.
enum Reopening {
    static let fillArgument = "fill-durably-and-die"
    static let openArgument = "open-and-tell"
    private static let childVariable = "BENCH_CHILD"

    private static func cache(_ path: String) throws -> Cache {
        var configuration = Cache.Configuration()
        configuration.sizeLimit = 1 << 40
        return try Cache(directory: path, configuration: configuration)
    }

    private static func write(_ number: Int, to key: inout [UInt8]) {
        key.withUnsafeMutableBytes { bytes in
            bytes.copyBytes(from: "key-".utf8)
            KeyFormat.write(UInt64(number), to: bytes.baseAddress!)
        }
    }

    /// The child: fills the store, waits until its hints are written, if its values are worth any, and dies.
    static func fill(_ path: String, keys: Int, size: Int) throws -> Never {
        let cache = try cache(path)
        let value = [UInt8](repeating: UInt8(ascii: "x"), count: size)
        var key = [UInt8](repeating: 0, count: KeyFormat.size)
        for number in 0..<keys {
            write(number, to: &key)
            try cache.set(key, value)
        }
        try cache.sync()
        if size >= 600 {
            let deadline = monotonicNanoseconds() + 120_000_000_000
            while try count(path, ".hint") + 1 < count(path, ".seg"), monotonicNanoseconds() < deadline {
                // The thread that writes them wakes once a second while there is something to do.
                usleep(100_000)
            }
        }
        kill(getpid(), SIGKILL)
        exit(1)
    }

    /// The child: opens the store, gets one value, and writes down how long that took; then closes it, which leaves a seal.
    static func open(_ path: String, keys: Int, result: String) throws {
        try Files.write("\(try open(path, keys: keys))", to: result)
    }

    private static func open(_ path: String, keys: Int) throws -> UInt64 {
        var key = [UInt8](repeating: 0, count: KeyFormat.size)
        write(keys / 2, to: &key)
        let start = monotonicNanoseconds()
        let cache = try cache(path)
        let first = try cache.withValue(key) { $0.byteCount }
        let time = monotonicNanoseconds() - start
        guard first != nil, try cache.count == keys else { throw UsageError("the store lost something") }
        for number in stride(from: 0, to: keys, by: 997) {
            write(number, to: &key)
            guard try cache.contains(key) else { throw UsageError("the store lost key \(number)") }
        }
        // Who closes at once leaves no seal beside a large index. An overwrite costs nothing and makes one possible.
        usleep(UInt32(min(keys / 20, 3_000_000)))
        try cache.set(key, [UInt8](repeating: UInt8(ascii: "y"), count: first ?? 0))
        try cache.close()
        return time
    }

    /// The table.
    static func run(keys: Int, rounds: Int, directory: String) throws -> String {
        guard getenv(childVariable) == nil else {
            throw UsageError("a child of bench was started without its arguments")
        }
        var text = """
            Opening a store of \(keys) keys of 16 bytes, up to and with the first get, files in the system's memory; milliseconds, median (least to greatest) of \(rounds) rounds.

            | opening | values of 100 bytes | values of 1000 bytes |
            |---|--:|--:|

            """
        let names = [
            "after its writer was killed with SIGKILL", "after a close", "after a close, in another boot",
            "after a kill, in another boot, without hints", "after a kill, in another boot, with hints",
        ]
        var times = [[[UInt64]]](repeating: [[], []], count: names.count)
        for round in 0..<rounds {
            for (column, size) in [100, 1000].enumerated() {
                Files.log("reopening: round \(round + 1) of \(rounds), values of \(size) bytes\n")
                let path = "\(directory)/reopening-\(round)-\(size)"
                try spawn(fillArgument, path, keys, "\(size)", kills: true)
                times[0][column].append(try reopen(path, keys, directory, boot: nil))
                times[1][column].append(try reopen(path, keys, directory, boot: nil))
                if let time = try? reopen(path, keys, directory, boot: "a\(round)") {
                    times[2][column].append(time)
                    try clearSeal(path)
                    if try count(path, ".hint") > 0 {
                        times[4][column].append(try reopen(path, keys, directory, boot: "b\(round)"))
                        try clearSeal(path)
                        try remove(path, ".hint")
                    }
                    times[3][column].append(try reopen(path, keys, directory, boot: "c\(round)"))
                } else {
                    Files.log("reopening: no other boot can be simulated here (`unshare -m`, as root)\n")
                }
                try Files.remove(path)
            }
        }
        for (name, columns) in zip(names, times) {
            text += "| \(name) | \(columns.map(cell).joined(separator: " | ")) |\n"
        }
        return text
    }

    private static func cell(_ times: [UInt64]) -> String {
        let sorted = times.sorted().map { Double($0) / 1_000_000 }
        guard let least = sorted.first, let greatest = sorted.last else { return "-" }
        func text(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }
        return "\(text(sorted[sorted.count / 2])) (\(text(least)) to \(text(greatest)))"
    }

    private static func reopen(_ path: String, _ keys: Int, _ directory: String, boot: String?) throws -> UInt64 {
        let result = "\(directory)/result"
        if let boot {
            try Files.write("00000000-0000-0000-0000-\(boot)\n", to: "\(directory)/boot")
            let mount = "mount --bind '\(directory)/boot' /proc/sys/kernel/random/boot_id"
            let command = "\(mount) && exec '\(program)' \(openArgument) '\(path)' \(keys) '\(result)'"
            setenv(childVariable, "1", 1)
            defer { unsetenv(childVariable) }
            guard try Child.run("unshare", ["unshare", "-m", "sh", "-c", command]) == 0 else {
                throw UsageError("no other boot can be simulated")
            }
        } else {
            try spawn(openArgument, path, keys, result, kills: false)
        }
        guard let time = UInt64(try Files.read(result)) else { throw UsageError("the child told no time") }
        return time
    }

    private static let program: String = {
        #if os(Linux)
            var buffer = [CChar](repeating: 0, count: 4096)
            let count = readlink("/proc/self/exe", &buffer, buffer.count)
            if count > 0 { return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) }
        #endif
        return CommandLine.arguments[0]
    }()

    private static func spawn(_ verb: String, _ path: String, _ keys: Int, _ last: String, kills: Bool) throws {
        setenv(childVariable, "1", 1)
        defer { unsetenv(childVariable) }
        let status = try Child.run(program, ["bench", verb, path, "\(keys)", last])
        guard kills ? status & 0x7F == SIGKILL : status == 0 else { throw UsageError("\(verb) ended with \(status)") }
    }

    /// As a process leaves it that was killed.
    private static func clearSeal(_ path: String) throws {
        let descriptor = openForWriting("\(path)/meta")
        guard descriptor >= 0 else { throw Files.error("open", path) }
        defer { close(descriptor) }
        var zeros: UInt64 = 0
        guard pwrite(descriptor, &zeros, 8, 640) == 8 else { throw Files.error("pwrite", path) }
    }

    private static func names(_ path: String, _ suffix: String) throws -> [String] {
        guard let directory = opendir(path + "/log") else { throw Files.error("opendir", path) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(suffix) { names.append(name) }
        }
        return names
    }

    private static func count(_ path: String, _ suffix: String) throws -> Int { try names(path, suffix).count }

    private static func remove(_ path: String, _ suffix: String) throws {
        for name in try names(path, suffix) { try Files.remove("\(path)/log/\(name)") }
    }
}
