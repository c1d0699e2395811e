package import DiskCacheEngine

/// What one lock object holds: a lease for each time that it took one and hasn't given it back.
package final class Leases: Sendable {
    private let lock: NamedLockHandle
    private let held = Guarded<[LockLease]>([])

    package init(_ lock: NamedLockHandle) { self.lock = lock }

    /// Throws `invalidSetting` if whoever made the lock gave it another number of slots.
    package func check() throws { try rethrowing { () throws(EngineError) in try lock.check() } }

    /// Waits for a lease.
    package func take(timeout: Duration?) throws {
        let nanoseconds = timeout?.clampedNanoseconds ?? .max
        keep(try rethrowing { () throws(EngineError) in try lock.acquire(timeout: nanoseconds) })
    }

    /// Takes a lease if one is to be had now.
    package func tryTake() throws -> Bool {
        guard let lease = try rethrowing({ () throws(EngineError) in try lock.tryAcquire() }) else { return false }
        keep(lease)
        return true
    }

    /// Whether the lock can be asked for without a look at the disk.
    package var isAtHand: Bool { lock.isAtHand }

    /// A place in the line that no thread waits in: `notify` is called, on any thread, when the lease is had or isn't to be had.
    package func place(
        timeout: Duration?, _ notify: @escaping @Sendable (Result<Void, CacheError>) -> Void
    ) throws -> NamedLockHandle.Place {
        try rethrowing { () throws(EngineError) in
            try lock.place(timeout: timeout?.clampedNanoseconds ?? .max) { outcome in
                if case .success(let lease) = outcome { self.keep(lease) }
                notify(outcome.map { _ in }.mapError { CacheError($0) })
            }
        }
    }

    /// Whether the newest lease is this process's own, and not one inherited by a fork.
    package var isHeld: Bool { held.withLock { $0.last?.isOwn ?? false } }

    private func keep(_ lease: LockLease) { held.withLock { $0.append(lease) } }

    /// Gives the newest lease back.
    package func giveBack() throws {
        // Inherited by a fork they are worth nothing, and say so.
        if let lease = held.withLock({ $0.popLast() }), lease.release() { return }
        throw CacheError(.lockNotHeld, "only who holds a lock can unlock it")
    }
}
