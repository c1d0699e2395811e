extension FanoutCache: CacheProtocol {
    /// The shard that holds a key; its writes wait for the lock and are never dropped.
    public func shard(for key: some CacheKey) throws -> Cache { try part(for: key) }

    /// The locks that lie in the cache's directory: in its first shard.
    public var locks: NamedLocks { parts[0].locks }
}
