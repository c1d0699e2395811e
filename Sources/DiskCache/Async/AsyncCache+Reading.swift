public import DiskCacheCore

extension AsyncCache where Base == Cache {
    /// The value of a key; nil if it is missing or expired. As ``Cache/get(_:as:)``.
    ///
    /// Where the value is small and in memory it is read at once, without a change of threads; only what waits for a disk goes elsewhere.
    @inlinable
    nonisolated(nonsending) public func get<V: Decodable & Sendable>(
        _ key: some CacheKey, as type: V.Type = V.self
    ) async throws -> V? {
        if try isAtHand(key) { return try base.get(key, as: V.self) }
        return try await reading { [base] in try base.get(key, as: V.self) }
    }

    /// The value of a key, or `value` if it is missing or expired; the value isn't stored.
    @inlinable
    nonisolated(nonsending) public func get<V: Decodable & Sendable>(
        _ key: some CacheKey, default value: @autoclosure () throws -> V
    ) async throws -> V {
        try await get(key, as: V.self) ?? value()
    }

    /// The value of a key, as `get`.
    @inlinable
    public subscript<V: Decodable & Sendable>(key: some CacheKey, as type: V.Type = V.self) -> V? {
        get async throws { try await get(key, as: V.self) }
    }

    /// Whether a key is there and not expired; at once where that is known in memory, as `get`.
    @inlinable
    nonisolated(nonsending) public func contains(_ key: some CacheKey) async throws -> Bool {
        if try isAtHand(key) { return try base.contains(key) }
        return try await reading { [base] in try base.contains(key) }
    }

    /// The value of a key with everything that is known of it; nil if it is missing or expired. At once where it can be, as `get`.
    nonisolated(nonsending) public func entry<V: Decodable & Sendable>(
        _ key: some CacheKey, as type: V.Type = V.self
    ) async throws -> Entry<V>? {
        if try isAtHand(key) { return try base.entry(key, as: V.self) }
        return try await reading { [base] in try base.entry(key, as: V.self) }
    }

    /// The values of many keys, in the order asked; nil for each that is missing or expired.
    public func getMany<K: CacheKey, V: Decodable & Sendable>(
        _ keys: some Sequence<K> & Sendable, as type: V.Type = V.self
    ) async throws -> [V?] {
        try await reading { [base] in try base.getMany(keys, as: V.self) }
    }

    /// The value of a key, to be read in pieces; nil if it is missing or expired.
    ///
    /// ```swift
    /// if let video = try await cache.async.open("video") {
    ///     for try await piece in video { try await response.write(piece) }
    /// }
    /// ```
    ///
    /// - Parameter pieceSize: Bytes of a piece at most. One is read when it is asked for, so a slow reader costs no memory.
    public func open(_ key: some CacheKey, pieceSize: Int = 1 << 18) async throws -> AsyncValueReader? {
        try await reading { [base, resources] in
            try base.open(key).map { AsyncValueReader($0, resources.executor, pieceSize: max(pieceSize, 1)) }
        }
    }

    /// Runs `body` with a snapshot of one instant, on one thread; as ``Cache/snapshot(_:)``.
    public func snapshot<R: Sendable>(
        _ body: @escaping @Sendable (borrowing Snapshot) throws -> R
    ) async throws -> R {
        try await lasting { [base] in try base.snapshot(body) }
    }

    /// Whether a key can be read here and now. Throws `cancelled` if the task is.
    @usableFromInline
    func isAtHand(_ key: some CacheKey) throws -> Bool {
        if Task.isCancelled { throw CacheError.taskCancelled }
        return try base.isInMemory(key)
    }
}

/// A value that is read in pieces, when they are asked for. Can be read once.
///
/// It ends with `CacheError.Code.corrupted` instead of the last piece if the value's file was damaged.
public struct AsyncValueReader: AsyncSequence, Sendable {
    /// Bytes of the whole value.
    public let count: Int
    /// The file that holds the value and nothing else, if it has one of its own: to hand to `sendfile`, not to change.
    public let path: String?

    private let reader: Exclusive<ValueReader>
    private let executor: BlockingExecutor
    private let pieceSize: Int

    init(_ reader: ValueReader, _ executor: BlockingExecutor, pieceSize: Int) {
        count = reader.count
        path = reader.path
        self.reader = Exclusive(reader)
        self.executor = executor
        self.pieceSize = pieceSize
    }

    /// All that is left, in one piece.
    public func readAll() async throws -> [UInt8] {
        try await executor.run(on: .reading) { [reader] in try reader.use { try $0.readAll() } }
    }

    /// Reads the pieces.
    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let value: AsyncValueReader

        /// The next piece; nil at the end.
        public func next() async throws -> [UInt8]? {
            let (reader, size) = (value.reader, value.pieceSize)
            return try await value.executor.run(on: .reading) { try reader.use { try $0.next(maximum: size) } }
        }
    }

    /// An iterator over what hasn't been read yet.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(value: self) }
}
