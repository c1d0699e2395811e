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
/// **Turns.** To hand it over at each release costs as much as ten small writes, and fifty where the next one sleeps. So where two or more
/// wait, who was handed the lock lends it to whoever comes first when he lets go, most often himself, until his turn is over. The first of
/// those who wait is awake meanwhile: he takes what is lent and not wanted, and he has no kernel to wait for when the turn ends. A strict
/// queue has a turn of 0.
///
/// Invariants (model: Tests/Models/thread-queue.pml):
/// - `state` is `contended` or `lent` exactly while the list isn't empty. It comes to be either under the list's mutex; only from `lent` to
///   `contended` does whoever takes the lock go without.
/// - While there are waiters the lock is never free: it goes from hand to hand, or it is lent.
/// - While it is lent the first waiter is awake (`waiting`), and neither parks nor leaves without trying to take it. Who is first
///   doesn't change meanwhile.
/// - A waiter's node is either in the list and not granted, or out of it and granted, or out of it and given up.
///   The mutex decides between the last two, so a hand-over that meets a timeout is never lost.
///
/// Not recursive. Not for a child after a fork: the thread that held it may be gone; a store makes a new one there.
final class ThreadQueue: Sendable {
    private enum State {
        static let free: UInt32 = 0
        static let held: UInt32 = 1
        static let contended: UInt32 = 2
        static let lent: UInt32 = 3
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
        var hasSeveral: Bool { first !== last }

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
    /// When the holder's turn began; written by the holder, and by who hands the lock over.
    private let turnBegan = Atomic<UInt64>(0)
    /// How long the first of those who wait leaves it to others when it is lent.
    private let lentUntil = Atomic<UInt64>(0)
    /// Nanoseconds.
    private let turnLength: UInt64

    /// `turnLength`: nanoseconds for which who was handed the lock may come back before others.
    init(turnLength: UInt64 = 0) { self.turnLength = turnLength }

    /// Takes the lock; false if the monotonic clock reached `deadline` before it was this thread's turn.
    ///
    /// Goes to sleep when it has spun for so many nanoseconds. Who is woken keeps all others waiting as long as that takes, so who has
    /// nothing else to do spins longer.
    func acquire(deadline: UInt64, spinning: UInt64 = ThreadQueue.usualSpin) -> Bool {
        assert(!isHeldByThisThread, "a thread queue isn't recursive")
        if tryAcquire() { return true }
        guard let waiter = joinLine() else { return took() }
        var spinning = spinning
        while true {
            if spin(waiter, for: spinning) { return took() }
            // Who is next stays awake until a turn may be over.
            if turnLength != 0, isFirstOfSeveral(waiter), spin(waiter, for: turnLength, deadline) {
                return took()
            }
            if !park(waiter) { return took() }
            while waiter.word.load() == Waiter.parked {
                let now = SystemCalls.monotonicClock()
                if now >= deadline { return leaveLine(waiter) ? took() : false }
                waiter.word.wait(while: Waiter.parked, nanoseconds: min(deadline - now, Self.longestWait))
            }
            if waiter.word.load() == Waiter.granted {
                // The time that it took to wake up is nobody's turn.
                if turnLength != 0 { turnBegan.store(SystemCalls.monotonicClock(), ordering: .relaxed) }
                return took()
            }
            // The first now.
            spinning = turnLength
        }
    }

    /// Takes the lock if nobody has it.
    @inline(__always) func tryAcquire() -> Bool {
        let (isFree, found) = state.compareExchange(
            expected: State.free, desired: State.held, ordering: .acquiring)
        return isFree || found == State.lent && takeLent() ? took() : false
    }

