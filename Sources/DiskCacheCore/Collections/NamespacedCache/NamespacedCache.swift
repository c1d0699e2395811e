internal import DiskCacheEngine

/// A view of a cache in which every key has a prefix and a version: what a web framework's cache is made of.
///
/// ```swift
/// let pages = NamespacedCache(cache, prefix: "pages", expire: .after(.seconds(300)))
/// let page = try pages.getOrSet("/about") { try render("/about") }      // computed once, by one of all processes
/// try pages.incrVersion("/about")                                       // readers of the old version miss it now
/// let next = pages.version(2)                                           // the same cache, its keys of version 2
/// ```
///
/// Several of them share a ``Cache`` or a ``FanoutCache`` without meeting each other: prefix, version and key are kept apart, whatever
/// characters they hold. A value of it is small, and may be made for each request. All that isn't said here is as in the cache beneath.
///
/// Upon a `FanoutCache` writes wait for the lock, or with `retry` false are dropped, as that says.
public struct NamespacedCache: Sendable {
    /// What is put before every key.
    public let prefix: String
    /// The version of the keys, if a call doesn't name another.
    public let version: Int
    /// When items expire that are stored without saying so; nil: as the cache beneath says.
    public let expire: Expiration?
    /// Whether writes wait for the lock of a `FanoutCache`.
    let retry: Bool
    /// The cache beneath.
    package let base: any PartedCache
    private let namespace: [UInt8]

    /// A view of a cache.
    public init(_ cache: Cache, prefix: String = "", version: Int = 1, expire: Expiration? = nil) {
        self.init(base: cache, prefix: prefix, version: version, expire: expire, retry: true)
    }

    /// A view of a cache of several shards. `retry`: whether writes wait for the lock rather than being dropped.
    public init(
        _ cache: FanoutCache, prefix: String = "", version: Int = 1, expire: Expiration? = nil, retry: Bool = true
    ) {
        self.init(base: cache, prefix: prefix, version: version, expire: expire, retry: retry)
    }

    private init(base: any PartedCache, prefix: String, version: Int, expire: Expiration?, retry: Bool) {
        self.base = base
        self.prefix = prefix
        self.version = version
        self.expire = expire
        self.retry = retry
        namespace = NamespacedKey.namespace(prefix, version)
    }

    /// The same view with another version.
    public func version(_ version: Int) -> NamespacedCache {
        NamespacedCache(base: base, prefix: prefix, version: version, expire: expire, retry: retry)
    }

    // MARK: Reading

    /// The value of a key; nil if it is missing or expired. As ``Cache/get(_:as:)``: no lock.
    public func get<V: Decodable>(_ key: some CacheKey, as type: V.Type = V.self, version: Int? = nil) throws -> V? {
        let key = try full(key, version)
        return try base.shard(for: key).get(key, as: V.self)
    }

    /// The value of a key, or `value` if it is missing or expired; the value isn't stored.
    public func get<V: Decodable>(
        _ key: some CacheKey, default value: @autoclosure () throws -> V, version: Int? = nil
    ) throws -> V {
        try get(key, as: V.self, version: version) ?? value()
    }

    /// The value of a key with everything that is known of it; nil if it is missing or expired.
    public func entry<V: Decodable>(
        _ key: some CacheKey, as type: V.Type = V.self, version: Int? = nil
    ) throws -> Entry<V>? {
        let key = try full(key, version)
        return try base.shard(for: key).entry(key, as: V.self)
    }

    /// Whether a key is there and not expired.
    public func contains(_ key: some CacheKey, version: Int? = nil) throws -> Bool {
        let key = try full(key, version)
        return try base.shard(for: key).contains(key)
    }

    /// The values of many keys, those that are missing or expired left out.
    public func getMany<K: CacheKey, V: Decodable>(
        _ keys: some Sequence<K>, as type: V.Type = V.self, version: Int? = nil
    ) throws -> [K: V] {
        var found: [K: V] = [:]
        for key in keys { if let value = try get(key, as: V.self, version: version) { found[key] = value } }
        return found
    }

    // MARK: Writing

    /// Stores a value, in place of what the key had. False: it was dropped.
    @discardableResult
    public func set<V: Encodable>(
        _ key: some CacheKey, _ value: V, expire: Expiration? = nil, tag: Tag? = nil, version: Int? = nil
    ) throws -> Bool {
        try write(key, version) { try $0.set($1, value, expire: expire ?? self.expire, tag: tag) } ?? false
    }

