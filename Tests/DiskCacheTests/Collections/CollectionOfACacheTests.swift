import TestSupport
import Testing

@testable import DiskCacheCore

/// Deques and indexes in a cache that somebody opened already.
@Suite struct CollectionOfACacheTests {
    private let scratch: TestDirectory

    init() throws { scratch = try TestDirectory("collections") }

    private func cache(_ change: (inout Cache.Configuration) -> Void = { _ in }) throws -> Cache {
        var configuration = Cache.Configuration()
        configuration.evictionPolicy = EvictionPolicy.none
        change(&configuration)
        return try Cache(directory: scratch.path + "/cache", configuration: configuration)
    }

    @Test func aDequeIsTheQueueOfACache() throws {
        let cache = try cache()
        try cache.push(1)
        let deque = try Deque<Int>(cache: cache, maxLength: 4, contents: [2, 3])
        try deque.prepend(0)
        #expect(try deque.elementsEqual([0, 1, 2, 3]))
        #expect(deque.directory == cache.directory)
        #expect(try cache.pull(as: Int.self)?.value == 0)
        try cache.push(4)
        try cache.push(5)
        #expect(try Deque<Int>(cache: cache).elementsEqual([2, 3, 4, 5]))
        // It stays a cache, with the settings that it had.
        try deque.close()
        #expect(try Cache(directory: cache.directory).count == 4)
        expectError(.wrongKind) { try Deque<Int>(directory: cache.directory) }
    }

    @Test func aDequeSharesWithNothingElse() throws {
        let cache = try cache()
        try cache.set("key", 1)
        expectError(.foreignDirectory) { try Deque<Int>(cache: cache, contents: [1]) }
        #expect(try cache.count == 1)
        try cache.delete("key")
        try cache.push(1, prefix: "other")
        expectError(.foreignDirectory) { try Deque<Int>(cache: cache) }
        try cache.clear()
        #expect(try Deque<Int>(cache: cache, contents: [1]).count == 1)
    }

    @Test func anIndexIsTheItemsOfACache() throws {
        let cache = try cache()
        try cache.set("a", 1)
        let index = try Index<String, Int>(cache: cache, contents: ["b": 2])
        #expect(try index.elementsEqual([(key: "a", value: 1), (key: "b", value: 2)]))
        #expect(try cache.get("b", as: Int.self) == 2)
        try index.close()
        expectError(.wrongKind) { try Index<String, Int>(directory: cache.directory) }
    }

    @Test(arguments: EvictionPolicy.allCases) func aCacheThatLetsThingsGoIsRefused(_ policy: EvictionPolicy) throws {
        let cache = try cache { $0.evictionPolicy = policy }
        let settings = try cache.settings
        if policy == .none {
            try cache.configure { $0.defaultExpire = .seconds(5) }
        }
        expectError(.invalidSetting) { try Deque<Int>(cache: cache, contents: [1]) }
        expectError(.invalidSetting) { try Index<String, Int>(cache: cache, contents: ["a": 1]) }
        #expect(try cache.count == 0)
        try cache.configure { $0 = settings }
        #expect(try cache.settings == settings)
    }
}
