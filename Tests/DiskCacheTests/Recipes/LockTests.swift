import DiskCache
import Synchronization
import TestSupport
import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The locks, in one process: their objects exclude each other as processes do.
@Suite struct LockTests {
    private let scratch: TestDirectory
    private let cache: Cache

    init() throws {
        scratch = try TestDirectory("locks")
        cache = try Cache(directory: scratch.path + "/cache")
    }

    @Test func oneObjectHoldsIt() throws {
        let (a, b) = (Lock(cache, "x"), Lock(cache, "x"))
        let other = Lock(cache, "y")
        try a.lock()
        #expect(try !b.tryLock())
        #expect(try other.tryLock())
        expectError(.timeout) { try b.lock(timeout: .milliseconds(5)) }
        expectError(.timeout) { try b.lock(timeout: .seconds(-1)) }
        expectError(.timeout) { try b.lock(timeout: .seconds(Int64.min) * 10) }
        expectError(.lockNotHeld) { try b.unlock() }
        try a.unlock()
        expectError(.lockNotHeld) { try a.unlock() }
        #expect(try b.tryLock())
        expectError(.timeout) { try a.lock(timeout: .zero) }
        try b.unlock()
        try a.lock(timeout: .zero)
        try a.unlock()
    }

    @Test func withLockGivesBackWhateverHappens() throws {
        struct Failure: Error {}
        let (a, b) = (Lock(cache, "x"), Lock(cache, "x"))
        #expect(try a.withLock { try b.tryLock() } == false)
        #expect(throws: Failure.self) { try a.withLock { throw Failure() } }
        #expect(try b.tryLock())
        try b.unlock()
        expectError(.lockNotHeld) { try a.withLock { try a.unlock() } }
    }

    @Test func whatNobodyRefersToHoldsNothing() throws {
        let b = Lock(cache, "x")
        do {
            let a = Lock(cache, "x")
            try a.lock()
            #expect(try !b.tryLock())
        }
        #expect(try b.tryLock())
    }

    @Test func twoCachesOfADirectoryShareItsLocks() throws {
        let second = try Cache(directory: cache.directory)
        let (a, b) = (Lock(cache, "x"), Lock(second, "x"))
        try a.lock()
        #expect(try !b.tryLock())
        // Neither clearing nor closing lets go.
        try cache.clear()
        try cache.close()
        try second.close()
        #expect(try !b.tryLock())
        try a.unlock()
        #expect(try b.tryLock())
    }

    @Test func threadsLoseNoIncrement() throws {
        let counter = Tally()
        let group = TestThreads()
        for _ in 0..<8 {
            group.start { [cache] in
                let lock = Lock(cache, "counter")
                for _ in 0..<200 { try lock.withLock { counter.value += 1 } }
            }
        }
        group.join()
        #expect(counter.value == 1600)
    }

    /// A thread that takes the lock again and again doesn't come before those who wait already.
    @Test func firstComeFirstServed() throws {
        let order = Mutex<[Int]>([])
        let lock = Lock(cache, "x")
        let shared = try cache.locks.handle(.lock, "x".utf8).lock()
        try lock.lock()
        let group = TestThreads()
        for number in 0..<6 {
            group.start { [cache] in
                try Lock(cache, "x").withLock { order.withLock { $0.append(number) } }
            }
            #expect(eventually { shared.waiterCount == number + 1 })
        }
        try lock.unlock()
        try lock.withLock { order.withLock { $0.append(6) } }
        group.join()
        #expect(order.withLock { $0 } == [0, 1, 2, 3, 4, 5, 6])
    }

    @Test func aRecursiveLockIsTakenAgain() throws {
        let a = RecursiveLock(cache, "x")
        let b = RecursiveLock(cache, "x")
        try a.withLock {
            try a.withLock {
                #expect(try a.tryLock())
                try a.unlock()
            }
            #expect(try !b.tryLock())
        }
        #expect(try b.tryLock())
        // It is the lock of that name.
        #expect(try !Lock(cache, "x").tryLock())
        expectError(.lockNotHeld) { try a.unlock() }
        try b.unlock()
        expectError(.lockNotHeld) { try b.unlock() }
        #expect(try a.tryLock())
    }

