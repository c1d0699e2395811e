internal import DiskCacheEngine

/// The cache as of one instant, lent to the closure of `Cache.snapshot`: several reads that agree, whatever others write meanwhile.
///
/// All reads take no lock. What had expired when the snapshot began is missing in all of them. None counts as hit or miss. All throw
/// `snapshotExpired` when the cache needed the space that the snapshot kept, and else what the reads of a cache throw.
public struct Snapshot: ~Copyable {
    private let cache: Cache
    private let access: StoreHandle.Access
    private let state: StoreSnapshot

    init(_ cache: Cache, _ access: StoreHandle.Access, _ state: StoreSnapshot) {
        self.cache = cache
        self.access = access
        self.state = state
    }

    /// The directory of the cache.
    public var directory: String { cache.directory }

    /// How many items there were, expired ones that nothing had removed included. O(1).
    public var count: Int { state.count }

    /// The value of a key; nil if it was missing or expired. Throws as `Cache.get`, and `snapshotExpired`.
    public func get<V: Decodable>(_ key: some CacheKey, as type: V.Type = V.self) throws -> V? {
        var result: V?
        try withRecord(key) { record, store in
            try lend(record, store) { form, bytes in
                result = try decodeValue(V.self, form: form, bytes: bytes, serializer: cache.serializer)
            }
        }
        return result
    }

    /// The value of a key, or `value` if it was missing or expired.
    public func get<V: Decodable>(_ key: some CacheKey, default value: @autoclosure () throws -> V) throws -> V {
        try get(key, as: V.self) ?? value()
    }

    /// The value of a key, as `get`.
    public subscript<V: Decodable>(key: some CacheKey, as type: V.Type = V.self) -> V? {
        get throws { try get(key, as: V.self) }
    }

    /// Whether a key was there and not expired.
    public func contains(_ key: some CacheKey) throws -> Bool {
        var result = false
        try withRecord(key) { _, _ in result = true }
        return result
    }

    /// The value of a key with everything that was known of it. Its path may be another value's by the time it is used.
    public func entry<V: Decodable>(_ key: some CacheKey, as type: V.Type = V.self) throws -> Entry<V>? {
        var result: Entry<V>?
        try withRecord(key) { record, store in
            var value: V?
            try lend(record, store) { form, bytes in
                value = try decodeValue(V.self, form: form, bytes: bytes, serializer: cache.serializer)
            }
            guard let value else { return }
            result = try cache.entry(value, record, store)
        }
        return result
    }

    /// Lends the bytes of a key's value where they lie, as `Cache.withValue`.
    public func withValue<R>(_ key: some CacheKey, _ body: (RawSpan) throws -> R) throws -> R? {
        var result: R?
        try withRecord(key) { record, store in
            try lend(record, store) { _, bytes in result = try body(bytes.bytes) }
        }
        return result
    }

    // MARK: Orders

    /// All keys, expired ones that nothing had removed included, in the order in which they were first stored. O(n), and all at once: what
    /// is lent ends with the closure. Reads the log between the ordered view and the snapshot, or all of it where the view has gone on.
    public func keys(reversed: Bool = false) throws -> [AnyCacheKey] { try keys(.insertion, .all, reversed) }

    /// All keys in the order of keys; as `keys`.
    public func sortedKeys(reversed: Bool = false) throws -> [AnyCacheKey] { try keys(.key, .all, reversed) }

    /// The keys of a range in the order of keys; as `keys`.
    public func keys<K: CacheKey>(in range: some KeyRangeExpression<K>, reversed: Bool = false) throws -> [K] {
        let bounds = try range.keyRange.encoded()
        return try keys(.key, .keys(from: bounds.lower, upTo: bounds.upper), reversed)
    }

    /// The texts that begin with a prefix, by their UTF-8 bytes, in the order of keys; as `keys`.
    public func keys(prefix: String, reversed: Bool = false) throws -> [String] {
        try keys(.key, .prefix([KeyClass.text.rawValue] + Array(prefix.utf8)), reversed)
    }

    /// The keys of items with a tag, in the order in which they were first stored; as `keys`. Without a tag index all rows are looked at.
    public func keys(tag: Tag, reversed: Bool = false) throws -> [AnyCacheKey] {
        try keys(try cache.tagOrder(), try Cache.range(tag), reversed)
    }

    /// All items that hadn't expired, in the order in which they were first stored; as `keys`, and throws `typeMismatch`.
    public func items<V: Decodable>(
        as type: V.Type = V.self, reversed: Bool = false
    ) throws -> [(key: AnyCacheKey, value: V)] {
        try items(.insertion, reversed)
    }

