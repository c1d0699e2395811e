import Synchronization
import TestSupport
import Testing

@testable import DiskCacheEngine

/// Slots that a `clear` has left, met by processes of which some still have mapped what they name (Decisions, "Slots below the head").
@Suite struct StaleSlotTests {
    private static let keys = 40
    private static let timeout: UInt64 = 10_000_000_000

    /// Two processes with one store, whose rows lie in a segment that was left since.
    private final class Pair {
        let scratch: ScratchDirectory
        let first: Store
        let second: Store

        init() throws {
            scratch = try ScratchDirectory()
            first = try Self.open(scratch.path + "/store")
            try first.configure(timeout: timeout) { (settings) throws(EngineError) in settings.compaction = 0 }
            for key in 0..<keys { try Self.put(first, key, 1) }
            try Self.fill(first)
            second = try Self.open(scratch.path + "/store")
        }

        deinit {
            first.shutDown()
            second.shutDown()
        }

        private static func open(_ path: String) throws -> Store {
            let store = try Store.openAsAnotherProcess(path)
            // No maintenance: what is below the head stays, and so do its slots.
            store.isDirty.store(2, ordering: .relaxed)
            return store
        }

        /// `clear` as it is while others write at once: the index stays.
        func clear() throws {
            try first.transact(timeout: timeout) { try first.clear() }
            try Self.fill(first)
        }

        /// Another segment, so that who comes by it lets go of what lies below the head.
        private static func fill(_ store: Store) throws {
            let filler = [UInt8](repeating: 7, count: 9000)
            for _ in 0..<8 { try put(store, -1, filler) }
        }

        static func put(_ store: Store, _ key: Int, _ number: Int64) throws {
            try put(store, key, withUnsafeBytes(of: number) { Array($0) }, form: ValueFormCode.integer)
        }

        private static func put(_ store: Store, _ key: Int, _ value: [UInt8], form: UInt16 = ValueFormCode.bytes) throws
        {
            let pin = ReaderPins.enter(ReaderPins.base)
            defer { ReaderPins.leave(pin) }
            try withUnsafeBytes(of: key) { key in
                try value.withUnsafeBytes {
                    _ = try store.put(timeout: timeout, KeyClass.bytes, key, form: form, value: $0, RecordAttributes())
                }
            }
        }

        func add(_ store: Store, _ key: Int) throws -> Store.Number {
            let pin = ReaderPins.enter(ReaderPins.base)
            defer { ReaderPins.leave(pin) }
            return try withUnsafeBytes(of: key) {
                try store.increment(timeout: timeout, KeyClass.bytes, $0, by: .integer(1), start: .integer(0))
            }
        }

        func get(_ store: Store, _ key: Int, in snapshot: StoreSnapshot? = nil) throws -> Int64? {
            let pin = ReaderPins.enter(ReaderPins.base)
            defer { ReaderPins.leave(pin) }
            return try withUnsafeBytes(of: key) { key in
                let record =
                    if let snapshot { try store.find(KeyClass.bytes, key, in: snapshot) } else {
                        try store.find(KeyClass.bytes, key)
                    }
                return record.map { $0.value.loadUnaligned(as: Int64.self) }
            }
        }

        func isMapped(_ store: Store, _ position: Position) throws -> Bool {
            if case .record = try store.log.record(at: position) { return true }
            return false
        }
    }