    @Test func aSemaphoreHasItsBound() throws {
        let objects = try (0..<4).map { _ in try BoundedSemaphore(cache, "s", bound: 3) }
        for object in objects[..<3] { try object.lock() }
        #expect(try !objects[3].tryLock())
        expectError(.timeout) { try objects[3].lock(timeout: .milliseconds(2)) }
        expectError(.lockNotHeld) { try objects[3].unlock() }
        try objects[1].unlock()
        try objects[3].lock()
        expectError(.lockNotHeld) { try objects[1].unlock() }
        try objects[0].unlock()
        // One object may have several.
        try objects[3].lock()
        try objects[3].unlock()
        try objects[3].unlock()
        expectError(.lockNotHeld) { try objects[3].unlock() }
        for bound in [2, 4, 0, -1, 100_000] {
            expectError(.invalidSetting) { _ = try BoundedSemaphore(cache, "s", bound: bound) }
        }
        _ = try BoundedSemaphore(cache, "t", bound: 4)
        expectError(.invalidSetting) { _ = try BoundedSemaphore(cache, "t", bound: 3) }
    }

    @Test func threadsNeverExceedABound() throws {
        let holders = Atomic<Int>(0)
        let most = Atomic<Int>(0)
        let group = TestThreads()
        for _ in 0..<8 {
            group.start { [cache] in
                let semaphore = try BoundedSemaphore(cache, "s", bound: 3)
                for _ in 0..<100 {
                    try semaphore.withLock {
                        let count = holders.add(1, ordering: .sequentiallyConsistent).newValue
                        most.max(count, ordering: .relaxed)
                        holders.subtract(1, ordering: .sequentiallyConsistent)
                    }
                }
            }
        }
        group.join()
        #expect((1...3).contains(most.load(ordering: .relaxed)))
    }

    /// Whoever removes lock files by hand makes two holders possible, but only those who came before and after.
    @Test func aRemovedFileIsMadeAgain() throws {
        let (a, b) = (Lock(cache, "x"), Lock(cache, "x"))
        for name in TestDirectory.filesBelow(cache.directory + "/locks") {
            TestDirectory.remove(cache.directory + "/locks/" + name)
        }
        #expect(try a.withLock { try b.tryLock() } == false)
        TestDirectory.remove(cache.directory + "/locks")
        #expect(try b.withLock { try a.tryLock() } == false)
        try a.lock()
        TestDirectory.remove(cache.directory + "/locks")
        try a.unlock()
        try b.lock()
        #expect(try !a.tryLock())
    }

    /// What counts is what the names mean, seen from the store's directory.
    @Test func aReplacedFolderIsFound() throws {
        let (a, b) = (Lock(cache, "x"), Lock(cache, "x"))
        try a.withLock {}
        let files = SystemFiles()
        let store = try files.open(cache.directory, in: nil, [.directory])
        try files.rename("locks", to: "locks.old", in: store)
        #expect(try a.withLock { try b.tryLock() } == false)
        #expect(TestDirectory.filesBelow(cache.directory + "/locks").contains("lock.x"))
    }

    @Test func aLinkInPlaceOfALockIsRefused() throws {
        let target = scratch.path + "/elsewhere"
        try Lock(cache, "y").withLock {}
        #expect(symlink(target, cache.directory + "/locks/lock.x") == 0)
        expectError(.insecureDirectory) { try Lock(cache, "x").lock() }
        #expect(try SystemFiles().status(of: target, in: nil) == nil)
        TestDirectory.remove(cache.directory + "/locks/lock.x")
        try Lock(cache, "x").withLock {}
    }

    @Test func aSemaphoreOfRubbishIsCorrupted() throws {
        _ = try BoundedSemaphore(cache, "s", bound: 3)
        let files = SystemFiles()
        let bound = try files.open(cache.directory + "/locks/semaphore.s.bound", in: nil, [.write])
        try files.write(bound, Array("x".utf8), at: 0)
        let second = try Cache(directory: cache.directory)
        expectError(.corrupted) { _ = try BoundedSemaphore(second, "s", bound: 3) }
    }

