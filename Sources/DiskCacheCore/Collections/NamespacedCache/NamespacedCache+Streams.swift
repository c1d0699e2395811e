/// Values where they lie, and in pieces.
extension NamespacedCache {
    /// Lends the bytes of a key's value where they lie, without a copy; nil if it is missing or expired. As ``Cache/withValue(_:_:)``.
    public func withValue<R>(
        _ key: some CacheKey, version: Int? = nil, _ body: (RawSpan) throws -> R
    ) throws -> R? {
        let key = try full(key, version)
        return try base.shard(for: key).withValue(key, body)
    }

    /// The value of a key, to be read in pieces; nil if it is missing or expired. As ``Cache/open(_:)``.
    public func open(_ key: some CacheKey, version: Int? = nil) throws -> ValueReader? {
        let key = try full(key, version)
        return try base.shard(for: key).open(key)
    }

    /// Stores bytes that come in pieces, in a file of their own. False: it was dropped, after `source` was read.
    @discardableResult
    public func set(
        _ key: some CacheKey, reading source: some ByteSource, expire: Expiration? = nil, tag: Tag? = nil,
        version: Int? = nil
    ) throws -> Bool {
        try store(source, full(key, version), expire, tag, onlyIfMissing: false)
    }

    /// Stores bytes that come in pieces if the key is missing or expired. False: it was there at the end, or the write was dropped.
    @discardableResult
    public func add(
        _ key: some CacheKey, reading source: some ByteSource, expire: Expiration? = nil, tag: Tag? = nil,
        version: Int? = nil
    ) throws -> Bool {
        try store(source, full(key, version), expire, tag, onlyIfMissing: true)
    }

    private func store(
        _ source: some ByteSource, _ key: NamespacedKey, _ expire: Expiration?, _ tag: Tag?, onlyIfMissing: Bool
    ) throws -> Bool {
        try base.store(source, key, expire ?? self.expire, tag, onlyIfMissing: onlyIfMissing, retry: retry)
    }
}
