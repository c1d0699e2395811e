public import DiskCacheCore

/// A running average, kept under a key of a cache.
///
/// ```swift
/// let latency = Averager(cache, "latency", expire: .after(.seconds(3600)))
/// try latency.add(0.12)
/// let average = try latency.average()
/// ```
public final class Averager: Sendable {
    private struct Sum: Codable {
        var total = 0.0
        var count = 0

        var average: Double? { count > 0 ? total / Double(count) : nil }
    }

    private let cache: any CacheProtocol
    private let key: any CacheKey
    private let expire: Expiration?
    private let tag: Tag?

    /// The average under `key`, which needn't be there.
    ///
    /// - Parameters:
    ///   - expire: When the average is forgotten if nothing was added since; nil: as the cache's default has it.
    ///   - tag: for `evict(tag:)`.
    public init(_ cache: some CacheProtocol, _ key: some CacheKey, expire: Expiration? = nil, tag: Tag? = nil) {
        self.cache = cache
        self.key = key
        self.expire = expire
        self.tag = tag
    }

    /// Adds a value, and lets the expiry begin anew. As one step: nothing that others add at the same time is lost. Throws as
    /// `Cache.update`.
    public func add(_ value: Double) throws {
        let cache = try cache.shard(for: key)
        try cache.transact {
            var sum = try cache.get(key, as: Sum.self) ?? Sum()
            sum.total += value
            sum.count += 1
            try cache.set(key, sum, expire: expire, tag: tag)
        }
    }

    /// The average of what was added; nil: nothing was. Takes no lock.
    public func average() throws -> Double? { try cache.shard(for: key).get(key, as: Sum.self)?.average }

    /// The average of what was added, which begins anew with that; nil: nothing was.
    public func popAverage() throws -> Double? {
        try cache.shard(for: key).pop(key, as: Sum.self)?.average
    }
}
