import Synchronization

/// A lock between processes with one slot or several, by a name in a store's directory: what this process knows of it. There is one a
/// process for each name, whoever asks, so that threads and tasks wait here, first come first served, and only the first of them
/// asks the kernel.
///
/// **Who holds it.** A slot is an exclusive `flock` on a file in `locks/` (see `LockName`), and a `LockLease` in this process. The kernel
/// lets go of a dead process's, so nothing can go stale.
///
/// **Whose turn it is.** Whoever wants a slot locks the *gate* first, keeps it until the slot is had, and lets go of it then. So who
/// has just let go of a slot can't take it again before the one that waits at the gate, and of those before the gate any is next:
/// each asks again at a random moment, on the average half a millisecond later (polling that favours who came last starves the others,
/// PERFORMANCE 3 and 8). The gate decides about turns alone, never about who holds: a waiter that was stopped at the gate
/// is passed by when a slot was seen free for `patience`. Who only looks whether one is, lets go of it again in a moment.
///
/// Nobody blocks inside `flock` (DESIGN 7.1). Threads ask by themselves while they wait; for tasks, which must not wait in a thread, the
/// worker asks.
///
/// In a child of a fork all that this is belongs to the parent; `NamedLockHandle` makes another there.
package final class NamedLock: Sendable {
    private struct State {
        var files: LockFiles
        /// Which slots this process has.
        var isHeld: [Bool]
        var hasGate = false
        /// Since when a slot was free whenever it was looked at, though somebody else had the gate.
        var freeSince: UInt64?
        /// Who waits, first come first.
        var line: [LockWaiter] = []
        /// When the kernel may be asked again, nanoseconds of the monotonic clock, and how long after the last time that was.
        var nextTry: UInt64 = 0
        var pause: UInt64 = firstPause
        var worker: Worker.Token?
    }

    let path: String
    private let state: Guarded<State>
    private let forks = ForkGuard.forks.load(ordering: .relaxed)

    private static let firstPause: UInt64 = 20_000
    private static let longestPause: UInt64 = 1_000_000
    /// No clock arithmetic can overflow for that.
    private static let longestSleep: UInt64 = 3_600_000_000_000
    /// Who has waited for so long asks four times less often, and …
    private static let longWait: UInt64 = 1_000_000_000
    /// … who for so long, looks whether a slot is free, and takes one that was for so long, though somebody else has the gate.
    private static let patience: UInt64 = 50_000_000

    init(files: any FileSystem, store: FileDescriptor, name: LockName, slots: Int) {
        path = store.path + "/locks/" + name.base
        state = Guarded(
            State(
                files: LockFiles(files: files, store: store, name: name, slots: slots),
                isHeld: Array(repeating: false, count: slots)))
    }

    deinit {
        // In a child the mutex may be held by a thread that isn't there.
        guard isOwn else { return }
        state.withLock { state in
            if let token = state.worker.take() { token.worker.remove(token) }
            state.files.close()
        }
    }

    var slotCount: Int { state.withLock { $0.isHeld.count } }

    /// How many wait in this process.
    var waiterCount: Int { state.withLock { $0.line.count } }

    /// Whether this process is the one that made this.
    var isOwn: Bool { forks == ForkGuard.forks.load(ordering: .relaxed) }

    /// Compares the number of slots with that of whoever made the lock.
    func check() throws(EngineError) {
        let outcome = state.withLock { state -> Result<Void, EngineError> in
            do throws(EngineError) {
                return .success(try state.files.checkBound())
            } catch {
                return .failure(error)
            }
        }
        try outcome.get()
    }

    /// Whether what asks the kernel finds everything open, and needs no disk; false too if another thread is at it.
    var isAtHand: Bool { state.withLockIfAvailable { $0.files.areOpen } ?? false }

    // MARK: Taking

    /// Takes a slot if one is free and nobody in this process waits for one.
    func tryAcquire() throws(EngineError) -> LockLease? {
        let outcome = state.withLock { state -> Result<LockLease?, EngineError> in
            guard state.line.isEmpty else { return .success(nil) }
            do throws(EngineError) {
                return .success(try takeSlot(&state))
            } catch {
                return .failure(error)
            }
        }
        return try outcome.get()
    }

    /// Takes a slot within `timeout` nanoseconds, in turn; throws `timeout`.
    func acquire(timeout: UInt64) throws(EngineError) -> LockLease {
        let waiter = LockWaiter(timeout: timeout)
        enqueue(waiter)
        while true {
            waiter.lookAround()
            if let outcome = waiter.outcome { return try outcome.get() }
            let now = SystemCalls.monotonicClock()
            let next = advance(now)
            // Only the first asks; whoever becomes the first is woken.
            let wanted = next.first === waiter ? next.time : waiter.deadline
            if wanted > now { waiter.sleep(nanoseconds: min(wanted - now, Self.longestSleep)) }
        }
    }

    /// Begins to wait; `waiter` is told what comes of it, by another thread or this one, exactly once unless it is cancelled.
    func enqueue(_ waiter: LockWaiter) {
        let now = waiter.begun
        let (isQueued, isFirst) = state.withLock { state -> (Bool, Bool) in
            if waiter.isCancelled { return (false, false) }
            state.line.append(waiter)
            if state.line.count > 1 { return (true, false) }
            // Whoever comes to an empty line asks at once.
            state.nextTry = now
            state.pause = Self.firstPause
            return (true, true)
        }
        guard isQueued else { return }
        if isFirst { _ = advance(now) }
        if waiter.isTask && waiter.outcome == nil { startWorker(for: waiter) }
    }

    /// Takes a waiter out of the line, so that it is never told anything. False: it was told already, or cancelled.
    func cancel(_ waiter: LockWaiter) -> Bool {
        let (isCancelled, next) = state.withLock { state -> (Bool, LockWaiter?) in
            if waiter.isCancelled || waiter.outcome != nil { return (false, nil) }
            waiter.isCancelled = true
            let wasFirst = state.line.first === waiter
            state.line.removeAll { $0 === waiter }
            if state.line.isEmpty { leaveGate(&state) }
            return (true, wasFirst ? state.line.first : nil)
        }
        if let next { nudge(next) }
        return isCancelled
    }

    // MARK: Letting go

    /// Lets go of a slot; false: in this process nobody has it.
    func release(_ slot: Int) -> Bool {
        guard isOwn else { return false }
        let first = state.withLock { state -> LockWaiter? in
            state.isHeld[slot] = false
            state.files.unlockSlot(slot)
            state.nextTry = 0
            state.pause = Self.firstPause
            return state.line.first
        }
        if let first {
            _ = advance(SystemCalls.monotonicClock())
            // It slept until something happens here.
            if first.outcome == nil { nudge(first) }
        }
        return true
    }

    // MARK: Turns

    /// Gives slots to those whose turn it is, and tells those whose time is up; who is the first then, and when something is to be
    /// done for it.
    private func advance(_ now: UInt64) -> (first: LockWaiter?, time: UInt64) {
        var told: [LockWaiter] = []
        let (first, time, hasChanged) = state.withLock { state -> (LockWaiter?, UInt64, Bool) in
            let before = state.line.first
            for waiter in state.line where waiter.deadline <= now {
                // Who asked for no more than one try gets that.
                if waiter === state.line.first, let lease = try? takeTurn(waiter, &state, now) {
                    waiter.set(.success(lease))
                } else {
                    waiter.set(.failure(EngineError(.timeout, "the lock was not to be had in time", path: path)))
                }
                told.append(waiter)
                state.line.removeAll { $0 === waiter }
            }
            while now >= state.nextTry, let first = state.line.first {
                do throws(EngineError) {
                    guard let lease = try takeTurn(first, &state, now) else {
                        state.nextTry = now &+ pause(first, &state, now)
                        break
                    }
                    first.set(.success(lease))
                } catch {
                    first.set(.failure(error))
                }
                told.append(first)
                state.line.removeFirst()
                state.pause = Self.firstPause
            }
            if state.line.isEmpty { leaveGate(&state) }
            guard let first = state.line.first else { return (nil, .max, false) }
            return (first, min(state.nextTry, first.deadline), first !== before)
        }
        for waiter in told { waiter.tell() }
        if let first, hasChanged { nudge(first) }
        return (first, time)
    }

    /// A slot for the first in the line, if one is free and it is this process's turn.
    private func takeTurn(_ first: LockWaiter, _ state: inout State, _ now: UInt64) throws(EngineError) -> LockLease? {
        guard state.isHeld.contains(false) else { return nil }
        if !state.hasGate { state.hasGate = try state.files.lockGate() }
        if !state.hasGate {
            guard try isGateStuck(first, &state, now) else { return nil }
        }
        guard let lease = try takeSlot(&state) else { return nil }
        state.freeSince = nil
        leaveGate(&state)
        return lease
    }

    /// Whether somebody who doesn't take a slot that is free has the gate.
    private func isGateStuck(_ first: LockWaiter, _ state: inout State, _ now: UInt64) throws(EngineError) -> Bool {
        if first.waited(until: now) < Self.patience { return false }
        for slot in state.isHeld.indices where !state.isHeld[slot] {
            guard try state.files.lockSlot(slot) else { continue }
            // Not to be taken yet: it may have been let go of just now, and the one at the gate is to find it.
            state.files.unlockSlot(slot)
            let since = state.freeSince ?? now
            state.freeSince = since
            return now >= since && now - since >= Self.patience
        }
        state.freeSince = nil
        return false
    }

    private func takeSlot(_ state: inout State) throws(EngineError) -> LockLease? {
        for slot in state.isHeld.indices where !state.isHeld[slot] {
            if try state.files.lockSlot(slot) {
                state.isHeld[slot] = true
                return LockLease(self, slot)
            }
        }
        return nil
    }

    private func leaveGate(_ state: inout State) {
        guard state.hasGate else { return }
        state.files.unlockGate()
        state.hasGate = false
    }

    /// How long not to ask the kernel: growing for who is next, at random for all others.
    private func pause(_ first: LockWaiter, _ state: inout State, _ now: UInt64) -> UInt64 {
        // This process has all slots; when it lets go of one, that is a new try.
        guard state.isHeld.contains(false) else { return Self.longestSleep }
        let factor: UInt64 = first.waited(until: now) >= Self.longWait ? 4 : 1
        if !state.hasGate { return factor * UInt64.random(in: Self.longestPause / 10..<Self.longestPause) }
        let pause = state.pause
        state.pause = min(pause * 3 / 2, factor * Self.longestPause)
        return pause
    }

    // MARK: Who asks

    /// Has somebody ask for a waiter that has become the first: its own thread, or the worker.
    private func nudge(_ waiter: LockWaiter) {
        guard waiter.isTask else { return waiter.nudge() }
        if let token = state.withLock({ $0.worker }) { token.worker.signal(token) }
    }

    private func startWorker(for waiter: LockWaiter) {
        let isRunning = state.withLock { state in
            if let token = state.worker {
                token.worker.signal(token)
                return token.worker.isRunning
            }
            let token = Worker.keeper.add { [weak self] now in self?.ask(now) }
            state.worker = token
            return token.worker.isRunning
        }
        // Without a thread that asks, the task would wait for ever.
        if !isRunning, cancel(waiter) {
            waiter.set(.failure(EngineError(.limitReached, "no thread is to be had that waits for a lock", path: path)))
            waiter.tell()
        }
    }

    /// *Worker.* Asks for the first if it is a task, and looks at the clock for the others; when to do that again.
    private func ask(_ now: UInt64) -> UInt64? {
        let (first, time) = advance(now)
        let wanted = state.withLock { state in
            state.line.reduce(first?.isTask == true ? time : .max) { $1.isTask ? min($0, $1.deadline) : $0 }
        }
        return wanted == .max ? nil : wanted
    }
}
