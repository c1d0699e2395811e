import DiskCacheEngine
import Testing

@testable import DiskCacheCore

@Suite struct IterationTests {
    private func cache(_ world: ModelWorld, lag: UInt64? = nil, tagIndex: Bool = false) throws -> Cache {
        var configuration = Cache.Configuration()
        configuration.tagIndex = tagIndex
        return try world.open(configuration) { $0.viewLag = lag }
    }

    /// Once with everything read from the log, once with trees that are brought up to date at each use.
    static let lags: [UInt64?] = [nil, 0]

    @Test(arguments: lags)
    func insertionOrder(lag: UInt64?) throws {
        let world = try ModelWorld()
        let cache = try cache(world, lag: lag)
        #expect(try Array(cache.keys()).isEmpty)
        #expect(try cache.first() == nil && cache.last(sorted: true) == nil)
        for number in [5, 3, 9, 1] { try cache.set(number, number) }
        try cache.set("text", 0)
        try cache.set(3, 33)
        #expect(try Array(cache.keys()) == [.int(5), .int(3), .int(9), .int(1), .string("text")])
        #expect(try Array(cache.keys(reversed: true)) == [.string("text"), .int(1), .int(9), .int(3), .int(5)])
        try cache.delete(5)
        try cache.set(5, 5)
        #expect(try Array(cache.keys()) == [.int(3), .int(9), .int(1), .string("text"), .int(5)])
        #expect(try Array(cache.items(as: Int.self)).map(\.value) == [33, 9, 1, 0, 5])
        #expect(try cache.first() == .int(3) && cache.last() == .int(5))
        try cache.clear()
        #expect(try Array(cache.keys()).isEmpty)
        try cache.set("after", 1)
        #expect(try Array(cache.keys()) == [.string("after")])
        try cache.close()
        #expect(try Array(cache.keys()) == [.string("after")])
        #expect(try cache.check() == [])
    }

    @Test(arguments: lags)
    func keyOrderAndRanges(lag: UInt64?) throws {
        let world = try ModelWorld()
        let cache = try cache(world, lag: lag)
        try cache.set("b", 1)
        try cache.set([UInt8]([1, 2]), 2)
        try cache.set(2.5, 3)
        try cache.set(-7, 4)
        try cache.set(true, 5)
        try cache.set(Int?.none, 6)
        try cache.set("a", 7)
        try cache.set("ab", 8)
        try cache.set(2, 9)
        try cache.set(UInt64.max, 10)
        try cache.set([UInt8]([1]), 11)
        let sorted: [AnyCacheKey] = [
            .null, .int(-7), .int(2), .double(2.5), .uint(.max), .string("a"), .string("ab"), .string("b"), .bytes([1]),
            .bytes([1, 2]), .encoded([0xf5]),
        ]
        #expect(try Array(cache.sortedKeys()) == sorted)
        #expect(try Array(cache.sortedKeys(reversed: true)) == sorted.reversed())
        #expect(try Array(cache.sortedItems(as: Int.self)).map(\.value) == [6, 4, 9, 3, 10, 7, 8, 1, 11, 2, 5])
        #expect(try Array(cache.keys(in: "a"..<"b")) == ["a", "ab"])
        #expect(try Array(cache.keys(in: "a"..."b", reversed: true)) == ["b", "ab", "a"])
        #expect(try Array(cache.keys(in: "ab"...)) == ["ab", "b"])
        #expect(try Array(cache.keys(in: ..<"b")) == ["a", "ab"])
        #expect(try Array(cache.keys(in: -10...2)) == [-7, 2])
        #expect(try Array(cache.keys(in: (-10.0)..<3)) == [-7, 2, 2.5])
        #expect(try Array(cache.keys(in: KeyRange(from: "b", upTo: "a"))).isEmpty)
        #expect(try Array(cache.keys(in: KeyRange(from: [UInt8]([1]), through: [1, 2]))) == [[1], [1, 2]])
        #expect(try Array(cache.keys(in: KeyRange<AnyCacheKey>(from: .string("b")))) == Array(sorted[7...]))
        #expect(try Array(cache.keys(in: KeyRange<AnyCacheKey>())) == sorted)
        #expect(try Array(cache.keys(prefix: "a")) == ["a", "ab"])
        #expect(try Array(cache.keys(prefix: [UInt8]([1]), reversed: true)) == [[1, 2], [1]])
        #expect(try Array(cache.items(in: 0...2, as: Int.self)).map(\.value) == [9])
        #expect(try Array(cache.items(prefix: "a", as: Int.self)).map(\.key) == ["a", "ab"])
        #expect(throws: CacheError.self) { try Array(cache.keys(in: 0...10)) }
        #expect(try cache.first(sorted: true) == .null && cache.last(sorted: true) == .encoded([0xf5]))
        #expect(try cache.check() == [])
    }