    /// As a power loss leaves it.
    @Test func anEmptyBoundIsMadeAgain() throws {
        _ = try BoundedSemaphore(cache, "s", bound: 3)
        let files = SystemFiles()
        let path = cache.directory + "/locks/semaphore.s.bound"
        try files.truncate(files.open(path, in: nil, [.write]), to: 0)
        let second = try Cache(directory: cache.directory)
        #expect(try BoundedSemaphore(second, "s", bound: 4).tryLock())
        expectError(.invalidSetting) { _ = try BoundedSemaphore(try Cache(directory: cache.directory), "s", bound: 3) }
        #expect(
            TestDirectory.filesBelow(cache.directory + "/locks").filter { $0.hasPrefix("semaphore.s.bound") }
                == ["semaphore.s.bound"])
    }

    @Test func barriersLetOneIn() throws {
        let counter = Tally()
        let add = barrier(Lock(cache, "b")) { (amount: Int) in
            counter.value += amount
            return counter.value
        }
        let group = TestThreads()
        for _ in 0..<4 { group.start { for _ in 0..<100 { _ = try add(2) } } }
        group.join()
        #expect(try add(0) == 800)
        struct Failure: Error {}
        let fail = barrier(Lock(cache, "b")) { throw Failure() }
        #expect(throws: Failure.self) { try fail() }
        #expect(try add(1) == 801)
    }
}

/// Functions that call themselves.
@Suite struct RecursiveBarrierTests {
    private let scratch: TestDirectory
    private let cache: Cache

    init() throws {
        scratch = try TestDirectory("barriers")
        cache = try Cache(directory: scratch.path + "/cache")
    }

    private struct Failure: Error {}

    @Test func aCallInsideOfOneIsAPartOfIt() throws {
        let tally = Tally()
        let inside = Atomic<Int>(0)
        let box = Box<@Sendable (Int) throws -> Void>()
        let visit = barrier(RecursiveLock(cache, "b")) { (depth: Int) throws in
            let before = tally.value
            if depth == 3, inside.add(1, ordering: .relaxed).newValue > 1 { Issue.record("another call is inside") }
            if depth > 0 { try box.value!(depth - 1) }
            tally.value += 1
            if depth == 3 { inside.subtract(1, ordering: .relaxed) }
            if tally.value - before != depth + 1 { Issue.record("another call came between") }
        }
        box.value = visit
        let group = TestThreads()
        for _ in 0..<4 { group.start { for _ in 0..<50 { try visit(3) } } }
        group.join()
        #expect(tally.value == 4 * 50 * 4)
        // It is the lock of that name, and free again.
        let lock = Lock(cache, "b")
        #expect(try lock.tryLock())
        let patient = barrier(RecursiveLock(cache, "b"), timeout: .milliseconds(1)) { 1 }
        expectError(.timeout) { try patient() }
        try lock.unlock()
        #expect(try patient() == 1)
        let failing = barrier(RecursiveLock(cache, "b")) { throw Failure() }
        #expect(throws: Failure.self) { try failing() }
        #expect(throws: Failure.self) { try failing() }
    }

    @Test func aTaskComesBackToItself() async throws {
        let tally = Tally()
        let box = Box<@concurrent @Sendable (Int) async throws -> Void>()
        let visit = barrier(RecursiveLock(cache, "t").async) { (depth: Int) async throws in
            let before = tally.value
            await Task.yield()
            if depth > 0 { try await box.value!(depth - 1) }
            tally.value += 1
            if tally.value - before != depth + 1 { Issue.record("another call came between") }
        }
        box.value = visit
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<40 { group.addTask { for _ in 0..<5 { try await visit(2) } } }
            try await group.waitForAll()
        }
        #expect(tally.value == 40 * 5 * 3)
        #expect(try Lock(cache, "t").tryLock())
    }
}

/// A number that a lock of ours guards.
private final class Tally: @unchecked Sendable { var value = 0 }
