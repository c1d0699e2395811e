internal import DiskCacheEngine

/// Keys and items in their orders.
///
/// None of this takes the write lock, unless it says so. A cursor sees the cache as it is when it comes by: every key that is there all
/// the time is met, exactly once; one that comes after the cursor was made isn't met, be it that it comes again; a value is
/// the newest. In a transaction its own writes are seen.
///
/// **Keys** are those of all items that are stored, expired ones that nothing has removed yet included, as `count` counts them.
/// **Items** have values, so expired ones are left out, and those whose records are damaged; `check` tells which.
///
/// An order that is asked for is built once, by sorting, and then kept up behind the writers' backs for as long as it is used: the
/// first call on a large cache takes about a second for a million keys.
///
/// Making a cursor and its `next` throw `io`, `tooManyOpenFiles`, `diskFull` where an order is built, and `next` what reading a value
/// throws.
extension Cache {
    // MARK: Insertion order

    /// All keys in the order in which they were first stored; an overwrite keeps a key's place.
    public func keys(reversed: Bool = false) throws -> Cursor<AnyCacheKey> {
        keyCursor(try reader(.insertion, reversed: reversed))
    }

    /// All items in the order in which they were first stored. Throws `typeMismatch` where a value is of another type.
    @inlinable
    public func items<V: Decodable>(
        as type: V.Type = V.self, reversed: Bool = false
    ) throws -> Cursor<(key: AnyCacheKey, value: V)> {
        itemCursor(try itemReader(sorted: false, reversed: reversed))
    }

    // MARK: Key order

    /// All keys in their own order: null, numbers by value, texts by their bytes, bytes, everything serialised, queues' items.
    public func sortedKeys(reversed: Bool = false) throws -> Cursor<AnyCacheKey> {
        keyCursor(try reader(.key, reversed: reversed))
    }

    /// All items in the order of their keys. Throws `typeMismatch` where a value is of another type.
    @inlinable
    public func sortedItems<V: Decodable>(
        as type: V.Type = V.self, reversed: Bool = false
    ) throws -> Cursor<(key: AnyCacheKey, value: V)> {
        itemCursor(try itemReader(sorted: true, reversed: reversed))
    }

    /// The keys of a range, in their own order: `keys(in: "a"..<"b")`, `keys(in: 100...)`.
    ///
    /// Throws `typeMismatch` where a key in the range is none of type `K`, as 1.5 among integers.
    @inlinable
    public func keys<K: CacheKey>(
        in range: some KeyRangeExpression<K>, reversed: Bool = false
    ) throws -> Cursor<K> {
        keyCursor(try reader(range.keyRange, reversed: reversed, records: false))
    }

    /// The items of a range of keys, in the order of the keys; as `keys(in:)`.
    @inlinable
    public func items<K: CacheKey, V: Decodable>(
        in range: some KeyRangeExpression<K>, as type: V.Type = V.self, reversed: Bool = false
    ) throws -> Cursor<(key: K, value: V)> {
        itemCursor(try reader(range.keyRange, reversed: reversed, records: true))
    }

    /// The texts among the keys that begin with `prefix`, byte by byte, in their order.
    public func keys(prefix: String, reversed: Bool = false) throws -> Cursor<String> {
        keyCursor(try reader(prefix: prefix, reversed: reversed, records: false))
    }

    /// The byte keys that begin with `prefix`, in their order.
    public func keys(prefix: [UInt8], reversed: Bool = false) throws -> Cursor<[UInt8]> {
        keyCursor(try reader(prefix: prefix, reversed: reversed, records: false))
    }

    /// The items whose keys are texts that begin with `prefix`, in the order of the keys.
    @inlinable
    public func items<V: Decodable>(
        prefix: String, as type: V.Type = V.self, reversed: Bool = false
    ) throws -> Cursor<(key: String, value: V)> {
        itemCursor(try reader(prefix: prefix, reversed: reversed, records: true))
    }

    /// The items whose keys are bytes that begin with `prefix`, in the order of the keys.
    @inlinable
    public func items<V: Decodable>(
        prefix: [UInt8], as type: V.Type = V.self, reversed: Bool = false
    ) throws -> Cursor<(key: [UInt8], value: V)> {
        itemCursor(try reader(prefix: prefix, reversed: reversed, records: true))
    }

