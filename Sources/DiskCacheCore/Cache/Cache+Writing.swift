internal import DiskCacheEngine

/// All of these take the write lock, which they wait for `timeout` at most; then they throw `timeout`, and nothing has happened.
/// All throw `keyInvalid` for NaN, `diskFull`, `io`, `poisoned`, `directoryRemoved`. What stores throws `keyTooLarge` for a key of more than
/// 16 MiB, `valueTooLarge` for what is more than three quarters of the size limit, `limitReached` for a tag of more than 65,535 bytes. A key
/// that is too large is nowhere: to those that remove or change an item it is missing.
extension Cache {
    /// Stores a value, in place of what the key had: expiry and tag included, though not its place in insertion order.
    ///
    /// - Parameters:
    ///   - expire: nil: the cache's `defaultExpire`. What has expired is as good as missing from that very instant on.
    ///   - tag: for `evict(tag:)`.
    /// - Returns: true; only a `FanoutCache` may say false, when it dropped the write.
    @inlinable @discardableResult
    public func set<V: Encodable>(
        _ key: some CacheKey, _ value: V, expire: Expiration? = nil, tag: Tag? = nil
    ) throws -> Bool {
        try withKeyBytes(key) { keyClass, bytes in
            try encodeValue(value, serializer: serializer) { form, value in
                try store(keyClass, bytes, form, value, expire, tag, onlyIfMissing: false)
            }
        }
    }

    /// Stores a value if the key is missing or expired. False: it was there, and nothing has changed. Of several callers at the same
    /// time exactly one is told true.
    @inlinable @discardableResult
    public func add<V: Encodable>(
        _ key: some CacheKey, _ value: V, expire: Expiration? = nil, tag: Tag? = nil
    ) throws -> Bool {
        try withKeyBytes(key) { keyClass, bytes in
            try encodeValue(value, serializer: serializer) { form, value in
                try store(keyClass, bytes, form, value, expire, tag, onlyIfMissing: true)
            }
        }
    }

    /// Stores bytes that come in pieces, in a file of their own, without ever holding them in memory as a whole.
    ///
    /// Nobody sees anything before the last piece; if `source` throws, nothing has happened. The lock is taken only at the end.
    public func set(
        _ key: some CacheKey, reading source: some ByteSource, expire: Expiration? = nil, tag: Tag? = nil
    ) throws {
        _ = try stream(key, source, expire, tag, onlyIfMissing: false)
    }

    /// Stores bytes that come in pieces, as `set(_:reading:)`, if the key is missing or expired. False: it was there at the end, and
    /// nothing has changed, though `source` was read.
    @discardableResult
    public func add(
        _ key: some CacheKey, reading source: some ByteSource, expire: Expiration? = nil, tag: Tag? = nil
    ) throws -> Bool {
        try stream(key, source, expire, tag, onlyIfMissing: true)
    }

    private func stream(
        _ key: some CacheKey, _ source: some ByteSource, _ expire: Expiration?, _ tag: Tag?, onlyIfMissing: Bool
    ) throws -> Bool {
        var source = source
        return try withKeyBytes(key) { keyClass, bytes in
            try withAttributes(expire, tag) { attributes in
                try inStore { store in
                    try store.putStream(
                        timeout: handle.timeout, keyClass, bytes, form: ValueFormCode.bytes, attributes,
                        condition: onlyIfMissing ? .onlyIfMissing : .always
                    ) { try source.next(maximum: 1 << 20) }
                }
            }
        }
    }

    /// Removes a key. False: it was missing or expired.
    @discardableResult
    public func delete(_ key: some CacheKey) throws -> Bool {
        try withKeyBytes(key) { keyClass, bytes in
            try withStore { (store) throws(EngineError) in
                try store.delete(timeout: handle.timeout, keyClass, bytes)
            }
        }
    }

