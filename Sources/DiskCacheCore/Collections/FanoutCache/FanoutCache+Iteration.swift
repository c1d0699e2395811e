internal import DiskCacheEngine

/// Keys and items in their orders; what a cursor sees, and what it costs, is as for ``Cache``.
///
/// **Insertion order** is that of the shards, and inside each that in which keys were first stored; reversed it is the exact mirror.
/// **The order of keys** is that of all keys: the shards' orders are merged as they are read, a batch of each at a time.
extension FanoutCache {
    // MARK: Insertion order

    /// All keys, shard by shard, in the order in which they were first stored.
    public func keys(reversed: Bool = false) throws -> Cursor<AnyCacheKey> {
        try chained(reversed) { try $0.keys(reversed: reversed) }
    }

    /// All items, shard by shard, in the order in which they were first stored. Throws `typeMismatch` where a value is of another type.
    public func items<V: Decodable>(
        as type: V.Type = V.self, reversed: Bool = false
    ) throws -> Cursor<(key: AnyCacheKey, value: V)> {
        try chained(reversed) { try $0.items(as: V.self, reversed: reversed) }
    }

    /// The keys of the items with a tag, shard by shard, in the order in which they were first stored.
    public func keys(tag: Tag, reversed: Bool = false) throws -> Cursor<AnyCacheKey> {
        try chained(reversed) { try $0.keys(tag: tag, reversed: reversed) }
    }

    /// The items with a tag, shard by shard, in the order in which they were first stored.
    public func items<V: Decodable>(
        tag: Tag, as type: V.Type = V.self, reversed: Bool = false
    ) throws -> Cursor<(key: AnyCacheKey, value: V)> {
        try chained(reversed) { try $0.items(tag: tag, as: V.self, reversed: reversed) }
    }

    // MARK: Key order

    /// All keys in their own order, as ``Cache/sortedKeys(reversed:)``.
    public func sortedKeys(reversed: Bool = false) throws -> Cursor<AnyCacheKey> {
        try mergedKeys(reversed) { try $0.reader(.key, reversed: reversed) }
    }

    /// All items in the order of their keys. Throws `typeMismatch` where a value is of another type.
    public func sortedItems<V: Decodable>(
        as type: V.Type = V.self, reversed: Bool = false
    ) throws -> Cursor<(key: AnyCacheKey, value: V)> {
        try mergedItems(reversed) { try $0.itemReader(sorted: true, reversed: reversed) }
    }

    /// The keys of a range, in their own order, as ``Cache/keys(in:reversed:)``.
    public func keys<K: CacheKey>(
        in range: some KeyRangeExpression<K>, reversed: Bool = false
    ) throws -> Cursor<K> {
        let range = range.keyRange
        return try mergedKeys(reversed) { try $0.reader(range, reversed: reversed, records: false) }
    }

    /// The items of a range of keys, in the order of the keys.
    public func items<K: CacheKey, V: Decodable>(
        in range: some KeyRangeExpression<K>, as type: V.Type = V.self, reversed: Bool = false
    ) throws -> Cursor<(key: K, value: V)> {
        let range = range.keyRange
        return try mergedItems(reversed) { try $0.reader(range, reversed: reversed, records: true) }
    }

    /// The texts among the keys that begin with `prefix`, byte by byte, in their order.
    public func keys(prefix: String, reversed: Bool = false) throws -> Cursor<String> {
        try mergedKeys(reversed) { try $0.reader(prefix: prefix, reversed: reversed, records: false) }
    }

    /// The byte keys that begin with `prefix`, in their order.
    public func keys(prefix: [UInt8], reversed: Bool = false) throws -> Cursor<[UInt8]> {
        try mergedKeys(reversed) { try $0.reader(prefix: prefix, reversed: reversed, records: false) }
    }

    /// The items whose keys are texts that begin with `prefix`, in the order of the keys.
    public func items<V: Decodable>(
        prefix: String, as type: V.Type = V.self, reversed: Bool = false
    ) throws -> Cursor<(key: String, value: V)> {
        try mergedItems(reversed) { try $0.reader(prefix: prefix, reversed: reversed, records: true) }
    }

    /// The items whose keys are bytes that begin with `prefix`, in the order of the keys.
    public func items<V: Decodable>(
        prefix: [UInt8], as type: V.Type = V.self, reversed: Bool = false
    ) throws -> Cursor<(key: [UInt8], value: V)> {
        try mergedItems(reversed) { try $0.reader(prefix: prefix, reversed: reversed, records: true) }
    }

    // MARK: Ends

    /// The first key of `keys()`, or of `sortedKeys()`; nil if there is none.
    public func first(sorted: Bool = false) throws -> AnyCacheKey? {
        try (sorted ? sortedKeys() : keys()).next()
    }

    /// The last key of `keys()`, or of `sortedKeys()`; nil if there is none.
    public func last(sorted: Bool = false) throws -> AnyCacheKey? {
        try (sorted ? sortedKeys(reversed: true) : keys(reversed: true)).next()
    }

    /// The last item of `items()`, or with `last` false the first; nil if there is none. As ``Cache/peekItem(last:as:)``.
    public func peekItem<V: Decodable>(
        last: Bool = true, as type: V.Type = V.self
    ) throws -> (key: AnyCacheKey, value: V)? {
        for part in last ? parts.reversed() : parts {
            if let item = try part.peekItem(last: last, as: V.self) { return item }
        }
        return nil
    }

    // MARK: Parts

    private func chained<Element>(
        _ reversed: Bool, _ cursor: (Cache) throws -> Cursor<Element>
    ) throws -> Cursor<Element> {
        Cursor(chaining: try (reversed ? parts.reversed() : parts).map(cursor))
    }

    private func mergedKeys<K: CacheKey>(
        _ reversed: Bool, _ reader: (Cache) throws -> RowReader
    ) throws -> Cursor<K> {
        let cursors = try parts.map { part in
            let reader = try reader(part)
            return Cursor<PlacedElement<K>> {
                guard let (keyClass, bytes) = try reader.nextKey() else { return nil }
                return PlacedElement(KeyClass.place(keyClass, bytes), Result { try readKey(K.self, keyClass, bytes) })
            }
        }
        return Cursor(merging: cursors, reversed: reversed)
    }

    private func mergedItems<K: CacheKey, V: Decodable>(
        _ reversed: Bool, _ reader: (Cache) throws -> RowReader
    ) throws -> Cursor<(key: K, value: V)> {
        let serializer = self.serializer
        let cursors = try parts.map { part in
            let reader = try reader(part)
            return Cursor<PlacedElement<(key: K, value: V)>>(batches: { batch in
                try reader.nextItems { keyClass, key, form, bytes in
                    batch.append(
                        PlacedElement(
                            KeyClass.place(keyClass, key),
                            Result {
                                let value = try decodeValue(V.self, form: form, bytes: bytes, serializer: serializer)
                                return (key: try readKey(K.self, keyClass, key), value: value)
                            }))
                }
            })
        }
        return Cursor(merging: cursors, reversed: reversed)
    }
}
