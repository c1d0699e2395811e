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
    private var taken = 0
    /// How often it was taken and not given back. In a child of a fork that is never: its parent holds the lock.
    var depth: Int {
        get { leases.isHeld ? taken : 0 }
        set { taken = newValue }
    }

    /// The lock `name` of a cache. Nothing is made or taken yet.
    public init(_ cache: some CacheProtocol, _ name: String) {
        leases = Leases(cache.locks.handle(.lock, name.utf8))
    }

    /// Takes the lock, or takes it again; waits until it is to be had. Throws `timeout` if that takes longer than `timeout`.
    public func lock(timeout: Duration?) throws {
        let before = depth
        if before == 0 { try leases.take(timeout: timeout) }
        depth = before + 1
    }

    /// Takes the lock, or takes it again, if that needs no waiting; whether it did.
    public func tryLock() throws -> Bool {
        let before = depth
        guard try before > 0 || leases.tryTake() else { return false }
        depth = before + 1
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