    @inline(__always) private func takeLent() -> Bool {
        state.compareExchange(expected: State.lent, desired: State.contended, ordering: .acquiring).exchanged
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
    var isHeld: Bool {
        let found = state.load(ordering: .relaxed)
        return found == State.held || found == State.contended
    }

    /// Whether somebody waits. Old the moment it is known: a hint for a holder that could let go sooner.
    var hasWaiters: Bool { state.load(ordering: .relaxed) >= State.contended }

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
                    if found != State.held { return false }
                    break
                }
            }
            line.append(waiter)
            return true
        }
        return queued ? waiter : nil
    }

    /// Waits for a moment without the kernel: most holders are done in a few microseconds. It doesn't yield: who does on a busy
    /// machine is away for much longer than a wake-up takes. Whether the lock is had.
    private func spin(_ waiter: Waiter, for nanoseconds: UInt64, _ deadline: UInt64 = .max) -> Bool {
        let begun = SystemCalls.monotonicClock()
        var now = begun
        repeat {
            for _ in 0..<64 where waiter.word.load() == Waiter.granted { return true }
            now = SystemCalls.monotonicClock()
            // Whose turn it was doesn't come back.
            if state.load(ordering: .acquiring) == State.lent, now > lentUntil.load(ordering: .relaxed),
                takeLent(waiter, now)
            {
                return true
            }
        } while now &- begun < nanoseconds && now < deadline
        return false
    }

    /// Nanoseconds.
    static var usualSpin: UInt64 { 10_000 }

    /// How long who has his turn may stay away, nanoseconds; and when he wakes somebody up before.
    private static var longestAbsence: UInt64 { 5_000 }
    private static var longestWaking: UInt64 { 30_000 }

    private func isFirstOfSeveral(_ waiter: Waiter) -> Bool {
        line.withLock { line in line.first === waiter && line.hasSeveral }
    }

    /// Takes what is lent, if this waiter is the first; whether the lock is had, by this or by a hand-over.
    private func takeLent(_ waiter: Waiter, _ now: UInt64) -> Bool {
        line.withLock { line in takeLent(waiter, now, &line) }
    }

    private func takeLent(_ waiter: Waiter, _ now: UInt64, _ line: inout Line) -> Bool {
        if waiter.word.load() == Waiter.granted { return true }
        guard line.first === waiter,
            state.compareExchange(
                expected: State.lent, desired: line.hasSeveral ? State.contended : State.held, ordering: .acquiring
            ).exchanged
        else { return false }
        _ = line.removeFirst()
        turnBegan.store(now, ordering: .relaxed)
        return true
    }

    /// Says that it sleeps, or has the lock; false: it has the lock.
    private func park(_ waiter: Waiter) -> Bool {
        let now = SystemCalls.monotonicClock()
        return line.withLock { line in
            if takeLent(waiter, now, &line) { return false }
            waiter.word.store(Waiter.parked)
            return true
        }
    }

    /// Gives up; true if the lock came at that very moment, and is had.
    private func leaveLine(_ waiter: Waiter) -> Bool {
        let now = SystemCalls.monotonicClock()
        return line.withLock { line in
            if takeLent(waiter, now, &line) { return true }
            line.remove(waiter)
            // The holder can't change a contended state without this mutex.
            if line.first == nil { state.store(State.held, ordering: .relaxed) }
            return false
        }
    }

    @inline(never)
    private func handOver() {
        let now = turnLength == 0 ? 0 : SystemCalls.monotonicClock()
        let sleeper = line.withLock { line -> Waiter? in
            guard let waiter = line.first else {
                // The last waiter gave up since `release` looked.
                state.store(State.free, ordering: .releasing)
                return nil
            }
            if line.hasSeveral, now &- turnBegan.load(ordering: .relaxed) < turnLength, !StepPoint.isTimeless {
                // Before it is lent: who is first and awake sees that.
                let wasParked = waiter.word.load() == Waiter.parked
                if wasParked { waiter.word.store(Waiter.waiting) }
                let kept = wasParked ? Self.longestAbsence + Self.longestWaking : Self.longestAbsence
                lentUntil.store(now &+ kept, ordering: .relaxed)
                state.store(State.lent, ordering: .releasing)
                return wasParked ? waiter : nil
            }
            _ = line.removeFirst()
            turnBegan.store(now, ordering: .relaxed)
            if line.first == nil { state.store(State.held, ordering: .relaxed) }
            return waiter.word.exchange(Waiter.granted) == Waiter.parked ? waiter : nil
        }
        sleeper?.word.wake()
    }
}
