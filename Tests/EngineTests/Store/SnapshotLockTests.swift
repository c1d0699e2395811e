import TestSupport
import Testing

@testable import DiskCacheEngine

@Suite struct SnapshotLockTests {
    private let scratch: ScratchDirectory
    private let lock: SnapshotLock
    /// So long that a test that needs it hangs.
    private let patience: UInt64 = 600_000_000_000

    init() throws {
        scratch = try ScratchDirectory()
        lock = SnapshotLock(files: scratch.files, directory: try scratch.open())
    }

    @Test func nobodyIsInTheWay() {
        #expect(lock.earlierAreOver())
        let excluded = lock.exclude()
        #expect(excluded.isAllowed)
        excluded.end()
        #expect(lock.earlierAreOver())
    }

    @Test func aSnapshotIsSeenAtOnce() throws {
        let snapshot = try #require(lock.share())
        #expect(!lock.earlierAreOver(patience: patience))
        lock.end(snapshot)
        #expect(lock.earlierAreOver(patience: patience))
    }

    /// Whoever moves the head has the lock for as long as the scheduler likes.
    @Test func whoExcludesSnapshotsIsNone() throws {
        let excluded = lock.exclude()
        #expect(excluded.isAllowed)
        let (asks, isOver) = (ParkingWord(0), ParkingWord(0))
        let (lock, patience) = (lock, patience)
        TestThreads.run(2) { thread in
            if thread == 0 {
                asks.add(1)
                if lock.earlierAreOver(patience: patience) { isOver.add(1) }
            } else {
                #expect(eventually { asks.load() == 1 })
                // Longer than anybody has the lock who only asks.
                let until = TestThreads.deadline(10)
                #expect(eventually { SystemCalls.monotonicClock() >= until })
                excluded.end()
            }
        }
        #expect(isOver.load() == 1)
    }
}
