/// Keys, values and items in their orders, read as they are asked for. None of this takes the write lock.
///
/// A cursor sees the index as it is when it comes by: every key that is there all the time is met once, with its newest value, and one
/// that comes after the cursor was made isn't met. One that is removed meanwhile is left out. As `Cache.keys()` in all else, errors
/// included.
extension Index {
    // MARK: Insertion order

    /// The keys in the order in which they came.
    @inlinable
    public func keys(reversed: Bool = false) throws -> Cursor<Key> {
        store.cache.keyCursor(try reader(sorted: false, reversed: reversed, records: false))
    }

    /// The values in the order in which their keys came.
    @inlinable
    public func values(reversed: Bool = false) throws -> Cursor<Value> {
        let reader = try reader(sorted: false, reversed: reversed, records: true)
        let serializer = store.cache.serializer
        return Cursor(batches: { batch in
            try reader.nextItems { _, _, form, bytes in
                batch.append(try decodeValue(Value.self, form: form, bytes: bytes, serializer: serializer))
            }
        })
    }

    /// The items in the order in which their keys came.
    @inlinable
    public func items(reversed: Bool = false) throws -> Cursor<(key: Key, value: Value)> {
        store.cache.itemCursor(try reader(sorted: false, reversed: reversed, records: true))
    }

    // MARK: Key order

    /// The keys in their own order: null, numbers by value, texts by their bytes, bytes, everything serialised.
    @inlinable
    public func sortedKeys(reversed: Bool = false) throws -> Cursor<Key> {
        store.cache.keyCursor(try reader(sorted: true, reversed: reversed, records: false))
    }

    /// The items in the order of their keys.
    @inlinable
    public func sortedItems(reversed: Bool = false) throws -> Cursor<(key: Key, value: Value)> {
        store.cache.itemCursor(try reader(sorted: true, reversed: reversed, records: true))
    }

    /// The keys of a range, in their own order: `keys(in: "a"..<"b")`, `keys(in: 100...)`.
    @inlinable
    public func keys(in range: some KeyRangeExpression<Key>, reversed: Bool = false) throws -> Cursor<Key> {
        store.cache.keyCursor(try reader(range.keyRange, reversed: reversed, records: false))
    }

    /// The items of a range of keys, in the order of the keys.
    @inlinable
    public func items(
        in range: some KeyRangeExpression<Key>, reversed: Bool = false
    ) throws -> Cursor<(key: Key, value: Value)> {
        store.cache.itemCursor(try reader(range.keyRange, reversed: reversed, records: true))
    }

    @usableFromInline
    func reader(sorted: Bool, reversed: Bool, records: Bool) throws -> RowReader {
        try RowReader(
            store.cache, sorted: sorted, reversed: reversed, records: records, skipsQueues: Self.skipsQueues)
    }

    @usableFromInline
    func reader(_ range: KeyRange<Key>, reversed: Bool, records: Bool) throws -> RowReader {
        try store.cache.reader(range, reversed: reversed, records: records, skipsQueues: Self.skipsQueues)
    }
}

extension Index where Key == String {
    /// The keys that begin with `prefix`, byte by byte, in their order.
    public func keys(prefix: String, reversed: Bool = false) throws -> Cursor<String> {
        try store.cache.keys(prefix: prefix, reversed: reversed)
    }

    /// The items whose keys begin with `prefix`, in the order of the keys.
    @inlinable
    public func items(prefix: String, reversed: Bool = false) throws -> Cursor<(key: String, value: Value)> {
        try store.cache.items(prefix: prefix, reversed: reversed)
    }
}

extension Index where Key == [UInt8] {
    /// The keys that begin with `prefix`, in their order.
    public func keys(prefix: [UInt8], reversed: Bool = false) throws -> Cursor<[UInt8]> {
        try store.cache.keys(prefix: prefix, reversed: reversed)
    }

    /// The items whose keys begin with `prefix`, in the order of the keys.
    @inlinable
    public func items(prefix: [UInt8], reversed: Bool = false) throws -> Cursor<(key: [UInt8], value: Value)> {
        try store.cache.items(prefix: prefix, reversed: reversed)
    }
}
