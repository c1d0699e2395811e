internal import DiskCacheEngine

/// Queues: any number of them in one cache, each with a prefix as its name. Their items are ordinary items, whose keys `push` makes:
/// they expire, have tags, and can be read and removed by their keys.
///
/// ```swift
/// try cache.push(job, prefix: "jobs")
/// while let (_, job) = try cache.pull(as: Job.self, prefix: "jobs", timeout: .seconds(10)) { run(job) }
/// ```
///
/// Items come out in the order in which they were pushed, each to exactly one of the callers in all threads and processes. The
/// first item of an empty queue has the number 500,000,000,000,000; the next ones count up at the back and down at the front.
///
/// All take the write lock, which they wait for the cache's `timeout` at most, unless they say otherwise; then they throw `timeout`,
/// and nothing has happened. All throw `keyTooLarge` for a prefix of more than 16 MiB, `diskFull`, `io`, `poisoned`, `directoryRemoved`.
/// `push` throws `valueTooLarge` and `limitReached` as `set`.
extension Cache {
    /// Adds a value at an end of a queue; its key. O(1).
    ///
    /// Throws `queueFull` if the numbers of that end are used up, at 1 and at 999,999,999,999,998. A value that is expired already
    /// uses a number up, and nobody gets it.
    @inlinable @discardableResult
    public func push<V: Encodable>(
        _ value: V, side: Side = .back, prefix: String? = nil, expire: Expiration? = nil, tag: Tag? = nil
    ) throws -> QueueKey {
        let number = try encodeValue(value, serializer: serializer) { form, bytes in
            try pushBytes(form, bytes, side, prefix, expire, tag)
        }
        return QueueKey(prefix: prefix, number: number)
    }

    /// Adds bytes that come in pieces at an end of a queue, in a file of their own, without ever holding them in memory as a whole;
    /// their key. If `source` throws, nothing has happened. The lock is taken only at the end.
    @discardableResult
    public func push(
        reading source: some ByteSource, side: Side = .back, prefix: String? = nil, expire: Expiration? = nil,
        tag: Tag? = nil
    ) throws -> QueueKey {
        var source = source
        let number = try withAttributes(expire, tag) { attributes in
            try QueueName.with(prefix) { name in
                try inStore { store in
                    try store.pushStream(
                        timeout: handle.timeout, name, atFront: side == .front, form: ValueFormCode.bytes, attributes
                    ) { try source.next(maximum: 1 << 20) }
                }
            }
        }
        return QueueKey(prefix: prefix, number: number)
    }

    /// Removes the item at an end of a queue and gives it; nil: there was none. Of several callers at the same time one gets it.
    ///
    /// Expired items on the way are removed, and so are items whose file is missing. If the value can't be read as a `V`, nothing else
    /// is removed. O(1), but for numbers near the end whose items were removed by their keys: they are skipped at about 20 million a
    /// second. An empty queue is told without the lock.
    ///
    /// - Parameter timeout: How long to wait for an item if there is none: a push of any thread or process wakes the caller within
    ///   a few milliseconds; until then it sleeps. nil or zero: not at all. Inside a transaction nobody else can push, and there is no
    ///   waiting.
    @inlinable
    public func pull<V: Decodable>(
        as type: V.Type = V.self, side: Side = .front, prefix: String? = nil, timeout: Duration? = nil
    ) throws -> (key: QueueKey, value: V)? {
        var value: V?
        let number = try takeBytes(side, prefix, timeout) { form, bytes in
            value = try decodeValue(V.self, form: form, bytes: bytes, serializer: serializer)
        }
        guard let number, let value else { return nil }
        return (QueueKey(prefix: prefix, number: number), value)
    }

    /// The item at an end of a queue, which stays there; nil: there is none. O(1), as `pull`.
    ///
    /// Takes no lock, unless there are expired items at that end, more than 64 of them, or the item's file is missing: then they are
    /// removed.
    @inlinable
    public func peek<V: Decodable>(
        as type: V.Type = V.self, side: Side = .front, prefix: String? = nil
    ) throws -> (key: QueueKey, value: V)? {
        var value: V?
        let number = try lookAtBytes(side, prefix) { form, bytes in
            value = try decodeValue(V.self, form: form, bytes: bytes, serializer: serializer)
        }
        guard let number, let value else { return nil }
        return (QueueKey(prefix: prefix, number: number), value)
    }

