public import DiskCacheCore

/// Keys and items in their orders, each as the plain verb of the same name says.
extension AsyncCache where Base == Cache {
    /// All keys in the order in which they were first stored.
    public func keys(reversed: Bool = false) -> AsyncCursor<AnyCacheKey> {
        cursor { try $0.keys(reversed: reversed) }
    }

    /// All items in the order in which they were first stored.
    public func items<V: Decodable & Sendable>(
        as type: V.Type = V.self, reversed: Bool = false
    ) -> AsyncCursor<(key: AnyCacheKey, value: V)> {
        cursor { try $0.items(as: V.self, reversed: reversed) }
    }

    /// All keys in their own order.
    public func sortedKeys(reversed: Bool = false) -> AsyncCursor<AnyCacheKey> {
        cursor { try $0.sortedKeys(reversed: reversed) }
    }

    /// All items in the order of their keys.
    public func sortedItems<V: Decodable & Sendable>(
        as type: V.Type = V.self, reversed: Bool = false
    ) -> AsyncCursor<(key: AnyCacheKey, value: V)> {
        cursor { try $0.sortedItems(as: V.self, reversed: reversed) }
    }

    /// The keys of a range, in their own order: `keys(in: "a"..<"b")`.
    public func keys<K: CacheKey>(in range: some KeyRangeExpression<K>, reversed: Bool = false) -> AsyncCursor<K> {
        let range = range.keyRange
        return cursor { try $0.keys(in: range, reversed: reversed) }
    }

    /// The items of a range of keys, in the order of the keys.
    public func items<K: CacheKey, V: Decodable & Sendable>(
        in range: some KeyRangeExpression<K>, as type: V.Type = V.self, reversed: Bool = false
    ) -> AsyncCursor<(key: K, value: V)> {
        let range = range.keyRange
        return cursor { try $0.items(in: range, as: V.self, reversed: reversed) }
    }

    /// The texts among the keys that begin with `prefix`, in their order.
    public func keys(prefix: String, reversed: Bool = false) -> AsyncCursor<String> {
        cursor { try $0.keys(prefix: prefix, reversed: reversed) }
    }

    /// The byte keys that begin with `prefix`, in their order.
    public func keys(prefix: [UInt8], reversed: Bool = false) -> AsyncCursor<[UInt8]> {
        cursor { try $0.keys(prefix: prefix, reversed: reversed) }
    }

    /// The items whose keys are texts that begin with `prefix`, in the order of the keys.
    public func items<V: Decodable & Sendable>(
        prefix: String, as type: V.Type = V.self, reversed: Bool = false
    ) -> AsyncCursor<(key: String, value: V)> {
        cursor { try $0.items(prefix: prefix, as: V.self, reversed: reversed) }
    }

    /// The items whose keys are bytes that begin with `prefix`, in the order of the keys.
    public func items<V: Decodable & Sendable>(
        prefix: [UInt8], as type: V.Type = V.self, reversed: Bool = false
    ) -> AsyncCursor<(key: [UInt8], value: V)> {
        cursor { try $0.items(prefix: prefix, as: V.self, reversed: reversed) }
    }

    /// The keys of the items with a tag, in the order in which they were first stored.
    public func keys(tag: Tag, reversed: Bool = false) -> AsyncCursor<AnyCacheKey> {
        cursor { try $0.keys(tag: tag, reversed: reversed) }
    }

    /// The items with a tag, in the order in which they were first stored.
    public func items<V: Decodable & Sendable>(
        tag: Tag, as type: V.Type = V.self, reversed: Bool = false
    ) -> AsyncCursor<(key: AnyCacheKey, value: V)> {
        cursor { try $0.items(tag: tag, as: V.self, reversed: reversed) }
    }

    /// The first key in insertion order, or in the order of keys; nil if there is none.
    public func first(sorted: Bool = false) async throws -> AnyCacheKey? {
        try await reading { [base] in try base.first(sorted: sorted) }
    }

    /// The last key in insertion order, or in the order of keys; nil if there is none.
    public func last(sorted: Bool = false) async throws -> AnyCacheKey? {
        try await reading { [base] in try base.last(sorted: sorted) }
    }

    /// The item that was first stored last, or with `last` false the one that was first stored first; nil if there is none.
    public func peekItem<V: Decodable & Sendable>(
        last: Bool = true, as type: V.Type = V.self
    ) async throws -> (key: AnyCacheKey, value: V)? {
        try await writing { [base] in try base.peekItem(last: last, as: V.self) }
    }

    private func cursor<Element>(
        _ open: @escaping @Sendable (Cache) throws -> Cursor<Element>
    ) -> AsyncCursor<Element> {
        AsyncCursor(resources.executor) { [base] in try open(base) }
    }
}
