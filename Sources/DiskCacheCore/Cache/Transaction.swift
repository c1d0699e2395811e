/// What `Cache.transact` lends its closure: subscripts that may be assigned, as part of the transaction.
///
/// ```swift
/// try cache.transact { transaction in
///     transaction["balance/a", default: 0] -= 10
///     transaction["balance/b", default: 0] += 10
/// }
/// ```
///
/// A subscript can't throw when it is assigned. The first failure, of reading or of writing, is kept: the transaction then doesn't commit,
/// and `transact` throws it. All verbs of the cache that the closure calls are part of the transaction too, and throw by themselves.
///
/// In a transaction of one shard, `FanoutCache.transact(for:)`, a key of another shard fails with `inTransaction`.
public struct Transaction: ~Copyable {
    private let cache: any PartedCache
    /// The shard that the transaction is of; nil: all there are.
    private let shard: Cache?
    private var failure: (any Error)?

    init(_ cache: any PartedCache, in shard: Cache? = nil) {
        self.cache = cache
        self.shard = shard
    }

    /// The part that has a key. Throws `inTransaction` if it isn't part of the transaction.
    private func part(of key: some CacheKey) throws -> Cache {
        let part = try cache.shard(for: key)
        if let shard, part !== shard {
            throw CacheError(
                .inTransaction, "the key lies in another shard than the one that the transaction is of",
                path: part.directory)
        }
        return part
    }

    /// The value of a key as the transaction sees it; nil if it is missing or expired. Assigning stores a value with the cache's default
    /// expiry and no tag. Assigning nil removes the key; a nil says of what type it would be: `transaction["key"] = Int?.none`.
    ///
    /// A read that fails gives nil; `value(forKey:)` throws instead.
    public subscript<V: Codable>(key: some CacheKey, as type: V.Type = V.self) -> V? {
        mutating get {
            do {
                return try part(of: key).get(key, as: V.self)
            } catch {
                fail(error)
                return nil
            }
        }
        set {
            do {
                if let newValue {
                    try part(of: key).set(key, newValue)
                } else {
                    try part(of: key).delete(key)
                }
            } catch {
                fail(error)
            }
        }
    }

    /// The value of a key, or `start` if it is missing or expired. Assigning keeps the expiry and the tag of an item that is there.
    public subscript<V: Codable>(key: some CacheKey, default start: @autoclosure () -> V) -> V {
        mutating get {
            do {
                return try part(of: key).get(key, as: V.self) ?? start()
            } catch {
                fail(error)
                return start()
            }
        }
        set {
            do {
                try part(of: key).update(key, default: newValue) { $0 = newValue }
            } catch {
                fail(error)
            }
        }
    }

    /// The value of a key as the transaction sees it; nil if it is missing or expired. Throws as `Cache.get`.
    public func value<V: Decodable>(forKey key: some CacheKey, as type: V.Type = V.self) throws -> V? {
        try part(of: key).get(key, as: V.self)
    }

    private mutating func fail(_ error: any Error) {
        if failure == nil { failure = error }
    }

    /// Throws the first failure, if there was one.
    consuming func finish() throws {
        if let failure { throw failure }
    }
}
