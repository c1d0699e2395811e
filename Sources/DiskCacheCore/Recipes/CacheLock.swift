/// A lock between threads, tasks and processes, by a name in a cache: ``Lock``, `RecursiveLock` and `BoundedSemaphore`.
///
/// **The object is the holder**, not the thread that called: what `lock` took, `unlock` of the same object gives back, on any thread.
/// Another object of the same name doesn't hold it, in this process as in any other. An object that nothing refers to any
/// more gives back what it holds, and so does a process that dies.
///
/// **Waiting** costs no processor time to speak of. In a process it is first come, first served; between processes nobody who waits
/// gets the lock twice while somebody else waits at the head, unless that one lets it lie free for 50 ms, as a process that was stopped
/// does; and who is next of those behind is left to chance. `tryLock` waits for nobody, so it may pass those by who wait in other
/// processes: one that is called again and again may starve them.
///
/// Locks hold no data: they are files in the cache's directory, which `clear` leaves alone, and nothing of them expires or is evicted.
public protocol CacheLock: AnyObject {
    /// Takes the lock; waits until it is to be had.
    ///
    /// Throws `timeout` if that takes longer than `timeout` (nil: as long as it takes), `directoryRemoved`, `io`.
    func lock(timeout: Duration?) throws
    /// Takes the lock if that needs no waiting; whether it did.
    func tryLock() throws -> Bool
    /// Gives the lock back. Throws `lockNotHeld` if this object doesn't hold it.
    func unlock() throws
}

extension CacheLock {
    /// Takes the lock; waits as long as it takes.
    public func lock() throws { try lock(timeout: nil) }

    /// Runs `body` with the lock. Throws as `lock(timeout:)`, and what `body` throws.
    public func withLock<R>(timeout: Duration? = nil, _ body: () throws -> R) throws -> R {
        try lock(timeout: timeout)
        let result: R
        do {
            result = try body()
        } catch {
            try? unlock()
            throw error
        }
        // Thrown if `body` gave back what it had not taken: others may have come in meanwhile.
        try unlock()
        return result
    }
}
