internal import DiskCacheEngine

/// Reads the committed writes of all shards of a `FanoutCache`, whichever process made them; as ``ChangeReader`` for each of them.
///
/// The changes of a shard, and so those of a key, come in the order in which they were committed, and those of a transaction of the shard
/// together. Between shards there is no order: they are read in turn. Used by one thread at a time.
public final class FanoutChangeReader {
    private let readers: [ChangeReader]
    /// What was read of each shard, and how far of that was given.
    private var batches: [(changes: [Change], next: Int)]
    private var turn = 0
    /// Behind the last change that was given.
    public private(set) var position: FanoutChange.Position

    /// How long a commit in one shard may stay unseen while the thread sleeps for another one.
    private static let longestSleep: UInt64 = 5_000_000

    init(_ cache: FanoutCache, from position: FanoutChange.Position?) throws {
        if let position, position.shards.count != cache.shardCount {
            throw CacheError(
                .shardCountMismatch,
                "the position is one of \(position.shards.count) shards, and the cache has \(cache.shardCount)",
                path: cache.directory)
        }
        readers = try cache.parts.enumerated().map { number, part in
            try part.readChanges(from: position?.shards[number])
        }
        batches = readers.map { _ in ([], 0) }
        self.position = FanoutChange.Position(shards: readers.map(\.position))
    }

    /// The next change; nil: there is none, or none came within `timeout`.
    ///
    /// - Parameter timeout: How long to wait for one if there is none: a commit of any thread or process is seen within a few
    ///   milliseconds. nil or zero: not at all.
    ///
    /// No lock. Throws as ``ChangeReader/next(timeout:)``; `positionGone` if that is so in one of the shards.
    public func next(timeout: Duration? = nil) throws -> FanoutChange? {
        if let change = try take() { return change }
        guard let timeout, timeout > .zero else { return nil }
        let (begun, longest) = (monotonicNanoseconds(), timeout.clampedNanoseconds)
        while true {
            let sleeps = try readers.map { try $0.beginSleep() }
            if let change = try take() { return change }
            let passed = monotonicNanoseconds() &- begun
            if passed >= longest { return nil }
            sleeps[turn](min(longest - passed, Self.longestSleep))
            turn = (turn + 1) % readers.count
        }
    }

    /// All changes that are there and weren't given yet, of one stretch of one shard's log; nil: there are none. The shards are asked in
    /// turn.
    package func readBatch() throws -> [FanoutChange]? {
        guard let first = try take() else { return nil }
        var changes = [first]
        while batches[first.shard].next < batches[first.shard].changes.count { changes.append(give(first.shard)) }
        return changes
    }

    /// Says that a thread is going to sleep until something is committed in a shard, and looks once more whether there is anything in any.
    package func beginSleep(shard: Int) throws -> Bool {
        _ = try readers[shard].beginSleep()
        return try readers.indices.contains { try isThere($0) }
    }

    private func take() throws -> FanoutChange? {
        for _ in readers.indices {
            if try isThere(turn) { return give(turn) }
            turn = (turn + 1) % readers.count
        }
        return nil
    }

    /// Whether there is a change in a shard that wasn't given yet.
    private func isThere(_ shard: Int) throws -> Bool {
        if batches[shard].next < batches[shard].changes.count { return true }
        guard let found = try readers[shard].readBatch() else { return false }
        batches[shard] = (found, 0)
        return true
    }

    private func give(_ shard: Int) -> FanoutChange {
        let change = batches[shard].changes[batches[shard].next]
        batches[shard].next += 1
        // The others have their turn at the end of what was read.
        if batches[shard].next == batches[shard].changes.count {
            batches[shard] = ([], 0)
            turn = (shard + 1) % readers.count
        }
        position.shards[shard] = change.position
        return FanoutChange(change, shard: shard, position: position)
    }
}

extension FanoutCache {
    /// A reader of the changes behind a position; nil: of those that are committed from now on. No lock.
    ///
    /// Throws `shardCountMismatch` for a position of a cache of another number of shards.
    public func readChanges(from position: FanoutChange.Position? = nil) throws -> FanoutChangeReader {
        try FanoutChangeReader(self, from: position)
    }
}
