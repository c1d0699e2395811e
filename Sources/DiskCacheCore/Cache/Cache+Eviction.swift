internal import DiskCacheEngine

/// What has expired, and what is too much. An item that has expired is as good as missing from that instant on; its space comes back
/// with later writes, each of which removes up to `cullLimit` of them, or at once with `expire()`.
extension Cache {
    /// Removes all items that have expired; how many.
    ///
    /// In transactions of at most 1,000 items or a millisecond, so that other writers wait no longer; inside of a transaction of
    /// yours it is part of that. O(expired · log), plus one pass over the index now and then. Takes the write lock for each of
    /// them; a `timeout` says in `removed` how many items went before it.
    @discardableResult
    public func expire() throws -> Int {
        try withStore { (store) throws(EngineError) in try store.expire(timeout: handle.timeout) }
    }

    /// Removes all items that have expired at a given time, in seconds since 1970; as `expire()`.
    @discardableResult
    public func expire(asOf seconds: Double) throws -> Int {
        let instant = Expiration.at(secondsSinceEpoch: seconds).microseconds(now: handle.now()) ?? .max
        return try withStore { (store) throws(EngineError) in
            try store.expire(timeout: handle.timeout, at: instant)
        }
    }

    /// Removes what has expired, then items in the order of the eviction policy until the cache is within its size limit, whatever
    /// `cullLimit` says; how many went. Afterwards `volume` is at most `sizeLimit`, or 4 MiB if that is more.
    ///
    /// With the policy `none` only what has expired goes. Takes the write lock in batches, as `expire()`; waits for the disk, since
    /// files go only when what replaced them is durable.
    @discardableResult
    public func cull() throws -> Int {
        try withStore { (store) throws(EngineError) in try store.cull(timeout: handle.timeout) }
    }
}
