internal import DiskCacheEngine

/// Reads the rows of an order, batch by batch, without knowing what is made of them: what stands between the engine and cursors that are
/// specialised for their elements in the caller's module.
@usableFromInline
final class RowReader {
    private let cache: Cache
    private let scan: any RowScan
    private let skipsQueues: Bool
    /// The rows whose keys are being given one by one, and the next one's index.
    @exclusivity(unchecked) private var rows: [OrderedRow] = []
    @exclusivity(unchecked) private var index = 0

    /// `skipsQueues`: the items of queues are left out.
    init(
        _ cache: Cache, _ order: RowOrder, _ range: OrderedScan.Range = .all, reversed: Bool, records: Bool,
        skipsQueues: Bool = false
    ) throws {
        self.cache = cache
        self.skipsQueues = skipsQueues
        scan = try rethrowing { () throws(EngineError) in
            try cache.handle.withStore {
                OrderedScan(order, range, reversed: reversed, wantsRecords: records, in: $0)
            }
        }
    }

    /// Of all rows, in insertion order or in that of keys.
    @usableFromInline
    convenience init(_ cache: Cache, sorted: Bool, reversed: Bool, records: Bool, skipsQueues: Bool = false) throws {
        try self.init(
            cache, sorted ? .key : .insertion, reversed: reversed, records: records, skipsQueues: skipsQueues)
    }

    /// Of the items of a queue, from its front to its back or back to front.
    @usableFromInline
    init(_ cache: Cache, queue prefix: String?, reversed: Bool) throws {
        self.cache = cache
        skipsQueues = false
        scan = try cache.inStore { store in
            try QueueName.with(prefix) { try QueueScan($0, reversed: reversed, in: store) }
        }
    }

    /// Gives the rows of the next batch; false: there is nothing behind it.
    func next(_ give: (OrderedRow, Store) throws -> Void) throws -> Bool {
        try cache.inStore { store in
            try scan.next(in: store)
            for row in scan.rows where !skipsQueues || row.keyClass != KeyClass.queue.rawValue { try give(row, store) }
            return !scan.isAtEnd
        }
    }

    /// Class and bytes of the next key; nil: there is none. Not of a queue's reader. The bytes are valid until the next call.
    @usableFromInline
    func nextKey() throws -> (UInt8, UnsafeRawBufferPointer)? {
        while true {
            while index < rows.count {
                let row = rows[index]
                index &+= 1
                if !skipsQueues || row.keyClass != KeyClass.queue.rawValue { return (row.keyClass, row.key) }
            }
            if scan.isAtEnd { return nil }
            // So that the scan can fill its own.
            rows = []
            index = 0
            try cache.inStore { try scan.next(in: $0) }
            rows = scan.rows
        }
    }

    /// Gives class and bytes of the keys of the next batch; false: there is nothing behind it.
    @usableFromInline
    func nextKeys(_ give: (UInt8, UnsafeRawBufferPointer) throws -> Void) throws -> Bool {
        try next { row, _ in try give(row.keyClass, row.key) }
    }

    /// Gives class and bytes of the keys, form and bytes of the values of the items of the next batch that haven't expired; false: there is
    /// nothing behind it.
    @usableFromInline
    func nextItems(
        _ give: (UInt8, UnsafeRawBufferPointer, ValueForm, UnsafeRawBufferPointer) throws -> Void
    ) throws -> Bool {
        try next { row, store in _ = try giveItem(row, store, give) }
    }

    /// Gives one item; false: it has expired, or is gone by now.
    func giveItem(
        _ row: OrderedRow, _ store: Store,
        _ give: (UInt8, UnsafeRawBufferPointer, ValueForm, UnsafeRawBufferPointer) throws -> Void
    ) throws -> Bool {
        guard let record = row.record else { return false }
        if let expiry = record.expiry, expiry <= cache.handle.now() { return false }
        let isThere = try cache.withBytes(of: record, store) { form, bytes in
            try give(row.keyClass, row.key, form, bytes)
        }
        if isThere { return true }
        // Whoever replaced the record may have unlinked its file: then the newest one counts.
        var isGiven = false
        try cache.withLiveRecord(KeyClass.identity(of: row.keyClass), row.key) { newer, store in
            guard newer.rowid == row.rowid else { return true }
            isGiven = try cache.withBytes(of: newer, store) { form, bytes in
                try give(row.keyClass, row.key, form, bytes)
            }
            return isGiven
        }
        return isGiven
    }
}

/// The key of type `K` that is stored as class and bytes; throws `typeMismatch` if a `K` has no such key.
///
/// The usual types are told by comparing metatypes, which costs nothing once specialised. The classes stand here as numbers, as in
/// `withKeyBytes`.
@inlinable @inline(__always)
func readKey<K: CacheKey>(_ type: K.Type, _ keyClass: UInt8, _ bytes: UnsafeRawBufferPointer) throws -> K {
    if K.self == AnyCacheKey.self {
        if keyClass == 4 { return unsafeBitCast(AnyCacheKey.bytes(Array(bytes)), to: K.self) }
        return unsafeBitCast(try anyKey(keyClass, bytes), to: K.self)
    }
    if K.self == [UInt8].self, keyClass == 4 { return unsafeBitCast(Array(bytes), to: K.self) }
    if K.self == String.self, keyClass == 3, let text = String(validating: bytes, as: UTF8.self) {
        return unsafeBitCast(text, to: K.self)
    }
    return try anyKey(keyClass, bytes).decode(K.self)
}

/// The key of any class that is stored as class and bytes.
@usableFromInline
func anyKey(_ keyClass: UInt8, _ bytes: UnsafeRawBufferPointer) throws -> AnyCacheKey {
    try AnyCacheKey(keyClass: keyClass, bytes: bytes)
}
