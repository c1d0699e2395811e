internal import DiskCacheEngine

/// What `FanoutCache.snapshot` lends its closure: each shard as of one instant of its own, whatever others write meanwhile.
///
/// Reads of one key, or of one shard, agree as those of a ``Snapshot`` do. The shards' instants follow each other within microseconds, so
/// what a transaction of all shards wrote may be seen in some of them. No read takes a lock, and none counts as hit or miss.
public struct FanoutSnapshot: ~Copyable {
    private let cache: FanoutCache
    private let snapshots: [Cache.OpenSnapshot]

    init(_ cache: FanoutCache, _ snapshots: [Cache.OpenSnapshot]) {
        self.cache = cache
        self.snapshots = snapshots
    }

    /// How many items there were, expired ones that nothing had removed included. O(shards).
    public var count: Int { get throws { try each { $0.count }.reduce(0) { $0.addingClamped($1) } } }

    /// The value of a key; nil if it was missing or expired. Throws as `Cache.get`, and `snapshotExpired`.
    public func get<V: Decodable>(_ key: some CacheKey, as type: V.Type = V.self) throws -> V? {
        try shard(of: key) { try $0.get(key, as: V.self) }
    }

    /// The value of a key, or `value` if it was missing or expired.
    public func get<V: Decodable>(_ key: some CacheKey, default value: @autoclosure () throws -> V) throws -> V {
        try get(key, as: V.self) ?? value()
    }

    /// Whether a key was there and not expired.
    public func contains(_ key: some CacheKey) throws -> Bool { try shard(of: key) { try $0.contains(key) } }

    /// The value of a key with everything that was known of it.
    public func entry<V: Decodable>(_ key: some CacheKey, as type: V.Type = V.self) throws -> Entry<V>? {
        try shard(of: key) { try $0.entry(key, as: V.self) }
    }

    /// Lends the bytes of a key's value where they lie, as `Cache.withValue`.
    public func withValue<R>(_ key: some CacheKey, _ body: (RawSpan) throws -> R) throws -> R? {
        try shard(of: key) { try $0.withValue(key, body) }
    }

    /// All keys, shard by shard, in the order in which they were first stored; as ``Snapshot/keys(reversed:)``.
    public func keys(reversed: Bool = false) throws -> [AnyCacheKey] {
        let shards = try each { try $0.keys(reversed: reversed) }
        return Array((reversed ? shards.reversed() : shards).joined())
    }

    /// All keys in the order of keys. O(n · log n).
    public func sortedKeys(reversed: Bool = false) throws -> [AnyCacheKey] {
        try each { try $0.sortedKeys(reversed: reversed) }.joined()
            .sorted { reversed ? $1.precedes($0) : $0.precedes($1) }
    }

    private func shard<R>(of key: some CacheKey, _ body: (borrowing Snapshot) throws -> R) throws -> R {
        let shard = try cache.shard(of: key)
        return try cache.parts[shard].read(snapshots[shard], body)
    }

    private func each<R>(_ body: (borrowing Snapshot) throws -> R) throws -> [R] {
        try zip(cache.parts, snapshots).map { try $0.read($1, body) }
    }
}

extension FanoutCache {
    /// Runs `body` with each shard as of this moment. Takes no lock that a writer waits for; as ``Cache/snapshot(_:)``, but isn't run
    /// once more where it throws `snapshotExpired`.
    public func snapshot<R>(_ body: (borrowing FanoutSnapshot) throws -> R) throws -> R {
        // The shards stay open meanwhile, whoever closes the cache.
        var accesses: [(StoreHandle, StoreHandle.Access)] = []
        defer { for (handle, access) in accesses.reversed() { handle.end(access) } }
        var snapshots: [Cache.OpenSnapshot] = []
        defer { for (part, snapshot) in zip(parts, snapshots) { try? part.end(snapshot) } }
        for part in parts {
            accesses.append((part.handle, try rethrowing { () throws(EngineError) in try part.handle.open() }))
            snapshots.append(try part.beginSnapshot())
        }
        return try body(FanoutSnapshot(self, snapshots))
    }
}
