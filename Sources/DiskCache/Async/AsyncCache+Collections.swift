public import DiskCacheCore

/// Each verb as the plain one of the same name says; all others by `run`: `try await jobs.async.run { try $0.reverse() }`.
extension Deque {
    /// The verbs of this deque for tasks.
    public var async: AsyncCache<Deque<Element>> {
        AsyncCache(self, AsyncResources.kept(in: store.cache.companion))
    }
}

extension AsyncCache {
    /// Adds an element at the end; as the plain `append`.
    public func append<Element>(_ element: Element) async throws where Base == Deque<Element> {
        _ = try await writing { [base] in try base.append(element) }
    }

    /// Adds an element at the front; as the plain `prepend`.
    public func prepend<Element>(_ element: Element) async throws where Base == Deque<Element> {
        _ = try await writing { [base] in try base.prepend(element) }
    }

    /// Removes the first element and gives it; nil: there was none, nor did one come within `timeout`. The task is suspended meanwhile, and
    /// a cancellation ends that, as with `pull`.
    public func popFirst<Element>(timeout: Duration? = nil) async throws -> Element? where Base == Deque<Element> {
        try await AsyncCache<Cache>(base.store.cache, resources)
            .pull(as: Element.self, side: .front, timeout: timeout)?.value
    }

    /// Removes the last element and gives it; as `popFirst`.
    public func popLast<Element>(timeout: Duration? = nil) async throws -> Element? where Base == Deque<Element> {
        try await AsyncCache<Cache>(base.store.cache, resources)
            .pull(as: Element.self, side: .back, timeout: timeout)?.value
    }

    /// Runs `body` as one transaction, on one thread. What the closure calls are the plain verbs.
    @discardableResult
    public func transact<R: Sendable>(
        _ body: @escaping @Sendable () throws -> R
    ) async throws -> R where Base: PersistentCollection & Sendable {
        try await writing { [base] in try base.transact(body) }
    }
}

/// Each verb as the plain one of the same name says; all others by `run`.
extension Index {
    /// The verbs of this index for tasks.
    public var async: AsyncCache<Index<Key, Value>> {
        AsyncCache(self, AsyncResources.kept(in: store.cache.companion))
    }
}

extension AsyncCache {
    /// The value of a key; nil: there is none. At once where it is in memory.
    nonisolated(nonsending) public func get<Key, Value>(_ key: Key) async throws -> Value?
    where Base == Index<Key, Value> {
        try await AsyncCache<Cache>(base.store.cache, resources).get(key, as: Value.self)
    }

    /// Stores a value, in place of what the key had.
    public func set<Key, Value>(_ key: Key, _ value: Value) async throws where Base == Index<Key, Value> {
        try await writing { [base] in try base.set(key, value) }
    }

    /// Removes a key and gives its value; nil: there was none.
    @discardableResult
    public func removeValue<Key, Value>(forKey key: Key) async throws -> Value? where Base == Index<Key, Value> {
        try await writing { [base] in try base.removeValue(forKey: key) }
    }

    /// Adds a value at an end of a queue of an index; its key.
    @discardableResult
    public func push<Key, Value>(
        _ value: Value, side: Side = .back, prefix: String? = nil
    ) async throws -> QueueKey where Base == Index<Key, Value> {
        try await writing { [base] in try base.push(value, side: side, prefix: prefix) }
    }

    /// Removes the item at an end of a queue of an index and gives it; waits for it as the `pull` of a cache does.
    public func pull<Key, Value>(
        side: Side = .front, prefix: String? = nil, timeout: Duration? = nil
    ) async throws -> (key: QueueKey, value: Value)? where Base == Index<Key, Value> {
        try await AsyncCache<Cache>(base.store.cache, resources)
            .pull(as: Value.self, side: side, prefix: prefix, timeout: timeout)
    }
}

extension FanoutCache {
    /// The verbs of this cache for tasks.
    ///
    /// What is about one key or one queue: `try await cache.shard(for: key).async`, whose verbs are those of a ``Cache`` and drop nothing.
    public var async: AsyncCache<FanoutCache> { AsyncCache(self, AsyncResources.kept(in: parts[0].companion)) }
}

/// Each verb as the plain one of the same name says: a write that doesn't get its shard's lock in time is dropped, unless it is to be tried
/// again. All others by `run`.
extension AsyncCache where Base == FanoutCache {
    /// The value of a key; nil if it is missing or expired. At once where it is in memory.
    public func get<V: Decodable & Sendable>(_ key: some CacheKey, as type: V.Type = V.self) async throws -> V? {
        try await base.shard(for: key).async.get(key, as: V.self)
    }

    /// Stores a value. False: it was dropped.
    @discardableResult
    public func set<V: Encodable & Sendable>(
        _ key: some CacheKey, _ value: V, expire: Expiration? = nil, tag: Tag? = nil, retry: Bool = false
    ) async throws -> Bool {
        try await writing { [base] in try base.set(key, value, expire: expire, tag: tag, retry: retry) }
    }

    /// Whether a key is there and not expired. At once where that is known in memory.
    public func contains(_ key: some CacheKey) async throws -> Bool {
        try await base.shard(for: key).async.contains(key)
    }

