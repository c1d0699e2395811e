import Synchronization
import TestSupport
import Testing

@testable import DiskCacheEngine

/// Whose turn it is to write. Each `WriteLock` has a descriptor of its own here, as processes have.
@Suite struct WriteLockTests {
    private let scratch: ScratchDirectory
    private let meta = Meta()

    init() throws { scratch = try ScratchDirectory(inMemory: true) }

    /// What all processes map.
    private final class Meta: @unchecked Sendable {
        let block: CommitBlock

        init() {
            let base = UnsafeMutableRawPointer.allocate(byteCount: CommitBlock.fileSize, alignment: 64)
            base.initializeMemory(as: UInt8.self, repeating: 0, count: CommitBlock.fileSize)
            block = CommitBlock(base: base)
        }

        deinit { block.base.deallocate() }
    }

    private var path: String { scratch.path + "/lock" }
    private static let patience: UInt64 = 30_000_000_000

    /// `stopKeeping` is due: its thread looks at `meta`.
    private func process(_ identity: UInt64) throws -> WriteLock {
        let file = try scratch.files.open(path, in: nil, [.write, .create])
        return WriteLock(files: scratch.files, file: file, block: meta.block, identity: identity, keeps: true)
    }

    /// As another process that only asks the kernel.
    private func isFree() throws -> Bool {
        let file = try scratch.files.open(path, in: nil, [.write])
        guard try scratch.files.lock(file, .exclusive) else { return false }
        _ = try scratch.files.lock(file, .unlock)
        return true
    }

    /// Writes so soon after the write before that it's back to back; while it has the lock, `body` runs.
    private func write(_ lock: WriteLock, _ clock: inout Int64, _ body: () -> Void = {}) throws {
        clock += 5
        try lock.acquire(timeout: Self.patience, now: clock)
        body()
        lock.release()
    }

    @Test func whoWritesBackToBackHasTurnsThatEnd() throws {
        let lock = try process(1)
        defer { lock.stopKeeping() }
        var clock: Int64 = 1_000_000
        var (turns, longest) = (0, 0)
        let deadline = TestThreads.deadline(20_000)
        // What is kept may be let go of sooner, where this thread isn't let run for a moment.
        while turns < 50 || longest < 8, SystemCalls.monotonicClock() < deadline {
            var writes = 0
            repeat {
                try write(lock, &clock) { meta.block.knocks.add(1) }
                writes += 1
            } while try writes < 10_000 && !isFree()
            try #require(writes < 10_000)
            longest = max(longest, writes)
            turns += 1
            // Another has had the lock.
            meta.block.owner.store(2)
        }
        #expect(longest >= 8)
    }

    @Test func twoThatWriteBackToBackBothGoOn() throws {
        let processes = [try process(1), try process(2)]
        defer { for lock in processes { lock.stopKeeping() } }
        let isHeld = Atomic<Bool>(false)
        let turns = Guarded([0, 0])
        TestThreads.run(2) { [meta] number in
            let lock = processes[number]
            let deadline = TestThreads.deadline(30_000)
            var writes = 0
            while writes < 2000 || turns.withLock({ $0.min() ?? 0 }) < 20, SystemCalls.monotonicClock() < deadline {
                do throws(EngineError) {
                    try lock.acquire(timeout: Self.patience)
                } catch {
                    Issue.record(error)
                    return
                }
                let isAlone = !isHeld.exchange(true, ordering: .relaxed)
                if meta.block.owner.relaxed() != lock.identity {
                    meta.block.owner.store(lock.identity)
                    turns.withLock { $0[number] += 1 }
                }
                isHeld.store(false, ordering: .relaxed)
                lock.release()
                guard isAlone else {
                    Issue.record("both have the lock")
                    return
                }
                writes += 1
            }
        }
        #expect(turns.withLock { $0.min() ?? 0 } >= 20)
    }

    @Test(arguments: [false, true]) func behindEndRunTheNextReleaseLetsGo(_ othersKnock: Bool) throws {
        let lock = try process(1)
        defer { lock.stopKeeping() }
        var clock: Int64 = 1_000_000
        for _ in 0..<20 {
            try #require(
                try eventually {
                    try write(lock, &clock) { if othersKnock { meta.block.knocks.add(1) } }
                    return try !isFree()
                })
            try write(lock, &clock) { lock.endRun() }
            try #require(try isFree())
            meta.block.owner.store(2)
        }
    }

    /// Threads that take turns write back to back too: the process keeps the lock meanwhile, for who waited goes by the time at which he had it.
    @Test func theLockIsKeptWhileThreadsTakeTurns() throws {
        let files = FailingFiles()
        let file = try files.open(path, in: nil, [.write, .create])
        let lock = WriteLock(files: files, file: file, block: meta.block, identity: 1, keeps: true)
        defer { lock.stopKeeping() }
        let writes = 10_000
        var asked = Int.max
        // Where the machine lets a thread wait for long in between, the lock is let go of rightly.
        for _ in 0..<5 where asked >= 4 * writes / 80 {
            files.fail { _, _ in nil }
            TestThreads.run(4) { _ in
                for _ in 0..<writes {
                    do throws(EngineError) {
                        try lock.acquire(timeout: Self.patience)
                        lock.release()
                    } catch {
                        Issue.record(error)
                    }
                }
            }
            asked = files.calls.count { $0 == "lock" }
        }
        #expect(asked < 4 * writes / 80)
    }

    /// It takes nothing, and ends though nobody lets go.
    @Test func awaitingAGapIsNotToQueueUp() throws {
        let lock = try process(1)
        defer { lock.stopKeeping() }
        lock.awaitGap()
        #expect(!lock.isHeldByThisThread)
        #expect(try isFree())
        try lock.acquire(timeout: Self.patience)
        TestThreads.run(1) { _ in
            lock.awaitGap()
            #expect(!lock.isHeldByThisThread)
        }
        lock.release()
        TestThreads.run(1) { _ in
            do throws(EngineError) {
                try lock.acquire(timeout: 0)
                lock.release()
            } catch {
                Issue.record(error)
            }
        }
    }

    /// A look for a gap takes a tenth of a millisecond; that there is none to look for is known at once, as soon as the machine lets
    /// this thread run for a moment.
    @Test func whereOthersWaitThereIsNoGapToAwait() throws {
        let lock = try process(1)
        defer { lock.stopKeeping() }
        let waiters = TestThreads.Group()
        try lock.acquire(timeout: Self.patience)
        waiters.start {
            do throws(EngineError) {
                try lock.acquire(timeout: 2 * Self.patience)
                lock.release()
            } catch {
                Issue.record(error)
            }
        }
        #expect(
            eventually {
                let begun = SystemCalls.monotonicClock()
                for _ in 0..<1000 { lock.awaitGap() }
                return SystemCalls.monotonicClock() - begun < 20_000_000
            })
        lock.release()
        waiters.join()
    }
}
