import Synchronization
import TestSupport
import Testing

@testable import DiskCache
@testable import DiskCacheCore
@testable import DiskCacheEngine

/// Recipes as tasks use them.
@Suite struct AsyncRecipeTests {
    private let scratch: TestDirectory
    private let cache: Cache

    init() throws {
        scratch = try TestDirectory("asyncrecipes")
        cache = try Cache(directory: scratch.path + "/cache")
    }

    private func waiters(_ name: String) throws -> NamedLock { try cache.locks.handle(.lock, name.utf8).lock() }

    /// Far more tasks wait than the pool has threads, and one that has to do with none of it goes on.
    @Test func waitingTasksHoldNoThread() async throws {
        let lock = Lock(cache, "x")
        let shared = try waiters("x")
        try await lock.async.lock()
        let total = Shared(0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                group.addTask { [cache] in
                    try await Lock(cache, "x").async.withLock {
                        let before = total.value
                        await Task.yield()
                        total.change { $0 = before + 1 }
                    }
                }
            }
            try await eventually { shared.waiterCount == 200 }
            #expect(total.value == 0)
            try lock.async.unlock()
            try await group.waitForAll()
        }
        #expect(total.value == 200)
        #expect(try lock.tryLock())
    }

    @Test func threadsAndTasksWaitInOneLine() async throws {
        let order = Shared<[Int]>([])
        let lock = Lock(cache, "x")
        let shared = try waiters("x")
        try lock.lock()
        let threads = TestThreads()
        var tasks: [Task<Void, any Error>] = []
        for number in 0..<6 {
            if number % 2 == 0 {
                threads.start { [cache] in try Lock(cache, "x").withLock { order.change { $0.append(number) } } }
            } else {
                tasks.append(
                    Task { [cache] in
                        try await Lock(cache, "x").async.withLock { order.change { $0.append(number) } }
                    })
            }
            try await eventually { shared.waiterCount == number + 1 }
        }
        try lock.unlock()
        for task in tasks { try await task.value }
        try await eventually { order.value.count == 6 }
        threads.join()
        #expect(order.value == [0, 1, 2, 3, 4, 5])
    }

    @Test func aTaskGivesUpInTime() async throws {
        let lock = Lock(cache, "x")
        try lock.lock()
        let other = Lock(cache, "x")
        await expectCode(.timeout) { try await other.async.lock(timeout: .milliseconds(5)) }
        await expectCode(.timeout) { try await other.async.lock(timeout: .zero) }
        await expectCode(.lockNotHeld) { try other.async.unlock() }
        #expect(try waiters("x").waiterCount == 0)
        try lock.unlock()
        try await other.async.lock(timeout: .zero)
        #expect(try !lock.tryLock())
    }

    /// A task that is cancelled keeps neither the lock nor a place in the line.
    @Test func aCancelledTaskWaitsNoLonger() async throws {
        let lock = Lock(cache, "x")
        let shared = try waiters("x")
        try lock.lock()
        let other = Lock(cache, "x")
        let task = Task { try await other.async.lock() }
        try await eventually { shared.waiterCount == 1 }
        task.cancel()
        await expectCode(.cancelled) { try await task.value }
        #expect(shared.waiterCount == 0)
        try lock.unlock()
        #expect(try lock.tryLock())
        try lock.unlock()
        // Cancelled before it began.
        let late = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await other.async.lock()
        }
        await expectCode(.cancelled) { try await late.value }
        #expect(try lock.tryLock())
        try lock.unlock()
        // Cancelled at any moment: whoever got the lock has it, and nobody else.
        for _ in 0..<200 {
            let racing = Lock(cache, "x")
            let task = Task { try await racing.async.lock() }
            await Task.yield()
            task.cancel()
            do {
                try await task.value
                try racing.unlock()
            } catch {
                #expect(CacheError.Code.cancelled ~= error)
            }
            #expect(try lock.tryLock())
            try lock.unlock()
        }
    }

    @Test func aPlaceIsGivenUpOnce() throws {
        let lock = Lock(cache, "x")
        try lock.lock()
        let handle = cache.locks.handle(.lock, "x".utf8)
        let place = try handle.place(timeout: .max) { _ in Issue.record("it was given up") }
        place.take()
        #expect(place.cancel())
        #expect(!place.cancel())
        // Given up before it was taken.
        let early = try handle.place(timeout: .max) { _ in Issue.record("it was given up") }
        #expect(early.cancel())
        early.take()
        #expect(!early.cancel())
        #expect(try waiters("x").waiterCount == 0)
        try lock.unlock()
    }

    @Test func semaphoresAndRecursiveLocks() async throws {
        let semaphore = try BoundedSemaphore(cache, "s", bound: 2)
        let holders = Shared(0)
        let most = Shared(0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    try await semaphore.async.withLock {
                        holders.change { $0 += 1 }
                        most.change { $0 = max($0, holders.value) }
                        await Task.yield()
                        holders.change { $0 -= 1 }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect((1...2).contains(most.value))
        let recursive = RecursiveLock(cache, "r")
        let isFree = try await recursive.async.withLock {
            try await recursive.async.withLock { try Lock(cache, "r").tryLock() }
        }
        #expect(!isFree)
        #expect(try Lock(cache, "r").tryLock())
    }

    @Test func barriersOfTasks() async throws {
        let box = Box<Int>()
        box.value = 0
        let add = barrier(Lock(cache, "b").async) { (amount: Int) async throws in
            let before = box.value!
            await Task.yield()
            box.value = before + amount
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<50 { group.addTask { try await add(2) } }
            try await group.waitForAll()
        }
        #expect(box.value == 100)
    }

    /// A task that is cancelled while it waits for its turn leaves that to the next.
    @Test func aCancelledTurnIsGivenBack() async throws {
        let time = TestTime()
        let throttle = try Throttle(cache, "t", count: 1, per: .seconds(1000), clock: { time.seconds })
        try await throttle.async.wait()
        await expectCode(.timeout) { try await throttle.async.wait(timeout: .seconds(999)) }
        let task = Task { try await throttle.async.wait() }
        let bucket = try AnyCacheKey.serializing(["throttle": "t"])
        try await eventually { try cache.get(bucket, as: [String: Double].self)?["tokens"] == -1 }
        task.cancel()
        await expectCode(.cancelled) { try await task.value }
        try await eventually { try cache.get(bucket, as: [String: Double].self)?["tokens"] == 0 }
        let call = try cache.throttle("u", count: 1000, per: .seconds(1)) { (a: Int) async in a + 1 }
        #expect(try await call(1) == 2)
    }

    // MARK: Memoised functions

    @Test func tasksThatAskTogetherComputeOnce() async throws {
        for scope in [SingleFlight.process, .allProcesses] {
            let calls = Calls()
            let isOpen = Shared(false)
            let slow = cache.memoize("slow \(scope)", singleFlight: scope) { (a: Int) async throws -> Int in
                while !isOpen.value { try await Task.sleep(for: .milliseconds(1)) }
                return calls.next(a)
            }
            let key = try slow.key(for: 3)
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<100 { group.addTask { try await slow(3) } }
                try await eventually { slow.memo.flights.callerCount(of: key) == 100 }
                isOpen.change { $0 = true }
                for try await result in group { #expect(result == 3) }
            }
            #expect(calls.count == 1)
            #expect(try await slow(3) == 3)
            #expect(try await slow.refresh(3) == 3)
            #expect(calls.count == 2)
            #expect(try await slow.invalidate(3))
            #expect(try await slow(3) == 3)
            #expect(calls.count == 3)
            #expect(try cache.get(slow.key(for: 3), as: Int.self) == 3)
        }
    }

    /// The caller who began is cancelled, the other one isn't: the computation goes on. When all are, it ends.
    @Test func aComputationLastsAsLongAsSomebodyWaits() async throws {
        let (begun, ended) = (Calls(), Calls())
        let isOpen = Shared(false)
        let slow = cache.memoize("slow") { (a: Int) async throws -> Int in
            _ = begun.next(0)
            do {
                while !isOpen.value { try await Task.sleep(for: .milliseconds(1)) }
            } catch {
                _ = ended.next(0)
                throw error
            }
            return a
        }
        let first = Task { try await slow(1) }
        try await eventually { begun.count == 1 }
        let second = Task { try await slow(1) }
        let key = try slow.key(for: 1)
        try await eventually { slow.memo.flights.callerCount(of: key) == 2 }
        first.cancel()
        await expectCode(.cancelled) { _ = try await first.value }
        isOpen.change { $0 = true }
        #expect(try await second.value == 1)
        #expect(ended.count == 0)

        isOpen.change { $0 = false }
        let lonely = Task { try await slow(2) }
        try await eventually { begun.count > 1 }
        lonely.cancel()
        await expectCode(.cancelled) { _ = try await lonely.value }
        try await eventually { ended.count == 1 }
        isOpen.change { $0 = true }
        #expect(try await slow(2) == 2)
    }

    @Test func errorsAndNilsOfTasks() async throws {
        struct Failure: Error {}
        let calls = Calls()
        let find = cache.memoize("find") { (a: Int) async throws -> Int? in
            if calls.next(calls.count) == 0 { throw Failure() }
            return nil
        }
        await #expect(throws: Failure.self) { try await find(1) }
        #expect(try await find(1) == nil)
        #expect(try await find(1) == nil)
        #expect(calls.count == 2)
    }

    @Test func anOldResultIsComputedAheadByATask() async throws {
        let calls = Calls()
        let find = cache.memoize("find", recompute: .ahead(after: .zero)) { (a: Int) async -> Int in
            calls.next(calls.count)
        }
        #expect(try await find(1) == 0)
        #expect(try await find(1) == 0)
        try await eventually { calls.count >= 2 }
    }
}

/// A value that tasks share.
private final class Shared<Value: Sendable>: Sendable {
    private let state: Mutex<Value>
    var value: Value { state.withLock { $0 } }

    init(_ value: Value) { state = Mutex(value) }

    func change(_ body: (inout Value) -> Void) {
        state.withLock { value in
            var changed = value
            body(&changed)
            value = changed
        }
    }
}