    /// Removes a key and gives its value; nil: it was missing or expired. Of several callers at the same time one gets it.
    ///
    /// If the value can't be read as a `V` nothing is removed.
    public func pop<V: Decodable>(_ key: some CacheKey, as type: V.Type = V.self) throws -> V? {
        try popEntry(key, as: V.self)?.value
    }

    /// Removes a key and gives its value with everything that was known of it; as `pop`. The entry has no path: its file goes.
    public func popEntry<V: Decodable>(_ key: some CacheKey, as type: V.Type = V.self) throws -> Entry<V>? {
        try withKeyBytes(key) { keyClass, bytes in
            try inStore { store in
                try store.transact(timeout: handle.timeout) { () -> Entry<V>? in
                    guard let taken = try store.pop(timeout: handle.timeout, keyClass, bytes) else { return nil }
                    return try entry(taken)
                }
            }
        }
    }

    private func entry<V: Decodable>(_ taken: Store.Taken) throws -> Entry<V>? {
        let form = try form(taken.form)
        var value: V?
        var count = taken.value.count
        if form.isFile {
            guard let file = taken.file else { return nil }
            count = file.count
            try lend(file, form.inline) { form, bytes in
                value = try decodeValue(V.self, form: form, bytes: bytes, serializer: serializer)
            }
        } else {
            value = try taken.value.withUnsafeBytes {
                try decodeValue(V.self, form: form, bytes: $0, serializer: serializer)
            }
        }
        guard let value else { return nil }
        let tag = try taken.tag.map { tag in try tag.bytes.withUnsafeBytes { try Tag(form: tag.form, bytes: $0) } }
        return Entry(
            value: value, storedAt: Double(taken.storedAt) / 1_000_000,
            expires: taken.expiry.map { Double($0) / 1_000_000 },
            tag: tag, byteCount: count)
    }

    /// Gives a key another expiry; value, tag and store date stay. False: it was missing or expired.
    @discardableResult
    public func touch(_ key: some CacheKey, expire: Expiration) throws -> Bool {
        try withKeyBytes(key) { keyClass, bytes in
            try withStore { (store) throws(EngineError) in
                try store.touch(
                    timeout: handle.timeout, keyClass, bytes, expiry: expire.microseconds(now: handle.now()))
            }
        }
    }

    /// Adds to the integer that a key holds, and returns the sum; every concurrent increment counts.
    ///
    /// Expiry and tag stay. A missing or expired key counts as `start`, and gets neither; with `start` nil it throws `keyNotFound`.
    /// Throws `notANumber` if the value is no integer (a floating-point number is counted with one), `overflow` beyond signed 64 bits, also
    /// for a value that is beyond them already: it stays as it was.
    @discardableResult
    public func incr(_ key: some CacheKey, by delta: Int64 = 1, default start: Int64? = 0) throws -> Int64 {
        let sum = try increment(key, .integer(delta), start.map { .integer($0) })
        guard case .integer(let value) = sum else { throw CacheError(.notANumber, "the value isn't an integer") }
        return value
    }

    // An integer literal counts as an integer: without this, `incr(key, by: 3)` is ambiguous where nobody looks at the sum.
    /// Adds to the number that a key holds, as a floating-point number; otherwise as the other `incr`.
    @_disfavoredOverload @discardableResult
    public func incr(_ key: some CacheKey, by delta: Double, default start: Double? = 0) throws -> Double {
        let sum = try increment(key, .double(delta), start.map { .double($0) })
        switch sum {
        case .double(let value): return value
        case .integer(let value): return Double(value)
        }
    }

    /// Subtracts from the integer that a key holds; as `incr`.
    @discardableResult
    public func decr(_ key: some CacheKey, by delta: Int64 = 1, default start: Int64? = 0) throws -> Int64 {
        let negated = Int64(0).subtractingReportingOverflow(delta)
        if negated.overflow { throw CacheError(.overflow, "\(delta) can't be subtracted; the value stays") }
        return try incr(key, by: negated.partialValue, default: start)
    }