    /// As `pull`, with everything that was known of the item. The entry has no path: its file goes.
    public func pullEntry<V: Decodable>(
        as type: V.Type = V.self, side: Side = .front, prefix: String? = nil, timeout: Duration? = nil
    ) throws -> (key: QueueKey, entry: Entry<V>)? {
        var found: Entry<V>?
        let number = try take(side, prefix, timeout) { store, record in
            found = try entry(of: record, store)
            found?.path = nil
            return found != nil
        }
        guard let number, let found else { return nil }
        return (QueueKey(prefix: prefix, number: number), found)
    }

    /// As `peek`, with everything that is known of the item.
    public func peekEntry<V: Decodable>(
        as type: V.Type = V.self, side: Side = .front, prefix: String? = nil
    ) throws -> (key: QueueKey, entry: Entry<V>)? {
        var found: Entry<V>?
        let number = try look(side, prefix) { store, record in
            found = try entry(of: record, store)
            return found != nil
        }
        guard let number, let found else { return nil }
        return (QueueKey(prefix: prefix, number: number), found)
    }

    // MARK: Parts

    /// nil: the value's file is gone.
    private func entry<V: Decodable>(of record: Record, _ store: Store) throws -> Entry<V>? {
        var value: V?
        try withBytes(of: record, store) { form, bytes in
            value = try decodeValue(V.self, form: form, bytes: bytes, serializer: serializer)
        }
        return try value.map { try entry($0, record, store) }
    }

    private func take(
        _ side: Side, _ prefix: String?, _ timeout: Duration?, _ visit: (Store, Record) throws -> Bool
    ) throws -> Int64? {
        try mappingErrors {
            try QueueName.with(prefix) { name in
                guard let timeout, timeout > .zero else {
                    return try handle.take(name, fromFront: side == .front, removing: true, visit)
                }
                return try handle.waitAndTake(
                    name, fromFront: side == .front, nanoseconds: timeout.clampedNanoseconds, visit)
            }
        }
    }

    private func look(
        _ side: Side, _ prefix: String?, _ visit: (Store, Record) throws -> Bool
    ) throws -> Int64? {
        try mappingErrors {
            try QueueName.with(prefix) { name in try handle.look(name, atFront: side == .front, visit) }
        }
    }

    /// `push`, where types don't matter any more.
    @usableFromInline
    func pushBytes(
        _ form: ValueForm, _ value: UnsafeRawBufferPointer, _ side: Side, _ prefix: String?, _ expire: Expiration?,
        _ tag: Tag?
    ) throws -> Int64 {
        try withAttributes(expire, tag) { attributes in
            try QueueName.with(prefix) { name in
                do throws(EngineError) {
                    return try handle.push(
                        name, atFront: side == .front, form: UInt16(form.rawValue), value: value, attributes)
                } catch {
                    throw CacheError(error)
                }
            }
        }
    }

    /// `pull`, where types don't matter any more.
    @usableFromInline
    func takeBytes(
        _ side: Side, _ prefix: String?, _ timeout: Duration?,
        _ body: (ValueForm, UnsafeRawBufferPointer) throws -> Void
    ) throws -> Int64? {
        try take(side, prefix, timeout) { store, record in try withBytes(of: record, store, body) }
    }

    /// `peek`, where types don't matter any more.
    @usableFromInline
    func lookAtBytes(
        _ side: Side, _ prefix: String?, _ body: (ValueForm, UnsafeRawBufferPointer) throws -> Void
    ) throws -> Int64? {
        try look(side, prefix) { store, record in try withBytes(of: record, store, body) }
    }

    /// Runs `body`; what the engine throws becomes a `CacheError`, what anybody else throws stays as it is.
    private func mappingErrors<R>(_ body: () throws -> R) throws -> R {
        do {
            return try body()
        } catch let error as EngineError {
            throw CacheError(error)
        }
    }
}
