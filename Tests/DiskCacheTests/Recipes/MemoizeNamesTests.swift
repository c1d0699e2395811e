import TestSupport
import Testing

@testable import DiskCache
@testable import DiskCacheCore

/// What memoised functions are called, typed keys, and functions whose results lie in a namespace or in an index.
@Suite struct MemoizeNamesTests {
    private let scratch: TestDirectory
    private let cache: Cache
    private let calls = Calls()

    init() throws {
        scratch = try TestDirectory("memoize")
        cache = try Cache(directory: scratch.path + "/cache")
    }

    // MARK: Names

    private func makeDouble(_ cache: Cache) -> Memoized<Int, Int> { cache.memoize { [calls] in calls.next(2 * $0) } }

    @Test func withoutANameItIsTheFunctionThatMakesIt() throws {
        let (first, second) = (makeDouble(cache), makeDouble(cache))
        #expect(try first(4) == 8)
        #expect(try second(4) == 8)
        #expect(calls.count == 1)
        let named = cache.memoize("DiskCacheTests/MemoizeNamesTests.swift makeDouble(_:)") { [calls] (a: Int) in
            calls.next(a)
        }
        #expect(try named.key(for: 4) == first.key(for: 4))
    }

    /// They would take each other's results.
    @Test func twoFunctionsWithoutANameInOneAreRefused() throws {
        let half = cache.memoize { (a: Int) in a / 2 }
        let third = cache.memoize { (a: Int) in a / 3 }
        #expect(try half(12) == 6)
        expectError(.invalidSetting) { try third(12) }
        expectError(.invalidSetting) { try third.key(for: 12) }
        expectError(.invalidSetting) { try third.invalidate(12) }
        expectError(.invalidSetting) { try third.refresh(12) }
        #expect(try cache.count == 1)
    }

    @Test func tasksHaveNamesToo() async throws {
        let half = cache.memoize { @concurrent (a: Int) async in a / 2 }
        #expect(try await half(12) == 6)
        let named = cache.memoize("DiskCacheTests/MemoizeNamesTests.swift tasksHaveNamesToo()") { (a: Int) in a }
        #expect(try named(12) == 6)
    }

    // MARK: Types

    private enum Size: String, Codable { case small }

    @Test func typesStandInKeysOnRequest() throws {
        func keys(typed: Bool) throws -> [AnyCacheKey] {
            [
                try cache.memoize("f", typed: typed) { (a: Int) in a }.key(for: 1),
                try cache.memoize("f", typed: typed) { (a: Int8) in a }.key(for: 1),
                try cache.memoize("f", typed: typed) { (a: UInt?) in a }.key(for: 1),
                try cache.memoize("f", typed: typed) { (a: String) in a }.key(for: "small"),
                try cache.memoize("f", typed: typed) { (a: Size) in a }.key(for: .small),
            ]
        }
        #expect(try Set(keys(typed: false)).count == 2)
        #expect(try Set(keys(typed: true)).count == 5)
        #expect(try Set(keys(typed: true) + keys(typed: false)).count == 7)
        // An integer and a float are never the same.
        for typed in [true, false] {
            #expect(
                try cache.memoize("f", typed: typed) { (a: Int) in a }.key(for: 1)
                    != cache.memoize("f", typed: typed) { (a: Double) in a }.key(for: 1))
        }
        let typed = try cache.memoize("f", typed: true) { (a: Int) in a }.key(for: 1)
        #expect(
            typed
                == .encoded(
                    [0xa1, 0x68] + Array("memoized".utf8) + [0x82, 0x61, 0x66, 0x81, 0x83, 0x00, 0x01, 0x69]
                        + Array("Swift.Int".utf8)))
    }

    /// The runtime names a private type by an address, which differs from process to process.
    @Test func namesOfPrivateTypesAreStable() {
        #expect(stableName(of: Int.self) == "Swift.Int")
        #expect(stableName(of: Array<Hidden?>.self).hasSuffix("(private).Hidden>>"))
        #expect(!stableName(of: Hidden.self).contains("$"))
    }

    // MARK: In a namespace

    @Test func aNamespaceKeepsItsResultsApart() async throws {
        let (first, second) = (
            NamespacedCache(cache, prefix: "a"), NamespacedCache(cache, prefix: "b", expire: .after(.seconds(50_000)))
        )
        let add = first.memoize("add", singleFlight: .allProcesses) { [calls] (a: Int) in calls.next(a + 1) }
        let other = second.memoize("add", tag: "t") { [calls] (a: Int) in calls.next(a + 2) }
        let tasks = first.memoize("add") { @concurrent [calls] (a: Int) async in calls.next(a + 3) }
        #expect(try add(1) == 2)
        #expect(try other(1) == 3)
        #expect(try await tasks(1) == 2)
        #expect(try add(1) == 2 && other(1) == 3)
        #expect(calls.count == 2)
        // The key is that in the view, and expiry and tag are the view's and the call's.
        #expect(try add.key(for: 1) == other.key(for: 1))
        #expect(try first.get(add.key(for: 1), as: Int.self) == 2)
        let entry = try #require(try second.entry(other.key(for: 1), as: Int.self))
        #expect(entry.expires != nil && entry.tag == "t")
        #expect(try cache.get(add.key(for: 1), as: Int.self) == nil)
        // Versions too.
        let newer = first.memoize("add", version: 2) { [calls] (a: Int) in calls.next(a + 4) }
        #expect(try newer(1) == 5)
        #expect(try first.version(2).get(newer.key(for: 1), as: Int.self) == 5)
        #expect(try first.removeAll() == 2)
        #expect(try other.invalidate(1))
        #expect(try await tasks.refresh(1) == 4)
        #expect(try add(1) == 4)
    }

    @Test func aNamespaceOfAFanoutCacheHasThemToo() throws {
        let fanout = try FanoutCache(directory: scratch.path + "/fanout", shards: 3)
        let view = NamespacedCache(fanout, prefix: "a")
        let add = view.memoize("add") { [calls] (a: Int) in calls.next(a + 1) }
        for round in 0..<2 {
            for number in 0..<20 { #expect(try add(number) == number + 1) }
            #expect(calls.count == 20, "round \(round)")
        }
        let beneath = fanout.memoize("add") { [calls] (a: Int) in calls.next(a + 2) }
        #expect(try beneath(1) == 3)
    }

    // MARK: In an index

    @Test func anIndexKeepsResults() async throws {
        let index = try Index<AnyCacheKey, Int>(directory: scratch.path + "/index")
        let add = index.memoize("add", labels: ["", "b"], ignoring: ["b"]) { [calls] (a: Int, b: Int) in
            calls.next(a + b)
        }
        #expect(try add(1, 2) == 3)
        #expect(try add(1, 3) == 3)
        #expect(try index[add.key(for: 1, 2)] == 3)
        #expect(try index.count == 1)
        let tasks = index.memoize("slow") { @concurrent [calls] (a: Int) async in calls.next(a) }
        #expect(try await tasks(7) == 7)
        #expect(try await tasks(7) == 7)
        #expect(calls.count == 2)
        #expect(try index.removeValue(forKey: tasks.key(for: 7)) == 7)
        let unnamed = index.memoize { (a: Int) in a }
        let another = index.memoize { (a: Int) in a }
        #expect(try unnamed(5) == 5)
        expectError(.invalidSetting) { try another(5) }
    }
}

private struct Hidden: Codable {}
