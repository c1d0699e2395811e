import Synchronization
import TestSupport
import Testing

@testable import DiskCache
@testable import DiskCacheEngine

/// Tasks that wait for items of queues.
@Suite struct AsyncPullTests {
    private let scratch: TestDirectory
    private let cache: Cache
    private var resources: AsyncResources { AsyncResources.kept(in: cache.companion) }

    init() throws {
        scratch = try TestDirectory("async-pulls")
        cache = try Cache(directory: scratch.path + "/cache")
    }

    /// Never, as far as a test is concerned.
    private static let long = Duration.seconds(36_000)

    @Test func aPushEndsTheWaiting() async throws {
        let task = Task { [cache] in try await cache.async.pull(as: Int.self, prefix: "q", timeout: Self.long) }
        try await eventually { resources.pulls.count == 1 }
        try cache.push(7, prefix: "other")
        try cache.push(8, prefix: "q")
        #expect(try await task.value?.value == 8)
        #expect(resources.pulls.count == 0)
        #expect(try cache.pull(as: Int.self, prefix: "other")?.value == 7)
        try await eventually { !resources.pulls.isWatched }
    }

    @Test func aTimeoutEndsTheWaitingWithNothing() async throws {
        #expect(try await cache.async.pull(as: Int.self, timeout: .milliseconds(20)) == nil)
        #expect(try await cache.async.pull(as: Int.self, timeout: .zero) == nil)
        #expect(resources.pulls.count == 0)
        try cache.push(1)
        #expect(try await cache.async.pull(as: Int.self, timeout: Duration.seconds(Int64.max))?.value == 1)
    }

    @Test func aCancellationEndsTheWaitingAtOnceAndLosesNothing() async throws {
        let tasks = (0..<3).map { _ in
            Task { [cache] in try await cache.async.pull(as: Int.self, timeout: Self.long) }
        }
        try await eventually { resources.pulls.count == 3 }
        for task in tasks { task.cancel() }
        for task in tasks { await expectCancelled { try await task.value } }
        #expect(resources.pulls.count == 0)
        try cache.push(5)
        #expect(try await cache.async.pull(as: Int.self, timeout: Self.long)?.value == 5)
    }

