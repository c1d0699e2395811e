import Synchronization
import TestSupport
import Testing

@testable import DiskCache
@testable import DiskCacheEngine

@Suite struct BlockingExecutorTests {
    struct OwnError: Error, Equatable { let number: Int }

    /// Work that blocks until it is let on, and says when it has begun.
    final class Gate: Sendable {
        private let begun = ParkingWord(0)
        private let isOpen = ParkingWord(0)

        func open() {
            isOpen.store(1)
            isOpen.wake()
        }

        func pass() {
            begun.add(1)
            begun.wake()
            while isOpen.load() == 0 { isOpen.wait(while: 0, nanoseconds: 1_000_000_000) }
        }

        var passes: Int { Int(begun.load()) }
    }

    /// How many are between `enter` and `leave`, and were at most.
    final class Running: Sendable {
        private let counts = Mutex((now: 0, peak: 0))

        func enter() { counts.withLock { $0 = ($0.now + 1, max($0.peak, $0.now + 1)) } }
        func leave() { counts.withLock { $0.now -= 1 } }
        var peak: Int { counts.withLock { $0.peak } }
    }

    /// The threads that something ran on.
    final class Threads: Sendable {
        private let threads = Mutex<Set<UInt>>([])

        func note() { threads.withLock { _ = $0.insert(SystemCalls.threadID()) } }
        var count: Int { threads.withLock { $0.count } }
    }

    @Test func returnsAndThrowsWhatTheWorkDoes() async throws {
        let executor = BlockingExecutor()
        #expect(try await executor.run { 7 } == 7)
        #expect(try await executor.run(on: .reading) { "text" } == "text")
        #expect(try await executor.run(on: .lasting) { [1, 2] } == [1, 2])
        await #expect(throws: OwnError(number: 3)) { try await executor.run { throw OwnError(number: 3) } }
    }

    @Test func workRunsOnThreadsOfItsOwn() async throws {
        let executor = BlockingExecutor(reading: 1, idleTime: 1_000_000_000_000)
        let threads = Threads()
        for _ in 0..<20 {
            try await executor.run(on: .reading) { threads.note() }
        }
        // One after the other, each found the thread of the one before or made another while that went to sleep: never more than one.
        #expect(threads.count == 1)
        #expect(executor.pool(.reading).threadCount == 1)
        #expect(executor.pool(.writing).threadCount == 0)
    }

    @Test func aCancelledTaskBeginsNothing() async throws {
        let executor = BlockingExecutor()
        let ran = Counter()
        let task = Task {
            // Cancelled before it comes to the executor.
            while !Task.isCancelled { await Task.yield() }
            try await executor.run { ran.add() }
        }
        task.cancel()
        await #expect(throws: CacheError.self) { try await task.value }
        #expect(ran.value == 0)
    }

    @Test func aTaskInLineIsCancelledAtOnceAndItsWorkNeverBegins() async throws {
        let executor = BlockingExecutor(writing: 1)
        let gate = Gate()
        let ran = Counter()
        let first = Task { try await executor.run { gate.pass() } }
        try await eventually { gate.passes == 1 }
        let second = Task { try await executor.run { ran.add() } }
        let third = Task { try await executor.run { ran.add(10) } }
        try await eventually { executor.pool(.writing).waitingCount == 2 }
        second.cancel()
        // Comes back while the only thread is still taken.
        await expectCancelled { try await second.value }
        #expect(gate.passes == 1)
        gate.open()
        try await first.value
        try await third.value
        #expect(ran.value == 10)
    }

    @Test func workThatHasBegunIsNotInterrupted() async throws {
        let executor = BlockingExecutor()
        let gate = Gate()
        let task = Task {
            try await executor.run {
                gate.pass()
                return 5
            }
        }
        try await eventually { gate.passes == 1 }
        task.cancel()
        gate.open()
        #expect(try await task.value == 5)
    }

    /// More of what takes long than the other lanes have threads.
    @Test func whatTakesLongNeverStarvesTheOthers() async throws {
        let executor = BlockingExecutor(reading: 1, writing: 1)
        let gate = Gate()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<100 { group.addTask { try await executor.run(on: .lasting) { gate.pass() } } }
            try await eventually { gate.passes == 100 }
            for index in 0..<50 {
                #expect(try await executor.run(on: .reading) { index } == index)
                #expect(try await executor.run(on: .writing) { -index } == -index)
            }
            // What they wait for.
            try await executor.run { gate.open() }
            try await group.waitForAll()
        }
    }

    @Test func manyTasks() async throws {
        let executor = BlockingExecutor(reading: 3)
        let running = Running()
        let sum = try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<5000 {
                group.addTask {
                    try await executor.run(on: .reading) {
                        running.enter()
                        defer { running.leave() }
                        return index
                    }
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(sum == 4999 * 5000 / 2)
        #expect(running.peak <= 3)
        #expect(executor.pool(.reading).threadCount <= 3)
    }

    /// Cancellations that come at any moment: each work is reported or never began.
    @Test func cancellationsRaceWithTheWork() async throws {
        let seed = ReplayableRandom.seed(for: "cancellationsRaceWithTheWork")
        var random = ReplayableRandom(seed: seed)
        let executor = BlockingExecutor(writing: 2)
        let began = Counter()
        var tasks: [Task<Int, any Error>] = []
        for index in 0..<2000 {
            let task = Task {
                try await executor.run {
                    began.add()
                    return index
                }
            }
            tasks.append(task)
            if random.oneIn(2) { tasks[Int.random(in: 0...index, using: &random)].cancel() }
        }
        var (finished, cancelled) = (0, 0)
        for (index, task) in tasks.enumerated() {
            do {
                #expect(try await task.value == index)
                finished += 1
            } catch {
                #expect((error as? CacheError)?.code == .cancelled)
                cancelled += 1
            }
        }
        #expect(finished == began.value)
        #expect(finished + cancelled == 2000)
    }

    @Test func threadsGoWithTheExecutor() async throws {
        var executor: BlockingExecutor? = BlockingExecutor(idleTime: 1_000_000_000_000)
        try await executor!.run {}
        let pool = executor!.pool(.writing)
        #expect(pool.threadCount == 1)
        executor = nil
        try await eventually { pool.threadCount == 0 }
    }
}
