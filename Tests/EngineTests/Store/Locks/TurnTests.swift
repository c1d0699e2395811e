import Synchronization
import TestSupport
import Testing

@testable import DiskCacheEngine

/// Whose turn it is when several processes wait for a named lock. Each has a `NamedLock` of its own here, as processes have.
@Suite struct TurnTests {
    private let scratch: TestDirectory
    private let directory: FileDescriptor

    init() throws {
        scratch = try TestDirectory("turns")
        directory = try SystemFiles().open(scratch.path, in: nil, [.directory])
    }

    private let name = LockName(.lock, "turns".utf8)

    private func process() -> NamedLock { NamedLock(files: SystemFiles(), store: directory, name: name, slots: 1) }

    /// Whether somebody has the gate.
    private func isGateTaken() throws -> Bool {
        var files = LockFiles(files: SystemFiles(), store: directory, name: name, slots: 1)
        defer { files.close() }
        return try !files.lockGate()
    }

    private func wait(in process: NamedLock, _ told: @escaping @Sendable (LockLease) -> Void) {
        process.enqueue(
            LockWaiter(timeout: .max) { outcome in
                do { told(try outcome.get()) } catch { Issue.record(error) }
            })
    }

    /// Those who had waited for long took a lock that had just been let go of, whoever was at the gate: then the one there had no better
    /// chance than each of the others.
    @Test func whoIsAtTheGateComesBeforeThoseWhoWaitedForLong() throws {
        var (wins, losses) = (0, 0)
        let deadline = TestThreads.deadline(120_000)
        // Of six with the same chances one loses five times of six, and falls behind ever further. This one loses only what the
        // machine doesn't let it take for 50 ms, and where that is often the case it takes longer.
        while wins < losses + 6 && SystemCalls.monotonicClock() < deadline {
            let winner = Atomic<Int>(-1)
            let left = Atomic<Int>(6)
            let processes = (0..<6).map { _ in process() }
            let holder = process()
            let lease = try #require(try holder.tryAcquire())
            for (number, process) in processes.enumerated() {
                wait(in: process) { lease in
                    _ = winner.compareExchange(expected: -1, desired: number, ordering: .relaxed)
                    _ = lease.release()
                    left.subtract(1, ordering: .releasing)
                }
                if number == 0 { #expect(eventually { (try? isGateTaken()) == true }) }
            }
            // Longer than the patience of all.
            SystemCalls.sleep(nanoseconds: 80_000_000)
            #expect(lease.release())
            #expect(eventually { left.load(ordering: .acquiring) == 0 })
            if winner.load(ordering: .relaxed) == 0 { wins += 1 } else { losses += 1 }
        }
        #expect(wins >= losses + 6, "\(wins) wins, \(losses) losses")
    }

    /// As by a process that was stopped.
    @Test func aGateThatNobodyPassesIsPassedBy() throws {
        var stopped = LockFiles(files: SystemFiles(), store: directory, name: name, slots: 1)
        defer { stopped.close() }
        #expect(try stopped.lockGate())
        let (first, second) = (process(), process())
        let one = try first.acquire(timeout: .max)
        let isHad = Atomic<Bool>(false)
        wait(in: second) { lease in
            isHad.store(true, ordering: .releasing)
            _ = lease.release()
        }
        #expect(try second.tryAcquire() == nil)
        #expect(one.release())
        #expect(eventually { isHad.load(ordering: .acquiring) })
        #expect(try isGateTaken())
    }
}
