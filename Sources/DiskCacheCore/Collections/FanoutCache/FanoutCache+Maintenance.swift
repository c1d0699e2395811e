internal import DiskCacheEngine

extension FanoutCache {
    /// How many items there are in all shards, expired ones that nothing has removed yet included. O(shards), no lock.
    public var count: Int { get throws { try parts.reduce(0) { $0.addingClamped(try $1.count) } } }

    /// Bytes that the shards take on disk; what has a name of its own, as `cache(_:)`, isn't counted.
    public var volume: Int { get throws { try parts.reduce(0) { $0.addingClamped(try $1.volume) } } }

    /// Makes everything durable that is stored now, shard by shard. As ``Cache/sync()``.
    public func sync() throws { for part in parts { try part.sync() } }

    /// Gives back now everything that is dead, shard by shard. As ``Cache/compact()``.
    public func compact() throws { for part in parts { try part.compact() } }

    /// Proves each shard, as ``Cache/check(fix:)``; what was found in all of them, the shard named first. One shard's lock is held at a
    /// time.
    public func check(fix: Bool = false) throws -> [Cache.Finding] {
        try parts.enumerated().flatMap { number, part in
            try part.check(fix: fix).map {
                Cache.Finding(kind: $0.kind, message: "shard \(FanoutDirectory.name(of: number)): \($0.message)")
            }
        }
    }

    /// What was found and done about it when this process opened the shards, by their numbers; empty: everything was as it should be.
    public var recoveries: [Int: Cache.Recovery] {
        get throws {
            var recoveries: [Int: Cache.Recovery] = [:]
            for (number, part) in parts.enumerated() { recoveries[number] = try part.recovery }
            return recoveries
        }
    }

    // MARK: Expiry, size, tags

    /// Removes all items that have expired; how many. Goes on until all is done, as `clear`.
    @discardableResult
    public func expire() throws -> Int { try removingFromAll { try $0.expire() } }

    /// Removes all items that have expired at a given time, in seconds since 1970; as `expire()`.
    @discardableResult
    public func expire(asOf seconds: Double) throws -> Int {
        try removingFromAll { try $0.expire(asOf: seconds) }
    }

    /// Removes what has expired, then items in the order of the eviction policy until each shard is within its share of the size limit;
    /// how many went. Goes on until all is done, as `clear`.
    @discardableResult
    public func cull() throws -> Int { try removingFromAll { try $0.cull() } }

    /// Removes all items with a tag; how many there were. Goes on until all is done, as `clear`.
    @discardableResult
    public func evict(tag: Tag) throws -> Int { try removingFromAll { try $0.evict(tag: tag) } }

    /// Removes all items without a tag; how many there were. Goes on until all is done, as `clear`.
    @discardableResult
    public func evictUntagged() throws -> Int { try removingFromAll { try $0.evictUntagged() } }

    // MARK: Statistics

    /// Hits and misses of all processes in all shards, since `resetStatistics`. No lock.
    public var statistics: Cache.Statistics {
        get throws {
            let all = try parts.map { try $0.statistics }
            return Cache.Statistics(
                hits: all.reduce(0) { $0.addingClamped($1.hits) },
                misses: all.reduce(0) { $0.addingClamped($1.misses) })
        }
    }

    /// Sets hits and misses to 0. Reads at the same moment may stay uncounted. No lock.
    public func resetStatistics() throws { for part in parts { try part.resetStatistics() } }

    /// The metrics of all shards together, as of now. No lock.
    public var metrics: Cache.Metrics {
        get throws {
            let all = try parts.map { try $0.metrics }
            func sum(_ value: (Cache.Metrics) -> Int) -> Int { all.reduce(0) { $0.addingClamped(value($1)) } }
            return Cache.Metrics(
                commits: sum(\.commits), evicted: sum(\.evicted), expired: sum(\.expired),
                bytesWritten: sum(\.bytesWritten), compactedBytes: sum(\.compactedBytes), syncs: sum(\.syncs),
                lockWaits: sum(\.lockWaits), lockWaitTime: all.reduce(.zero) { $0 + $1.lockWaitTime },
                liveBytes: sum(\.liveBytes))
        }
    }
}
