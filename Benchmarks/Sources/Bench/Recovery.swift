import DiskCache
import Workloads

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// How long a store takes to be there again: after a clean close, after its writer was killed, and when the index has to be made
/// again from the log. The writer is a child process of its own that kills itself with SIGKILL.
enum Recovery {
    /// The argument by which a child knows what it is.
    static let childArgument = "fill-and-die"

    /// The child: fills the store and dies.
    static func fill(_ path: String, keys: Int) throws -> Never {
        let cache = try open(path)
        let value = [UInt8](repeating: UInt8(ascii: "x"), count: 100)
        var key = [UInt8](repeating: 0, count: KeyFormat.size)
        for number in 0..<keys {
            write(number, to: &key)
            try cache.set(key, value)
        }
        kill(getpid(), SIGKILL)
        exit(1)
    }

    /// The table.
    static func run(keys: Int, rounds: Int, directory: String) throws -> String {
        var kill: [UInt64] = []
        var close: [UInt64] = []
        var rebuild: [UInt64] = []
        for round in 0..<rounds {
            let path = "\(directory)/recovery-\(round)"
            Files.log("recovery: round \(round + 1) of \(rounds)\n")
            try spawn(["bench", childArgument, path, String(keys)])
            kill.append(try reopen(path, keys))
            close.append(try reopen(path, keys))
            for name in try names(in: path) where name.hasPrefix("index.") { try Files.remove("\(path)/\(name)") }
            rebuild.append(try reopen(path, keys))
            try Files.remove(path)
        }
        func milliseconds(_ times: [UInt64]) -> String {
            let sorted = times.sorted().map { Double($0) / 1_000_000 }
            func text(_ value: Double) -> String { "\((value * 1000).rounded() / 1000)" }
            return "\(text(sorted[sorted.count / 2])) | \(text(sorted[0])) | \(text(sorted[sorted.count - 1]))"
        }
        let rate = Double(keys) / (Double(rebuild.sorted()[rebuild.count / 2]) / 1_000_000_000)
        return """
            Opening a store of \(keys) keys of 16 bytes with values of 100, up to and with the first get; milliseconds over \(rounds) rounds.

            | opening | median | least | greatest |
            |---|--:|--:|--:|
            | after its writer was killed with SIGKILL | \(milliseconds(kill)) |
            | after a clean close | \(milliseconds(close)) |
            | index made again from the log, \(Int(rate)) keys a second | \(milliseconds(rebuild)) |

            """
    }

    private static func open(_ path: String) throws -> Cache {
        var configuration = Cache.Configuration()
        configuration.durability = Durability.none
        return try Cache(directory: path, configuration: configuration)
    }

    /// Nanoseconds from nothing to the first value; then a look at some more values, and a clean close, untimed.
    private static func reopen(_ path: String, _ keys: Int) throws -> UInt64 {
        var key = [UInt8](repeating: 0, count: KeyFormat.size)
        write(keys / 2, to: &key)
        let start = monotonicNanoseconds()
        let cache = try open(path)
        let first = try cache.withValue(key) { $0.byteCount }
        let time = monotonicNanoseconds() - start
        guard first == 100, try cache.count == keys else { throw UsageError("the store lost something") }
        for number in stride(from: 0, to: keys, by: 997) {
            write(number, to: &key)
            guard try cache.contains(key) else { throw UsageError("the store lost key \(number)") }
        }
        try cache.close()
        return time
    }

    private static func write(_ number: Int, to key: inout [UInt8]) {
        key.withUnsafeMutableBytes { bytes in
            bytes.copyBytes(from: "key-".utf8)
            KeyFormat.write(UInt64(number), to: bytes.baseAddress!)
        }
    }

    private static func spawn(_ arguments: [String]) throws {
        let status = try Child.run(Child.itself, arguments)
        guard status & 0x7F == SIGKILL else { throw UsageError("the child that fills the store ended by itself") }
    }

    private static func names(in path: String) throws -> [String] {
        guard let directory = opendir(path) else { throw Files.error("opendir", path) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
        return names
    }
}
