import DiskCache
import TestSupport
import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// The change feed, in one process.
@Suite struct ChangeTests {
    private let scratch: TestDirectory

    init() throws { scratch = try TestDirectory("changes") }

    private func open(_ name: String = "cache", _ change: (inout Cache.Configuration) -> Void = { _ in }) throws
        -> Cache
    {
        var configuration = Cache.Configuration()
        configuration.cullLimit = 0
        change(&configuration)
        return try Cache(directory: scratch.path + "/" + name, configuration: configuration)
    }

    /// `kind key` of everything that a reader gives now.
    private func all(_ reader: ChangeReader) throws -> [String] {
        var list: [String] = []
        while let change = try reader.next() { list.append(Self.text(change)) }
        return list
    }

    private static func text(_ change: Change) -> String {
        switch change.key {
        case nil: change.kind.rawValue
        case .string(let key): "\(change.kind.rawValue) \(key)"
        case .int(let key): "\(change.kind.rawValue) \(key)"
        case .queue(let key): "\(change.kind.rawValue) \(key.prefix ?? "")/\(key.number - 500_000_000_000_000)"
        case let key?: "\(change.kind.rawValue) \(key)"
        }
    }

    struct TakenBack: Error {}

    @Test func everyKindOfChange() throws {
        let cache = try open()
        try cache.set("before", 1)
        let reader = try cache.readChanges()
        #expect(try reader.next() == nil)
        try cache.set("a", 1, tag: "t")
        try cache.add("a", 2)
        try cache.add("b", [UInt8](repeating: 1, count: 50_000))
        try cache.incr("n")
        try cache.touch("a", expire: .after(.seconds(100)))
        try cache.update("a", default: 0) { $0 += 1 }
        #expect(try cache.pop("b", as: [UInt8].self)?.count == 50_000)
        try cache.delete("missing")
        try cache.push("item", prefix: "q")
        try cache.push("other", prefix: "q")
        #expect(try cache.pull(as: String.self, prefix: "q") != nil)
        try cache.set("short", 1, expire: .after(.seconds(5)))
        #expect(try cache.expire(asOf: 32_503_680_000) == 2)
        try cache.set("c", 1, tag: "t")
        try cache.evict(tag: "t")
        try cache.configure { $0.statistics = true }
        var told = try all(reader)
        try cache.clear()
        try cache.set(7, 1)
        told += try all(reader)
        #expect(
            told == [
                "set a", "set b", "set n", "touched a", "set a", "deleted b", "set q/0", "set q/1", "deleted q/0",
                "set short", "expired short", "expired a", "set c", "evicted c", "cleared", "set 7",
            ], "\(told)")
        #expect(try reader.next() == nil)
        #expect(try reader.position == cache.readChanges().position)
    }

    @Test func onlyWhatWasCommittedAndNotTakenBackIsTold() throws {
        let cache = try open()
        let reader = try cache.readChanges()
        #expect(throws: TakenBack.self) {
            try cache.transact {
                try cache.set("x", 1)
                throw TakenBack()
            }
        }
        #expect(try all(reader) == [])
        try cache.transact {
            try cache.set("a", 1)
            #expect(try all(reader) == [])
            try? cache.transact {
                try cache.set("y", 1)
                throw TakenBack()
            }
            try cache.delete("a")
            try cache.set("b", 1)
        }
        #expect(try all(reader) == ["set a", "deleted a", "set b"])
        // What a `clear` in a transaction sweeps away is left out; what comes behind it isn't.
        try cache.transact {
            try cache.set("swept", 1)
            try cache.clear()
            try cache.set("kept", 1)
        }
        #expect(try all(reader) == ["cleared", "set kept"])
        try? cache.transact {
            try cache.clear()
            throw TakenBack()
        }
        #expect(try all(reader) == [])
    }

    @Test func aReaderGoesOnFromEveryPosition() throws {
        let cache = try open()
        let reader = try cache.readChanges()
        let first = reader.position
        for number in 0..<30 {
            if number % 4 == 0 {
                try cache.transact { for part in 0..<4 { try cache.set("\(number).\(part)", 1) } }
            } else {
                try cache.set(number, 1)
            }
        }
        var changes: [Change] = []
        while let change = try reader.next() { changes.append(change) }
        #expect(changes.count == 8 * 4 + 22)
        let again = try open()
        for (index, position) in ([first] + changes.map(\.position)).enumerated() {
            let text = position.description
            let read = try #require(Change.Position(text))
            #expect(read == position)
            let other = try again.readChanges(from: read)
            #expect(try all(other) == changes[index...].map(Self.text), "from \(text)")
        }
        #expect(Set(changes.map(\.position)).count == changes.count)
    }

    @Test func positionsThatAreNone() throws {
        for text in [
            "", "1", "5f1e8a90", "5f1e8a90.", ".5", "5f1e8a9.5", "5F1E8A90.5", "5f1e8a90.05", "5f1e8a90.5+0",
            "5f1e8a90.5+1+2", "5f1e8a90.-5", "+f1e8a90.5",
        ] {
            #expect(Change.Position(text) == nil, "\(text)")
        }
        let cache = try open()
        let other = try open("other")
        try cache.set("a", 1)
        try other.set("a", 1)
        let position = try cache.readChanges().position
        #expect(throws: CacheError.self) { try other.readChanges(from: position).next() }
        func expectGone(_ position: Change.Position) throws {
            let reader = try cache.readChanges(from: position)
            // However often it is asked.
            for _ in 0..<2 {
                do {
                    _ = try reader.next()
                    Issue.record("\(position) was believed")
                } catch {
                    #expect((error as? CacheError)?.code == .positionGone)
                }
            }
        }
        // Beyond the end, inside a record, off the raster.
        try expectGone(Change.Position(store: position.store, offset: position.offset + 4096, skipped: 0))
        try expectGone(Change.Position(store: position.store, offset: position.offset - 8, skipped: 0))
        try expectGone(Change.Position(store: position.store, offset: position.offset - 3, skipped: 0))
    }

    @Test func aClearStandsForWhatItSweptAway() throws {
        let cache = try open()
        let reader = try cache.readChanges()
        let start = reader.position
        try cache.set("a", 1)
        let late = try cache.readChanges()
        _ = try reader.next()
        try cache.set("b", 1)
        try cache.clear()
        try cache.set("c", 1)
        try cache.clear()
        try cache.set("d", 1)
        #expect(try all(reader) == ["cleared", "set d"])
        #expect(try all(late) == ["cleared", "set d"])
        try cache.close()
        #expect(try all(try cache.readChanges(from: start)) == ["cleared", "set d"])
    }

    /// A cache that is full all the time: what is evicted is told, copies aren't, and a reader that keeps up misses nothing; one
    /// that doesn't is told so.
    @Test func compactionIsNoChangeAndTakesOldPositions() throws {
        let seed = ReplayableRandom.seed(for: "compactionIsNoChangeAndTakesOldPositions")
        var random = ReplayableRandom(seed: seed)
        let cache = try open { configuration in
            configuration.sizeLimit = 1 << 20
            configuration.cullLimit = 10
        }
        let reader = try cache.readChanges()
        let old = reader.position
        var keys: Set<String> = []
        var told = 0
        func follow() throws {
            while let change = try reader.next() {
                told += 1
                guard let key = try change.key?.decode(String.self) else { continue }
                if change.kind == .set {
                    keys.insert(key)
                } else {
                    #expect(keys.remove(key) != nil, "\(Self.text(change))")
                }
            }
        }
        for number in 0..<6000 {
            let key = random.oneIn(3) ? "hot \(Int.random(in: 0..<40, using: &random))" : "key \(number)"
            try cache.set(key, [UInt8](repeating: 1, count: Int.random(in: 10..<2500, using: &random)))
            if random.oneIn(40) { try follow() }
        }
        try follow()
        #expect(try cache.metrics.compactedBytes > 0)
        var there: Set<String> = []
        try cache.keys().forEach { there.insert(try $0.decode(String.self)) }
        #expect(keys == there)
        #expect(told > 6000)
        do {
            _ = try cache.readChanges(from: old).next()
            Issue.record("the position was still there")
        } catch {
            #expect((error as? CacheError)?.code == .positionGone)
        }
    }

    /// Random operations against what they should have told, with readers that come and go.
    @Test func changesAgainstARecordedHistory() throws {
        let seed = ReplayableRandom.seed(for: "changesAgainstARecordedHistory")
        var random = ReplayableRandom(seed: seed)
        // Readers that fall behind are to find everything, so nothing goes but what a clear takes.
        var cache = try open {
            $0.minFileSize = 1 << 12
            $0.compaction = .off
        }
        var history = History()
        var there: Set<Int> = []
        var reader = try cache.readChanges()
        /// One operation; what it tells is appended to `log`.
        func operate(_ log: inout [String]) throws {
            let key = Int.random(in: 0..<60, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let size = random.oneIn(6) ? 6000 : 20
                try cache.set(key, [UInt8](repeating: UInt8(key), count: size))
                there.insert(key)
                log.append("set \(key)")
            case 5, 6:
                let wasThere = there.remove(key) != nil
                #expect(try cache.delete(key) == wasThere)
                if wasThere { log.append("deleted \(key)") }
            case 7:
                let isThere = there.contains(key)
                #expect(try cache.touch(key, expire: .never) == isThere)
                if isThere { log.append("touched \(key)") }
            case 8:
                if try cache.add(key, 5) {
                    #expect(there.insert(key).inserted)
                    log.append("set \(key)")
                }
            default:
                guard random.oneIn(20) else { return }
                try cache.clear()
                there.removeAll()
                log.append("cleared")
            }
        }
        for step in 0..<environmentNumber("CHANGES", default: 2500) {
            if random.oneIn(5) {
                var log: [String] = []
                let before = there
                let isTakenBack = random.oneIn(3)
                try? cache.transact {
                    for _ in 0..<Int.random(in: 0..<6, using: &random) {
                        var inner: [String] = []
                        let innerBefore = there
                        let isInnerTakenBack = random.oneIn(3)
                        try? cache.transact {
                            try operate(&inner)
                            if isInnerTakenBack { throw TakenBack() }
                        }
                        if isInnerTakenBack { there = innerBefore } else { log += inner }
                    }
                    if isTakenBack { throw TakenBack() }
                }
                if isTakenBack { there = before } else { history.happened += log }
            } else {
                try operate(&history.happened)
            }
            switch Int.random(in: 0..<40, using: &random) {
            case 0..<4: try all(reader).forEach { history.meet($0) }
            case 4..<6: if let change = try reader.next() { history.meet(Self.text(change)) }
            case 6: reader = try cache.readChanges(from: Change.Position(reader.position.description))
            case 7:
                let position = reader.position
                try cache.close()
                cache = try open { $0.minFileSize = 1 << 12 }
                reader = try cache.readChanges(from: position)
            default: break
            }
            guard !history.isWrong else {
                Issue.record("step \(step): met \(history.met.suffix(8)), happened \(history.happened.suffix(20))")
                return
            }
        }
        try all(reader).forEach { history.meet($0) }
        #expect(history.isComplete)
        #expect(history.skipped > 0)
        print("\(history.met.count) changes, \(history.skipped) swept away unread")
    }

    /// What happened, and whether what was met is that: nothing is lost but what a clear swept away, nothing is doubled or out of order.
    private struct History {
        var happened: [String] = []
        private(set) var met: [String] = []
        /// How much of what happened may have been met: one number, but where one of several clears was met.
        private var places: Set<Int> = [0]

        var isWrong: Bool { places.isEmpty }
        var isComplete: Bool { places.contains(happened.count) }
        var skipped: Int { happened.count - met.count }

        mutating func meet(_ change: String) {
            met.append(change)
            var next: Set<Int> = []
            for place in places {
                if change == "cleared" {
                    for index in place..<happened.count where happened[index] == change { next.insert(index + 1) }
                } else if place < happened.count, happened[place] == change {
                    next.insert(place + 1)
                }
            }
            places = next
        }
    }

    // MARK: Waiting

    @Test func aCommitWakesTheReader() throws {
        let cache = try open()
        let reader = try cache.readChanges()
        let handle = cache.handle
        #expect(try reader.next(timeout: .milliseconds(1)) == nil)
        for round in 0..<20 {
            let before = try handle.withStore { $0.block.follows.signal.acquire() }
            let writer = TestThreads()
            writer.start {
                // Once the reader sleeps, or is about to.
                while (try? handle.withStore({ $0.block.follows.sleepers.acquire() })) == 0 {
                    SystemCalls.yieldThread()
                }
                if round % 2 == 0 {
                    _ = try? cache.set(round, 1)
                } else {
                    _ = try? cache.transact { try cache.set(round, 1) }
                }
            }
            #expect(try reader.next(timeout: .seconds(600))?.key == .int(Int64(round)))
            writer.join()
            #expect(try handle.withStore { $0.block.follows.signal.acquire() } != before)
        }
    }
}
