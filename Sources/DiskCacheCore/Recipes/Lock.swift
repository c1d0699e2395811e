internal import DiskCacheEngine

/// A lock by a name: one holder at a time, of all threads, tasks and processes that use the same cache directory.
///
/// ```swift
/// let lock = Lock(cache, "nightly report")
/// try lock.withLock { try writeReport() }
/// ```
///
/// See ``CacheLock`` for who holds it and how it is waited for. Not recursive: an object that holds it waits for itself.
/// Eight system calls a pair of `lock` and `unlock` when nobody else wants it.
public final class Lock: CacheLock, Sendable {
    package let leases: Leases

    /// The lock `name` of a cache. Nothing is made or taken yet.
    public init(_ cache: some CacheProtocol, _ name: String) {
        leases = Leases(cache.locks.handle(.lock, name.utf8))
    }

    /// Takes the lock; waits until it is to be had. Throws `timeout` if that takes longer than `timeout`.
    public func lock(timeout: Duration?) throws { try leases.take(timeout: timeout) }

    /// Takes the lock if it is free and nobody in this process waits for it; whether it did.
    public func tryLock() throws -> Bool { try leases.tryTake() }

    /// Gives the lock back. Throws `lockNotHeld` if this object doesn't hold it.
    public func unlock() throws { try leases.giveBack() }
}
