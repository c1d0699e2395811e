import TestSupport
import Testing

@testable import DiskCacheEngine

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

@Suite struct ThreadQueueTests {
    /// A number that only the holder of a lock touches.
    private final class Guarded: @unchecked Sendable {
        var value = 0
        var order: [Int] = []
    }

    /// A strict queue's turn, the write lock's, and one that nobody sees the end of.
    private static let turns: [UInt64] = [0, 100_000, 60_000_000_000]

    @Test(arguments: [turns[0], turns[1]]) func excludesOtherThreads(_ turn: UInt64) {
        let queue = ThreadQueue(turnLength: turn)
        let counter = Guarded()
        TestThreads.run(8) { _ in
            for _ in 0..<5000 {
                guard queue.acquire(deadline: .max) else { continue }
                counter.value += 1
                queue.release()
            }
        }
        #expect(counter.value == 40000)
        #expect(!queue.hasWaiters)
        #expect(queue.tryAcquire())
        queue.release()
    }

    @Test func knowsItsOwner() {
        let queue = ThreadQueue()
        #expect(!queue.isHeldByThisThread)
        #expect(queue.acquire(deadline: 0))
        #expect(queue.isHeldByThisThread)
        TestThreads.run(1) { _ in
            #expect(!queue.isHeldByThisThread)
            #expect(!queue.tryAcquire())
        }
        queue.release()
        #expect(!queue.isHeldByThisThread)
    }

    #if os(Linux)
        /// Who is to spin for long doesn't give the processor away meanwhile; who isn't does.
        @Test(arguments: [true, false]) func whoSpinsStaysAwake(_ spins: Bool) {
            var switches = Self.switchesWhileWaiting(spins)
            // An allocator's lock may have been taken as well.
            for _ in 0..<5 where spins && switches > 0 { switches = Self.switchesWhileWaiting(spins) }
            #expect(spins ? switches == 0 : switches > 0)
        }

        private static func switchesWhileWaiting(_ spins: Bool) -> Int {
            let queue = ThreadQueue()
            let waits = Guarded()
            let group = TestThreads.Group()
            #expect(queue.acquire(deadline: .max))
            group.start {
                let before = voluntarySwitches()
                guard queue.acquire(deadline: .max, spinning: spins ? 60_000_000_000 : 0) else { return }
                waits.value = voluntarySwitches() - before
                queue.release()
            }
            #expect(eventually { queue.hasWaiters })
            pass(microseconds: 20_000)
            queue.release()
            group.join()
            return waits.value
        }

        private static func voluntarySwitches() -> Int {
            var usage = rusage()
            getrusage(__rusage_who_t(1), &usage)
            return usage.ru_nvcsw
        }
    #endif

    /// Who has had it and doesn't come back keeps it from nobody, whatever his turn.
    @Test(arguments: turns) func servesInTheOrderOfComing(_ turn: UInt64) {
        let queue = ThreadQueue(turnLength: turn)
        let seen = Guarded()
        let group = TestThreads.Group()
        #expect(queue.acquire(deadline: .max))
        for index in 0..<6 {
            group.start {
                guard queue.acquire(deadline: .max) else { return }
                seen.order.append(index)
                queue.release()
            }
            #expect(eventually { queue.waiterCount == index + 1 })
        }
        #expect(queue.hasWaiters)
        queue.release()
        group.join()
        #expect(seen.order == [0, 1, 2, 3, 4, 5])
        #expect(!queue.hasWaiters)
    }

    @Test func givesUpAtTheDeadlineAndLeavesTheLine() {
        let queue = ThreadQueue()
        #expect(queue.acquire(deadline: .max))
        TestThreads.run(3) { index in
            let begin = SystemCalls.monotonicClock()
            let wait = UInt64(index + 1) * 20_000_000
            #expect(!queue.acquire(deadline: begin + wait))
            let took = SystemCalls.monotonicClock() - begin
            #expect(took >= wait)
            #expect(took < 10_000_000_000)
        }
        #expect(queue.waiterCount == 0)
        #expect(!queue.hasWaiters)
        queue.release()
        #expect(queue.tryAcquire())
        queue.release()
    }

    @Test func aPassedDeadlineStillTakesAFreeLock() {
        let queue = ThreadQueue()
        #expect(queue.acquire(deadline: 0))
        queue.release()
    }

    @Test(arguments: turns) func whoLeavesTheMiddleOfTheLineDoesNotCutIt(_ turn: UInt64) {
        let queue = ThreadQueue(turnLength: turn)
        let seen = Guarded()
        let group = TestThreads.Group()
        #expect(queue.acquire(deadline: .max))
        for (index, deadline) in [UInt64.max, TestThreads.deadline(1000), .max].enumerated() {
            group.start {
                guard queue.acquire(deadline: deadline) else { return }
                seen.order.append(index)
                queue.release()
            }
            #expect(eventually { queue.waiterCount == index + 1 })
        }
        #expect(eventually { queue.waiterCount == 2 })
        queue.release()
        group.join()
        #expect(seen.order == [0, 2])
    }

