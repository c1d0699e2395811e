/// A write that doesn't get its shard's lock within `dropAfter` is dropped: nothing has happened, the call says false or nil, and
/// `droppedWrites` counts it. With `retry: true` it waits `timeout` for the lock, and throws `timeout` then.
///
/// All else is as the verbs of the same names of ``Cache``, which say what they throw.
extension FanoutCache {
    /// Stores a value, in place of what the key had, expiry and tag included. False: it was dropped.
    @inlinable @discardableResult
    public func set<V: Encodable>(
        _ key: some CacheKey, _ value: V, expire: Expiration? = nil, tag: Tag? = nil, retry: Bool = false
    ) throws -> Bool {
        try withKeyBytes(key) { keyClass, bytes in
            try encodeValue(value, serializer: serializer) { form, value in
                try store(keyClass, bytes, form, value, expire, tag, onlyIfMissing: false, retry)
            }
        }
    }

    /// Stores a value if the key is missing or expired. False: it was there, or the write was dropped.
    @inlinable @discardableResult
    public func add<V: Encodable>(
        _ key: some CacheKey, _ value: V, expire: Expiration? = nil, tag: Tag? = nil, retry: Bool = false
    ) throws -> Bool {
        try withKeyBytes(key) { keyClass, bytes in
            try encodeValue(value, serializer: serializer) { form, value in
                try store(keyClass, bytes, form, value, expire, tag, onlyIfMissing: true, retry)
            }
        }
    }

    /// Stores bytes that come in pieces, in a file of their own. False: it was dropped, after `source` was read.
    @discardableResult
    public func set(
        _ key: some CacheKey, reading source: some ByteSource, expire: Expiration? = nil, tag: Tag? = nil,
        retry: Bool = false
    ) throws -> Bool {
        try store(source, key, expire, tag, onlyIfMissing: false, retry: retry)
    }

    /// Stores bytes that come in pieces if the key is missing or expired. False: it was there at the end, or the write was dropped.
    @discardableResult
    public func add(
        _ key: some CacheKey, reading source: some ByteSource, expire: Expiration? = nil, tag: Tag? = nil,
        retry: Bool = false
    ) throws -> Bool {
        try store(source, key, expire, tag, onlyIfMissing: true, retry: retry)
    }

    /// Removes a key. False: it was missing or expired, or the write was dropped.
    @discardableResult
    public func delete(_ key: some CacheKey, retry: Bool = false) throws -> Bool {
        try write(key, retry: retry) { try $0.delete(key) } ?? false
    }

    /// Removes a key and gives its value; nil: it was missing or expired, or the write was dropped.
    public func pop<V: Decodable>(_ key: some CacheKey, as type: V.Type = V.self, retry: Bool = false) throws -> V? {
        try popEntry(key, as: V.self, retry: retry)?.value
    }

    /// Removes a key and gives its value with everything that was known of it; as `pop`.
    public func popEntry<V: Decodable>(
        _ key: some CacheKey, as type: V.Type = V.self, retry: Bool = false
    ) throws -> Entry<V>? {
        try write(key, retry: retry) { try $0.popEntry(key, as: V.self) } ?? nil
    }

    /// Gives a key another expiry; value, tag and store date stay. False: it was missing or expired, or the write was dropped.
    @discardableResult
    public func touch(_ key: some CacheKey, expire: Expiration, retry: Bool = false) throws -> Bool {
        try write(key, retry: retry) { try $0.touch(key, expire: expire) } ?? false
    }

    /// Adds to the integer that a key holds; the sum, or nil: the write was dropped.
    @discardableResult
    public func incr(
        _ key: some CacheKey, by delta: Int64 = 1, default start: Int64? = 0, retry: Bool = false
    ) throws -> Int64? {
        try write(key, retry: retry) { try $0.incr(key, by: delta, default: start) }
    }

    /// Adds to the number that a key holds, as a floating-point number; otherwise as the other `incr`.
    @_disfavoredOverload @discardableResult
    public func incr(
        _ key: some CacheKey, by delta: Double, default start: Double? = 0, retry: Bool = false
    ) throws -> Double? {
        try write(key, retry: retry) { try $0.incr(key, by: delta, default: start) }
    }

    /// Subtracts from the integer that a key holds; as `incr`.
    @discardableResult
    public func decr(
        _ key: some CacheKey, by delta: Int64 = 1, default start: Int64? = 0, retry: Bool = false
    ) throws -> Int64? {
        try write(key, retry: retry) { try $0.decr(key, by: delta, default: start) }
    }

    /// Subtracts from the number that a key holds; as `incr`.
    @_disfavoredOverload @discardableResult
    public func decr(
        _ key: some CacheKey, by delta: Double, default start: Double? = 0, retry: Bool = false
    ) throws -> Double? {
        try write(key, retry: retry) { try $0.decr(key, by: delta, default: start) }
    }

    /// Reads a value, lets `body` change it and stores it, as one step that nobody can come between; what `body` returns, or nil: the
    /// write was dropped, and `body` wasn't called. `body` runs with the shard's lock held.
    @discardableResult
    public func update<V: Codable, R>(
        _ key: some CacheKey, default start: @autoclosure () throws -> V, retry: Bool = false,
        _ body: (inout V) throws -> R
    ) throws -> R? {
        let own = CallersError()
        let done = try write(key, retry: retry) { shard in
            try own.result {
                try shard.update(key, default: try own.run { try start() }) { value in try own.run { try body(&value) }
                }
            }
        }
        return try done?.get()
    }

    /// Stores many values, with one commit a shard: all of a shard's or none. The keys whose writes were dropped.
    ///
    /// If it throws, the shards before the one that failed have theirs. In `transact` all of it is one step.
    @discardableResult
    public func setMany<K: CacheKey, V: Encodable>(
        _ items: some Sequence<(K, V)>, expire: Expiration? = nil, tag: Tag? = nil, retry: Bool = false
    ) throws -> [K] {
        var dropped: [K] = []
        for items in try grouped(items, by: \.0) {
            let done: Void? = try write(items[0].0, count: items.count, retry: retry) {
                try $0.setMany(items, expire: expire, tag: tag)
            }
            if done == nil { dropped += items.map(\.0) }
        }
        return dropped
    }

    /// Removes many keys, with one commit a shard; how many of them were there. Those whose writes were dropped don't count.
    @discardableResult
    public func deleteMany<K: CacheKey>(_ keys: some Sequence<K>, retry: Bool = false) throws -> Int {
        try grouped(keys, by: \.self).reduce(0) { count, keys in
            count + (try write(keys[0], count: keys.count, retry: retry) { try $0.deleteMany(keys) } ?? 0)
        }
    }

    /// Removes everything from the shards, one after the other; how many items there were. What has a name of its own, as
    /// `cache(_:)`, stays. Goes on until all is done; throws `timeout` when a shard's lock isn't to be had for a minute.
    @discardableResult
    public func clear() throws -> Int { try removingFromAll { try $0.clear() } }

    // MARK: Parts

    /// `set` and `add`, where types don't matter any more.
    @usableFromInline
    func store(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, _ form: ValueForm, _ value: UnsafeRawBufferPointer,
        _ expire: Expiration?, _ tag: Tag?, onlyIfMissing: Bool, _ retry: Bool
    ) throws -> Bool {
        try dropping(retry) {
            try withShard(keyClass, key, isHasty: !retry) {
                try $0.store(keyClass, key, form, value, expire, tag, onlyIfMissing: onlyIfMissing)
            }
        } ?? false
    }
}
