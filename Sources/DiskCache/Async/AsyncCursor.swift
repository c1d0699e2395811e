internal import DiskCacheCore

/// A sequence of a cache's keys or items for tasks: what `Cursor` is for threads. It is read in batches, on the cache's own threads.
///
/// ```swift
/// for try await key in cache.async.keys() { print(key) }
/// ```
///
/// Nothing is held between two batches. Every iteration reads anew, from the beginning.
public struct AsyncCursor<Element: Sendable>: AsyncSequence, Sendable {
    private let executor: BlockingExecutor
    private let open: @Sendable () throws -> Cursor<Element>

    init(_ executor: BlockingExecutor, _ open: @escaping @Sendable () throws -> Cursor<Element>) {
        self.executor = executor
        self.open = open
    }

    /// Reads the elements.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private static var batchSize: Int { 64 }

        private let executor: BlockingExecutor
        private let open: @Sendable () throws -> Cursor<Element>
        private var cursor: Exclusive<Cursor<Element>>?
        private var batch: [Element] = []
        private var index = 0
        private var isAtEnd = false

        fileprivate init(_ sequence: AsyncCursor) {
            executor = sequence.executor
            open = sequence.open
        }

        /// The next element; nil at the end. Throws what reading it threw.
        public mutating func next() async throws -> Element? {
            while index == batch.count {
                if isAtEnd { return nil }
                let (cursor, open) = (cursor, open)
                (self.cursor, batch, isAtEnd) = try await executor.run(on: .reading) {
                    let cursor = try cursor ?? Exclusive(open())
                    let (batch, isAtEnd) = try cursor.use { try Self.batch(of: $0) }
                    return (cursor, batch, isAtEnd)
                }
                index = 0
            }
            defer { index += 1 }
            return batch[index]
        }

        /// What comes before an error is given first: a cursor throws the same error again.
        private static func batch(of cursor: Cursor<Element>) throws -> ([Element], isAtEnd: Bool) {
            var batch: [Element] = []
            do {
                while batch.count < batchSize {
                    guard let element = try cursor.next() else { return (batch, true) }
                    batch.append(element)
                }
            } catch {
                if batch.isEmpty { throw error }
            }
            return (batch, false)
        }
    }

    /// An iterator from the beginning.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(self) }
}