    /// The value of a key with everything that is known of it; nil if it is missing or expired.
    public func entry<V: Decodable & Sendable>(
        _ key: some CacheKey, as type: V.Type = V.self
    ) async throws -> Entry<V>? {
        try await base.shard(for: key).async.entry(key, as: V.self)
    }

    /// Stores a value if the key is missing or expired. False: it was there, or the write was dropped.
    @discardableResult
    public func add<V: Encodable & Sendable>(
        _ key: some CacheKey, _ value: V, expire: Expiration? = nil, tag: Tag? = nil, retry: Bool = false
    ) async throws -> Bool {
        try await writing { [base] in try base.add(key, value, expire: expire, tag: tag, retry: retry) }
    }

    /// Removes a key. False: it was missing or expired, or the write was dropped.
    @discardableResult
    public func delete(_ key: some CacheKey, retry: Bool = false) async throws -> Bool {
        try await writing { [base] in try base.delete(key, retry: retry) }
    }

    /// Removes a key and gives its value; nil: it was missing or expired, or the write was dropped.
    public func pop<V: Decodable & Sendable>(
        _ key: some CacheKey, as type: V.Type = V.self, retry: Bool = false
    ) async throws -> V? {
        try await writing { [base] in try base.pop(key, as: V.self, retry: retry) }
    }

    /// Gives a key another expiry. False: it was missing or expired, or the write was dropped.
    @discardableResult
    public func touch(_ key: some CacheKey, expire: Expiration, retry: Bool = false) async throws -> Bool {
        try await writing { [base] in try base.touch(key, expire: expire, retry: retry) }
    }

    /// Adds to the integer that a key holds; the sum, or nil: the write was dropped.
    @discardableResult
    public func incr(
        _ key: some CacheKey, by delta: Int64 = 1, default start: Int64? = 0, retry: Bool = false
    ) async throws -> Int64? {
        try await writing { [base] in try base.incr(key, by: delta, default: start, retry: retry) }
    }

    /// Subtracts from the integer that a key holds; as `incr`.
    @discardableResult
    public func decr(
        _ key: some CacheKey, by delta: Int64 = 1, default start: Int64? = 0, retry: Bool = false
    ) async throws -> Int64? {
        try await writing { [base] in try base.decr(key, by: delta, default: start, retry: retry) }
    }

    /// Reads a value, lets `body` change it and stores it, as one step, on one thread. What `body` returns; nil: it was dropped.
    @discardableResult
    public func update<V: Codable & Sendable, R: Sendable>(
        _ key: some CacheKey, default start: V, retry: Bool = false,
        _ body: @escaping @Sendable (inout V) throws -> R
    ) async throws -> R? {
        try await writing { [base] in try base.update(key, default: start, retry: retry, body) }
    }

    /// Stores bytes that come in pieces, as a ``Cache`` does; never dropped.
    nonisolated(nonsending) public func set<Pieces: AsyncSequence>(
        _ key: some CacheKey, reading pieces: Pieces, expire: Expiration? = nil, tag: Tag? = nil
    ) async throws where Pieces.Element == [UInt8] {
        try await base.shard(for: key).async.set(key, reading: pieces, expire: expire, tag: tag)
    }

    /// The value of a key, to be read in pieces; nil if it is missing or expired.
    public func open(_ key: some CacheKey, pieceSize: Int = 1 << 18) async throws -> AsyncValueReader? {
        try await base.shard(for: key).async.open(key, pieceSize: pieceSize)
    }

    /// Adds a value at an end of a queue; its key.
    @discardableResult
    public func push<V: Encodable & Sendable>(
        _ value: V, side: Side = .back, prefix: String? = nil, expire: Expiration? = nil, tag: Tag? = nil
    ) async throws -> QueueKey {
        try await writing { [base] in try base.push(value, side: side, prefix: prefix, expire: expire, tag: tag) }
    }

    /// Removes the item at an end of a queue and gives it; waits for it as the `pull` of a ``Cache`` does.
    public func pull<V: Decodable & Sendable>(
        as type: V.Type = V.self, side: Side = .front, prefix: String? = nil, timeout: Duration? = nil
    ) async throws -> (key: QueueKey, value: V)? {
        // A whole queue lies in the shard of its prefix.
        try await base.shard(for: QueueKey(prefix: prefix, number: 0)).async
            .pull(as: V.self, side: side, prefix: prefix, timeout: timeout)
    }

    /// Runs `body` as one transaction of all shards, on one thread. What the closure calls are the plain verbs.
    @discardableResult
    public func transact<R: Sendable>(
        _ body: @escaping @Sendable (inout Transaction) throws -> R
    ) async throws -> R {
        try await writing { [base] in try base.transact(body) }
    }

    /// Runs `body` as one transaction of the shard that has `key`.
    @discardableResult
    public func transact<R: Sendable>(
        for key: some CacheKey, _ body: @escaping @Sendable (inout Transaction) throws -> R
    ) async throws -> R {
        try await writing { [base] in try base.transact(for: key, body) }
    }
}
