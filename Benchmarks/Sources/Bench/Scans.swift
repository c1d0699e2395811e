import Compare
import DiskCache
import Workloads

/// How fast keys and items are listed in their orders, and how long an order takes that isn't there yet or is behind; beside LMDB's
/// cursor over the same keys.
enum Scans {
    /// Keys are stored in an order that has nothing to do with theirs.
    private static func number(_ index: Int) -> Int { index &* 7_368_787 % 1_000_000_007 }

    private static func write(_ index: Int, to key: UnsafeMutableRawPointer) {
        key.copyMemory(from: Array("key-".utf8), byteCount: 4)
        KeyFormat.write(UInt64(number(index)), to: key)
    }

    private static func time(_ body: () throws -> Void) rethrows -> UInt64 {
        let start = monotonicNanoseconds()
        try body()
        return monotonicNanoseconds() - start
    }

    private static func fill(_ cache: Cache, _ range: Range<Int>) throws {
        let value = [UInt8](repeating: UInt8(ascii: "x"), count: 100)
        var key = [UInt8](repeating: 0, count: KeyFormat.size)
        for index in range {
            key.withUnsafeMutableBytes { write(index, to: $0.baseAddress!) }
            try cache.set(key, value)
        }
    }

    /// The table.
    static func run(keys: Int, rounds: Int, directory: String) throws -> String {
        var rows: [(name: String, count: Int, times: [UInt64])] = []
        func note(_ name: String, _ count: Int, _ times: [UInt64]) {
            Files.log("scans: \(name)\n")
            rows.append((name, count, times))
        }
        func count<E>(_ cursor: Cursor<E>, _ wanted: Int) throws {
            var count = 0
            while try cursor.next() != nil { count += 1 }
            guard count == wanted else { throw UsageError("a scan met \(count) of \(wanted)") }
        }
        var configuration = Cache.Configuration()
        configuration.durability = Durability.none
        let cache = try Cache(directory: "\(directory)/scans", configuration: configuration)
        try fill(cache, 0..<keys)
        note("key order made from nothing", keys, [try time { _ = try cache.first(sorted: true) }])
        note("insertion order made from nothing", keys, [try time { _ = try cache.first() }])
        func scans(_ keys: Int) throws {
            func times(_ body: () throws -> Void) throws -> [UInt64] { try (0..<rounds).map { _ in try time(body) } }
            note("sorted keys", keys, try times { try count(cache.sortedKeys(), keys) })
            note("sorted keys, backward", keys, try times { try count(cache.sortedKeys(reversed: true), keys) })
            note(
                "keys of a range of bytes", keys, try times { try count(cache.keys(prefix: Array("key-".utf8)), keys) })
            note("keys in insertion order", keys, try times { try count(cache.keys(), keys) })
            note("sorted items", keys, try times { try count(cache.sortedItems(as: [UInt8].self), keys) })
            note("items in insertion order", keys, try times { try count(cache.items(as: [UInt8].self), keys) })
        }
        try scans(keys)
        try fill(cache, keys..<2 * keys)
        note("key order caught up with as many new keys", keys, [try time { _ = try cache.first(sorted: true) }])
        note("insertion order caught up, with the key order", keys, [try time { _ = try cache.first() }])
        try cache.close()
        let lmdb = "\(directory)/scans-lmdb"
        try Files.makeDirectory(lmdb)
        note("LMDB's cursor over the keys", keys, try LMDBScan.run(path: lmdb, keys: keys, rounds: rounds, write))
        var text = "\(keys) keys of 16 bytes with values of 100, stored in no order.\n\n"
        text += "| what | milliseconds, median | thousand a second |\n|---|--:|--:|\n"
        for row in rows {
            let median = Double(row.times.sorted()[row.times.count / 2])
            text += "| \(row.name) | \(Int(median / 1_000_000)) | \(Int(Double(row.count) / median * 1_000_000)) |\n"
        }
        return text
    }
}
