import TestSupport
import Testing

@testable import DiskCacheEngine

/// Prints how fast the tree is. Run in a release build, with `BTREE_SPEED` set to the number of keys.
@Suite(.enabled(if: environmentVariable("BTREE_SPEED") != nil))
struct BTreeSpeed {
    private static let count = Int(environmentVariable("BTREE_SPEED") ?? "") ?? 1_000_000

    private static func measure(_ name: String, _ count: Int, _ body: () throws -> Void) rethrows {
        let start = SystemCalls.monotonicClock()
        let startOfWork = processorTime()
        try body()
        let seconds = Double(SystemCalls.monotonicClock() - start) / 1e9
        let work = Double(processorTime() - startOfWork) / 1e9
        let rate = Int(Double(count) / (work > 0 ? work : seconds) / 1000)
        print(
            "\(name): \(Int(seconds * 1000)) ms, \(Int(work * 1000)) ms of processor time: "
                + "\(rate) thousand a second")
    }

    /// Nanoseconds that this thread has had a processor; 0 where the system doesn't tell.
    private static func processorTime() -> UInt64 {
        let files = SystemFiles()
        guard let file = try? files.open("/proc/thread-self/schedstat", in: nil, []),
            let bytes = try? files.read(file, count: 100, at: 0)
        else { return 0 }
        return UInt64(String(decoding: bytes.prefix { $0 != 32 }, as: UTF8.self)) ?? 0
    }

    private static func fill(_ changes: BTreeChanges, _ count: Int, _ random: inout ReplayableRandom, rows: Int?) throws
    {
        changes.removeAll()
        for index in 0..<count {
            var key = (random.next().bigEndian, random.next())
            var value = random.next() & 0xFF_FFFF_FFFF
            if let rows { key.0 = UInt64(rows + index).bigEndian }
            try withUnsafeBytes(of: &key) { key in
                try withUnsafeBytes(of: &value) { value in
                    let bytes = rows == nil ? key : UnsafeRawBufferPointer(rebasing: key[..<8])
                    try changes.insert(bytes, UnsafeRawBufferPointer(rebasing: value[..<5]))
                }
            }
        }
    }

    private static func catchUp(_ fixture: TreeFixture, _ tree: TreeID, rows: Bool) throws {
        var random = ReplayableRandom(seed: 3)
        let changes = BTreeChanges()
        var slowest: UInt64 = 0
        var filling: UInt64 = 0
        try measure("\(tree): \(count) new keys in batches of 30,000", count) {
            var done = 0
            while done < count {
                let start = SystemCalls.monotonicClock()
                try fill(changes, min(30_000, count - done), &random, rows: rows ? done : nil)
                filling += SystemCalls.monotonicClock() - start
                let batch = try BTreeBatch(fixture.pager)
                try batch.apply(changes, to: tree)
                try batch.publish(position: 1)
                done += 30_000
                slowest = max(slowest, SystemCalls.monotonicClock() - start)
            }
        }
        print("  slowest batch \(slowest / 1_000_000) ms; filling \(filling / 1_000_000) ms of the time")
        let report = try BTreeChecker.check(fixture.pager)
        print(
            "  \(report.leaves) leaves, \(100 * report.leafBytes / report.leaves / 4096) % full, depth \(report.depth), "
                + "\(try fixture.pager.files.status(fixture.pager.file).allocated >> 20) MiB allocated")
    }

    private static func scan(_ fixture: TreeFixture, _ tree: TreeID) throws {
        for reversed in [false, true] {
            var sum = 0
            try measure("\(tree): scan\(reversed ? " backward" : "")", count) {
                let cursor = BTree(fixture.pager, tree).cursor(reversed: reversed)
                let entries = BTreeEntries()
                while true {
                    let read = try cursor.next(entries, in: fixture.pager)
                    if read == 0 { break }
                    sum += read
                }
            }
            #expect(sum == count)
        }
    }

    @Test func figures() throws {
        let fixture = try TreeFixture()
        try Self.catchUp(fixture, .key, rows: false)
        try Self.scan(fixture, .key)
        try Self.catchUp(fixture, .rowid, rows: true)
        try Self.scan(fixture, .rowid)

        let bulk = try TreeFixture()
        var random = ReplayableRandom(seed: 4)
        let changes = BTreeChanges()
        try Self.measure("bulk: sorting and building \(Self.count) keys", Self.count) {
            try Self.fill(changes, Self.count, &random, rows: nil)
            let batch = try BTreeBatch(bulk.pager)
            try batch.apply(changes, to: .key)
            try batch.publish(position: 1)
        }
        try Self.scan(bulk, .key)
        let report = try BTreeChecker.check(bulk.pager)
        print("  \(report.leaves) leaves, \(100 * report.leafBytes / report.leaves / 4096) % full")
        try Self.measure("bulk: 10 batches of 30,000 more", 300_000) {
            for _ in 0..<10 {
                try Self.fill(changes, 30_000, &random, rows: nil)
                let batch = try BTreeBatch(bulk.pager)
                try batch.apply(changes, to: .key)
                try batch.publish(position: 1)
            }
        }
        try Self.measure("batches of one key", 1000) {
            for _ in 0..<1000 {
                try Self.fill(changes, 1, &random, rows: nil)
                let batch = try BTreeBatch(bulk.pager)
                try batch.apply(changes, to: .key)
                try batch.publish(position: 1)
            }
        }
        bulk.pager.allocator = nil
        try Self.measure("finding the free pages", 1) { try bulk.pager.prepareAllocator() }
        let tree = BTree(bulk.pager, .key)
        try Self.measure("look-ups", 100_000) {
            for _ in 0..<100_000 {
                var key = (random.next(), random.next())
                _ = try withUnsafeBytes(of: &key) { try tree.value(of: $0) }
            }
        }
    }
}
