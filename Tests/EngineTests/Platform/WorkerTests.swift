import Synchronization
import TestSupport
import Testing

@testable import DiskCacheEngine

@Suite(.serialized) struct WorkerTests {
    @Test func callsSoonAfterAddingAndOnSignals() {
        let worker = Worker()
        let calls = ParkingWord(0)
        let token = worker.add { _ in
            calls.add(1)
            return nil
        }
        #expect(eventually { calls.load() == 1 })
        for expected in 2...20 {
            worker.signal(token)
            #expect(eventually { calls.load() == UInt32(expected) })
        }
        worker.remove(token)
        worker.signal(token)
        #expect(worker.taskCount == 0)
    }

    @Test func callsAtTheWantedTime() {
        let worker = Worker()
        let times = Times()
        let token = worker.add { now in
            times.all.withLock { $0.append(SystemCalls.monotonicClock()) }
            return now + 20_000_000
        }
        #expect(eventually { times.all.withLock { $0.count } >= 5 })
        worker.remove(token)
        let seen = times.all.withLock { $0 }
        for (earlier, later) in zip(seen, seen.dropFirst()) { #expect(later - earlier < 10_000_000_000) }
        #expect(seen[4] - seen[0] >= 60_000_000)
        #expect(times.all.withLock { $0.count } == seen.count)
    }

    @Test func aTaskThatAlwaysWantsMoreDoesNotStarveOthers() {
        let worker = Worker()
        let calls = ParkingWord(0)
        let greedy = worker.add { $0 }
        let modest = worker.add { now in
            calls.add(1)
            return now + 1000
        }
        #expect(eventually { calls.load() > 100 })
        worker.remove(greedy)
        worker.remove(modest)
    }

    /// After `remove` returns, what the task works on may be torn down.
    @Test func removeWaitsForTheCall() {
        let worker = Worker()
        for _ in 0..<50 {
            let inside = ParkingWord(0)
            let token = worker.add { now in
                inside.store(1)
                for _ in 0..<20 { SystemCalls.yieldThread() }
                inside.store(0)
                return now
            }
            #expect(eventually { inside.load() == 1 })
            worker.remove(token)
            #expect(inside.load() == 0)
        }
        #expect(worker.taskCount == 0)
    }

    @Test func aTaskMayRemoveItself() {
        let worker = Worker()
        let calls = ParkingWord(0)
        let holder = Holder()
        holder.token.withLock { slot in
            slot = worker.add { now in
                if let token = holder.token.withLock({ $0 }) { worker.remove(token) }
                calls.add(1)
                return now
            }
        }
        #expect(eventually { worker.taskCount == 0 && calls.load() > 0 })
        let after = calls.load()
        let other = worker.add { _ in nil }
        worker.remove(other)
        #expect(calls.load() == after)
    }

    private final class Times: Sendable {
        let all = Mutex<[UInt64]>([])
    }

    private final class Holder: Sendable {
        let token = Mutex<Worker.Token?>(nil)
    }

    @Test func removeReleasesWhatTheTaskHeld() {
        final class Witness: Sendable {
            let gone: ParkingWord
            init(_ gone: ParkingWord) { self.gone = gone }
            deinit { gone.store(1) }
        }
        let worker = Worker()
        let gone = ParkingWord(0)
        var witness: Witness? = Witness(gone)
        let token = worker.add { [witness] _ in
            _ = witness
            return nil
        }
        witness = nil
        worker.remove(token)
        #expect(eventually { gone.load() == 1 })
        withExtendedLifetime(token) {}
    }

    @Test func manyThreadsAddSignalAndRemove() {
        let worker = Worker()
        TestThreads.run(4) { _ in
            for _ in 0..<200 {
                let calls = ParkingWord(0)
                let token = worker.add { _ in
                    calls.add(1)
                    return nil
                }
                while calls.load() == 0 { SystemCalls.yieldThread() }
                let before = calls.load()
                worker.signal(token)
                while calls.load() == before { SystemCalls.yieldThread() }
                worker.remove(token)
            }
        }
        #expect(worker.taskCount == 0)
    }

    @Test func aChildStartsAnew() async {
        await #expect(processExitsWith: .success) {
            let parent = Worker.shared
            let calls = ParkingWord(0)
            let token = parent.add { now in
                calls.add(1)
                return now + 1_000_000
            }
            #expect(eventually { calls.load() > 2 })
            let child = try TestFork {
                let inherited = calls.load()
                parent.signal(token)
                let own = ParkingWord(0)
                let mine = Worker.shared.add { _ in
                    own.add(1)
                    return nil
                }
                while own.load() == 0 { SystemCalls.yieldThread() }
                mine.worker.signal(mine)
                while own.load() == 1 { SystemCalls.yieldThread() }
                mine.worker.remove(mine)
                parent.remove(token)
                return (Worker.shared !== parent ? 1 : 0) + (calls.load() == inherited ? 2 : 0)
                    + (parent.taskCount == 0 ? 4 : 0)
            }
            child.finish()
            #expect(child.told() == 7)
            let before = calls.load()
            #expect(eventually { calls.load() > before })
            #expect(Worker.shared === parent)
            parent.remove(token)
        }
    }
}
