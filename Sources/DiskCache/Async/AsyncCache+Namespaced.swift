public import DiskCacheCore

extension NamespacedCache {
    /// The verbs of this view for tasks.
    public var async: AsyncCache<NamespacedCache> {
        AsyncCache(self, AsyncResources.kept(in: base.parts[0].companion))
    }
}

/// Each verb as the plain one of the same name says; all others by `run`.
extension AsyncCache where Base == NamespacedCache {
    // MARK: Reading

    /// The value of a key; nil if it is missing or expired. At once where it is small and in memory, as for a ``Cache``.
    public func get<V: Decodable & Sendable>(
        _ key: some CacheKey, as type: V.Type = V.self, version: Int? = nil
    ) async throws -> V? {
        let key = try base.keyBeneath(key, version: version)
        return try await base.base.shard(for: key).async.get(key, as: V.self)
    }

    /// The value of a key, or `value` if it is missing or expired; the value isn't stored.
    public func get<V: Decodable & Sendable>(
        _ key: some CacheKey, default value: @autoclosure () throws -> V, version: Int? = nil
    ) async throws -> V {
        try await get(key, as: V.self, version: version) ?? value()
    }

    /// The value of a key with everything that is known of it; nil if it is missing or expired. At once where it can be.
    public func entry<V: Decodable & Sendable>(
        _ key: some CacheKey, as type: V.Type = V.self, version: Int? = nil
    ) async throws -> Entry<V>? {
        let key = try base.keyBeneath(key, version: version)
        return try await base.base.shard(for: key).async.entry(key, as: V.self)
    }

    /// Whether a key is there and not expired. At once where that is known in memory.
    public func contains(_ key: some CacheKey, version: Int? = nil) async throws -> Bool {
        let key = try base.keyBeneath(key, version: version)
        return try await base.base.shard(for: key).async.contains(key)
    }

    /// The values of many keys, those that are missing or expired left out.
    public func getMany<K: CacheKey, V: Decodable & Sendable>(
        _ keys: some Sequence<K> & Sendable, as type: V.Type = V.self, version: Int? = nil
    ) async throws -> [K: V] {
        try await reading { [base] in try base.getMany(keys, as: V.self, version: version) }
    }

    /// The value of a key, to be read in pieces; nil if it is missing or expired.
    public func open(
        _ key: some CacheKey, version: Int? = nil, pieceSize: Int = 1 << 18
    ) async throws -> AsyncValueReader? {
        let key = try base.keyBeneath(key, version: version)
        return try await base.base.shard(for: key).async.open(key, pieceSize: pieceSize)
    }

    // MARK: Writing

    /// Stores a value, in place of what the key had. False: it was dropped.
    @discardableResult
    public func set<V: Encodable & Sendable>(
        _ key: some CacheKey, _ value: V, expire: Expiration? = nil, tag: Tag? = nil, version: Int? = nil
    ) async throws -> Bool {
        try await writing { [base] in try base.set(key, value, expire: expire, tag: tag, version: version) }
    }

    /// Stores a value if the key is missing or expired. False: it was there, or the write was dropped.
    @discardableResult
    public func add<V: Encodable & Sendable>(
        _ key: some CacheKey, _ value: V, expire: Expiration? = nil, tag: Tag? = nil, version: Int? = nil
    ) async throws -> Bool {
        try await writing { [base] in try base.add(key, value, expire: expire, tag: tag, version: version) }
    }

    /// Stores bytes that come in pieces, as a ``Cache`` does; never dropped.
    nonisolated(nonsending) public func set<Pieces: AsyncSequence>(
        _ key: some CacheKey, reading pieces: Pieces, expire: Expiration? = nil, tag: Tag? = nil, version: Int? = nil
    ) async throws where Pieces.Element == [UInt8] {
        let key = try base.keyBeneath(key, version: version)
        try await base.base.shard(for: key).async.set(key, reading: pieces, expire: expire ?? base.expire, tag: tag)
    }

