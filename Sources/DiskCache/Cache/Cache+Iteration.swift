internal import DiskCacheEngine

/// Keys and items in their orders.
///
/// None of this takes the write lock, unless it says so. A cursor sees the cache as it is when it comes by: every key that is there all
/// the time is met, exactly once; one that comes after the cursor was made isn't met, be it that it comes again; a value is
/// the newest. In a transaction its own writes are seen.
///
/// **Keys** are those of all items that are stored, expired ones that nothing has removed yet included, as `count` counts them.
/// **Items** have values, so expired ones are left out. A key whose record is damaged is left out; `check` tells which.
///
/// An order that is asked for is built once, by sorting, and then kept up behind the writers' backs for as long as it is used: the
/// first call on a large cache takes about a second for a million keys.
extension Cache {
    // MARK: Insertion order

    /// All keys in the order in which they were first stored; an overwrite keeps a key's place.
    public func keys(reversed: Bool = false) throws -> Cursor<AnyCacheKey> {
        try scan(.insertion, reversed: reversed) { row, _ in try AnyCacheKey(keyClass: row.keyClass, bytes: row.key) }
    }

    /// All items in the order in which they were first stored. Throws `typeMismatch` where a value is of another type.
    public func items<V: Decodable>(
        as type: V.Type = V.self, reversed: Bool = false
    ) throws -> Cursor<(key: AnyCacheKey, value: V)> {
        try items(.insertion, .all, reversed) { $0 }
    }

    // MARK: Key order

    /// All keys in their own order: null, numbers by value, texts by their bytes, bytes, everything serialised, queues' items.
    public func sortedKeys(reversed: Bool = false) throws -> Cursor<AnyCacheKey> {
        try scan(.key, reversed: reversed) { row, _ in try AnyCacheKey(keyClass: row.keyClass, bytes: row.key) }
    }

    /// All items in the order of their keys. Throws `typeMismatch` where a value is of another type.
    public func sortedItems<V: Decodable>(
        as type: V.Type = V.self, reversed: Bool = false
    ) throws -> Cursor<(key: AnyCacheKey, value: V)> {
        try items(.key, .all, reversed) { $0 }
    }

    /// The keys of a range, in their own order: `keys(in: "a"..<"b")`, `keys(in: 100...)`.
    ///
    /// Throws `typeMismatch` where a key in the range is none of type `K`, as 1.5 among integers.
    public func keys<K: CacheKey>(
        in range: some KeyRangeExpression<K>, reversed: Bool = false
    ) throws -> Cursor<K> {
        try scan(.key, try Self.range(range), reversed: reversed) { row, _ in
            try AnyCacheKey(keyClass: row.keyClass, bytes: row.key).decode(K.self)
        }
    }

    /// The items of a range of keys, in the order of the keys; as `keys(in:)`.
    public func items<K: CacheKey, V: Decodable>(
        in range: some KeyRangeExpression<K>, as type: V.Type = V.self, reversed: Bool = false
    ) throws -> Cursor<(key: K, value: V)> {
        try items(.key, try Self.range(range), reversed) { try $0.decode(K.self) }
    }

    /// The texts among the keys that begin with `prefix`, byte by byte, in their order.
    public func keys(prefix: String, reversed: Bool = false) throws -> Cursor<String> {
        try scan(.key, Self.prefix(prefix), reversed: reversed) { row, _ in
            try AnyCacheKey(keyClass: row.keyClass, bytes: row.key).decode(String.self)
        }
    }

    /// The byte keys that begin with `prefix`, in their order.
    public func keys(prefix: [UInt8], reversed: Bool = false) throws -> Cursor<[UInt8]> {
        try scan(.key, Self.prefix(prefix), reversed: reversed) { row, _ in Array(row.key) }
    }

    /// The items whose keys are texts that begin with `prefix`, in the order of the keys.
    public func items<V: Decodable>(
        prefix: String, as type: V.Type = V.self, reversed: Bool = false
    ) throws -> Cursor<(key: String, value: V)> {
        try items(.key, Self.prefix(prefix), reversed) { try $0.decode(String.self) }
    }

