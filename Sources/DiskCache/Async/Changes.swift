public import DiskCacheCore
internal import DiskCacheEngine
import Synchronization

/// A cache's committed writes, of all threads and processes, in the order in which they were committed.
///
/// ```swift
/// for try await change in cache.changes() {
///     if change.kind == .deleted { print("gone:", change.key!) }
///     lastPosition = change.position
/// }
/// ```
///
/// It has no end: it waits for the next change, which wakes it, and takes no thread meanwhile. It is over when its task is cancelled, with
/// `CacheError.Code.cancelled`, or with another error, among them `positionGone`: changes that weren't read yet aren't there any
/// more, because the log was compacted. What a change is, and which are left out, ``ChangeReader`` says.
///
/// Every iteration begins at the same position, that of the moment when the sequence was made unless another was asked for.
public struct Changes: AsyncSequence, Sendable {
    private let cache: Cache
    private let start: Result<Change.Position, any Error>

    init(_ cache: Cache, from position: Change.Position?) {
        self.cache = cache
        start = Result { try position ?? cache.readChanges().position }
    }

    private static let lines = Atomic<UInt64>(0)

    /// A line that nobody else waits in.
    static func newLine() -> [UInt8] {
        withUnsafeBytes(of: lines.add(1, ordering: .relaxed).newValue) { Array($0) }
    }

    /// Reads the changes.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private let cache: Cache
        private let start: Result<Change.Position, any Error>
        /// A line of its own: nobody else waits for these changes.
        private let line = Changes.newLine()
        private var reader: Exclusive<ChangeReader>?
        private var batch: [Change] = []
        private var index = 0

        fileprivate init(_ changes: Changes) {
            cache = changes.cache
            start = changes.start
        }

        /// The next change; waits for it.
        public mutating func next() async throws -> Change? {
            if index == batch.count {
                batch = try await nextBatch()
                index = 0
            }
            defer { index += 1 }
            return batch[index]
        }

        private mutating func nextBatch() async throws -> [Change] {
            let resources = AsyncResources.kept(in: cache.companion)
            let (cache, start, known) = (cache, start, reader)
            let (reader, found) = try await resources.executor.run(on: .reading) {
                let reader = try known ?? Exclusive(cache.readChanges(from: start.get()))
                return (reader, try reader.use { try $0.readBatch() })
            }
            self.reader = reader
            if let found { return found }
            let waited = try await resources.follows.wait(in: line, timeout: .seconds(Int64.max)) { [weak cache] in
                try cache?.beginFollowing() ?? { _ in }
            } attempt: {
                try reader.use { reader in
                    _ = try reader.beginSleep()
                    return try reader.readBatch()
                }
            }
            guard let waited else { throw CacheError.taskCancelled }
            return waited
        }
    }

    /// An iterator from the sequence's position on.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(self) }
}

extension Cache {
    /// The changes that are committed from now on, or behind a position; see ``Changes``.
    ///
    /// Takes no lock, and no time: what can't be read is told when the first change is asked for.
    public func changes(from position: Change.Position? = nil) -> Changes { Changes(self, from: position) }
}
