public import DiskCacheCore

/// What takes long, each as the plain verb of the same name says; it runs where it is in nobody's way. Work that has begun is done to its
/// end, whether the task is cancelled or not.
extension AsyncCache where Base == Cache {
    /// Removes all items that have expired; how many.
    @discardableResult
    public func expire() async throws -> Int { try await lasting { [base] in try base.expire() } }

    /// Removes all items that have expired at a given time, in seconds since 1970; how many.
    @discardableResult
    public func expire(asOf seconds: Double) async throws -> Int {
        try await lasting { [base] in try base.expire(asOf: seconds) }
    }

    /// Removes all items with a tag; how many there were.
    @discardableResult
    public func evict(tag: Tag) async throws -> Int { try await lasting { [base] in try base.evict(tag: tag) } }

    /// Removes all items without a tag; how many there were.
    @discardableResult
    public func evictUntagged() async throws -> Int { try await lasting { [base] in try base.evictUntagged() } }

    /// Removes what has expired, then items in the order of the eviction policy until the cache is within its size limit; how many went.
    @discardableResult
    public func cull() async throws -> Int { try await lasting { [base] in try base.cull() } }

    /// Removes everything, at one instant; how many items there were.
    @discardableResult
    public func clear() async throws -> Int { try await lasting { [base] in try base.clear() } }

    /// Proves log, index, orders, counters and value files against each other; what was found.
    public func check(fix: Bool = false) async throws -> [Cache.Finding] {
        try await lasting { [base] in try base.check(fix: fix) }
    }

    /// Makes everything durable that is stored now.
    public func sync() async throws { try await lasting { [base] in try base.sync() } }

    /// Changes settings, for all processes.
    public func configure(_ change: @escaping @Sendable (inout Cache.Settings) throws -> Void) async throws {
        try await lasting { [base] in try base.configure(change) }
    }

    /// Gives back all that is dead in the cache.
    public func compact() async throws { try await lasting { [base] in try base.compact() } }

    /// Copies the cache as it is at this moment into a directory of its own; what the copy came to.
    @discardableResult
    public func backup(to directory: String, shares: Bool = true) async throws -> Cache.Backup {
        try await lasting { [base] in try base.backup(to: directory, shares: shares) }
    }

    /// Takes over the items of another cache.
    @discardableResult
    public func merge(from other: Cache, policy: MergePolicy = .newer) async throws -> Cache.MergeResult {
        try await lasting { [base] in try base.merge(from: other, policy: policy) }
    }

    /// Takes over the items of all shards of another cache.
    @discardableResult
    public func merge(from other: FanoutCache, policy: MergePolicy = .newer) async throws -> Cache.MergeResult {
        try await lasting { [base] in try base.merge(from: other, policy: policy) }
    }

    /// Takes over the items of the cache in another directory, plain or of shards.
    @discardableResult
    public func merge(from directory: String, policy: MergePolicy = .newer) async throws -> Cache.MergeResult {
        try await lasting { [base] in try base.merge(from: directory, policy: policy) }
    }

    /// The settings as of now, whoever changed them last.
    public var settings: Cache.Settings { get async throws { try await reading { [base] in try base.settings } } }

    /// Hits and misses, if they are counted.
    public var statistics: Cache.Statistics {
        get async throws { try await reading { [base] in try base.statistics } }
    }

    /// Sets hits and misses to zero.
    public func resetStatistics() async throws { try await writing { [base] in try base.resetStatistics() } }

    /// What the cache has done, by all processes.
    public var metrics: Cache.Metrics { get async throws { try await reading { [base] in try base.metrics } } }

    /// What opening the cache found and did; nil: nothing, it was whole.
    public var recovery: Cache.Recovery? { get async throws { try await reading { [base] in try base.recovery } } }

    /// How many items there are, expired ones that nothing has removed yet included. At once.
    public var count: Int { get throws { try base.count } }

    /// Bytes that the cache takes on disk.
    public var volume: Int { get async throws { try await reading { [base] in try base.volume } } }

    /// Lets go of the directory; the next call of anything opens it again.
    public func close() async throws { try await lasting { [base] in try base.close() } }
}
