import Synchronization

/// Somebody who waits for a slot of a `NamedLock`: a thread that sleeps here, or a task that is called.
///
/// All but `sleep` and `wake` belongs to the lock's mutex, except that `outcome` is read by whoever sees that it is there.
package final class LockWaiter: @unchecked Sendable {
    private static let waiting: UInt32 = 0
    private static let told: UInt32 = 1
    private static let nudged: UInt32 = 2

    /// When the waiting began, and when it has been too long, nanoseconds of the monotonic clock.
    let begun: UInt64
    let deadline: UInt64
    var isCancelled = false
    private let word = ParkingWord(waiting)
    private var result: Result<LockLease, EngineError>?
    private let notify: (@Sendable (Result<LockLease, EngineError>) -> Void)?

    /// Somebody who waits for so many nanoseconds from now on; `notify` is called without the mutex.
    init(timeout: UInt64, notify: (@Sendable (Result<LockLease, EngineError>) -> Void)? = nil) {
        begun = SystemCalls.monotonicClock()
        let sum = begun.addingReportingOverflow(timeout)
        deadline = sum.overflow ? .max : sum.partialValue
        self.notify = notify
    }

    /// Whether it is a task, which nobody lets wait in a thread.
    var isTask: Bool { notify != nil }

    /// How long it has waited. `now` may have been read before it came.
    func waited(until now: UInt64) -> UInt64 { now > begun ? now - begun : 0 }

    /// What came of it; nil as long as nothing did.
    var outcome: Result<LockLease, EngineError>? { word.load() == Self.told ? result : nil }

    func set(_ outcome: Result<LockLease, EngineError>) {
        result = outcome
        word.store(Self.told)
    }

    /// *Without the mutex.* Tells of an outcome that was set.
    func tell() {
        if let notify, let outcome { notify(outcome) } else { word.wake() }
    }

    /// *Without the mutex.* Has the thread look around: it is the first now, or a slot is free.
    func nudge() {
        if word.replace(Self.waiting, with: Self.nudged) { word.wake() }
    }

    /// *The waiting thread.* From here on a nudge isn't missed: `sleep` ends at once then.
    func lookAround() { _ = word.replace(Self.nudged, with: Self.waiting) }

    /// *The waiting thread.* Sleeps until there is an outcome or a nudge, for so long at most.
    func sleep(nanoseconds: UInt64) { word.wait(while: Self.waiting, nanoseconds: nanoseconds) }
}

/// A slot of a `NamedLock` that this process holds, until `release`, or until nothing refers to it any more.
package final class LockLease: Sendable {
    private let lock: NamedLock
    private let slot: Int
    private let isHeld = Atomic<Bool>(true)

    init(_ lock: NamedLock, _ slot: Int) {
        self.lock = lock
        self.slot = slot
    }

    deinit { _ = release() }

    /// Whether it was taken by this process, and not by the one that this one was forked from.
    package var isOwn: Bool { lock.isOwn }

    /// Lets go. False: it had been let go of, or belongs to the process that this one was forked from.
    package func release() -> Bool {
        guard isHeld.exchange(false, ordering: .acquiringAndReleasing) else { return false }
        return lock.release(slot)
    }
}
