import Synchronization

/// What an operator wants to know of a store: of all processes, since the store was made or recovered after a restart of the machine.
///
/// ```
/// 192  commits 8     208  expired 8      224  waits 8          240  syncs 8
/// 200  evicted 8     216  compacted 8    232  time waited 8    248  bytes written 8
/// ```
///
/// One cache line of `meta`, written by the holder of the write lock (*syncs* by the holder of the lock for syncs). Not covered by a check;
/// nothing goes by them, but that a writer looks again what the lowest segment is when *compacted* has changed. *Compacted*: bytes of the
/// log that were unlinked. *Time waited*: nanoseconds.
public struct Metrics: Sendable, Hashable {
    /// Transactions that changed something.
    public var commits: UInt64 = 0
    /// Items that went because the store was too large, or by their tag.
    public var evicted: UInt64 = 0
    /// Items that were removed because they had expired.
    public var expired: UInt64 = 0
    /// Bytes of the log that were given back.
    public var compactedBytes: UInt64 = 0
    /// How often a writer waited for the write lock.
    public var lockWaits: UInt64 = 0
    /// How long they waited in all, nanoseconds.
    public var lockWaitNanoseconds: UInt64 = 0
    /// How often the store was synced.
    public var syncs: UInt64 = 0
    /// Bytes appended to the log.
    public var bytesWritten: UInt64 = 0

    enum Word: Int {
        case commits = 192
        case evicted = 200
        case expired = 208
        case compactedBytes = 216
        case lockWaits = 224
        case lockWaitNanoseconds = 232
        case syncs = 240
        case bytesWritten = 248
    }
}

extension CommitBlock {
    /// *Writer.* Adds to a metric: by a load and a store, since nobody else writes it meanwhile.
    @inline(__always)
    func note(_ metric: Metrics.Word, _ amount: UInt64 = 1) {
        // No part of any protocol, so no step for the step machine.
        let word = SharedWord(base, metric.rawValue).address
        word.pointee.store(word.pointee.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    func metrics() -> Metrics {
        func value(_ metric: Metrics.Word) -> UInt64 { SharedWord(base, metric.rawValue).relaxed() }
        var metrics = Metrics()
        metrics.commits = value(.commits)
        metrics.evicted = value(.evicted)
        metrics.expired = value(.expired)
        metrics.compactedBytes = value(.compactedBytes)
        metrics.lockWaits = value(.lockWaits)
        metrics.lockWaitNanoseconds = value(.lockWaitNanoseconds)
        metrics.syncs = value(.syncs)
        metrics.bytesWritten = value(.bytesWritten)
        return metrics
    }
}

extension Store {
    /// The metrics as of now, each of its own moment. No lock.
    public var metrics: Metrics { block.metrics() }
}
