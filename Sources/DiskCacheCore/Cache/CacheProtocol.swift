/// What recipes need of a cache: `Cache` and `FanoutCache` have it.
public protocol CacheProtocol: AnyObject, Sendable {
    /// The cache that holds a key: this one, or the shard that has it, whose writes wait and are never dropped. In a transaction of a
    /// shard, no key of another one is part of that.
    ///
    /// Throws `keyInvalid`, `keyTooLarge`, `unencodable`.
    func shard(for key: some CacheKey) throws -> Cache
    /// The locks that lie in the cache's directory.
    var locks: NamedLocks { get }
}

extension Cache: CacheProtocol {
    /// The cache itself, which holds all its keys.
    public func shard(for key: some CacheKey) -> Cache { self }
}
