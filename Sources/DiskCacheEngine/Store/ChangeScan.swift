/// Where a reader of changes stands: behind `skipped` changes of the transactions from `offset` on.
///
/// `offset` is the end of a transaction, or of a `clear`'s first half: a place from which the log can be read. So a reader that
/// stops inside a transaction goes on exactly there.
public struct ChangePlace: Sendable, Hashable {
    /// Half of the store's identity: a place in another store's log is none.
    public var store: UInt32
    /// A position in the log.
    public var offset: UInt64
    /// Changes behind it that were read.
    public var skipped: UInt32

    /// A place from its parts.
    public init(store: UInt32, offset: UInt64, skipped: UInt32) {
        self.store = store
        self.offset = offset
        self.skipped = skipped
    }
}

/// What happened to a key, or to all.
public struct ChangeRecord: Sendable {
    /// What it was.
    public enum Kind: Sendable { case set, touched, deleted, evicted, expired, cleared }
    /// What it was.
    public let kind: Kind
    /// The class of the key.
    public let keyClass: UInt8
    /// The bytes of the key; none for `cleared`.
    public let key: [UInt8]
    /// Behind it.
    public internal(set) var place: ChangePlace
}

/// Reads the log's committed writes in order, from a place on, a batch at a time: the change feed. Between two batches nothing is held.
///
/// - What a void record took back, and what isn't committed, is never read (`Store.follow`). Copies that compaction makes are as old
///   as their originals, and facts of the store itself are nobody's keys: neither is a change.
/// - **A clear** moves the head beyond everything before it. A reader that hasn't read all of that goes on at the last clear, which
///   stands for what was swept away with what came before.
/// - **Compaction** moves the head too, and what lay below it is gone with its tombstones. A reader that stood there has missed something,
///   and is told so: `positionGone`. But not if nothing lay between it and the head: the end of a segment is the beginning of the next.
///
/// Used by one thread at a time.
public final class ChangeScan {
    /// Where the next batch begins.
    public private(set) var place: ChangePlace
    /// The changes of the last batch.
    public private(set) var changes: [ChangeRecord] = []
    /// Whether `place` was proved to be one of this log.
    private var isProved: Bool

    /// Some more than what a reader of the log maps and touches at once, and little enough to be held.
    private static let batchBytes: UInt64 = 1 << 18

    /// A reader of what is committed from now on.
    public init(in store: Store) {
        place = ChangePlace(
            store: store.feedIdentity, offset: CommitBlock.tail(store.block.word.acquire()), skipped: 0)
        isProved = true
    }

    /// A reader of what lies behind a place, which may be of another time.
    public init(from place: ChangePlace) {
        self.place = place
        isProved = false
    }

    /// Reads the next batch into `changes`; false: nothing was committed since. A batch may be empty though more follows.
    ///
    /// A transaction is in one batch. The caller is counted in `ReaderPins`.
    public func next(in store: Store) throws(EngineError) -> Bool {
        changes.removeAll(keepingCapacity: true)
        while true {
            let state = store.block.read()
            let tail = CommitBlock.tail(state.word)
            if !isProved {
                try prove(tail, state.head, in: store)
                isProved = true
            }
            // The store may be another than at the last batch: its directory was removed, and made anew.
            guard place.store == store.feedIdentity, place.offset <= tail else { throw Self.gone(place, store) }
            if place.offset < state.head {
                guard try passTo(state.head, in: store) else {
                    if store.block.word.acquire() != state.word { continue }
                    throw Self.gone(place, store)
                }
            }
            if place.offset == tail { return false }
            guard let end = try read(upTo: tail, in: store) else { continue }
            place.offset = end
            place.skipped = 0
            return true
        }
    }