    @Test(arguments: lags)
    func expiredKeysAreListedAndExpiredItemsAreNot(lag: UInt64?) throws {
        let world = try ModelWorld()
        let cache = try cache(world, lag: lag)
        try cache.set("a", 1)
        try cache.set("b", 2, expire: .after(.seconds(5)))
        try cache.set("c", 3, expire: .after(.seconds(5)))
        #expect(try cache.peekItem(as: Int.self)?.value == 3)
        world.now += 5_000_000
        #expect(try Array(cache.keys()) == [.string("a"), .string("b"), .string("c")])
        #expect(try Array(cache.items(as: Int.self)).map(\.value) == [1])
        #expect(try cache.count == 3)
        #expect(try cache.peekItem(as: Int.self)?.value == 1)
        // Those at the end are gone, and so is none in front.
        #expect(try cache.count == 1)
        #expect(try cache.peekItem(last: false, as: Int.self)?.key == .string("a"))
        try cache.delete("a")
        #expect(try cache.peekItem(as: Int.self) == nil)
    }

    @Test func lookingAtAnEndRemovesNothingBehindIt() throws {
        let cache = try Cache(directory: nil)
        try cache.set("first", 1)
        try cache.set("expired", 2, expire: .at(secondsSinceEpoch: 2_000_000_000))
        try cache.set("last", 3)
        let path = cache.directory
        try cache.close()
        let later = try Cache(directory: path, configuration: Cache.Configuration()) { 2_000_000_001_000_000 }
        #expect(try later.peekItem(as: Int.self)?.value == 3)
        #expect(try later.peekItem(last: false, as: Int.self)?.value == 1)
        #expect(try later.count == 3)
        try later.delete("last")
        #expect(try later.peekItem(as: Int.self)?.value == 1)
        #expect(try later.count == 1)
    }

    @Test(arguments: lags)
    func aCursorIsBoundedAndMeetsNoKeyTwice(lag: UInt64?) throws {
        let world = try ModelWorld()
        let cache = try cache(world, lag: lag)
        for number in 0..<500 { try cache.set(number, number) }
        let cursors = try [
            cache.keys(), cache.sortedKeys(), cache.keys(reversed: true), cache.sortedKeys(reversed: true),
        ]
        var met: [[AnyCacheKey]] = [[], [], [], []]
        for step in 0..<500 {
            for index in 0..<4 { if let key = try cursors[index].next() { met[index].append(key) } }
            // New ones, overwritten ones, and one that goes and comes again.
            try cache.set(1000 + step, step)
            try cache.set(step, -step)
            if step % 50 == 7 { try cache.close() }
            if step == 100 {
                try cache.delete(300)
                try cache.set(300, 1)
            }
        }
        let expected = (0..<500).filter { $0 != 300 }.map { AnyCacheKey.int(Int64($0)) }
        for index in 0..<4 {
            met[index] += try Array(cursors[index])
            let all = index < 2 ? expected : expected.reversed()
            // None has come to 300 when that goes; when it comes again it is a new one.
            #expect(met[index].filter { $0 != .int(300) } == all)
            #expect(!met[index].contains(.int(300)))
            #expect(Set(met[index]).count == met[index].count)
        }
    }

    @Test(arguments: lags)
    func clearInBetweenEndsACursor(lag: UInt64?) throws {
        let world = try ModelWorld()
        let cache = try cache(world, lag: lag)
        for number in 0..<300 { try cache.set(number, number) }
        let cursor = try cache.sortedKeys()
        // Two batches, of 16 and of 32.
        for _ in 0..<48 { _ = try cursor.next() }
        try cache.clear()
        for number in 0..<300 { try cache.set(number, number) }
        #expect(try cursor.next() == nil)
        #expect(try Array(cache.sortedKeys()).count == 300)
    }

    @Test(arguments: lags)
    func aTransactionSeesItsOwnWrites(lag: UInt64?) throws {
        struct Undo: Error {}
        let world = try ModelWorld()
        let cache = try cache(world, lag: lag, tagIndex: true)
        for number in 0..<10 { try cache.set(number, number, tag: "old") }
        _ = try? cache.update("x", default: 0) { (value: inout Int) in
            try cache.delete(3)
            try cache.set(20, 1, tag: "new")
            try cache.set(4, 1, tag: "new")
            #expect(try Array(cache.keys()) == [0, 1, 2, 4, 5, 6, 7, 8, 9, 20].map { .int($0) })
            #expect(try Array(cache.sortedKeys(reversed: true)).first == .int(20))
            #expect(try Array(cache.keys(tag: "new")) == [.int(4), .int(20)])
            _ = try? cache.update("y", default: 0) { (value: inout Int) in
                try cache.clear()
                try cache.set("in", 1, tag: "new")
                #expect(try Array(cache.keys()) == [.string("in")])
                #expect(try Array(cache.keys(tag: "new")) == [.string("in")])
                throw Undo()
            }
            #expect(try Array(cache.keys()).count == 10)
            #expect(try Array(cache.keys(tag: "new")) == [.int(4), .int(20)])
            #expect(try cache.evict(tag: "old") == 8)
            #expect(try Array(cache.sortedKeys()) == [.int(4), .int(20)])
            throw Undo()
        }
        #expect(try Array(cache.keys()) == (0..<10).map { .int($0) })
        #expect(try Array(cache.keys(tag: "old")).count == 10)
        #expect(try Array(cache.keys(tag: "new")).isEmpty)
        #expect(try cache.check() == [])
    }