    /// Who comes back within his turn has the lock before those who wait, unless the machine keeps him from it; of a strict queue nobody has it.
    @Test(arguments: [turns[0], turns[2]]) func whoComesBackInHisTurnHasItAgain(_ turn: UInt64) {
        var times = 0
        for _ in 0..<20 where times == 0 { times += comesBack(ThreadQueue(turnLength: turn)) }
        #expect(turn == 0 ? times == 0 : times > 0)
    }

    /// How often the first of three has it again at once though the others wait.
    private func comesBack(_ queue: ThreadQueue) -> Int {
        let seen = Guarded()
        let group = TestThreads.Group()
        #expect(queue.acquire(deadline: .max))
        for index in 0..<3 {
            group.start {
                guard queue.acquire(deadline: .max) else { return }
                seen.order.append(index)
                var isFirst = seen.order.count == 1
                while isFirst, seen.value < 100 {
                    queue.release()
                    isFirst = queue.tryAcquire() && queue.hasWaiters
                    if isFirst { seen.value += 1 }
                }
                if queue.isHeldByThisThread { queue.release() }
            }
            #expect(eventually { queue.waiterCount == index + 1 })
        }
        queue.release()
        group.join()
        #expect(seen.order == [0, 1, 2])
        #expect(!queue.hasWaiters)
        return seen.value
    }

    /// However often he comes back, others have it in the end.
    @Test func aTurnEnds() {
        let queue = ThreadQueue(turnLength: 1_000_000)
        let others = ParkingWord(0)
        let group = TestThreads.Group()
        #expect(queue.acquire(deadline: .max))
        for _ in 0..<3 {
            group.start {
                guard queue.acquire(deadline: .max) else { return }
                let isFirst = others.load() == 0
                others.add(isFirst ? 4 : 1)
                queue.release()
                // The first comes back until both others have had it.
                while isFirst, others.load() != 6 {
                    guard queue.acquire(deadline: .max) else { return }
                    queue.release()
                }
            }
        }
        #expect(eventually { queue.waiterCount == 3 })
        queue.release()
        group.join()
        #expect(others.load() == 6)
        #expect(!queue.hasWaiters)
    }

    /// Whoever gives up, at whichever place, takes only himself out of the line; and it goes round: who comes again stands at its end.
    @Test(arguments: 0..<4) func theLineGoesRoundWithoutWhoLeftIt(_ leaver: Int) {
        let queue = ThreadQueue()
        let seen = Guarded()
        let left = ParkingWord(0)
        let group = TestThreads.Group()
        let rounds = 5
        #expect(queue.acquire(deadline: .max))
        for index in 0..<5 {
            group.start {
                if index == leaver {
                    #expect(!queue.acquire(deadline: TestThreads.deadline(100)))
                    left.add(1)
                    return
                }
                for round in 0..<rounds {
                    guard queue.acquire(deadline: TestThreads.deadline(60_000)) else {
                        Issue.record("\(index) was forgotten")
                        return
                    }
                    defer { queue.release() }
                    // All others stand in the line, but in the last round: there they don't come again.
                    guard round == rounds - 1 || eventually({ queue.waiterCount == 3 }) else {
                        Issue.record("\(index) comes before others")
                        return
                    }
                    seen.order.append(index)
                }
            }
            // The last comes when the one who gives up has gone.
            let isGone = { left.load() == 1 }
            #expect(eventually { queue.waiterCount == index + (isGone() ? 0 : 1) })
            if index == 3 { #expect(eventually { isGone() && queue.waiterCount == 3 }) }
        }
        queue.release()
        group.join()
        let others = (0..<5).filter { $0 != leaver }
        #expect(seen.order == (0..<rounds).flatMap { _ in others })
        #expect(!queue.hasWaiters)
    }

    /// Deadlines of about the time that a holder keeps the lock: hand-overs and timeouts meet all the time.
    @Test(arguments: turns) func handOversThatRaceWithTimeoutsAreNotLost(_ turn: UInt64) {
        let queue = ThreadQueue(turnLength: turn)
        let counter = Guarded()
        let successes = ParkingWord(0)
        TestThreads.run(6) { thread in
            var seed = UInt64(thread) &+ 1
            for _ in 0..<2000 {
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                if queue.acquire(deadline: SystemCalls.monotonicClock() + seed >> 48) {
                    counter.value += 1
                    if seed & 0x700 == 0 { SystemCalls.yieldThread() }
                    queue.release()
                    successes.add(1)
                }
            }
        }
        #expect(counter.value == Int(successes.load()))
        #expect(counter.value > 0)
        #expect(queue.waiterCount == 0)
        #expect(queue.tryAcquire())
        queue.release()
    }
}