    /// Stores a value if the key is missing or expired. False: it was there, or the write was dropped.
    @discardableResult
    public func add<V: Encodable>(
        _ key: some CacheKey, _ value: V, expire: Expiration? = nil, tag: Tag? = nil, version: Int? = nil
    ) throws -> Bool {
        try write(key, version) { try $0.add($1, value, expire: expire ?? self.expire, tag: tag) } ?? false
    }

    /// The value of a key; if it is missing or expired, `make` is called for one, which is stored.
    ///
    /// Of several callers at the same time, in all processes, one computes, and the others wait for it: `make` runs with the write
    /// lock of the cache, or of the key's shard, held, so it should be short, and what it does with this key is part of the same
    /// transaction. If it throws, nothing is stored, and the next one computes. Whether the key is there is found without the lock.
    ///
    /// Throws `timeout` if the lock isn't to be had in time, also where writes are dropped: there is no value to give. Upon a `FanoutCache`
    /// throws `inTransaction` inside a transaction of another shard, as in the `make` of another key: the order of the locks would be lost.
    /// Compute such keys one after the other, or inside a transaction of all shards.
    public func getOrSet<V: Codable>(
        _ key: some CacheKey, as type: V.Type = V.self, expire: Expiration? = nil, tag: Tag? = nil,
        version: Int? = nil, _ make: () throws -> V
    ) throws -> V {
        let key = try full(key, version)
        let part = try base.shard(for: key)
        if let value = try part.get(key, as: V.self) { return value }
        try base.checkOrder(of: [part])
        return try part.transact {
            // Somebody may have been quicker.
            if let value = try part.entry(key, as: V.self)?.value { return value }
            let value = try make()
            try part.set(key, value, expire: expire ?? self.expire, tag: tag)
            return value
        }
    }

    /// Reads a value, lets `body` change it and stores it, as one step; expiry and tag stay. What `body` returns; nil: it was dropped.
    /// A missing or expired key begins as `start`, and expires as the view says. As ``Cache/update(_:default:_:)``.
    @discardableResult
    public func update<V: Codable, R>(
        _ key: some CacheKey, default start: @autoclosure () throws -> V, version: Int? = nil,
        _ body: (inout V) throws -> R
    ) throws -> R? {
        let own = CallersError()
        let done = try write(key, version) { part, key in
            try own.result {
                try part.transact {
                    let isThere = try part.contains(key)
                    let result = try part.update(key, default: try own.run { try start() }) { value in
                        try own.run { try body(&value) }
                    }
                    if !isThere, let expire { try part.touch(key, expire: expire) }
                    return result
                }
            }
        }
        return try done?.get()
    }

    /// Removes a key. False: it was missing or expired, or the write was dropped.
    @discardableResult
    public func delete(_ key: some CacheKey, version: Int? = nil) throws -> Bool {
        try write(key, version) { try $0.delete($1) } ?? false
    }

    /// Removes a key and gives its value; nil: it was missing or expired, or the write was dropped.
    public func pop<V: Decodable>(_ key: some CacheKey, as type: V.Type = V.self, version: Int? = nil) throws -> V? {
        try write(key, version) { try $0.pop($1, as: V.self) } ?? nil
    }

    /// Gives a key another expiry, nil: that of the view. False: it was missing or expired, or the write was dropped.
    @discardableResult
    public func touch(_ key: some CacheKey, expire: Expiration? = nil, version: Int? = nil) throws -> Bool {
        let expire = expire ?? self.expire
        return try write(key, version) { part, key in
            if let expire { return try part.touch(key, expire: expire) }
            let usual = try part.settings.defaultExpire
            return try part.touch(key, expire: usual.map { .after($0) } ?? .never)
        } ?? false
    }

    /// Adds to the integer that a key holds; the sum, or nil: the write was dropped. A missing or expired key counts as `start`; with
    /// `start` nil it throws `keyNotFound`.
    @discardableResult
    public func incr(
        _ key: some CacheKey, by delta: Int64 = 1, default start: Int64? = nil, version: Int? = nil
    ) throws -> Int64? {
        try write(key, version) { try $0.incr($1, by: delta, default: start) }
    }

    /// Subtracts from the integer that a key holds; as `incr`.
    @discardableResult
    public func decr(
        _ key: some CacheKey, by delta: Int64 = 1, default start: Int64? = nil, version: Int? = nil
    ) throws -> Int64? {
        try write(key, version) { try $0.decr($1, by: delta, default: start) }
    }

