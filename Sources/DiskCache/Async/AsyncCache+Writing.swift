public import DiskCacheCore
internal import DiskCacheEngine

/// Each as the plain verb of the same name says. The write lock is waited for elsewhere, the cache's `timeout` at most.
extension AsyncCache where Base == Cache {
    /// Stores a value, in place of what the key had.
    @discardableResult
    public func set<V: Encodable & Sendable>(
        _ key: some CacheKey, _ value: V, expire: Expiration? = nil, tag: Tag? = nil
    ) async throws -> Bool {
        try await writing { [base] in try base.set(key, value, expire: expire, tag: tag) }
    }

    /// Stores a value if the key is missing or expired. False: it was there, and nothing has changed.
    @discardableResult
    public func add<V: Encodable & Sendable>(
        _ key: some CacheKey, _ value: V, expire: Expiration? = nil, tag: Tag? = nil
    ) async throws -> Bool {
        try await writing { [base] in try base.add(key, value, expire: expire, tag: tag) }
    }

    /// Stores bytes that come in pieces, in a file of their own, without ever holding them in memory as a whole.
    ///
    /// ```swift
    /// try await cache.async.set("video", reading: request.body)
    /// ```
    ///
    /// The next piece is asked for when the last one was written, so a fast source is slowed down, and a slow one takes no thread.
    /// Nobody sees anything before the last piece; if the source throws or the task is cancelled, nothing has happened.
    nonisolated(nonsending) public func set<Pieces: AsyncSequence>(
        _ key: some CacheKey, reading pieces: Pieces, expire: Expiration? = nil, tag: Tag? = nil
    ) async throws where Pieces.Element == [UInt8] {
        _ = try await streaming(pieces) { cache, stream in
            try cache.store(stream, key, expire: expire, tag: tag, onlyIfMissing: false)
        }
    }

    /// Stores bytes that come in pieces, as `set(_:reading:)`, if the key is missing or expired. False: it was there at the end, and
    /// nothing has changed, though the source was read.
    @discardableResult
    nonisolated(nonsending) public func add<Pieces: AsyncSequence>(
        _ key: some CacheKey, reading pieces: Pieces, expire: Expiration? = nil, tag: Tag? = nil
    ) async throws -> Bool where Pieces.Element == [UInt8] {
        try await streaming(pieces) { cache, stream in
            try cache.store(stream, key, expire: expire, tag: tag, onlyIfMissing: true)
        }
    }

    /// Removes a key. False: it was missing or expired.
    @discardableResult
    public func delete(_ key: some CacheKey) async throws -> Bool {
        try await writing { [base] in try base.delete(key) }
    }

    /// Removes a key and gives its value; nil: it was missing or expired.
    public func pop<V: Decodable & Sendable>(_ key: some CacheKey, as type: V.Type = V.self) async throws -> V? {
        try await writing { [base] in try base.pop(key, as: V.self) }
    }

    /// Removes a key and gives its value with everything that was known of it.
    public func popEntry<V: Decodable & Sendable>(
        _ key: some CacheKey, as type: V.Type = V.self
    ) async throws -> Entry<V>? {
        try await writing { [base] in try base.popEntry(key, as: V.self) }
    }

    /// Gives a key another expiry. False: it was missing or expired.
    @discardableResult
    public func touch(_ key: some CacheKey, expire: Expiration) async throws -> Bool {
        try await writing { [base] in try base.touch(key, expire: expire) }
    }

    /// Adds to the integer that a key holds, and returns the sum; every concurrent increment counts.
    @discardableResult
    public func incr(_ key: some CacheKey, by delta: Int64 = 1, default start: Int64? = 0) async throws -> Int64 {
        try await writing { [base] in try base.incr(key, by: delta, default: start) }
    }

    /// Adds to the number that a key holds, as a floating-point number.
    @_disfavoredOverload @discardableResult
    public func incr(_ key: some CacheKey, by delta: Double, default start: Double? = 0) async throws -> Double {
        try await writing { [base] in try base.incr(key, by: delta, default: start) }
    }

    /// Subtracts from the integer that a key holds.
    @discardableResult
    public func decr(_ key: some CacheKey, by delta: Int64 = 1, default start: Int64? = 0) async throws -> Int64 {
        try await writing { [base] in try base.decr(key, by: delta, default: start) }
    }

    /// Subtracts from the number that a key holds, as a floating-point number.
    @_disfavoredOverload @discardableResult
    public func decr(_ key: some CacheKey, by delta: Double, default start: Double? = 0) async throws -> Double {
        try await writing { [base] in try base.decr(key, by: delta, default: start) }
    }

    /// Reads a value, lets `body` change it and stores it, as one step that nobody can come between; returns what `body` returns.
    public func update<V: Codable & Sendable, R: Sendable>(
        _ key: some CacheKey, default start: V, _ body: @escaping @Sendable (inout V) throws -> R
    ) async throws -> R {
        try await writing { [base] in try base.update(key, default: start, body) }
    }

    /// Stores many values at once: everybody sees all of them or none.
    public func setMany<K: CacheKey, V: Encodable & Sendable>(
        _ items: some Sequence<(K, V)> & Sendable, expire: Expiration? = nil, tag: Tag? = nil
    ) async throws {
        try await writing { [base] in try base.setMany(items, expire: expire, tag: tag) }
    }

    /// Removes many keys at once; how many of them were there.
    @discardableResult
    public func deleteMany<K: CacheKey>(_ keys: some Sequence<K> & Sendable) async throws -> Int {
        try await writing { [base] in try base.deleteMany(keys) }
    }

    /// Runs `body` as one transaction, on one thread; as ``Cache/transact(_:)-(()->R)``. What the closure calls are the plain verbs.
    ///
    /// ```swift
    /// try await cache.async.transact { transaction in
    ///     transaction["balance/a", default: 0] -= 10
    ///     transaction["balance/b", default: 0] += 10
    /// }
    /// ```
    @discardableResult
    public func transact<R: Sendable>(
        _ body: @escaping @Sendable (inout Transaction) throws -> R
    ) async throws -> R {
        try await writing { [base] in try base.transact(body) }
    }

    /// As above, for a body that calls the cache's plain verbs alone.
    @discardableResult
    public func transact<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        try await writing { [base] in try base.transact(body) }
    }

    // MARK: Streams

    /// Pieces are gathered to this many bytes before they are written: each way to a thread costs as much as writing some ten thousand.
    private static var leastWrite: Int { 1 << 17 }

    /// Writes all pieces into a file, and has `store` make a value of it.
    nonisolated(nonsending) func streaming<Pieces: AsyncSequence, R: Sendable>(
        _ pieces: Pieces, _ store: @escaping @Sendable (Cache, Cache.Stream) throws -> R
    ) async throws -> R where Pieces.Element == [UInt8] {
        let stream = try await reading { [base] in try base.beginStream() }
        do {
            var gathered: [UInt8] = []
            for try await piece in pieces {
                if gathered.isEmpty { gathered = piece } else { gathered += piece }
                if gathered.count >= Self.leastWrite {
                    try await reading { [gathered] in try stream.append(gathered) }
                    gathered = []
                }
            }
            return try await writing { [base, gathered] in
                try stream.append(gathered)
                return try store(base, stream)
            }
        } catch {
            // Not here: to remove a large file takes its time. It is gone without this too, when the last reference goes.
            try? resources.executor.pool(.reading).submit { stream.abandon() }
            throw error
        }
    }
}
