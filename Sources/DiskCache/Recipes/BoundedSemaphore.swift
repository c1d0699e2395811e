public import DiskCacheCore
import DiskCacheEngine

/// A semaphore by a name: as many holders at a time as its bound says, of all threads, tasks and processes that use the same cache
/// directory.
///
/// ```swift
/// let downloads = try BoundedSemaphore(cache, "downloads", bound: 3)
/// try downloads.withLock { try download(url) }
/// ```
///
/// What each holder has is its own lease: when a process dies, what it held is free, and only that. One object may hold several
/// leases, one for each `lock`. See ``CacheLock`` for who holds what and how it is waited for.
public final class BoundedSemaphore: CacheLock, Sendable {
    /// How many may hold it at a time, for good: it is stored with the first use of the name.
    public let bound: Int
    let leases: Leases

    /// The largest bound: each lease is an open file.
    public static let largestBound = 1024

    /// The semaphore `name` of a cache. Throws `invalidSetting` if it was made with another bound, or if `bound` isn't from 1 to
    /// `largestBound`.
    public init(_ cache: some CacheProtocol, _ name: String, bound: Int) throws {
        guard (1...Self.largestBound).contains(bound) else {
            throw CacheError(
                .invalidSetting, "the bound of a semaphore is from 1 to \(Self.largestBound), not \(bound)")
        }
        self.bound = bound
        leases = Leases(cache.locks.handle(.semaphore, name.utf8, slots: bound))
        try leases.check()
    }

    /// Takes a lease; waits until one is to be had. Throws `timeout` if that takes longer than `timeout`.
    public func lock(timeout: Duration?) throws { try leases.take(timeout: timeout) }

    /// Takes a lease if one is free and nobody in this process waits for one; whether it did.
    public func tryLock() throws -> Bool { try leases.tryTake() }

    /// Gives a lease back. Throws `lockNotHeld` if this object has none.
    public func unlock() throws { try leases.giveBack() }
}
