/// What is about the cache beneath as a whole, whatever its keys' prefixes and versions.
extension NamespacedCache {
    /// Removes everything from the cache beneath; how many items there were. As ``Cache/clear()``. For the items of one prefix there is
    /// ``removeAll(version:)``.
    @discardableResult
    public func clear() throws -> Int { try base.clear() }

    /// Removes all items that have expired; how many. As ``Cache/expire()``.
    @discardableResult
    public func removeExpired() throws -> Int { try base.expire() }

    /// Removes what has expired, then items in the order of the eviction policy until the cache is within its size limit; how many went. As
    /// ``Cache/cull()``.
    @discardableResult
    public func cull() throws -> Int { try base.cull() }

    /// Removes all items with a tag; how many there were. As ``Cache/evict(tag:)``: tags have no prefix.
    @discardableResult
    public func evict(tag: Tag) throws -> Int { try base.evict(tag: tag) }

    /// Removes all items without a tag; how many there were. As ``Cache/evictUntagged()``.
    @discardableResult
    public func evictUntagged() throws -> Int { try base.evictUntagged() }

    /// Hits and misses of all processes, since `resetStatistics`; as `Cache.statistics`. No lock.
    public var statistics: Cache.Statistics { get throws { try base.statistics } }

    /// Sets hits and misses to 0. No lock.
    public func resetStatistics() throws { try base.resetStatistics() }
}
