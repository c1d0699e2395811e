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
public struct Transaction: ~Copyable {
    private let cache: any PartedCache
    private var failure: (any Error)?

    init(_ cache: any PartedCache) { self.cache = cache }

    /// The value of a key as the transaction sees it; nil if it is missing or expired. Assigning stores a value with the cache's default
    /// expiry and no tag, assigning nil removes the key.
    ///
    /// A read that fails gives nil; `value(forKey:)` throws instead.
    public subscript<V: Codable>(key: some CacheKey, as type: V.Type = V.self) -> V? {
        mutating get {
            do {
                return try cache.shard(for: key).get(key, as: V.self)
            } catch {
                fail(error)
                return nil
            }
        }
        set {
            do {
                if let newValue {
                    try cache.shard(for: key).set(key, newValue)
                } else {
                    try cache.shard(for: key).delete(key)
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
                return try cache.shard(for: key).get(key, as: V.self) ?? start()
            } catch {
                fail(error)
                return start()
            }
        }
        set {
            do {
                try cache.shard(for: key).update(key, default: newValue) { $0 = newValue }
            } catch {
                fail(error)
            }
        }
    }

    /// The value of a key as the transaction sees it; nil if it is missing or expired. Throws as `Cache.get`.
    public func value<V: Decodable>(forKey key: some CacheKey, as type: V.Type = V.self) throws -> V? {
        try cache.shard(for: key).get(key, as: V.self)
    }

    private mutating func fail(_ error: any Error) {
        if failure == nil { failure = error }
    }

    /// Throws the first failure, if there was one.
    consuming func finish() throws {
        if let failure { throw failure }
    }
}
