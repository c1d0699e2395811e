/// The ends of insertion order, and queues.
extension Index {
    // MARK: Ends

    /// The item whose key came first; nil: there is none. No lock.
    public var first: (key: Key, value: Value)? {
        get throws { try store.cache.peekRow(last: false, skipsQueues: Self.skipsQueues) }
    }

    /// The item whose key came last; nil: there is none. No lock.
    public var last: (key: Key, value: Value)? {
        get throws { try store.cache.peekRow(last: true, skipsQueues: Self.skipsQueues) }
    }

    /// Removes the item whose key came first and gives it; nil: there is none. Of several callers at the same time one gets it. O(1), and
    /// O(log n) every 512th time. Takes the write lock.
    ///
    /// If it can't be read nothing is removed. An item whose file is missing is removed, and the next one is given.
    public func popFirst() throws -> (key: Key, value: Value)? { try pop(first: true) }

    /// Removes the item whose key came last and gives it; as `popFirst`.
    public func popLast() throws -> (key: Key, value: Value)? { try pop(first: false) }

    private func pop(first: Bool) throws -> (key: Key, value: Value)? {
        var item: (key: Key, value: Value)?
        try store.takeRow(first: first, skipsQueues: Self.skipsQueues) { keyClass, key, form, bytes in
            item = (
                try readKey(Key.self, keyClass, key),
                try decodeValue(Value.self, form: form, bytes: bytes, serializer: store.cache.serializer)
            )
        }
        return item
    }

    // MARK: Queues

    /// Adds a value at an end of a queue; its key. As `Cache.push`.
    @inlinable @discardableResult
    public func push(_ value: Value, side: Side = .back, prefix: String? = nil) throws -> QueueKey {
        try store.cache.push(value, side: side, prefix: prefix)
    }

    /// Removes the item at an end of a queue and gives it; nil: there was none. As `Cache.pull`, waiting included.
    @inlinable
    public func pull(
        side: Side = .front, prefix: String? = nil, timeout: Duration? = nil
    ) throws -> (key: QueueKey, value: Value)? {
        try store.cache.pull(side: side, prefix: prefix, timeout: timeout)
    }
}
