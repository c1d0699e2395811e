import Synchronization

/// A lock between the threads of one process: first come, first served, with a deadline.
///
/// The part of the writer's lock that is inside a process (DESIGN 7.1): threads queue here before one of them asks
/// the kernel. `Mutex` has no timed lock and keeps no order.
///
///     guard queue.acquire(deadline: SystemCalls.monotonicClock() + 1_000_000_000) else { throw … }
///     defer { queue.release() }
///
/// Alone, a pair of `acquire` and `release` is two compare-and-exchanges, no allocation, no call into the kernel.
/// With others, each waiter has a node of its own in a list; it spins on its own word, then parks on it.
/// `release` hands the lock to the first of them, so that nobody who comes later can be faster.
///
/// Invariants:
/// - `state` is `contended` exactly while the list isn't empty; both change under the list's mutex.
/// - While there are waiters the lock is never free: it goes from hand to hand.
/// - A waiter's node is either in the list and not granted, or out of it and granted, or out of it and given up.
///   The mutex decides between the last two, so a hand-over that meets a timeout is never lost.
///
/// Not recursive. Not for a child after a fork: the thread that held it may be gone; a store makes a new one there.
final class ThreadQueue: Sendable {
    private enum State {
        static let free: UInt32 = 0
        static let held: UInt32 = 1
        static let contended: UInt32 = 2
    }

    /// One waiting thread. `next` belongs to the list's mutex.
    private final class Waiter: @unchecked Sendable {
        static let waiting: UInt32 = 0
        static let parked: UInt32 = 1
        static let granted: UInt32 = 2

        let word = ParkingWord(waiting)
        var next: Waiter?
    }

    private struct Line {
        var first: Waiter?
        var last: Waiter?

        mutating func append(_ waiter: Waiter) {
            if let last { last.next = waiter } else { first = waiter }
            last = waiter
        }

        mutating func removeFirst() -> Waiter? {
            guard let waiter = first else { return nil }
            first = waiter.next
            if first == nil { last = nil }
            waiter.next = nil
            return waiter
        }

        mutating func remove(_ waiter: Waiter) {
            var previous: Waiter?
            var at = first
            while let found = at, found !== waiter {
                previous = found
                at = found.next
            }
            if let previous { previous.next = waiter.next } else { first = waiter.next }
            if last === waiter { last = previous }
            waiter.next = nil
        }
    }

    private let state = Atomic<UInt32>(State.free)
    /// The thread that holds the lock, 0 if none. Read without the lock: another thread's value, however old, is never
    /// the reader's own, because each thread takes its own away before it lets go.
    private let owner = Atomic<UInt>(0)
    private let line = Guarded(Line())

    /// Takes the lock; false if the monotonic clock reached `deadline` before it was this thread's turn.
    ///
    /// Goes to sleep when it has spun for so many nanoseconds. Who is woken keeps all others waiting as long as that takes, so who has nothing
    /// else to do spins longer.
    func acquire(deadline: UInt64, spinning: UInt64 = ThreadQueue.usualSpin) -> Bool {
        assert(!isHeldByThisThread, "a thread queue isn't recursive")
        if tryAcquire() { return true }
        guard let waiter = joinLine() else { return took() }
        if Self.spin(waiter, for: spinning) || hasMoreWaiters(waiter) && Self.yield(waiter) { return took() }
        if !waiter.word.replace(Waiter.waiting, with: Waiter.parked) { return took() }
        while true {
            if waiter.word.load() == Waiter.granted { return took() }
            let now = SystemCalls.monotonicClock()
            if now >= deadline { return leaveLine(waiter) ? took() : false }
            waiter.word.wait(while: Waiter.parked, nanoseconds: min(deadline - now, Self.longestWait))
        }
    }

    /// Takes the lock if nobody has it.
    @inline(__always) func tryAcquire() -> Bool {
        guard state.compareExchange(expected: State.free, desired: State.held, ordering: .acquiring).exchanged else {
            return false
        }
        return took()
    }

