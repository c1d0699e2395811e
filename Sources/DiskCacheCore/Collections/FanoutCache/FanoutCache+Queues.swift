/// Queues, each of which lies in one shard as a whole, so that order and atomicity are those of ``Cache``.
///
/// Nothing here is dropped: what can't get the lock within `timeout` throws `timeout`, and nothing has happened.
extension FanoutCache {
    /// Adds a value at an end of a queue; its key.
    @discardableResult
    public func push<V: Encodable>(
        _ value: V, side: Side = .back, prefix: String? = nil, expire: Expiration? = nil, tag: Tag? = nil
    ) throws -> QueueKey {
        try shard(forQueue: prefix).push(value, side: side, prefix: prefix, expire: expire, tag: tag)
    }

    /// Adds bytes that come in pieces at an end of a queue; their key.
    @discardableResult
    public func push(
        reading source: some ByteSource, side: Side = .back, prefix: String? = nil, expire: Expiration? = nil,
        tag: Tag? = nil
    ) throws -> QueueKey {
        try shard(forQueue: prefix).push(reading: source, side: side, prefix: prefix, expire: expire, tag: tag)
    }

    /// Removes the item at an end of a queue and gives it; nil: there was none, and none came within `timeout`.
    public func pull<V: Decodable>(
        as type: V.Type = V.self, side: Side = .front, prefix: String? = nil, timeout: Duration? = nil
    ) throws -> (key: QueueKey, value: V)? {
        try shard(forQueue: prefix).pull(as: V.self, side: side, prefix: prefix, timeout: timeout)
    }

    /// The item at an end of a queue, which stays there; nil: there is none.
    public func peek<V: Decodable>(
        as type: V.Type = V.self, side: Side = .front, prefix: String? = nil
    ) throws -> (key: QueueKey, value: V)? {
        try shard(forQueue: prefix).peek(as: V.self, side: side, prefix: prefix)
    }

    /// As `pull`, with everything that was known of the item.
    public func pullEntry<V: Decodable>(
        as type: V.Type = V.self, side: Side = .front, prefix: String? = nil, timeout: Duration? = nil
    ) throws -> (key: QueueKey, entry: Entry<V>)? {
        try shard(forQueue: prefix).pullEntry(as: V.self, side: side, prefix: prefix, timeout: timeout)
    }

    /// As `peek`, with everything that is known of the item.
    public func peekEntry<V: Decodable>(
        as type: V.Type = V.self, side: Side = .front, prefix: String? = nil
    ) throws -> (key: QueueKey, entry: Entry<V>)? {
        try shard(forQueue: prefix).peekEntry(as: V.self, side: side, prefix: prefix)
    }
}
