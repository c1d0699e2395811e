import Synchronization
import TestSupport
import Testing

@testable import DiskCacheEngine

@Suite(.serialized) struct ThreadPoolTests {
    /// What jobs wait at until it is opened.
    private final class Gate: Sendable {
        private let word = ParkingWord(0)
        func open() {
            word.store(1)
            word.wake()
        }
        func pass() { while word.load() == 0 { word.wait(while: 0, nanoseconds: 1_000_000_000) } }
    }

    @Test func neverRunsMoreThanTheLimitAtOnceAndReachesIt() throws {
        let pool = ThreadPool(limit: 3)
        let running = ParkingWord(0)
        let peak = Mutex(UInt32(0))
        let done = ParkingWord(0)
        let gate = Gate()
        for _ in 0..<40 {
            try pool.submit {
                running.add(1)
                peak.withLock { $0 = max($0, running.load()) }
                gate.pass()
                running.add(.max)
                done.add(1)
            }
        }
        #expect(eventually { running.load() == 3 })
        #expect(pool.threadCount == 3)
        #expect(pool.waitingCount == 37)
        gate.open()
        #expect(eventually { done.load() == 40 })
        #expect(peak.withLock { $0 } == 3)
        #expect(pool.threadCount == 3)
        pool.close()
        #expect(eventually { pool.threadCount == 0 })
    }

    @Test func runsInTheOrderOfComing() throws {
        let pool = ThreadPool(limit: 1)
        let order = Mutex<[Int]>([])
        for index in 0..<5000 { try pool.submit { order.withLock { $0.append(index) } } }
        #expect(eventually { order.withLock { $0.count } == 5000 })
        #expect(order.withLock { $0 } == Array(0..<5000))
        pool.close()
    }

    @Test func makesNoThreadWhileOneIsIdle() throws {
        let pool = ThreadPool(limit: 8, idleTime: 1_000_000_000_000)
        let threads = Mutex<Set<UInt>>([])
        for index in 1...200 {
            try pool.submit { threads.withLock { _ = $0.insert(SystemCalls.threadID()) } }
            #expect(eventually { pool.idleCount == pool.threadCount }, "job \(index)")
        }
        #expect(threads.withLock { $0.count } == 1)
        #expect(pool.threadCount == 1)
        pool.close()
        #expect(eventually { pool.threadCount == 0 })
    }

    @Test func idleThreadsGoAndNewOnesCome() throws {
        let pool = ThreadPool(limit: 4, idleTime: 1_000_000)
        let done = ParkingWord(0)
        for round in 1...3 {
            for _ in 0..<4 { try pool.submit { done.add(1) } }
            #expect(eventually { done.load() == round * 4 && pool.threadCount == 0 })
        }
    }

    /// Threads that go and jobs that come meet all the time.
    @Test func nothingIsLostBetweenThreadsThatGoAndJobsThatCome() {
        let pool = ThreadPool(limit: 3, idleTime: 20_000)
        let done = ParkingWord(0)
        TestThreads.run(4) { thread in
            var random = UInt64(thread) &+ 1
            for _ in 0..<2500 {
                random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                do { try pool.submit { done.add(1) } } catch { Issue.record("\(error)") }
                if random >> 60 == 0 { SystemCalls.sleep(nanoseconds: random >> 48) }
            }
        }
        #expect(eventually { done.load() == 10000 && pool.threadCount == 0 })
        #expect(pool.waitingCount == 0)
    }

    @Test func closingLetsWhatWasSubmittedRun() throws {
        let pool = ThreadPool(limit: 2, idleTime: 1_000_000_000_000)
        let done = ParkingWord(0)
        let gate = Gate()
        for _ in 0..<10 {
            try pool.submit {
                gate.pass()
                done.add(1)
            }
        }
        pool.close()
        gate.open()
        #expect(eventually { done.load() == 10 && pool.threadCount == 0 })
    }

    /// What a job holds goes as soon as it is done, not when its thread gets another.
    @Test func aJobIsLetGoOfWhenItIsDone() throws {
        final class Held: Sendable {}
        let pool = ThreadPool(limit: 1, idleTime: 1_000_000_000_000)
        weak var weakly: Held?
        do {
            let held = Held()
            weakly = held
            try pool.submit { withExtendedLifetime(held) {} }
        }
        #expect(eventually { weakly == nil })
        pool.close()
    }

    @Test func aChildHasAPoolOfItsOwn() async {
        await #expect(processExitsWith: .success) {
            let pools = PerProcess { ThreadPool(limit: 2, idleTime: 1_000_000_000_000) }
            let parent = pools.current
            let gate = Gate()
            let done = ParkingWord(0)
            for _ in 0..<5 {
                try parent.submit {
                    gate.pass()
                    done.add(1)
                }
            }
            // The child's code ran once here, so that nothing of it is met for the first time there.
            let warm = PerProcess { ThreadPool(limit: 2) }
            try warm.current.submit { done.add(0) }
            let child = try TestFork {
                let own = pools.current
                guard own !== parent, own.threadCount == 0, own.waitingCount == 0 else { return 1 }
                let ran = ParkingWord(0)
                do throws(SystemError) { try own.submit { ran.add(1) } } catch { return 2 }
                let deadline = TestThreads.deadline(10_000)
                while ran.load() == 0 {
                    if SystemCalls.monotonicClock() > deadline { return 3 }
                    SystemCalls.yieldThread()
                }
                return pools.current === own ? 7 : 4
            }
            defer { child.finish() }
            #expect(child.told() == 7)
            #expect(pools.current === parent)
            gate.open()
            #expect(eventually { done.load() == 5 })
            parent.close()
            warm.current.close()
        }
    }
}