    @Test(arguments: lags)
    func tags(lag: UInt64?) throws {
        let world = try ModelWorld()
        let cache = try cache(world, lag: lag)
        for round in 0..<2 {
            for number in 0..<3000 {
                try cache.set(
                    number, number, tag: number % 3 == 0 ? nil : number % 3 == 1 ? 1 : [0, UInt8(number % 2), 0])
            }
            try cache.set(1, 0, tag: "other")
            #expect(try Array(cache.keys(tag: 1.0)).count == 999)
            #expect(try Array(cache.keys(tag: 1, reversed: true)).first == .int(2998))
            #expect(try Array(cache.keys(tag: [0, 1, 0])).count == 500)
            #expect(try Array(cache.keys(tag: "other")) == [.int(1)])
            #expect(try Array(cache.items(tag: "other", as: Int.self)).map(\.value) == [0])
            try cache.configure { $0.tagIndex = round == 0 }
            #expect(try cache.evict(tag: 1) == 999)
            #expect(try cache.evict(tag: 1) == 0)
            #expect(try cache.count == 2001)
            #expect(try cache.evictUntagged() == 1000)
            #expect(try cache.evict(tag: [0, 0, 0]) == 500)
            #expect(try Array(cache.keys(tag: [0, 1, 0])).count == 500)
            #expect(try cache.check() == [])
            try cache.clear()
        }
    }

    @Test func cursorsAreLazyAndKeepTheirError() throws {
        struct Failed: Error {}
        var made = 0
        let cursor = Cursor<Int>(batches: { batch in
            made += 1
            batch.append(made)
            if made == 5 { throw Failed() }
            return true
        })
        let even = cursor.map { $0 * 10 }.filter { $0 != 20 }.prefix(2)
        #expect(made == 0)
        #expect(try Array(even) == [10, 30])
        #expect(made == 3)
        #expect(try cursor.next() == 4 && cursor.next() == 5)
        #expect(throws: Failed.self) { try cursor.next() }
        #expect(throws: Failed.self) { try cursor.next() }
    }

    @Test func longKeysKeepTheirPlace() throws {
        let world = try ModelWorld()
        let cache = try cache(world, lag: 0, tagIndex: true)
        let keys = (0..<40).map { String(repeating: "k", count: 20 * $0) + "\($0)" }
        for key in keys { try cache.set(key, 1, tag: "t") }
        for key in keys.reversed() { try cache.set(key, 2, tag: "t") }
        #expect(try Array(cache.keys()) == keys.map { .string($0) })
        #expect(try Array(cache.keys(tag: "t")) == keys.map { .string($0) })
        #expect(
            try Array(cache.sortedKeys())
                == keys.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }.map { .string($0) })
        #expect(try cache.check() == [])
    }

    /// It lists what was there when it began, the transaction's own rows among them; not what takes their place after it was undone.
    @Test func aCursorOutlivesItsTransaction() throws {
        struct Stop: Error {}
        for order in [Order.insertion, .sorted] {
            let cache = try Cache()
            for number in 0..<10 { try cache.set(number, number) }
            var cursor: Cursor<AnyCacheKey>?
            #expect(throws: Stop.self) {
                try cache.transact {
                    for number in 10..<500 { try cache.set(number, number) }
                    cursor = try order == .insertion ? cache.keys() : cache.sortedKeys()
                    throw Stop()
                }
            }
            for number in 1000..<1400 { try cache.set(number, number) }
            #expect(try Array(#require(cursor)) == (0..<10).map { .int(Int64($0)) })
        }
    }

    private enum Order { case insertion, sorted }

    /// Each batch reads what was written since the last one, and no more.
    @Test func aTransactionListsAndRemovesManyRows() throws {
        let cache = try Cache()
        for number in 0..<20_000 { try cache.set(number, number, tag: number % 2 == 0 ? "even" : "odd") }
        try cache.transact {
            let cursor = try cache.sortedKeys()
            while let key = try cursor.next() {
                if case .int(let number) = key, number % 3 == 0 { try cache.delete(number) }
            }
            let removed = try cache.evict(tag: "even")
            #expect(removed == (0..<20_000).count { $0 % 3 != 0 && $0 % 2 == 0 })
            #expect(try Array(cache.keys()).count == (0..<20_000).count { $0 % 3 != 0 && $0 % 2 != 0 })
        }
        let left = (0..<20_000).filter { $0 % 3 != 0 && $0 % 2 != 0 }.map { AnyCacheKey.int(Int64($0)) }
        #expect(try Array(cache.sortedKeys()) == left)
        #expect(try Array(cache.keys(tag: "odd")) == left)
        #expect(try Array(cache.keys(tag: "even")) == [])
        #expect(try cache.check() == [])
    }
}