    // MARK: Ends

    /// The first key in insertion order, or in the order of keys; nil if there is none.
    public func first(sorted: Bool = false) throws -> AnyCacheKey? {
        try (sorted ? sortedKeys() : keys()).next()
    }

    /// The last key in insertion order, or in the order of keys; nil if there is none.
    public func last(sorted: Bool = false) throws -> AnyCacheKey? {
        try (sorted ? sortedKeys(reversed: true) : keys(reversed: true)).next()
    }

    /// The item that was first stored last, or with `last` false the one that was first stored first; nil if there is none.
    ///
    /// Expired ones at that end are removed: only for those it takes the write lock. Throws `typeMismatch`, `timeout`.
    public func peekItem<V: Decodable>(
        last: Bool = true, as type: V.Type = V.self
    ) throws -> (key: AnyCacheKey, value: V)? {
        try peekRow(last: last, skipsQueues: false)
    }

    /// As `peekItem`, for keys of a known type. `skipsQueues`: items of queues are passed over.
    func peekRow<K: CacheKey, V: Decodable>(last: Bool, skipsQueues: Bool) throws -> (key: K, value: V)? {
        let reader = try RowReader(self, .insertion, reversed: last, records: true, skipsQueues: skipsQueues)
        var found: (key: K, value: V)?
        var hasMore = true
        while found == nil, hasMore {
            hasMore = try reader.next { row, store in
                if found != nil { return }
                if let expiry = row.record?.expiry, expiry <= handle.now() {
                    try rethrowing { () throws(EngineError) in
                        try store.removeExpired(timeout: handle.timeout, row.keyClass, row.key, rowid: row.rowid)
                    }
                    return
                }
                _ = try reader.giveItem(row, store) { keyClass, key, form, bytes in
                    found = (
                        try readKey(K.self, keyClass, key),
                        try decodeValue(V.self, form: form, bytes: bytes, serializer: serializer)
                    )
                }
            }
        }
        return found
    }

    // MARK: Parts

    func reader(_ order: RowOrder, reversed: Bool) throws -> RowReader {
        try RowReader(self, order, reversed: reversed, records: false)
    }

    @usableFromInline
    func itemReader(sorted: Bool, reversed: Bool) throws -> RowReader {
        try RowReader(self, sorted ? .key : .insertion, reversed: reversed, records: true)
    }

    @usableFromInline
    func reader<K: CacheKey>(
        _ range: KeyRange<K>, reversed: Bool, records: Bool, skipsQueues: Bool = false
    ) throws -> RowReader {
        let bounds = try range.encoded()
        return try RowReader(
            self, .key, .keys(from: bounds.lower, upTo: bounds.upper), reversed: reversed, records: records,
            skipsQueues: skipsQueues)
    }

    @usableFromInline
    func reader(prefix: String, reversed: Bool, records: Bool) throws -> RowReader {
        try RowReader(
            self, .key, .prefix([KeyClass.text.rawValue] + Array(prefix.utf8)), reversed: reversed, records: records)
    }

    @usableFromInline
    func reader(prefix: [UInt8], reversed: Bool, records: Bool) throws -> RowReader {
        try RowReader(self, .key, .prefix([KeyClass.bytes.rawValue] + prefix), reversed: reversed, records: records)
    }

    /// A cursor over the keys of a reader.
    @inlinable
    func keyCursor<K: CacheKey>(_ reader: RowReader) -> Cursor<K> {
        Cursor {
            guard let (keyClass, bytes) = try reader.nextKey() else { return nil }
            return try readKey(K.self, keyClass, bytes)
        }
    }

    /// A cursor over the items of a reader.
    @inlinable
    func itemCursor<K: CacheKey, V: Decodable>(_ reader: RowReader) -> Cursor<(key: K, value: V)> {
        let serializer = self.serializer
        return Cursor(batches: { batch in
            try reader.nextItems { keyClass, key, form, bytes in
                let value = try decodeValue(V.self, form: form, bytes: bytes, serializer: serializer)
                batch.append((key: try readKey(K.self, keyClass, key), value: value))
            }
        })
    }
}