    /// Lets go of the lock, or hands it to the first who waits.
    @inline(__always) func release() {
        assert(isHeldByThisThread, "only the thread that holds a lock releases it")
        owner.store(0, ordering: .relaxed)
        if state.compareExchange(expected: State.held, desired: State.free, ordering: .releasing).exchanged { return }
        handOver()
    }

    /// Whether the calling thread has the lock.
    var isHeldByThisThread: Bool { owner.load(ordering: .relaxed) == SystemCalls.threadID() }

    /// Whether a thread has the lock. Old the moment it is known.
    var isHeld: Bool { state.load(ordering: .relaxed) != State.free }

    /// Whether somebody waits. Old the moment it is known: a hint for a holder that could let go sooner.
    var hasWaiters: Bool { state.load(ordering: .relaxed) == State.contended }

    /// How many wait.
    var waiterCount: Int {
        line.withLock { line in
            var count = 0
            var at = line.first
            while let waiter = at {
                count += 1
                at = waiter.next
            }
            return count
        }
    }

    /// The kernel is asked for no longer wait than this, so that no clock arithmetic can overflow.
    private static let longestWait: UInt64 = 3_600_000_000_000

    @inline(__always) private func took() -> Bool {
        owner.store(SystemCalls.threadID(), ordering: .relaxed)
        return true
    }

    /// Puts the calling thread at the end of the line; nil if the lock was free after all and is taken now.
    private func joinLine() -> Waiter? {
        let waiter = Waiter()
        let queued = line.withLock { line in
            while true {
                let found = state.load(ordering: .relaxed)
                if found == State.contended { break }
                let wanted = found == State.free ? State.held : State.contended
                if state.compareExchange(expected: found, desired: wanted, ordering: .acquiring).exchanged {
                    if wanted == State.held { return false }
                    break
                }
            }
            line.append(waiter)
            return true
        }
        return queued ? waiter : nil
    }

    /// Waits for a moment without the kernel: most holders are done in a few microseconds. It doesn't yield: who does on a busy
    /// machine is away for much longer than a wake-up takes.
    private static func spin(_ waiter: Waiter, for nanoseconds: UInt64) -> Bool {
        let until = SystemCalls.monotonicClock() &+ nanoseconds
        repeat {
            for _ in 0..<64 where waiter.word.load() == Waiter.granted { return true }
        } while SystemCalls.monotonicClock() < until
        return false
    }

    /// Nanoseconds.
    static var usualSpin: UInt64 { 10_000 }

    /// Whether others wait too: then the lock goes round, and to be woken each time would cost more than fifty small writes.
    private func hasMoreWaiters(_ waiter: Waiter) -> Bool {
        line.withLock { line in line.first !== waiter || line.last !== waiter }
    }

    /// Stays awake for a while, and leaves the processor to whoever has the lock.
    private static func yield(_ waiter: Waiter) -> Bool {
        for _ in 0..<mostYields {
            if waiter.word.load() == Waiter.granted { return true }
            SystemCalls.yieldThread()
        }
        return false
    }

    private static let mostYields = 50

    /// Gives up; true if the lock came at that very moment, and is had.
    private func leaveLine(_ waiter: Waiter) -> Bool {
        line.withLock { line in
            if waiter.word.load() == Waiter.granted { return true }
            line.remove(waiter)
            // The holder can't change a contended state without this mutex.
            if line.first == nil { state.store(State.held, ordering: .relaxed) }
            return false
        }
    }

    private func handOver() {
        let (waiter, wasParked) = line.withLock { line -> (Waiter?, Bool) in
            guard let waiter = line.removeFirst() else {
                // The last waiter gave up since `release` looked.
                state.store(State.free, ordering: .releasing)
                return (nil, false)
            }
            if line.first == nil { state.store(State.held, ordering: .relaxed) }
            return (waiter, waiter.word.exchange(Waiter.granted) == Waiter.parked)
        }
        if wasParked { waiter?.word.wake() }
    }
}