    /// All items that hadn't expired, in the order of keys; as `items`.
    public func sortedItems<V: Decodable>(
        as type: V.Type = V.self, reversed: Bool = false
    ) throws -> [(key: AnyCacheKey, value: V)] {
        try items(.key, reversed)
    }

    private func keys<K: CacheKey>(_ order: RowOrder, _ range: OrderedScan.Range, _ isReversed: Bool) throws -> [K] {
        var keys: [K] = []
        try rows(order, range, isReversed, records: false) { row, _ in
            keys.append(try readKey(K.self, row.keyClass, row.key))
        }
        return keys
    }

    private func items<V: Decodable>(_ order: RowOrder, _ isReversed: Bool) throws -> [(key: AnyCacheKey, value: V)] {
        var items: [(key: AnyCacheKey, value: V)] = []
        try rows(order, .all, isReversed, records: true) { row, store in
            guard let record = row.record, !(record.expiry.map { $0 <= state.now } ?? false) else { return }
            let key = try anyKey(row.keyClass, row.key)
            try lend(record, store) { form, bytes in
                items.append((key, try decodeValue(V.self, form: form, bytes: bytes, serializer: cache.serializer)))
            }
        }
        return items
    }

    private func rows(
        _ order: RowOrder, _ range: OrderedScan.Range, _ isReversed: Bool, records: Bool,
        _ body: (OrderedRow, Store) throws -> Void
    ) throws {
        try cache.handle.withStoreOf(access) { store in
            let scan = OrderedScan(
                order, range, reversed: isReversed, wantsRecords: records, in: store, asOf: state)
            try read(scan, store, body)
        }
    }

    private func read(_ scan: any RowScan, _ store: Store, _ body: (OrderedRow, Store) throws -> Void) throws {
        while !scan.isAtEnd {
            try rethrowing { () throws(EngineError) in try scan.next(in: store) }
            for row in scan.rows { try body(row, store) }
        }
    }

    /// The values of a queue's items, from front to back.
    func values<V: Decodable>(ofQueue prefix: String?, as type: V.Type) throws -> [V] {
        var values: [V] = []
        try cache.handle.withStoreOf(access) { store in
            let scan = try QueueName.with(prefix) { name in
                try rethrowing { () throws(EngineError) in
                    try QueueScan(name, reversed: false, in: store, asOf: state)
                }
            }
            try read(scan, store) { row, store in
                guard let record = row.record else { return }
                try lend(record, store) { form, bytes in
                    values.append(
                        try decodeValue(V.self, form: form, bytes: bytes, serializer: cache.serializer))
                }
            }
        }
        return values
    }

    private func withRecord(_ key: some CacheKey, _ body: (Record, Store) throws -> Void) throws {
        try withKeyBytes(key) { keyClass, bytes in
            try cache.handle.withStoreOf(access) { store in
                let record = try rethrowing { () throws(EngineError) in try store.find(keyClass, bytes, in: state) }
                guard let record, !(record.expiry.map { $0 <= state.now } ?? false) else { return }
                try body(record, store)
            }
        }
    }

    private func lend(
        _ record: Record, _ store: Store, _ body: (ValueForm, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        if try !cache.withBytes(of: record, store, body) { throw CacheError(store.fileIsGone()) }
    }
}

extension Cache {
    /// Runs `body` with the cache as of this instant. Takes no lock that a writer waits for.
    ///
    /// What `body` needs is kept for about a minute; then, or where the disk is short of room, it may be taken away, and reading it throws
    /// `snapshotExpired`. If that happens within the first second `body` is run once more, with a new instant.
    /// Inside a transaction of the same thread it is what the transaction sees.
    public func snapshot<R>(_ body: (borrowing Snapshot) throws -> R) throws -> R {
        let access = try rethrowing { () throws(EngineError) in try handle.open() }
        defer { handle.end(access) }
        let begun = handle.now()
        do {
            return try read(access, body)
        } catch let error as CacheError {
            guard error.code == .snapshotExpired, handle.now() &- begun < 1_000_000 else { throw error }
            return try read(access, body)
        }
    }

    private func read<R>(_ access: StoreHandle.Access, _ body: (borrowing Snapshot) throws -> R) throws -> R {
        try handle.withStoreOf(access) { store in
            let state = store.beginSnapshot()
            defer { store.end(state) }
            return try body(Snapshot(self, access, state))
        }
    }
}