    /// Both count with the same keys, one after the other.
    @Test func bothWriteToOneSlot() throws {
        let pair = try Pair()
        let old = try #require(pair.second.log.segments.first).firstRecord
        try pair.clear()
        for key in 0..<Self.keys {
            #expect(try pair.add(pair.second, key) == .integer(1))
            #expect(try pair.add(pair.first, key) == .integer(2), "key \(key)")
            #expect(try pair.add(pair.second, key) == .integer(3), "key \(key)")
        }
        #expect(try pair.isMapped(pair.first, old) && !pair.isMapped(pair.second, old), "the test tests nothing")
        for store in [pair.first, pair.second] {
            for key in 0..<Self.keys { #expect(try pair.get(store, key) == 3) }
            #expect(try store.check(timeout: Self.timeout).isEmpty)
            #expect(store.count == Self.keys + 1)
        }
    }

    /// A snapshot from before goes on where the old slots lead.
    @Test func aSnapshotFindsWhatWasThere() throws {
        let pair = try Pair()
        let snapshot = pair.first.beginSnapshot()
        defer { pair.first.end(snapshot) }
        try pair.clear()
        for key in 0..<Self.keys where key % 4 != 0 { try Pair.put(pair.second, key, 2) }
        for key in 0..<Self.keys where key % 2 == 0 { try Pair.put(pair.first, key, 3) }
        for key in 0..<Self.keys {
            #expect(try pair.get(pair.first, key, in: snapshot) == 1, "key \(key)")
            #expect(try pair.get(pair.first, key) == (key % 2 == 0 ? 3 : 2))
        }
        #expect(try pair.get(pair.first, Self.keys, in: snapshot) == nil)
    }

    /// A transaction that clears and writes again: until it commits, and if it doesn't, all is as before.
    @Test func aClearThatIsTakenBack() throws {
        let pair = try Pair()
        struct Refused: Error {}
        #expect(throws: Refused.self) {
            try pair.first.transact(timeout: Self.timeout) {
                try pair.first.clear()
                for key in 0..<Self.keys where key % 2 == 0 { try Pair.put(pair.first, key, 2) }
                for key in 0..<Self.keys { #expect(try pair.get(pair.second, key) == 1) }
                throw Refused()
            }
        }
        for key in 0..<Self.keys { #expect(try pair.add(pair.second, key) == .integer(2)) }
        #expect(try pair.first.check(timeout: Self.timeout).isEmpty)
    }

    /// A key that is cleared and stored again and again has 32 places at most for slots that nobody has vacated yet.
    @Test(arguments: [1, 20]) func clearsAndWritesInTurn(_ count: Int) throws {
        let pair = try Pair()
        for round in 0..<300 {
            let store = round % 2 == 0 ? pair.first : pair.second
            try store.transact(timeout: Self.timeout) { try store.clear() }
            for key in 0..<count { try Pair.put(store, key, Int64(round)) }
        }
        for key in 0..<count { #expect(try pair.get(pair.first, key) == 299) }
        #expect(try pair.first.check(timeout: Self.timeout).isEmpty)
        #expect(pair.first.index.pages.relaxed() <= 12, "pages for slots that nobody needs")
    }

    /// A snapshot is in the way of vacating them: it is right as long as it can be, and says so when it can't.
    @Test func clearsAndWritesUnderASnapshot() throws {
        let pair = try Pair()
        let snapshot = pair.first.beginSnapshot()
        defer { pair.first.end(snapshot) }
        var expired = 0
        for round in 0..<200 {
            try pair.first.transact(timeout: Self.timeout) { try pair.first.clear() }
            for key in 0..<3 { try Pair.put(pair.first, key, Int64(round + 2)) }
            for key in 0..<Self.keys {
                do throws(EngineError) {
                    let found = try pair.first.number(key, in: snapshot)
                    #expect(found == 1, "round \(round), key \(key)")
                } catch {
                    #expect(error.code == .snapshotExpired)
                    expired += 1
                }
            }
        }
        // Not at once.
        #expect(expired > 0 && expired < 199 * Self.keys)
        #expect(pair.first.index.pages.relaxed() <= 12)
    }

    /// Splits at which keys are hashed again, by a process that has let go of what a snapshot of another one reads.
    @Test func aSnapshotAndSplitsByAnother() throws {
        let pair = try Pair()
        let snapshot = pair.first.beginSnapshot()
        defer { pair.first.end(snapshot) }
        try pair.clear()
        let old = try #require(pair.first.log.segments.first).firstRecord
        var next = Self.keys
        // The first such split is that of depth 7.
        while HashIndex.depth(ofRoot: pair.second.index.root.relaxed()) < 9 {
            for key in next..<next + 1000 { try Pair.put(pair.second, key, 5) }
            next += 1000
        }
        #expect(try pair.isMapped(pair.first, old) && !pair.isMapped(pair.second, old), "the test tests nothing")
        var expired = 0
        for key in 0..<Self.keys {
            do throws(EngineError) {
                #expect(try pair.first.number(key, in: snapshot) == 1, "key \(key)")
            } catch {
                #expect(error.code == .snapshotExpired)
                expired += 1
            }
        }
        #expect(expired > 0)
    }

    /// A snapshot of the commit before a `clear`, which begins where that one ends: what is vacated was there.
    @Test func aSnapshotRightBeforeAClear() throws {
        let pair = try Pair()
        let snapshot = pair.first.beginSnapshot()
        pair.first.end(snapshot)
        try pair.clear()
        try pair.first.dropDead()
        #expect(pair.first.block.floor.relaxed() == snapshot.tail)
        for key in 0..<Self.keys {
            #expect(throws: EngineError.self, "key \(key)") { try pair.first.number(key, in: snapshot) }
        }
    }
}

extension Store {
    /// A key's number as of a snapshot.
    fileprivate func number(_ key: Int, in snapshot: StoreSnapshot) throws(EngineError) -> Int64? {
        let pin = ReaderPins.enter(ReaderPins.base)
        defer { ReaderPins.leave(pin) }
        return try withUnsafeBytes(of: key) { (bytes) throws(EngineError) in
            try find(KeyClass.bytes, bytes, in: snapshot).map { $0.value.loadUnaligned(as: Int64.self) }
        }
    }
}
