public import DiskCacheCore
import DiskCacheEngine

/// A lock by a name that its holder may take again: it is free when it was given back as often as it was taken.
///
/// ```swift
/// let lock = RecursiveLock(cache, "ledger")
/// try lock.withLock { try lock.withLock { … } }
/// ```
///
/// The object is the holder, so it isn't `Sendable`: two threads that share one would both be let in. Make one for each thread
/// or task; by their name they exclude each other. It is the same lock as the ``Lock`` of that name.
public final class RecursiveLock: CacheLock {
    let leases: Leases
    /// How often it was taken and not given back.
    var depth = 0

    /// The lock `name` of a cache. Nothing is made or taken yet.
    public init(_ cache: some CacheProtocol, _ name: String) {
        leases = Leases(cache.locks.handle(.lock, name.utf8))
    }

    /// Takes the lock, or takes it again; waits until it is to be had. Throws `timeout` if that takes longer than `timeout`.
    public func lock(timeout: Duration?) throws {
        if depth == 0 { try leases.take(timeout: timeout) }
        depth += 1
    }

    /// Takes the lock, or takes it again, if that needs no waiting; whether it did.
    public func tryLock() throws -> Bool {
        guard try depth > 0 || leases.tryTake() else { return false }
        depth += 1
        return true
    }

    /// Gives the lock back once. Throws `lockNotHeld` if this object doesn't hold it.
    public func unlock() throws {
        if depth <= 1 {
            depth = 0
            return try leases.giveBack()
        }
        depth -= 1
    }
}