    /// Reads transactions; where the last one ends. nil: the log's head has passed the place meanwhile.
    private func read(upTo tail: Position, in store: Store) throws(EngineError) -> Position? {
        var start = place.offset
        var count: UInt32 = 0
        var toSkip = place.skipped
        changes.removeAll(keepingCapacity: true)
        let end = try store.follow(from: place.offset, to: tail, limit: Self.batchBytes) {
            (record) throws(EngineError) in
            if let kind = Self.kind(of: record) {
                count += 1
                if toSkip > 0 {
                    toSkip -= 1
                } else {
                    let isCleared = kind == .cleared
                    changes.append(
                        ChangeRecord(
                            kind: kind, keyClass: record.keyClass, key: isCleared ? [] : Array(record.key),
                            place: ChangePlace(store: place.store, offset: start, skipped: count)))
                }
            }
            if record.isCommit {
                // Behind a whole transaction is where the next one begins: so nothing of it need be there any more.
                if let last = changes.indices.last, changes[last].place.offset == start, count > 0 {
                    changes[last].place = ChangePlace(store: place.store, offset: record.end, skipped: 0)
                }
                start = record.end
                count = 0
                // Of this transaction there were fewer: it isn't the one that the place was made in.
                toSkip = 0
            }
        }
        if end == nil { changes.removeAll(keepingCapacity: true) }
        return end
    }

    /// What a committed record is to somebody who watches keys.
    private static func kind(of record: Record) -> ChangeRecord.Kind? {
        if record.bits.has(RecordBits.copy) { return nil }
        switch record.kind {
        case RecordKind.put.rawValue: return record.bits.has(RecordBits.kept) ? .touched : .set
        case RecordKind.tombstone.rawValue:
            switch record.form {
            case TombstoneCause.evicted.rawValue: return .evicted
            case TombstoneCause.expired.rawValue: return .expired
            default: return .deleted
            }
        // Compaction's names a place before itself.
        case RecordKind.head.rawValue: return record.valueWord == record.position ? .cleared : nil
        default: return nil
        }
    }

    /// Goes on at the head, which lies beyond the place, if nothing was missed. False: something was.
    private func passTo(_ head: Position, in store: Store) throws(EngineError) -> Bool {
        try store.log.mapNewSegments(upTo: head)
        if case .record(let record) = try store.log.record(at: head), Self.kind(of: record) == .cleared {
            place = ChangePlace(store: place.store, offset: head, skipped: 0)
            return true
        }
        guard let segment = store.log.segments.last(where: { $0.first <= head }), head <= segment.firstRecord,
            segment.header.predecessorEnd <= place.offset, place.skipped == 0
        else { return false }
        place.offset = head
        return true
    }

    /// Throws unless the place is one of this log from which it can be read.
    private func prove(_ tail: Position, _ head: Position, in store: Store) throws(EngineError) {
        guard place.store == store.feedIdentity, place.offset <= tail, place.offset & 3 == 0 else {
            throw Self.gone(place, store)
        }
        if place.offset == tail || place.offset < head { return }
        try store.log.mapNewSegments(upTo: tail &- 4)
        let segments = store.log.segments
        guard let segment = segments.last(where: { $0.first <= place.offset }) else {
            if segments.first.map({ $0.header.predecessor == 0 }) ?? true { return }
            throw Self.gone(place, store)
        }
        // Between two segments: at the end of the first. Behind that a power loss took away what was read, though it may stand there still.
        let next = segments.last { $0.header.predecessor == segment.first }
        if place.offset <= segment.firstRecord || next?.header.predecessorEnd == place.offset { return }
        guard place.offset < next?.header.predecessorEnd ?? .max,
            case .record = try store.log.record(at: place.offset)
        else { throw Self.gone(place, store) }
    }

    private static func gone(_ place: ChangePlace, _ store: Store) -> EngineError {
        let what =
            place.store == store.feedIdentity
            ? "changes behind position \(place.offset) are gone: the log was compacted, or cut by a power loss"
            : "the position is one of another cache"
        return EngineError(.positionGone, what + "; read the keys anew, and follow from then on", path: store.path)
    }
}

extension Store {
    /// What tells the places of this store's log from those of others.
    var feedIdentity: UInt32 { UInt32(truncatingIfNeeded: identity.storeID.0 ^ identity.storeID.0 >> 32) }
}

extension StoreHandle {
    /// Says that the caller is going to sleep until something is committed; as `Store.follower`.
    public func follower() throws(EngineError) -> Store.Sleeper {
        try withStore { $0.follower() }
    }
}
