import Testing

@testable import DiskCacheCore

/// The orders of a cache of several shards.
@Suite struct FanoutOrderTests {
    let world: ModelWorld
    let cache: FanoutCache

    init() throws {
        world = try ModelWorld()
        cache = try world.openFanout(shards: 5)
    }

    /// All keys of different kinds.
    private func fill() throws -> [AnyCacheKey] {
        var keys: [AnyCacheKey] = [.null, .double(0.5), .double(-1.5)]
        for number in 0..<300 {
            keys += [
                .int(Int64(number * 7 % 300)), .string("text \(number * 11 % 300)"),
                .bytes([UInt8(number % 256), UInt8(number / 256)]),
            ]
        }
        for (number, key) in keys.enumerated() { try cache.set(key, number) }
        return keys
    }

    @Test func insertionOrderIsShardByShard() throws {
        let keys = try fill()
        let expected = try (0..<5).flatMap { shard in try keys.filter { try cache.shard(of: $0) == shard } }
        #expect(try Array(cache.keys()) == expected)
        #expect(try Array(cache.keys(reversed: true)) == expected.reversed())
        #expect(try Array(cache.items(as: Int.self)).map(\.key) == expected)
        #expect(try Array(cache.items(as: Int.self, reversed: true)).map(\.key) == expected.reversed())
        #expect(try cache.first() == expected.first && cache.last() == expected.last)
        #expect(try cache.peekItem(as: Int.self)?.key == expected.last)
        #expect(try cache.peekItem(last: false, as: Int.self)?.key == expected.first)
    }

    @Test func keysAreMergedInTheirOrder() throws {
        let keys = try fill()
        let expected = keys.sorted { $0.precedes($1) }
        #expect(try Array(cache.sortedKeys()) == expected)
        #expect(try Array(cache.sortedKeys(reversed: true)) == expected.reversed())
        let items = try Array(cache.sortedItems(as: Int.self))
        #expect(items.map(\.key) == expected && items.allSatisfy { keys[$0.value] == $0.key })
        #expect(try Array(cache.sortedItems(as: Int.self, reversed: true)).map(\.key) == expected.reversed())
        #expect(try cache.first(sorted: true) == .null && cache.last(sorted: true) == expected.last)
        #expect(try Array(cache.keys(in: 10..<200)) == Array(10..<200))
        #expect(try Array(cache.keys(in: 10...200, reversed: true)) == (10...200).reversed())
        #expect(try Array(cache.items(in: 250..., as: Int.self)).map(\.key) == Array(250..<300))
        let texts = (0..<300).map { "text \($0)" }.sorted().filter { $0.hasPrefix("text 2") }
        #expect(try Array(cache.keys(prefix: "text 2")) == texts)
        #expect(try Array(cache.items(prefix: "text 2", as: Int.self, reversed: true)).map(\.key) == texts.reversed())
        #expect(try Array(cache.keys(prefix: [5])) == [[5, 0], [5, 1]])
        #expect(try Array(cache.items(prefix: [5], as: Int.self)).map(\.key) == [[5, 0], [5, 1]])
    }

    @Test func tagsGoShardByShard() throws {
        for number in 0..<100 { try cache.set(number, number, tag: number % 3 == 0 ? "three" : "other") }
        let expected = try (0..<5).flatMap { shard in
            try stride(from: 0, to: 100, by: 3).filter { try cache.shard(of: $0) == shard }
        }
        #expect(try Array(cache.keys(tag: "three")) == expected.map { .int(Int64($0)) })
        #expect(try Array(cache.items(tag: "three", as: Int.self, reversed: true)).map(\.value) == expected.reversed())
    }

    /// A key of another type throws when its turn comes, and not before what lies before it.
    @Test func anErrorComesInItsTurn() throws {
        for number in 0..<100 { try cache.set(number, number) }
        try cache.set(49.5, "text")
        let keys = try cache.keys(in: 0..<100)
        for number in 0..<50 { #expect(try keys.next() == number) }
        expectError(.typeMismatch) { try keys.next() }
        expectError(.typeMismatch) { try keys.next() }
        let items = try cache.sortedItems(as: Int.self, reversed: true)
        for number in (50..<100).reversed() { #expect(try items.next()?.value == number) }
        expectError(.typeMismatch) { try items.next() }
    }

    /// What comes after a cursor was made isn't met; what goes isn't either; all else once.
    @Test func aCursorIsLazy() throws {
        for number in 0..<2000 { try cache.set(number, number) }
        for keys in [try cache.keys(), try cache.sortedKeys()] {
            var met: [AnyCacheKey] = []
            for _ in 0..<10 { if let key = try keys.next() { met.append(key) } }
            try cache.set("later", 1)
            try cache.delete(1999)
            met += try Array(keys)
            #expect(Set(met).count == met.count && !met.contains(.string("later")))
            #expect(Set(met).isSuperset(of: (0..<1999).map { .int($0) }))
            try cache.delete("later")
            try cache.set(1999, 1999)
        }
    }

    @Test func oneShardIsAsGoodAsAny() throws {
        let world = try ModelWorld()
        let cache = try world.openFanout(shards: 1)
        for number in 0..<10 { try cache.set(number, number) }
        #expect(try Array(cache.sortedKeys()) == Array(cache.keys()))
    }
}
