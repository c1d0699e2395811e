internal import DiskCacheEngine

/// None of these takes the write lock or waits for anybody. O(1); `getMany` O(keys). All throw `keyInvalid` for NaN, `corrupted` for bytes
/// that were damaged, `unsupportedFormat` for a value of a form that this version doesn't know, `io`; those that give values
/// `typeMismatch` and `undecodable` too. In a cache that was closed, each throws what opening throws.
extension Cache {
    /// The value of a key; nil if it is missing or expired. No lock, no system call for values that lie in the log.
    ///
    /// A stored nil is a value: asked for as an optional it comes back as `.some(nil)`.
    ///
    /// Throws `typeMismatch` if the value is of another type.
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

    /// The value of a key, or `value` if it is missing or expired; the value isn't stored. As `get` otherwise.
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

    /// Lends the bytes of a key's value where they lie, without a copy; nil if it is missing or expired.
    ///
    /// Text as UTF-8, bytes as they are, a number as 8 bytes little-endian, other values as the serialiser made them. Whatever lies in
    /// a file of its own is mapped, after its checksum was verified. While `body` runs the bytes stay as they are, even if the key
    /// is removed meanwhile. No allocation for values that lie in the log.
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
        try withKeyBytes(key) { keyClass, bytes in
            var result: Entry<V>?
            try withLiveRecord(keyClass, bytes) { record, store in
                var value: V?
                let isThere = try withBytes(of: record, store) { form, bytes in
                    value = try decodeValue(V.self, form: form, bytes: bytes, serializer: serializer)
                }
                guard isThere, let value else { return false }
                result = try entry(value, record, store)
                return true
            }
            return result
        }
    }

    /// The value of a key, to be read in pieces; nil if it is missing or expired. Its file stays readable though the key be removed.
    public func open(_ key: some CacheKey) throws -> ValueReader? {
        try withKeyBytes(key) { keyClass, bytes in
            var result: ValueReader?
            try withLiveRecord(keyClass, bytes) { record, store in
                result = try reader(of: record, store)
                return result != nil
            }
            return result
        }
    }

    /// The values of many keys, in the order asked; nil for each that is missing or expired. Each is read as of its own moment.
    public func getMany<K: CacheKey, V: Decodable>(_ keys: some Sequence<K>, as type: V.Type = V.self) throws -> [V?] {
        try keys.map { try get($0, as: V.self) }
    }

    // MARK: Parts

    /// A reader of a record's value, wherever that lies; nil: its file isn't there.
    func reader(of record: Record, _ store: Store) throws -> ValueReader? {
        guard try form(record.form).isFile else { return ValueReader(bytes: Array(record.value)) }
        return try rethrowing { () throws(EngineError) in try store.openFile(of: record) }.map(ValueReader.init(file:))
    }

    /// A value with everything that its record says.
    func entry<V>(_ value: V, _ record: Record, _ store: Store) throws -> Entry<V> {
        let file = store.file(of: record)
        return Entry(
            value: value, storedAt: Double(store.storedAt(record)) / 1_000_000,
            expires: record.expiry.map { Double($0) / 1_000_000 },
            tag: try record.tag.map { try Tag(form: $0.form, bytes: $0.bytes) },
            byteCount: file?.count ?? record.value.count, path: file?.path)
    }

    /// Calls `body` with the value's form and bytes if the key is there and not expired.
    @usableFromInline
    func lookUp(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, _ body: (ValueForm, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let found: StoreHandle.FoundValue
        do {
            found = try handle.findValue(keyClass, key)
        } catch {
            throw CacheError(error)
        }
        defer { handle.end(found.access) }
        guard found.start != nil else { return }
        if ValueFormCode.isFile(found.form) {
            try lookUpFile(keyClass, key, body)
        } else {
            try body(try form(found.form), found.bytes)
        }
    }

    /// As `lookUp`, for a value in a file of its own.
    @inline(never)
    private func lookUpFile(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, _ body: (ValueForm, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        // The policy has been told of the access already; hits and misses haven't.
        try withLiveRecord(keyClass, key, stamps: false) { record, store in try withBytes(of: record, store, body) }
    }

    @inline(__always)
    func form(_ code: UInt16) throws -> ValueForm {
        guard let form = ValueForm(rawValue: UInt8(truncatingIfNeeded: code)) else {
            throw CacheError(.unsupportedFormat, "a value of a form that this version doesn't know", path: directory)
        }
        return form
    }

    /// Calls `body` with the live record of a key. `body` says false if the record's file is gone: then the key is looked up again,
    /// since whoever replaced it may have unlinked the file; the same record a second time is a miss. `counts`: among hits and misses.
    /// `stamps`: the eviction policy is told as well.
    func withLiveRecord(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, counts: Bool = true, stamps: Bool = true,
        _ body: (Record, Store) throws -> Bool
    ) throws {
        var last: Position?
        while true {
            let found: (record: Record?, access: StoreHandle.Access)
            do {
                found = try handle.find(keyClass, key, counts: counts && stamps && last == nil)
            } catch {
                throw CacheError(error)
            }
            defer { handle.end(found.access) }
            guard let record = found.record, record.position != last,
                !(record.expiry.map { $0 <= handle.now() } ?? false)
            else {
                if counts { handle.count(isHit: false, found.access) }
                return
            }
            if try handle.withStoreOf(found.access, { try body(record, $0) }) {
                if counts { handle.count(isHit: true, found.access) }
                return
            }
            last = record.position
        }
    }

    /// Lends a record's value, wherever it lies. False: its file isn't there.
    @discardableResult
    func withBytes(
        of record: Record, _ store: Store, _ body: (ValueForm, UnsafeRawBufferPointer) throws -> Void
    ) throws -> Bool {
        let form = try form(record.form)
        guard form.isFile else {
            try body(form, record.value)
            return true
        }
        guard let file = try rethrowing({ () throws(EngineError) in try store.openFile(of: record) }) else {
            return false
        }
        try lend(file, form.inline, body)
        return true
    }

    /// Lends the bytes of a value file.
    func lend(
        _ file: Store.FileValue, _ form: ValueForm, _ body: (ValueForm, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        do {
            try file.withBytes { try body(form, $0) }
        } catch let error as EngineError {
            throw CacheError(error)
        }
    }

    @usableFromInline
    func isThere(_ keyClass: UInt8, _ key: UnsafeRawBufferPointer) throws -> Bool {
        do {
            let found = try handle.find(keyClass, key)
            defer { handle.end(found.access) }
            guard let record = found.record else { return false }
            return !(record.expiry.map { $0 <= handle.now() } ?? false)
        } catch {
            throw CacheError(error)
        }
    }
}
