public import DiskCacheCore
internal import DiskCacheEngine
import Synchronization

/// The committed writes of all shards of a `FanoutCache`, of all threads and processes: what ``Changes`` is for a ``Cache``.
///
/// ```swift
/// for try await change in fanout.changes() { print(change.kind, change.key ?? "a whole shard", change.position) }
/// ```
///
/// In which order they come ``FanoutChangeReader`` says. While it waits, a thread for each shard sleeps until something is committed there.
/// Every iteration begins at the same position, that of the moment when the sequence was made unless another was asked for.
public struct FanoutChanges: AsyncSequence, Sendable {
    private let cache: FanoutCache
    private let start: Result<FanoutChange.Position, any Error>

    init(_ cache: FanoutCache, from position: FanoutChange.Position?) {
        self.cache = cache
        start = Result { try position ?? cache.readChanges().position }
    }

    /// Reads the changes.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private let cache: FanoutCache
        private let start: Result<FanoutChange.Position, any Error>
        /// A line of its own in each shard: nobody else waits for these changes.
        private let line = Changes.newLine()
        private var reader: Exclusive<FanoutChangeReader>?
        private var batch: [FanoutChange] = []
        private var index = 0

        fileprivate init(_ changes: FanoutChanges) {
            cache = changes.cache
            start = changes.start
        }

        /// The next change; waits for it.
        public mutating func next() async throws -> FanoutChange? {
            while index == batch.count {
                batch = try await nextBatch() ?? []
                index = 0
            }
            defer { index += 1 }
            return batch[index]
        }

        /// What is committed; if it is nothing, nil, after something was.
        private mutating func nextBatch() async throws -> [FanoutChange]? {
            let (cache, start, known, line) = (cache, start, reader, line)
            let (reader, found) = try await cache.async.reading {
                let reader = try known ?? Exclusive(cache.readChanges(from: start.get()))
                return (reader, try reader.use { try $0.readBatch() })
            }
            self.reader = reader
            if let found { return found }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (shard, part) in cache.parts.enumerated() {
                    group.addTask { try await Self.wait(for: part, shard, in: line, reader) }
                }
                try await group.next()
                group.cancelAll()
            }
            return nil
        }

        /// Waits until there is something in a shard.
        private static func wait(
            for part: Cache, _ shard: Int, in line: [UInt8], _ reader: Exclusive<FanoutChangeReader>
        ) async throws {
            let follows = AsyncResources.kept(in: part.companion).follows
            _ = try await follows.wait(in: line, timeout: .seconds(Int64.max)) { [weak part] in
                try part?.beginFollowing() ?? { _ in }
            } attempt: {
                try reader.use { try $0.beginSleep(shard: shard) } ? true : nil
            }
        }
    }

    /// An iterator from the sequence's position on.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(self) }
}

extension FanoutCache {
    /// The changes of all shards that are committed from now on, or behind a position; see ``FanoutChanges``.
    ///
    /// Takes no lock, and no time: what can't be read is told when the first change is asked for.
    public func changes(from position: FanoutChange.Position? = nil) -> FanoutChanges {
        FanoutChanges(self, from: position)
    }
}
