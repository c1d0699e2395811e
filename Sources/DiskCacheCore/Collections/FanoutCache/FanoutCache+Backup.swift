internal import DiskCacheEngine

extension FanoutCache {
    /// Copies the cache into a directory of its own, while any number of processes use it: a `FanoutCache` of as many shards.
    ///
    /// As ``Cache/backup(to:shares:)`` for each shard, one after the other: each is as of one commit of its own, so of a transaction of all
    /// shards the copy may have a part. Nobody waits for it. The directory gets its name when all of it is there and durable; until
    /// then nothing stands there. What has a name of its own, as `cache(_:)`, isn't part of it, and has a `backup` of its own.
    ///
    /// - Parameters:
    ///   - directory: Where the copy will stand: nothing may be there, or an empty directory. `~` and `$NAME` are expanded.
    ///   - shares: false: copy all of it, so that damage to a sector of the disk doesn't meet both.
    ///
    /// Throws as the `backup` of a `Cache`.
    @discardableResult
    public func backup(to directory: String, shares: Bool = true) throws -> Backup {
        try rethrowing { () throws(EngineError) in
            let reports = try FanoutBackup.make(
                of: parts.map(\.handle), in: self.directory, to: expandPath(directory), shares: shares, environment)
            return Backup(shards: reports.map { Cache.Backup($0) })
        }
    }

    /// What a backup came to.
    public struct Backup: Sendable, Hashable {
        /// What that of each shard came to, in their order.
        public let shards: [Cache.Backup]

        /// Items, expired ones that nothing had removed yet included.
        public var count: Int { shards.reduce(0) { $0.addingClamped($1.count) } }
        /// Files of all shards: segments of the log and large values.
        public var files: Int { shards.reduce(0) { $0 + $1.files } }
        /// Bytes that it shares with the original.
        public var sharedBytes: Int { shards.reduce(0) { $0.addingClamped($1.sharedBytes) } }
        /// Bytes that were copied.
        public var copiedBytes: Int { shards.reduce(0) { $0.addingClamped($1.copiedBytes) } }
        /// What the original has lost, the shard named first.
        public var losses: [String] {
            shards.enumerated().flatMap { number, shard in
                shard.losses.map { "shard \(FanoutDirectory.name(of: number)): \($0)" }
            }
        }
    }

    // MARK: Merging

    /// Takes over the items of another cache of shards, whatever their number; the other one stays as it is. As
    /// ``Cache/merge(from:policy:)-(Cache,_)``, shard by shard.
    ///
    /// Never dropped: throws `timeout` where a shard's lock isn't to be had within `timeout`, and then has taken what came before it.
    @discardableResult
    public func merge(from other: FanoutCache, policy: MergePolicy = .newer) throws -> Cache.MergeResult {
        try takeItems(of: other, policy)
    }

    /// Takes over the items of a plain cache; as the other `merge`.
    @discardableResult
    public func merge(from other: Cache, policy: MergePolicy = .newer) throws -> Cache.MergeResult {
        try takeItems(of: other, policy)
    }

    /// Takes over the items of the cache in another directory, of shards or plain. Throws `io` if there is none,
    /// `nameInvalid` for a path that is empty or has a zero byte in it.
    @discardableResult
    public func merge(from directory: String, policy: MergePolicy = .newer) throws -> Cache.MergeResult {
        try takeItems(at: directory, policy)
    }
}

extension Cache {
    /// Takes over the items of all shards of another cache; as ``merge(from:policy:)-(Cache,_)``.
    @discardableResult
    public func merge(from other: FanoutCache, policy: MergePolicy = .newer) throws -> MergeResult {
        try takeItems(of: other, policy)
    }
}

extension PartedCache {
    /// Takes over the items of the cache in another directory, of shards or plain.
    func takeItems(at directory: String, _ policy: MergePolicy) throws -> Cache.MergeResult {
        let path = try rethrowing { () throws(EngineError) in try StoreHandle.absolutePath(expandPath(directory)) }
        var configuration = Cache.Configuration()
        configuration.anySerializer = true
        if FanoutDirectory.isThere(path) {
            let other = try FanoutCache(directory: path, configuration: configuration)
            defer { try? other.close() }
            return try takeItems(of: other, policy)
        }
        guard StoreHandle.holdsStore(path) else {
            throw CacheError(.io, "there is no cache in this directory", path: path)
        }
        let other = try Cache(directory: path, configuration: configuration)
        defer { try? other.close() }
        return try takeItems(of: other, policy)
    }
}