    /// A thousand waiting tasks take no threads but the watcher's, and everybody else goes on.
    @Test func waitingTakesNoThreads() async throws {
        try await withThrowingTaskGroup(of: Int?.self) { group in
            for _ in 0..<1000 {
                group.addTask { [cache] in try await cache.async.pull(as: Int.self, timeout: Self.long)?.value }
            }
            try await eventually { resources.pulls.count == 1000 }
            try await eventually { resources.executor.pool(.lasting).threadCount == 1 }
            #expect(resources.executor.pool(.writing).threadCount <= 16)
            for index in 0..<50 {
                try await cache.async.set(index, index)
                #expect(try await cache.async.get(index, as: Int.self) == index)
            }
            try await cache.async.transact { [cache] in for number in 0..<1000 { try cache.push(number) } }
            var got: [Int] = []
            for try await number in group { got.append(try #require(number)) }
            #expect(got.sorted() == Array(0..<1000))
        }
        #expect(try cache.count == 50)
    }

    @Test func whoCameFirstIsServedFirst() async throws {
        let order = Mutex<[Int]>([])
        try await withThrowingTaskGroup(of: (Int, Int?).self) { group in
            for index in 0..<20 {
                group.addTask { [cache] in (index, try await cache.async.pull(as: Int.self, timeout: Self.long)?.value)
                }
                try await eventually { resources.pulls.count == index + 1 }
            }
            for number in 0..<20 { try cache.push(number) }
            for try await (index, number) in group {
                #expect(index == number)
                order.withLock { $0.append(index) }
            }
        }
        #expect(order.withLock { $0.count } == 20)
    }

    /// Texts that Swift holds to be equal name two queues.
    @Test func queuesAreToldApartByTheirBytes() async throws {
        let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}")
        #expect(composed == decomposed)
        let first = Task { [cache] in try await cache.async.pull(as: Int.self, prefix: composed, timeout: Self.long) }
        try await eventually { resources.pulls.count == 1 }
        let second = Task { [cache] in try await cache.async.pull(as: Int.self, prefix: decomposed, timeout: Self.long)
        }
        try await eventually { resources.pulls.count == 2 }
        try cache.push(2, prefix: decomposed)
        #expect(try await second.value?.value == 2)
        try cache.push(1, prefix: composed)
        #expect(try await first.value?.value == 1)
    }

    @Test func oneThatCanNotReadItsItemIsToldAndTheNextOneTries() async throws {
        let first = Task { [cache] in try await cache.async.pull(as: Int.self, timeout: Self.long) }
        try await eventually { resources.pulls.count == 1 }
        let second = Task { [cache] in try await cache.async.pull(as: String.self, timeout: Self.long) }
        try await eventually { resources.pulls.count == 2 }
        try cache.push("text")
        await expectCode(.typeMismatch) { try await first.value }
        #expect(try await second.value?.value == "text")
    }

    /// A cache that was closed isn't opened again by those who waited.
    @Test func aClosedCacheStaysClosed() async throws {
        #expect(try await cache.async.pull(as: Int.self, timeout: .milliseconds(5)) == nil)
        try cache.close()
        try await eventually { !resources.pulls.isWatched }
        #expect(try cache.isInMemory("key") == false)
    }

    /// Tasks that come and are cancelled at any moment while items are pushed by threads: each item comes out once, or is still there.
    @Test func nothingIsLostAndNothingComesTwice() async throws {
        let seed = ReplayableRandom.seed(for: "nothingIsLostAndNothingComesTwice")
        var random = ReplayableRandom(seed: seed)
        let items = 1500
        let pushing = Task.detached { [cache] in
            var random = ReplayableRandom(seed: seed &+ 1)
            for number in 0..<items {
                try cache.push(number, prefix: number % 3 == 0 ? "a" : nil)
                if random.oneIn(5) {
                    try? await Task.sleep(for: .microseconds(Int.random(in: 1..<200, using: &random)))
                }
            }
        }
        var tasks: [Task<Int?, any Error>] = []
        for index in 0..<3000 {
            let prefix = index % 2 == 0 ? "a" : nil
            let timeout = random.oneIn(3) ? Duration.microseconds(Int.random(in: 1..<3000, using: &random)) : Self.long
            tasks.append(
                Task { [cache] in try await cache.async.pull(as: Int.self, prefix: prefix, timeout: timeout)?.value })
            if random.oneIn(2) { tasks[Int.random(in: max(0, index - 20)...index, using: &random)].cancel() }
            if random.oneIn(8) { await Task.yield() }
        }
        try await pushing.value
        var left = Set(0..<items)
        // Who waits for ever waits for an item that doesn't come any more.
        for prefix in ["a", nil] {
            try await eventually {
                try cache.peek(as: Int.self, prefix: prefix) == nil
                    || resources.pulls.count(in: prefix.map { Array($0.utf8) }) == 0
            }
        }
        for task in tasks { task.cancel() }
        for task in tasks {
            do {
                if let number = try await task.value { #expect(left.remove(number) != nil, "\(number) came twice") }
            } catch {
                #expect((error as? CacheError)?.code == .cancelled)
            }
        }
        for prefix in ["a", nil] {
            while let item = try cache.pull(as: Int.self, prefix: prefix) {
                #expect(left.remove(item.value) != nil, "\(item.value) came twice")
            }
        }
        #expect(left.isEmpty)
        #expect(resources.pulls.count == 0)
    }

    /// Four processes push, tasks of this one pull.
    @Test func itemsOfOtherProcesses() async throws {
        let producers = try (0..<4).map {
            try ChildProcess(["produce", "directory=\(cache.directory)", "writer=\($0)", "count=150"])
        }
        let got = try await withThrowingTaskGroup(of: [String].self) { group in
            for _ in 0..<24 {
                group.addTask { [cache] in
                    var got: [String] = []
                    for _ in 0..<25 {
                        guard
                            let item = try await cache.async.pull(as: String.self, prefix: "jobs", timeout: Self.long)
                        else { break }
                        got.append(String(item.value.prefix { $0 != " " }))
                    }
                    return got
                }
            }
            return try await group.reduce(into: [String]()) { $0 += $1 }
        }
        for producer in producers { #expect(producer.finish().1 == .exited(0)) }
        #expect(got.count == 600)
        #expect(Set(got) == Set((0..<4).flatMap { writer in (0..<150).map { "\(writer).\($0)" } }))
    }
}
