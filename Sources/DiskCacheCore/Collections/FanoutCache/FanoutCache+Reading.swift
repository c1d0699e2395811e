/// No lock, no waiting: nothing here is ever dropped. What is thrown is what ``Cache`` throws.
extension FanoutCache {
    /// The value of a key; nil if it is missing or expired. As ``Cache/get(_:as:)``.
    @inlinable
    public func get<V: Decodable>(_ key: some CacheKey, as type: V.Type = V.self) throws -> V? {
        try withKeyBytes(key) { keyClass, bytes in
            var result: V?
            try lookUp(keyClass, bytes) { form, value in
                result = try decodeValue(V.self, form: form, bytes: value, serializer: serializer)
            }
            return result
        }
    }

    /// The value of a key, or `value` if it is missing or expired; the value isn't stored.
    @inlinable
    public func get<V: Decodable>(_ key: some CacheKey, default value: @autoclosure () throws -> V) throws -> V {
        try get(key, as: V.self) ?? value()
    }

    /// The value of a key, as `get`.
    @inlinable
    public subscript<V: Decodable>(key: some CacheKey, as type: V.Type = V.self) -> V? {
        get throws { try get(key, as: V.self) }
    }

    /// Whether a key is there and not expired. Reads no value.
    @inlinable
    public func contains(_ key: some CacheKey) throws -> Bool {
        try withKeyBytes(key) { keyClass, bytes in try isThere(keyClass, bytes) }
    }

    /// Lends the bytes of a key's value where they lie, without a copy; nil if it is missing or expired. As ``Cache/withValue(_:_:)``.
    @inlinable
    public func withValue<R>(_ key: some CacheKey, _ body: (RawSpan) throws -> R) throws -> R? {
        try withKeyBytes(key) { keyClass, bytes in
            var result: R?
            try lookUp(keyClass, bytes) { _, value in result = try body(value.bytes) }
            return result
        }
    }

    /// The value of a key with everything that is known of it; nil if it is missing or expired.
    public func entry<V: Decodable>(_ key: some CacheKey, as type: V.Type = V.self) throws -> Entry<V>? {
        try shard(for: key).entry(key, as: V.self)
    }

    /// The value of a key, to be read in pieces; nil if it is missing or expired. Its file stays readable though the key be removed.
    public func open(_ key: some CacheKey) throws -> ValueReader? { try shard(for: key).open(key) }

    /// The values of many keys, in the order asked; nil for each that is missing or expired. Each is read as of its own moment.
    public func getMany<K: CacheKey, V: Decodable>(_ keys: some Sequence<K>, as type: V.Type = V.self) throws -> [V?] {
        try keys.map { try get($0, as: V.self) }
    }

    // MARK: Parts

    @usableFromInline
    func lookUp(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, _ body: (ValueForm, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try withShard(keyClass, key) { try $0.lookUp(keyClass, key, body) }
    }

    @usableFromInline
    func isThere(_ keyClass: UInt8, _ key: UnsafeRawBufferPointer) throws -> Bool {
        try withShard(keyClass, key) { try $0.isThere(keyClass, key) }
    }
}