    /// The value of a key; if it is missing or expired, `make` is called for one, on a thread that has the write lock meanwhile. What takes
    /// a task's time to make is for `memoize`, which holds no lock.
    public func getOrSet<V: Codable & Sendable>(
        _ key: some CacheKey, as type: V.Type = V.self, expire: Expiration? = nil, tag: Tag? = nil,
        version: Int? = nil, _ make: @escaping @Sendable () throws -> V
    ) async throws -> V {
        if let value = try await get(key, as: V.self, version: version) { return value }
        return try await writing { [base] in
            try base.getOrSet(key, as: V.self, expire: expire, tag: tag, version: version, make)
        }
    }

    /// Reads a value, lets `body` change it and stores it, as one step, on one thread. What `body` returns; nil: it was dropped.
    @discardableResult
    public func update<V: Codable & Sendable, R: Sendable>(
        _ key: some CacheKey, default start: V, version: Int? = nil, _ body: @escaping @Sendable (inout V) throws -> R
    ) async throws -> R? {
        try await writing { [base] in try base.update(key, default: start, version: version, body) }
    }

    /// Removes a key. False: it was missing or expired, or the write was dropped.
    @discardableResult
    public func delete(_ key: some CacheKey, version: Int? = nil) async throws -> Bool {
        try await writing { [base] in try base.delete(key, version: version) }
    }

    /// Removes a key and gives its value; nil: it was missing or expired, or the write was dropped.
    public func pop<V: Decodable & Sendable>(
        _ key: some CacheKey, as type: V.Type = V.self, version: Int? = nil
    ) async throws -> V? {
        try await writing { [base] in try base.pop(key, as: V.self, version: version) }
    }

    /// Gives a key another expiry, nil: that of the view. False: it was missing or expired, or the write was dropped.
    @discardableResult
    public func touch(
        _ key: some CacheKey, expire: Expiration? = nil, version: Int? = nil
    ) async throws -> Bool {
        try await writing { [base] in try base.touch(key, expire: expire, version: version) }
    }

    /// Adds to the integer that a key holds; the sum, or nil: the write was dropped.
    @discardableResult
    public func incr(
        _ key: some CacheKey, by delta: Int64 = 1, default start: Int64? = nil, version: Int? = nil
    ) async throws -> Int64? {
        try await writing { [base] in try base.incr(key, by: delta, default: start, version: version) }
    }

    /// Subtracts from the integer that a key holds; as `incr`.
    @discardableResult
    public func decr(
        _ key: some CacheKey, by delta: Int64 = 1, default start: Int64? = nil, version: Int? = nil
    ) async throws -> Int64? {
        try await writing { [base] in try base.decr(key, by: delta, default: start, version: version) }
    }

    /// Stores many values, in one commit, or one a shard. The keys whose writes were dropped.
    @discardableResult
    public func setMany<K: CacheKey, V: Encodable & Sendable>(
        _ items: some Sequence<(K, V)> & Sendable, expire: Expiration? = nil, tag: Tag? = nil, version: Int? = nil
    ) async throws -> [K] {
        try await writing { [base] in try base.setMany(items, expire: expire, tag: tag, version: version) }
    }

    /// Removes many keys, in one commit, or one a shard; how many of them were there.
    @discardableResult
    public func deleteMany<K: CacheKey>(
        _ keys: some Sequence<K> & Sendable, version: Int? = nil
    ) async throws -> Int {
        try await writing { [base] in try base.deleteMany(keys, version: version) }
    }

    /// Moves an item to a higher version of its key, in place of what is there; the new version.
    @discardableResult
    public func incrVersion(_ key: some CacheKey, by delta: Int = 1, version: Int? = nil) async throws -> Int {
        try await writing { [base] in try base.incrVersion(key, by: delta, version: version) }
    }

    // MARK: Removing all

    /// Removes all items of this prefix, of all versions or of one; how many there were.
    @discardableResult
    public func removeAll(version: Int? = nil) async throws -> Int {
        try await lasting { [base] in try base.removeAll(version: version) }
    }

    /// Removes everything from the cache beneath, whatever its prefix; how many items there were.
    @discardableResult
    public func clear() async throws -> Int { try await lasting { [base] in try base.clear() } }
}
