internal import DiskCacheEngine

extension Cache {
    /// Hits and misses.
    public struct Statistics: Sendable, Hashable {
        /// Reads that found what they asked for.
        public let hits: Int
        /// Reads that found nothing, or something expired.
        public let misses: Int
    }

    /// Hits and misses of all processes, since `resetStatistics`. No lock.
    ///
    /// They are counted while the setting `statistics` is true, and kept when it is switched off. `get`, its subscript, `withValue`,
    /// `entry`, `open`, `getMany` and memoised functions count; nothing else does.
    public var statistics: Statistics {
        get throws {
            let sums = try withStore { $0.statistics }
            return Statistics(hits: Int(clamping: sums.hits), misses: Int(clamping: sums.misses))
        }
    }

    /// Sets hits and misses to 0. Reads at the same moment may stay uncounted. No lock.
    public func resetStatistics() throws {
        try withStore { $0.resetStatistics() }
    }

    /// What an operator wants to know: of all processes, since the cache was made or the machine restarted.
    public struct Metrics: Sendable, Hashable {
        /// Transactions that changed something.
        public let commits: Int
        /// Items that went because the cache was too large, or with their tag.
        public let evicted: Int
        /// Items that were removed because they had expired.
        public let expired: Int
        /// Bytes appended to the log.
        public let bytesWritten: Int
        /// Bytes of the log that were given back.
        public let compactedBytes: Int
        /// How often the cache was synced.
        public let syncs: Int
        /// How often a writer waited for the write lock.
        public let lockWaits: Int
        /// How long writers waited for it in all.
        public let lockWaitTime: Duration
        /// Bytes of items, files included: what `sizeLimit` is held against.
        public let liveBytes: Int
    }

    /// The metrics as of now. No lock.
    public var metrics: Metrics {
        get throws {
            let (metrics, live) = try withStore { ($0.metrics, $0.liveBytes) }
            return Metrics(
                commits: Int(clamping: metrics.commits), evicted: Int(clamping: metrics.evicted),
                expired: Int(clamping: metrics.expired), bytesWritten: Int(clamping: metrics.bytesWritten),
                compactedBytes: Int(clamping: metrics.compactedBytes), syncs: Int(clamping: metrics.syncs),
                lockWaits: Int(clamping: metrics.lockWaits),
                lockWaitTime: .nanoseconds(Int64(clamping: metrics.lockWaitNanoseconds)), liveBytes: live)
        }
    }
}