    /// Stores many values, in one commit, or one a shard. The keys whose writes were dropped.
    @discardableResult
    public func setMany<K: CacheKey, V: Encodable>(
        _ items: some Sequence<(K, V)>, expire: Expiration? = nil, tag: Tag? = nil, version: Int? = nil
    ) throws -> [K] {
        var dropped: [K] = []
        let items = try items.map { (full: try full($0.0, version), key: $0.0, value: $0.1) }
        for items in try base.grouped(items, by: \.full) {
            let done: Void? = try base.write(items[0].full, count: items.count, retry: retry) {
                try $0.setMany(items.map { ($0.full, $0.value) }, expire: expire ?? self.expire, tag: tag)
            }
            if done == nil { dropped += items.map(\.key) }
        }
        return dropped
    }

    /// Removes many keys, in one commit, or one a shard; how many of them were there.
    @discardableResult
    public func deleteMany<K: CacheKey>(_ keys: some Sequence<K>, version: Int? = nil) throws -> Int {
        try base.grouped(keys.map { try full($0, version) }, by: \.self).reduce(0) { count, keys in
            count + (try base.write(keys[0], count: keys.count, retry: retry) { try $0.deleteMany(keys) } ?? 0)
        }
    }

    // MARK: Versions

    /// Moves an item to a higher version of its key, in place of what is there; the new version. Value, expiry and tag stay.
    ///
    /// One step that nobody can come between: at every instant the item is there in one version. Only if the process dies between the
    /// commits of two shards of a `FanoutCache` it may be there in both. Throws `keyNotFound` if it is missing or expired, `overflow`
    /// beyond 64 bits, `timeout`: it is never dropped. Upon a `FanoutCache` throws `inTransaction` inside a transaction that isn't of the
    /// shards of both versions, as `getOrSet`.
    @discardableResult
    public func incrVersion(_ key: some CacheKey, by delta: Int = 1, version: Int? = nil) throws -> Int {
        let (next, overflow) = (version ?? self.version).addingReportingOverflow(delta)
        if overflow { throw CacheError(.overflow, "no version is \(delta) above \(version ?? self.version)") }
        let (old, new) = (try full(key, version), try full(key, next))
        let (source, target) = (try base.shard(for: old), try base.shard(for: new))
        let parts = base.parts.filter { $0 === source || $0 === target }
        try base.inTransaction(of: parts, committing: target) {
            guard let entry = try source.entry(old, as: AnyValue.self) else {
                throw CacheError(.keyNotFound, "there is no item to give another version", path: source.directory)
            }
            if delta == 0 { return }
            let expire = entry.expires.map { Expiration.at(secondsSinceEpoch: $0) } ?? .never
            try target.set(new, entry.value, expire: expire, tag: entry.tag)
            try source.delete(old)
        }
        return next
    }

    /// Moves an item to a lower version of its key; as `incrVersion`.
    @discardableResult
    public func decrVersion(_ key: some CacheKey, by delta: Int = 1, version: Int? = nil) throws -> Int {
        let negated = 0.subtractingReportingOverflow(delta)
        if negated.overflow { throw CacheError(.overflow, "no version is that far below") }
        return try incrVersion(key, by: negated.partialValue, version: version)
    }

    // MARK: Removing all

    /// Removes all items of this prefix, of all versions or of one; how many there were. Items that come meanwhile stay.
    ///
    /// In transactions of a few hundred items. O(items · log), as ``Cache/keys(in:reversed:)`` finds them. A `timeout` says in `removed`
    /// how many went before it.
    @discardableResult
    public func removeAll(version: Int? = nil) throws -> Int {
        let range = OrderedScan.Range.prefix([KeyClass.encoded.rawValue] + NamespacedKey.namespace(prefix, version))
        var removed = 0
        do {
            for part in base.parts {
                let reader = try RowReader(part, .key, range, reversed: false, records: false)
                var hasMore = true
                while hasMore {
                    var keys: [AnyCacheKey] = []
                    hasMore = try reader.nextKeys { _, bytes in keys.append(.encoded(Array(bytes))) }
                    removed += try part.deleteMany(keys)
                }
            }
        } catch let error as CacheError {
            throw CacheError(error.code, error.message, path: error.path, errno: error.errno, removed: removed)
        }
        return removed
    }

    // MARK: Parts

    /// The key that an item has in the cache beneath.
    package func keyBeneath(_ key: some CacheKey, version: Int?) throws -> AnyCacheKey {
        .encoded(try full(key, version).bytes)
    }

    func full(_ key: some CacheKey, _ version: Int?) throws -> NamespacedKey {
        try NamespacedKey(key, in: version.map { NamespacedKey.namespace(prefix, $0) } ?? namespace)
    }

    private func write<R>(
        _ key: some CacheKey, _ version: Int?, _ body: (Cache, NamespacedKey) throws -> R
    ) throws -> R? {
        let key = try full(key, version)
        return try base.write(key, retry: retry) { try body($0, key) }
    }
}
