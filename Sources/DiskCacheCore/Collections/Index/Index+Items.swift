/// Single items. What writes takes the write lock, which it waits for `timeout` at most; then it throws `timeout`, and nothing has
/// happened. All throw `keyInvalid` for NaN, `keyTooLarge`; what writes `diskFull`, `io`, `poisoned`, `directoryRemoved`.
extension Index {
    // MARK: Reading

    /// The value of a key; nil: there is none. No lock. A stored nil is a value, and comes back as `.some(nil)`.
    @inlinable
    public subscript(key: Key) -> Value? {
        get throws { try store.cache.get(key, as: Value.self) }
    }

    /// The value of a key, or `value` if there is none; it isn't stored. No lock.
    @inlinable
    public subscript(key: Key, default value: @autoclosure () -> Value) -> Value {
        get throws { try store.cache.get(key, as: Value.self) ?? value() }
    }

    /// Whether there is a key. No lock; reads no value.
    @inlinable
    public func contains(_ key: Key) throws -> Bool { try store.cache.contains(key) }

    // MARK: Writing

    /// Stores a value, in place of what the key had.
    @inlinable
    public func set(_ key: Key, _ value: Value) throws { _ = try store.cache.set(key, value) }

    /// Stores a value, in place of what the key had, and gives that; nil: there was none. If it can't be read as a `Value` nothing happens.
    @discardableResult
    public func updateValue(_ value: Value, forKey key: Key) throws -> Value? {
        try transact {
            let old = try self[key]
            try set(key, value)
            return old
        }
    }

    /// Removes a key and gives its value; nil: there was none. If it can't be read as a `Value` nothing is removed.
    @discardableResult
    public func removeValue(forKey key: Key) throws -> Value? { try store.cache.pop(key, as: Value.self) }

    /// The value of a key; if there is none, `value` is stored and given. Of several callers at the same time all get the same.
    ///
    /// Takes the write lock only where there is none, and holds it while `value` is made.
    public func setDefault(_ value: @autoclosure () throws -> Value, forKey key: Key) throws -> Value {
        if let found = try self[key] { return found }
        return try transact {
            if let found = try self[key] { return found }
            let new = try value()
            try set(key, new)
            return new
        }
    }

    /// Reads a value, lets `body` change it and stores it, as one step that nobody can come between; returns what `body` returns.
    ///
    /// A missing key begins as `start`. If `body` throws, nothing has happened. It runs with the write lock held, so it should be
    /// short; what it does with this index is part of the same transaction.
    public func update<R>(
        _ key: Key, default start: @autoclosure () throws -> Value, _ body: (inout Value) throws -> R
    ) throws -> R {
        try store.cache.update(key, default: try start(), body)
    }

    // MARK: Merging

    /// Stores all items of a sequence, all at one instant or none; of two with the same key the later one counts. O(added), with the write
    /// lock held. The sequence is read to its end before anything is stored.
    public func merge(_ items: some Sequence<(key: Key, value: Value)>) throws {
        try store.cache.setMany(items.map { ($0.key, $0.value) })
    }

    /// As above, for pairs without labels.
    public func merge(_ items: some Sequence<(Key, Value)>) throws { try store.cache.setMany(Array(items)) }

    /// Stores all items of an index; as above.
    public func merge(_ other: Index) throws { try merge(Array(other.items())) }
}