    // Disfavoured as for `incr`.
    /// Subtracts from the number that a key holds; as `incr`.
    @_disfavoredOverload @discardableResult
    public func decr(_ key: some CacheKey, by delta: Double, default start: Double? = 0) throws -> Double {
        try incr(key, by: -delta, default: start)
    }

    private func increment(
        _ key: some CacheKey, _ delta: Store.Number, _ start: Store.Number?
    ) throws -> Store.Number {
        try withKeyBytes(key) { keyClass, bytes in
            try withStore { (store) throws(EngineError) in
                try store.increment(timeout: handle.timeout, keyClass, bytes, by: delta, start: start)
            }
        }
    }

    /// Reads a value, lets `body` change it and stores it, as one step that nobody can come between; returns what `body` returns.
    ///
    /// A missing or expired key begins as `start`. Expiry and tag stay. If `body` throws, nothing has happened. `body` runs with the write
    /// lock held, so it should be short; what it does with this cache is part of the same transaction.
    public func update<V: Codable, R>(
        _ key: some CacheKey, default start: @autoclosure () throws -> V, _ body: (inout V) throws -> R
    ) throws -> R {
        try withKeyBytes(key) { keyClass, keyBytes in
            try inStore { store in
                try store.transact(timeout: handle.timeout) {
                    var attributes = RecordAttributes()
                    var value: V?
                    let row = try store.liveRow(keyClass, keyBytes)
                    if let row {
                        attributes = RecordAttributes(expiry: row.expiry, tag: row.tag)
                        try withBytes(of: row, store) { form, bytes in
                            value = try decodeValue(V.self, form: form, bytes: bytes, serializer: serializer)
                        }
                    }
                    var changed: V
                    if let value { changed = value } else { changed = try start() }
                    let result = try body(&changed)
                    try encodeValue(changed, serializer: serializer) { form, bytes in
                        _ = try store.put(
                            timeout: handle.timeout, keyClass, keyBytes, form: UInt16(form.rawValue), value: bytes,
                            attributes)
                    }
                    return result
                }
            }
        }
    }

    /// Stores many values at once: everybody sees all of them or none, also after a kill.
    public func setMany<K: CacheKey, V: Encodable>(
        _ items: some Sequence<(K, V)>, expire: Expiration? = nil, tag: Tag? = nil
    ) throws {
        try inTransaction { for (key, value) in items { try set(key, value, expire: expire, tag: tag) } }
    }

    /// Removes many keys at once; how many of them were there.
    @discardableResult
    public func deleteMany<K: CacheKey>(_ keys: some Sequence<K>) throws -> Int {
        try inTransaction { try keys.reduce(0) { try delete($1) ? $0 + 1 : $0 } }
    }

    /// Removes everything; how many items there were. O(1), at one instant: the space comes back in the background.
    @discardableResult
    public func clear() throws -> Int {
        try withStore { (store) throws(EngineError) in try store.clear(timeout: handle.timeout) }
    }

    // MARK: Parts

    func withAttributes<R>(
        _ expire: Expiration?, _ tag: Tag?, _ body: (RecordAttributes) throws -> R
    ) throws -> R {
        var attributes = RecordAttributes(expiry: expire?.microseconds(now: handle.now()))
        attributes.expiresByDefault = expire == nil
        guard let tag else { return try body(attributes) }
        return try tag.withBytes { form, bytes in
            attributes.tag = (form, bytes)
            return try body(attributes)
        }
    }

    /// `set` and `add`, where types don't matter any more.
    @usableFromInline
    func store(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, _ form: ValueForm, _ value: UnsafeRawBufferPointer,
        _ expire: Expiration?, _ tag: Tag?, onlyIfMissing: Bool
    ) throws -> Bool {
        try withAttributes(expire, tag) { attributes in
            do throws(EngineError) {
                return try handle.put(
                    keyClass, key, form: UInt16(form.rawValue), value: value, attributes,
                    condition: onlyIfMissing ? .onlyIfMissing : .always)
            } catch {
                throw CacheError(error)
            }
        }
    }
}
