import DiskCache
import Workloads

/// How long the longest pauses are while a store grows from nothing: of each single `set`, beside a loop that only reads the clock, which
/// shows what the machine does by itself.
enum Growth {
    /// The table.
    static func run(keys: Int, directory: String) throws -> String {
        var rows: [(name: String, times: Histogram, worst: String)] = []
        var configuration = Cache.Configuration()
        configuration.evictionPolicy = EvictionPolicy.none
        configuration.durability = Durability.none
        let cache = try Cache(directory: "\(directory)/growth", configuration: configuration)
        let value = [UInt8](repeating: UInt8(ascii: "x"), count: 100)
        var key = [UInt8](repeating: 0, count: KeyFormat.size)
        key.withUnsafeMutableBytes { $0.copyBytes(from: "key-".utf8) }
        var times = Histogram()
        // The longest, with how many keys there were.
        var longest: [(time: UInt64, at: Int)] = []
        let begun = monotonicNanoseconds()
        var last = begun
        for number in 0..<keys {
            key.withUnsafeMutableBytes { KeyFormat.write(UInt64(number), to: $0.baseAddress!) }
            try cache.set(key, value)
            let now = monotonicNanoseconds()
            let time = now &- last
            last = now
            times.add(UInt32(clamping: time))
            if time > 1_000_000 { longest.append((time, number)) }
        }
        let duration = last &- begun
        longest.sort { $0.time > $1.time }
        let places = longest.prefix(5).map { "\($0.at)" }.joined(separator: ", ")
        rows.append(("set", times, places))
        Files.log("growth: \(keys) keys\n")
        var bare = Histogram()
        let start = monotonicNanoseconds()
        last = start
        while last &- start < duration {
            let now = monotonicNanoseconds()
            bare.add(UInt32(clamping: now &- last))
            last = now
        }
        rows.append(("a loop that reads the clock, for as long", bare, ""))
        try cache.close()
        var text =
            "\(keys) keys of 16 bytes with values of 100, one transaction each, in \(milliseconds(duration)) ms.\n\n"
        text += "| what | p50, ns | p99.9, µs | p99.999, µs | longest, ms | over 1 ms | the longest ones at key |\n"
        text += "|---|--:|--:|--:|--:|--:|---|\n"
        for row in rows {
            let slow = row.times.counts.filter { $0.nanoseconds > 1_000_000 }.reduce(0) { $0 + $1.count }
            text += "| \(row.name) | \(Int(row.times.percentile(0.5))) | \(micro(row.times.percentile(0.999)))"
            text += " | \(micro(row.times.percentile(0.99999))) | \(milliseconds(UInt64(row.times.maximum)))"
            text += " | \(slow) | \(row.worst) |\n"
        }
        return text
    }

    private static func milliseconds(_ nanoseconds: UInt64) -> String {
        "\(Double(nanoseconds / 10_000) / 100)"
    }

    private static func micro(_ nanoseconds: Double) -> String { "\((nanoseconds / 100).rounded() / 10)" }
}
