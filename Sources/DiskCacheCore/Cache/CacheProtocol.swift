/// What recipes need of a cache: `Cache` and `FanoutCache` have it.
///
/// Everything means what it means in ``Cache``, except that a `FanoutCache` may drop a write that would have to wait too long, and
/// says false then.
public protocol CacheProtocol: AnyObject, Sendable {
    /// The value of a key; nil if it is missing or expired.
    func get<V: Decodable>(_ key: some CacheKey, as type: V.Type) throws -> V?
    /// The value of a key with everything that is known of it.
    func entry<V: Decodable>(_ key: some CacheKey, as type: V.Type) throws -> Entry<V>?
    /// Whether a key is there and not expired.
    func contains(_ key: some CacheKey) throws -> Bool
    /// Stores a value.
    @discardableResult
    func set<V: Encodable>(_ key: some CacheKey, _ value: V, expire: Expiration?, tag: Tag?) throws -> Bool
    /// Stores a value if the key is missing or expired; whether it did.
    @discardableResult
    func add<V: Encodable>(_ key: some CacheKey, _ value: V, expire: Expiration?, tag: Tag?) throws -> Bool
    /// Removes a key; whether it was there.
    @discardableResult
    func delete(_ key: some CacheKey) throws -> Bool
    /// Removes a key and gives its value.
    func pop<V: Decodable>(_ key: some CacheKey, as type: V.Type) throws -> V?
    /// Gives a key another expiry; whether it was there.
    @discardableResult
    func touch(_ key: some CacheKey, expire: Expiration) throws -> Bool
    /// Reads a value, lets `body` change it and stores it, as one step that nobody can come between.
    func update<V: Codable, R>(
        _ key: some CacheKey, default start: @autoclosure () throws -> V, _ body: (inout V) throws -> R
    ) throws -> R
    /// Adds to the integer that a key holds; the sum.
    @discardableResult
    func incr(_ key: some CacheKey, by delta: Int64, default start: Int64?) throws -> Int64
    /// Runs `body` as one transaction of what holds `key`: the cache, or one shard. `body` may use no key but this one.
    func transact<R>(for key: some CacheKey, _ body: () throws -> R) throws -> R
    /// The locks that lie in the cache's directory.
    var locks: NamedLocks { get }
}

extension Cache: CacheProtocol {
    /// Runs `body` as one transaction, as `transact`: all keys of a cache are in one place. `body` may use no key but `key` if the same
    /// code shall do for a `FanoutCache`.
    @discardableResult
    public func transact<R>(for key: some CacheKey, _ body: () throws -> R) throws -> R { try transact(body) }
}
