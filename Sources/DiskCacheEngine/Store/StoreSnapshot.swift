/// The store as of one commit: several reads that agree. Reads follow `previous` down to that commit (DESIGN 4; model: core.pml).
///
/// Used by one thread at a time, inside an access of the handle; `end` must follow.
public struct StoreSnapshot: Sendable {
    /// The commit word, and what held with it.
    let tail: Position
    let head: Position
    /// Rows, expired ones included.
    public let count: Int
    /// Every row of it has a lower rowid.
    let nextRowid: UInt64
    /// The clock as of its beginning: what has expired then is missing. Microseconds since 1970.
    public let now: Int64
    /// Inside a transaction of the calling thread: what that sees.
    let isWriter: Bool
    let lock: FileDescriptor?
}

extension Store {
    /// Begins a snapshot of the newest commit.
    public func beginSnapshot() -> StoreSnapshot {
        let now = environment.wallClock()
        if isInTransaction {
            return StoreSnapshot(
                tail: log.tail, head: head, count: Int(clamping: counters.count), nextRowid: counters.nextRowid,
                now: now,
                isWriter: true, lock: nil)
        }
        // Before the word: what is taken away from here on is taken away before it, or not at all.
        let lock = snapshotLock.share()
        let state = block.read()
        return StoreSnapshot(
            tail: CommitBlock.tail(state.word), head: state.head, count: Int(clamping: state.counters.count),
            nextRowid: state.counters.nextRowid, now: now, isWriter: false, lock: lock)
    }

    /// Ends a snapshot.
    public func end(_ snapshot: StoreSnapshot) {
        if let lock = snapshot.lock { snapshotLock.end(lock) }
    }

    /// The record that a key had at a snapshot's commit, expired or not. Throws `snapshotExpired` if it may be gone.
    public func find(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, in snapshot: StoreSnapshot
    ) throws(EngineError) -> Record? {
        if snapshot.isWriter { return try findAsWriter(keyClass, key) }
        let identity = KeyClass.identity(keyClass)
        let hash = self.hash(identity, key)
        for _ in 0..<1000 {
            switch try look(identity, key, hash, asOf: snapshot.tail, head: snapshot.head) {
            case .found(let record): return record
            case .absent:
                SharedMemory.acquireFence()
                // What was there may have gone from the index with its record: below a head at or behind its own end.
                let floor = block.floor.relaxed()
                if floor > snapshot.head, floor >= snapshot.tail, snapshot.tail != 0 { throw expired() }
                return nil
            case .damaged(let position): throw damagedRecord(position)
            case .gone: throw expired()
            case .again: continue
            }
        }
        throw expired()
    }

    func expired() -> EngineError {
        EngineError(
            .snapshotExpired, "the snapshot is too old: what it reads has been taken away; begin another", path: path)
    }

    /// The error for a value whose file went while the snapshot was read.
    public func fileIsGone() -> EngineError { expired() }

    private enum OldLook {
        case found(Record)
        case absent
        /// Something moved meanwhile.
        case again
        /// A record that the snapshot needs was taken away.
        case gone
        case damaged(Position)
    }

    /// One pass of a lookup: the key's newest version below `tail`.
    private func look(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, _ hash: UInt64, asOf tail: Position, head: Position
    ) throws(EngineError) -> OldLook {
        let generation = block.indexGeneration.acquire()
        if indexView.generation != generation {
            try switchIndex(to: generation)
            return .again
        }
        let found = try version(keyClass, key, hash, asOf: tail, head: head)
        guard case .found = found else {
            SharedMemory.acquireFence()
            return block.indexGeneration.relaxed() == generation ? found : .again
        }
        return found
    }

    /// The newest version below `tail` of the key that a record is of; absent: there is none, or it is a tombstone.
    private func follow(
        _ newest: Record, _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, asOf tail: Position, head: Position
    ) throws(EngineError) -> OldLook {
        var record = newest
        while record.position >= tail {
            let previous = record.previous
            if previous == 0 || previous < head { return .absent }
            switch try log.record(at: previous) {
            case .gone: return gone(previous)
            case .damaged: return isTakenAway(previous) ? .gone : .damaged(previous)
            case .record(let older):
                guard older.isOf(keyClass, key) else { return .damaged(previous) }
                record = older
            }
        }
        return record.kind == RecordKind.tombstone.rawValue ? .absent : .found(record)
    }

    /// What lies below the newest head is gone for good; else this process's mappings were being changed.
    private func gone(_ position: Position) -> OldLook {
        isTakenAway(position) ? .gone : .again
    }

    /// Whether a position lies below the newest head. A segment behind it may be mapped since, so that zeros are read there.
    private func isTakenAway(_ position: Position) -> Bool { position < block.read().head }

    /// The version of a key that its slots lead to. There are two where the head has moved since: what was written behind it took another
    /// slot and names nothing before; the version from before it is where the first one leads.
    private func version(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, _ hash: UInt64, asOf tail: Position, head: Position
    ) throws(EngineError) -> OldLook {
        let view = indexView
        let root = view.root.acquire()
        guard view.isValid(root: root) else { return .again }
        let entryWord = view.entryWord(root, HashBits.directoryIndex(hash, HashIndex.depth(ofRoot: root)))
        let entry = DirectoryEntry(raw: entryWord.acquire())
        guard view.isValid(entry) else { return .again }
        let fingerprint = HashBits.fingerprint(hash, depth: entry.depth)
        let step = HashBits.step(fingerprint)
        var damaged: Position?
        for displacement in 0..<IndexLayout.probes {
            let bucket = HashBits.bucket(HashBits.home(hash), step, displacement)
            let want = fingerprint &<< 2 | UInt64(displacement)
            var isLast = false
            for index in 0..<IndexLayout.slotsPerBucket {
                let slot = Slot(raw: view.slotWord(entry.page, bucket, index).acquire())
                if slot.raw == Slot.neverUsed { isLast = true }
                guard !slot.isFree, slot.raw &>> 40 == want else { continue }
                let position = PackedPosition.complete(slot.low, around: CommitBlock.tail(block.word.acquire()))
                // Another key's, or one that was absent already: below the head nothing counts.
                if position < head { continue }
                switch try log.record(at: position) {
                case .record(let record):
                    if !record.isOf(keyClass, key) { continue }
                    let found = try follow(record, keyClass, key, asOf: tail, head: head)
                    if case .absent = found, !Mutant.isPlanted(.firstSlot) { continue }
                    return found
                case .gone: return gone(position)
                case .damaged:
                    if isTakenAway(position) { return .gone }
                    damaged = position
                }
            }
            if isLast { break }
        }
        SharedMemory.acquireFence()
        guard entryWord.relaxed() == entry.raw, view.root.relaxed() == root else { return .again }
        return damaged.map { .damaged($0) } ?? .absent
    }
}
