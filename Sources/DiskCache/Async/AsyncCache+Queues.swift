public import DiskCacheCore

/// Queues, each verb as the plain one of the same name says.
extension AsyncCache where Base == Cache {
    /// Adds a value at an end of a queue; its key.
    @discardableResult
    public func push<V: Encodable & Sendable>(
        _ value: V, side: Side = .back, prefix: String? = nil, expire: Expiration? = nil, tag: Tag? = nil
    ) async throws -> QueueKey {
        try await writing { [base] in try base.push(value, side: side, prefix: prefix, expire: expire, tag: tag) }
    }

    /// Adds bytes that come in pieces at an end of a queue, in a file of their own; as `set(_:reading:)`.
    @discardableResult
    nonisolated(nonsending) public func push<Pieces: AsyncSequence>(
        reading pieces: Pieces, side: Side = .back, prefix: String? = nil, expire: Expiration? = nil, tag: Tag? = nil
    ) async throws -> QueueKey where Pieces.Element == [UInt8] {
        try await streaming(pieces) { cache, stream in
            try cache.push(stream, side: side, prefix: prefix, expire: expire, tag: tag)
        }
    }

    /// Removes the item at an end of a queue and gives it; nil: there was none.
    ///
    /// - Parameter timeout: How long to wait for an item if there is none. The task is suspended and takes no thread; a push of any
    ///   thread or process ends the waiting, and so does a cancellation: then it throws `cancelled`, and no item is lost. Tasks that
    ///   wait for the same queue get items in the order in which they came. nil or zero: not at all.
    public func pull<V: Decodable & Sendable>(
        as type: V.Type = V.self, side: Side = .front, prefix: String? = nil, timeout: Duration? = nil
    ) async throws -> (key: QueueKey, value: V)? {
        try await pulling(prefix, timeout) { try $0.pull(as: V.self, side: side, prefix: prefix, timeout: $1) }
    }

    /// As `pull`, with everything that was known of the item.
    public func pullEntry<V: Decodable & Sendable>(
        as type: V.Type = V.self, side: Side = .front, prefix: String? = nil, timeout: Duration? = nil
    ) async throws -> (key: QueueKey, entry: Entry<V>)? {
        try await pulling(prefix, timeout) { try $0.pullEntry(as: V.self, side: side, prefix: prefix, timeout: $1) }
    }

    /// The item at an end of a queue, which stays there; nil: there is none.
    public func peek<V: Decodable & Sendable>(
        as type: V.Type = V.self, side: Side = .front, prefix: String? = nil
    ) async throws -> (key: QueueKey, value: V)? {
        try await writing { [base] in try base.peek(as: V.self, side: side, prefix: prefix) }
    }

    /// As `peek`, with everything that is known of the item.
    public func peekEntry<V: Decodable & Sendable>(
        as type: V.Type = V.self, side: Side = .front, prefix: String? = nil
    ) async throws -> (key: QueueKey, entry: Entry<V>)? {
        try await writing { [base] in try base.peekEntry(as: V.self, side: side, prefix: prefix) }
    }

    private func pulling<Item: Sendable>(
        _ prefix: String?, _ timeout: Duration?,
        _ pull: @escaping @Sendable (Cache, Duration?) throws -> Item?
    ) async throws -> Item? {
        let cache = base
        if let item = try await writing({ try pull(cache, nil) }) { return item }
        guard let timeout, timeout > .zero else { return nil }
        // A prefix is its bytes: texts that are equal to Swift may be two queues.
        return try await resources.pulls.wait(in: prefix.map { Array($0.utf8) }, timeout: timeout) { [weak cache] in
            // Gone: nobody waits any more.
            try cache?.beginSleep() ?? { _ in }
        } attempt: {
            // The shortest waiting: announces a sleeper, looks under the lock, and is over.
            try pull(cache, .nanoseconds(1))
        }
    }
}
