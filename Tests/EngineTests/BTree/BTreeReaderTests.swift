import Synchronization
import TestSupport
import Testing

@testable import DiskCacheEngine

/// Readers without a lock beside a writer.
@Suite struct BTreeReaderTests {
    private static let keyCount = 1200

    /// In state n key i is there unless (i + n) % 3 is 0, with n for its value.
    private static func changes(_ state: Int) throws -> BTreeChanges {
        try TreeFixture.changes(
            (0..<keyCount).map { key in
                (keyBytes(key), (key + state) % 3 == 0 ? nil : TreeFixture.number(state))
            })
    }

    private static func keyBytes(_ key: Int) -> [UInt8] {
        // Some are long, so that overflow pages are used again too.
        let tail = key % 40 == 0 ? [UInt8](repeating: 5, count: 2000) : []
        return Array("shared prefix ".utf8) + TreeFixture.number(key) + tail
    }

    private final class Counts: Sendable {
        let scans = Atomic<Int>(0)
        let moved = Atomic<Int>(0)
        let wrong = Atomic<Int>(0)
        let isDone = Atomic<Bool>(false)
    }

    /// Each call of a cursor gives what one batch holds: the keys that follow the last one, with its values, no others.
    @Test func scansAreNeverMixed() throws {
        let fixture = try TreeFixture()
        let counts = Counts()
        try publish(fixture, 1)
        let second = try Pager.open(
            generation: 1, in: fixture.directory, files: fixture.files, storeID: TreeFixture.storeID, writable: false)
        let pagers = [fixture.pager, try #require(second).pager]
        let group = TestThreads.Group()
        for thread in 0..<4 {
            let pager = pagers[thread / 2]
            group.start {
                while !counts.isDone.load(ordering: .relaxed) {
                    do {
                        if try !Self.scan(pager, reversed: thread % 2 == 1, counts) {
                            counts.wrong.add(1, ordering: .relaxed)
                        }
                        counts.scans.add(1, ordering: .relaxed)
                    } catch {
                        print("scansAreNeverMixed: \(error)")
                        counts.wrong.add(1, ordering: .relaxed)
                    }
                }
            }
        }
        for state in 2...80 { try publish(fixture, state) }
        counts.isDone.store(true, ordering: .relaxed)
        group.join()
        print(
            "scansAreNeverMixed: \(counts.scans.load(ordering: .relaxed)) scans, "
                + "\(counts.moved.load(ordering: .relaxed)) went on in a later batch")
        #expect(counts.wrong.load(ordering: .relaxed) == 0)
        #expect(counts.scans.load(ordering: .relaxed) > 4)
        _ = try BTreeChecker.check(fixture.pager)
    }

    private func publish(_ fixture: TreeFixture, _ state: Int) throws {
        let batch = try BTreeBatch(fixture.pager)
        try batch.apply(Self.changes(state), to: .key)
        try batch.publish(position: UInt64(state))
    }

    private static func scan(_ pager: Pager, reversed: Bool, _ counts: Counts) throws -> Bool {
        let cursor = BTree(pager, .key).cursor(reversed: reversed)
        let entries = BTreeEntries()
        var next = reversed ? keyCount - 1 : 0
        var batch: UInt64 = 0
        while try cursor.next(entries, limit: 50, in: pager) > 0 {
            if batch != 0, cursor.batch != batch { counts.moved.add(1, ordering: .relaxed) }
            batch = cursor.batch
            let state = Int(cursor.position)
            for index in 0..<entries.count {
                if (next + state) % 3 == 0 { next += reversed ? -1 : 1 }
                guard next >= 0, next < keyCount, [UInt8](entries.key(index)) == keyBytes(next),
                    [UInt8](entries.value(index)) == TreeFixture.number(state)
                else { return false }
                next += reversed ? -1 : 1
            }
        }
        if next >= 0, next < keyCount, (next + Int(cursor.position)) % 3 == 0 { next += reversed ? -1 : 1 }
        return reversed ? next == -1 : next == keyCount
    }

    /// While batch b + 2 is being written, all of root b can still be read; once it is published, no page of b is believed.
    @Test func aBatchInWorkLeavesTheLastTwoRoots() throws {
        let fixture = try TreeFixture()
        for state in 1...12 { try publish(fixture, state) }
        for state in 13...20 {
            let cursor = BTree(fixture.pager, .key).cursor(reversed: state % 2 == 0)
            let entries = BTreeEntries()
            #expect(try cursor.next(entries, limit: 10, in: fixture.pager) == 10)
            let batch = cursor.batch
            try publish(fixture, state)
            let next = try BTreeBatch(fixture.pager)
            try next.apply(Self.changes(state + 100), to: .key)
            var read = 10
            while read < 700, try cursor.next(entries, limit: 10, in: fixture.pager) > 0 {
                read += entries.count
                #expect(cursor.batch == batch)
                for index in 0..<entries.count {
                    #expect([UInt8](entries.value(index)) == TreeFixture.number(state - 1))
                }
            }
            #expect(read == 700)
            if state == 20 {
                try next.publish(position: UInt64(state + 100))
                #expect(try cursor.next(entries, in: fixture.pager) > 0)
                #expect(cursor.batch == batch + 2)
            }
        }
    }

    /// Two writers in turns, as two processes that take the flock from each other.
    @Test func writersInTurns() throws {
        var random = ReplayableRandom(tree: "writersInTurns")
        let fixture = try TreeFixture()
        let opened = try Pager.open(
            generation: 1, in: fixture.directory, files: fixture.files, storeID: TreeFixture.storeID)
        let pagers = [fixture.pager, try #require(opened).pager]
        var model = TreeModel()
        for round in 0..<120 {
            let pager = pagers[random.below(2)]
            let batch = try BTreeBatch(pager)
            let list =
                (0..<40).map { _ in (key: random.key(), value: random.bytes(4) as [UInt8]?) }
                + model.sorted.filter { _ in random.below(12) == 0 }.map { (key: $0.key, value: nil) }
            for (key, value) in list { model[key] = value }
            try batch.apply(TreeFixture.changes(list), to: .key)
            try batch.publish(position: UInt64(round))
            if random.below(6) == 0 { try pagers[random.below(2)].sync() }
            if round % 10 == 0 {
                for pager in pagers { #expect(try TreeFixture.scan(pager, .key) == model.sorted) }
                _ = try BTreeChecker.check(pager)
            }
        }
    }
}
