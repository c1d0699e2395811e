import DiskCache
import Workloads

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// What compaction costs and gives back: bytes written and taken while items are overwritten, uniformly and with a few keys far more often
/// than the others (Zipf's law), what an item takes after it, and what writers notice of it.
enum Compaction {
    private enum Choice: String {
        case uniform
        case skewed
    }

    /// Draws key numbers.
    private struct Chooser {
        private var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        private let choice: Choice
        private let keys: Int
        /// Of Zipf's law with exponent 0.99, as YCSB draws it (Gray et al., SIGMOD 1994).
        private var zeta = 0.0
        private var eta = 0.0
        private static let theta = 0.99

        init(_ choice: Choice, keys: Int) {
            self.choice = choice
            self.keys = keys
            guard choice == .skewed else { return }
            for number in 1...keys { zeta += 1 / power(Double(number), Self.theta) }
            let two = 1 + 1 / power(2, Self.theta)
            eta = (1 - power(2 / Double(keys), 1 - Self.theta)) / (1 - two / zeta)
        }

        private mutating func random() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var word = state
            word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            return word ^ (word >> 31)
        }

        mutating func next() -> Int {
            let draw = random()
            guard choice == .skewed else { return Int(draw % UInt64(keys)) }
            let fraction = Double(draw >> 11) / Double(1 << 53)
            let scaled = fraction * zeta
            let rank: Int
            if scaled < 1 {
                rank = 0
            } else if scaled < 1 + power(0.5, Self.theta) {
                rank = 1
            } else {
                rank = min(keys - 1, Int(Double(keys) * power(eta * fraction - eta + 1, 1 / (1 - Self.theta))))
            }
            // Hot keys lie anywhere among the others.
            return Int(UInt64(rank) &* 7_368_787 % UInt64(keys))
        }
    }

    private static func open(_ path: String, _ compaction: Cache.Compaction) throws -> Cache {
        var configuration = Cache.Configuration()
        configuration.evictionPolicy = EvictionPolicy.none
        configuration.durability = Durability.none
        configuration.compaction = compaction
        return try Cache(directory: path, configuration: configuration)
    }

    private static let value = [UInt8](repeating: UInt8(ascii: "x"), count: 100)
    private static let payload = KeyFormat.size + 100

    private static func load(_ cache: Cache, _ keys: Int) throws {
        var key = newKey()
        for number in 0..<keys {
            write(number, to: &key)
            try cache.set(key, value)
        }
    }

    private static func newKey() -> [UInt8] {
        var key = [UInt8](repeating: 0, count: KeyFormat.size)
        key.withUnsafeMutableBytes { $0.copyBytes(from: "key-".utf8) }
        return key
    }

    @inline(__always) private static func write(_ number: Int, to key: inout [UInt8]) {
        key.withUnsafeMutableBytes { KeyFormat.write(UInt64(number), to: $0.baseAddress!) }
    }

    /// Overwrites so many items, one transaction each.
    private static func overwrite(
        _ cache: Cache, _ choice: Choice, keys: Int, count: Int, _ look: (Int) throws -> Void = { _ in }
    ) throws -> Histogram {
        var times = Histogram()
        var key = newKey()
        var chooser = Chooser(choice, keys: keys)
        for turn in 0..<count {
            write(chooser.next(), to: &key)
            let begun = monotonicNanoseconds()
            try cache.set(key, value)
            times.add(UInt32(clamping: monotonicNanoseconds() &- begun))
            if turn % 4096 == 0 { try look(turn) }
        }
        return times
    }

    /// What index and spare take.
    private static func sizes(_ path: String) throws -> String {
        var text = ""
        for name in ["index.1", "index.2", "index.3", "log/spare"] {
            var status = stat()
            if stat("\(path)/\(name)", &status) == 0 { text += "\(name) \(Int(status.st_blocks) * 512) " }
        }
        return text
    }

    /// The tables.
    static func run(keys: Int, directory: String) throws -> String {
        var text = "\(keys) keys of 16 bytes with values of 100; \(4 * keys) are overwritten, one transaction each.\n\n"
        text +=
            "| overwritten | bytes written a byte of records | most on disk, × payload | at the end | after `compact()` | live bytes × 2 |\n"
        text += "|---|--:|--:|--:|--:|--:|\n"
        var latencies: [(name: String, times: Histogram)] = []
        for choice in [Choice.uniform, .skewed] {
            Files.log("compaction: \(choice.rawValue)\n")
            let path = "\(directory)/compaction-\(choice.rawValue)"
            let cache = try open(path, .automatic)
            try load(cache, keys)
            let before = try cache.metrics
            var most = 0
            let times = try overwrite(cache, choice, keys: keys, count: 4 * keys) { _ in
                most = max(most, try cache.volume)
            }
            latencies.append(("\(choice.rawValue), compacted in the background", times))
            let after = try cache.metrics
            let own = Double(after.bytesWritten - before.bytesWritten)
            let record = Double((24 + payload + 3) / 4 * 4)
            let end = try cache.volume
            try cache.compact()
            let least = try cache.volume
            Files.log("compaction: \(choice.rawValue): \(try sizes(path))\n")
            func ratio(_ bytes: Int) -> String { "\((Double(bytes) / Double(keys * payload) * 100).rounded() / 100)" }
            text +=
                "| \(choice.rawValue) | \((own / (Double(4 * keys) * record) * 100).rounded() / 100) | \(ratio(most))"
            text += " | \(ratio(end)) | \(ratio(least)) | \(ratio(after.liveBytes * 2)) |\n"
            try cache.close()
            try Files.remove(path)
            let without = try open(path, .off)
            try load(without, keys)
            latencies.append(
                ("\(choice.rawValue), compaction off", try overwrite(without, choice, keys: keys, count: 4 * keys)))
            try without.close()
            try Files.remove(path)
        }
        text +=
            "\n| one writer | mean, ns | p50, ns | p99, ns | p99.9, ns | p99.99, ns | longest, ms |\n|---|--:|--:|--:|--:|--:|--:|\n"
        for row in latencies {
            text += "| \(row.name) | \(Int(row.times.mean))"
            for fraction in [0.5, 0.99, 0.999, 0.9999] { text += " | \(Int(row.times.percentile(fraction)))" }
            text += " | \(Double(row.times.maximum / 10_000) / 100) |\n"
        }
        return text
    }
}

private func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