    /// The items whose keys are bytes that begin with `prefix`, in the order of the keys.
    public func items<V: Decodable>(
        prefix: [UInt8], as type: V.Type = V.self, reversed: Bool = false
    ) throws -> Cursor<(key: [UInt8], value: V)> {
        try items(.key, Self.prefix(prefix), reversed) { try $0.decode([UInt8].self) }
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
        // Rows come in batches: what lies behind the one that is found is left alone.
        var isFound = false
        let removing = try scan(.insertion, reversed: last, records: true) {
            [self] row, store -> (key: AnyCacheKey, value: V)? in
            if isFound { return nil }
            if let expiry = row.record?.expiry, expiry <= handle.now() {
                try rethrowing { () throws(EngineError) in
                    try store.removeExpired(timeout: handle.timeout, row.keyClass, row.key, rowid: row.rowid)
                }
                return nil
            }
            let item = try item(row, store, as: V.self)
            isFound = item != nil
            return item
        }
        return try removing.next()
    }

    // MARK: Parts

    private static func range<K: CacheKey>(_ range: some KeyRangeExpression<K>) throws -> OrderedScan.Range {
        let bounds = try range.keyRange.encoded()
        return .keys(from: bounds.lower, upTo: bounds.upper)
    }

    private static func prefix(_ text: String) -> OrderedScan.Range {
        .prefix([KeyClass.text.rawValue] + Array(text.utf8))
    }

    private static func prefix(_ bytes: [UInt8]) -> OrderedScan.Range { .prefix([KeyClass.bytes.rawValue] + bytes) }

    /// A cursor over what `make` makes of the rows of an order; rows for which it says nil are left out.
    func scan<E>(
        _ order: RowOrder, _ range: OrderedScan.Range = .all, reversed: Bool, records: Bool = false,
        _ make: @escaping (OrderedRow, Store) throws -> E?
    ) throws -> Cursor<E> {
        let scan = try rethrowing { () throws(EngineError) in
            try handle.withStore { OrderedScan(order, range, reversed: reversed, wantsRecords: records, in: $0) }
        }
        return Cursor { [handle] batch in
            let access = try rethrowing { () throws(EngineError) in try handle.open() }
            defer { handle.end(access) }
            return try handle.withStoreOf(access) { store in
                try rethrowing { () throws(EngineError) in try scan.next(in: store) }
                for row in scan.rows {
                    if let element = try make(row, store) { batch.append(element) }
                }
                return !scan.isAtEnd
            }
        }
    }

    func items<K, V: Decodable>(
        _ order: RowOrder, _ range: OrderedScan.Range, _ reversed: Bool,
        _ key: @escaping (AnyCacheKey) throws -> K
    ) throws -> Cursor<(key: K, value: V)> {
        try scan(order, range, reversed: reversed, records: true) { [self] row, store in
            guard let item = try item(row, store, as: V.self) else { return nil }
            return (try key(item.key), item.value)
        }
    }

    /// The item of a row; nil if it has expired, or is gone by now.
    private func item<V: Decodable>(
        _ row: OrderedRow, _ store: Store, as type: V.Type
    ) throws -> (key: AnyCacheKey, value: V)? {
        guard let record = row.record else { return nil }
        if let expiry = record.expiry, expiry <= handle.now() { return nil }
        var value: V?
        let isThere = try withBytes(of: record, store) { form, bytes in
            value = try decodeValue(V.self, form: form, bytes: bytes, serializer: serializer)
        }
        if !isThere {
            // Whoever replaced the record may have unlinked its file: then the newest one counts.
            try withLiveRecord(KeyClass.identity(of: row.keyClass), row.key) { newer, store in
                guard newer.rowid == row.rowid else { return true }
                return try withBytes(of: newer, store) { form, bytes in
                    value = try decodeValue(V.self, form: form, bytes: bytes, serializer: serializer)
                }
            }
        }
        guard let value else { return nil }
        return (try AnyCacheKey(keyClass: row.keyClass, bytes: row.key), value)
    }
}
