import Synchronization

/// Settling: what the next owner of the write lock does about a writer that died (DESIGN 4; model: core.pml).
///
/// All of it is idempotent: killed at any point, the next owner does the same again and comes to the same end.
extension Store {
    /// *Writer.* Called when the last owner was another, or at the first acquisition: nothing read before the lock counts (P1).
    @inline(never)
    func takeOver() throws(EngineError) {
        let state = block.read()
        guard state.isIntact else {
            throw EngineError(
                .corrupted, "the commit block is damaged; close the store in every process and open it again",
                path: path + "/meta")
        }
        // Before the first store into log or index: whoever dies in the first transaction must not leave a seal that seems to hold.
        Seal.clear(metaBase)
        let pin = ReaderPins.enter(ReaderPins.base)
        defer { ReaderPins.leave(pin) }
        counters = state.counters
        head = state.head
        let tail = CommitBlock.tail(state.word)
        _ = try currentIndex()
        try index.repair()
        if !Mutant.isPlanted(.keepUnused) { try log.finishHalfMade(tail: tail) }
        try log.position(at: tail, active: block.active.acquire(), last: counters.lastRecord)
        log.isPreparedChanged.store(true, ordering: .relaxed)
        queues.removeAll()
        FaultPoint.reach(.settleBegun)
        if !Mutant.isPlanted(.noSettle) { try settle(tail) }
        block.owner.store(lock.identity)
        wantsSweep.store(true, ordering: .relaxed)
        try loadSettings()
        announceModes()
        eviction.deadCheckpoint = 0
        FaultPoint.reach(.settleFinished)
    }

    /// Finishes the transaction whose commit flag is whole, undoes one that isn't.
    private func settle(_ tail: Position) throws(EngineError) {
        guard log.activeFirst != 0 else { return }
        var pending: [Record] = []
        var finished: [Record] = []
        let end = try log.scanTail(from: tail) { (record) throws(EngineError) in
            pending.append(record)
            if record.isCommit {
                finished += pending
                pending.removeAll()
            }
        }
        if finished.isEmpty && pending.isEmpty {
            // Nothing behind T, though perhaps a new segment without records.
            return
        }
        log.advance(to: end, last: (pending.last ?? finished.last)?.position ?? counters.lastRecord)
        if !finished.isEmpty {
            try finish(finished)
            FaultPoint.reach(.transactionRedone)
        }
        if !pending.isEmpty { try giveUp(pending) }
    }

    /// Each record that isn't voided goes into the index again if its slot names an older one; then T passes them all.
    private func finish(_ records: [Record]) throws(EngineError) {
        let headBefore = head
        var newest: [RecordKey: Record] = [:]
        var replacedFile = false
        var hasPushed = false
        for record in Self.withoutVoided(records) {
            switch record.kind {
            case _ where record.hasSlot:
                if record.kind == RecordKind.put.rawValue, record.keyClass == KeyClass.queue { hasPushed = true }
                let key = RecordKey(record)
                let before: Record?
                if let own = newest[key] {
                    before = own
                    if ValueFormCode.isFile(own.form), let file = ValueFileReference(own.value)?.name,
                        !(ValueFormCode.isFile(record.form) && ValueFileReference(record.value)?.name == file)
                    {
                        // Not if the committed version names it too (`touch`): that may be what a power loss leaves.
                        if let older = try version(at: own.previous), ValueFormCode.isFile(older.form),
                            ValueFileReference(older.value)?.name == file
                        {
                            replacedFile = true
                        } else {
                            try? valueFiles.unlink(file)
                        }
                    }
                } else {
                    before = try version(at: record.previous)
                    if let before, ValueFormCode.isFile(before.form) { replacedFile = true }
                }
                counters.apply(record, replacing: row(before))
                newest[key] = record
            case RecordKind.head.rawValue:
                head = min(record.valueWord, record.position)
                if head == record.position, counters.fileBytes != 0 { replacedFile = true }
                counters.apply(record, replacing: nil)
            default:
                counters.apply(record, replacing: nil)
            }
        }
        if !Mutant.isPlanted(.noReput) {
            for record in newest.values { try redo(record, from: headBefore) }
        }
        if let last = records.last { counters.lastRecord = last.position }
        let end = records.last?.end ?? log.tail
        Seal.clear(metaBase)
        if replacedFile { block.deadFiles.store(end) }
        index.cover(end)
        block.publish(tail: end, head: head, counters)
        if hasPushed { wakePullers() }
        SharedMemory.fullFence()
        wakeFollowers()
    }

    /// Points the key's slot at a record, unless it names that or a later one already. `lowest`: the head as it is committed.
    func redo(_ record: Record, from lowest: Position) throws(EngineError) {
        let identity = KeyClass.identity(record.keyClass)
        let hash = self.hash(identity, record.key)
        while true {
            let found = try indexView.findForWriting(hash, anchor: log.tail, from: lowest, log: log) {
                $0.isOf(identity, record.key)
            }
            switch found {
            case .present(let place, let old):
                if old.position < record.position {
                    place.slot.release(place.value.pointing(to: record.position).raw)
                    FaultPoint.reach(.slotStored)
                }
                return
            case .free(let place):
                place.slot.release(place.value.pointing(to: record.position).raw)
                FaultPoint.reach(.slotStored)
                return
            case .full:
                try index.split(hash, anchor: log.tail) { (position) throws(EngineError) in
                    try self.rehash(position, from: lowest)
                }
            }
        }
    }

    /// Slots back, newest first; the files that the records name away; a void record; T.
    private func giveUp(_ records: [Record]) throws(EngineError) {
        let first = records[0].position
        if Mutant.isPlanted(.undoLate) { appendVoid(from: first) }
        for record in records.reversed() {
            guard record.hasSlot else { continue }
            let hash = self.hash(KeyClass.identity(record.keyClass), record.key)
            if let place = try index.slot(naming: record.position, hash: hash) {
                place.slot.release(
                    record.previous == 0 ? Slot.vacant : place.value.pointing(to: record.previous).raw)
                FaultPoint.reach(.undoSlot)
            }
            if ValueFormCode.isFile(record.form), let file = ValueFileReference(record.value) {
                let older = try version(at: record.previous)
                let keeps =
                    older.map { ValueFormCode.isFile($0.form) && ValueFileReference($0.value)?.name == file.name }
                    ?? false
                if !keeps { try? valueFiles.unlink(file.name) }
            }
        }
        FaultPoint.reach(.undoSlots)
        if Mutant.isPlanted(.undoLate) { return }
        log.mayUseSpare = true
        defer { log.mayUseSpare = false }
        try log.reserve(RecordLayout.voidSize, head: head, settings: counters.settings)
        guard appendVoid(from: first) else {
            throw EngineError(
                .io, "what a writer left unfinished can't be voided; writing goes on when the disk does", path: path)
        }
    }

    /// Of the records of whole transactions, those that no void record inside takes back.
    static func withoutVoided(_ records: [Record]) -> [Record] {
        var kept: [Record] = []
        for record in records {
            if record.kind == RecordKind.void.rawValue {
                let from = record.valueWord
                kept.removeAll { $0.position >= from }
            }
            kept.append(record)
        }
        return kept
    }

    /// The record at a position that a `previous` names; nil: none, or below the head.
    private func version(at position: Position) throws(EngineError) -> Record? {
        guard position != 0, position >= head else { return nil }
        guard case .record(let record) = try log.record(at: position) else { return nil }
        return record
    }

    /// The record if it is a row: not a tombstone, not below the head.
    private func row(_ record: Record?) -> Record? {
        guard let record, record.kind == RecordKind.put.rawValue, record.position >= head else { return nil }
        return record
    }

    /// Reads the settings again if they stand somewhere else than when they were last read.
    func loadSettings() throws(EngineError) {
        guard settingsPosition != counters.settings else { return }
        let stored = try settings(at: counters.settings)
        // Another process may have made something else of a directory in which nothing was stored yet.
        if let kind = kind.withLock({ $0 }) { try stored.require(kind, path) }
        settings = stored
        minFileSize.store(settings.minFileSize, ordering: .relaxed)
        settingsPosition = counters.settings
        applySettings()
    }

    /// The settings that the record at a position holds; 0: the defaults.
    func settings(at position: Position) throws(EngineError) -> Settings {
        if position == 0 { return Settings() }
        guard case .record(let record) = try log.record(at: position), record.isSettings else {
            throw EngineError(.corrupted, "the settings are damaged; run check", path: path)
        }
        do throws(SettingsError) {
            return try Settings(decoding: Array(record.value))
        } catch {
            throw EngineError(.corrupted, "the settings can't be read: \(error)", path: path)
        }
    }

    /// The settings as of now. No lock.
    public func currentSettings() throws(EngineError) -> Settings {
        if isInTransaction { return settings }
        let pin = ReaderPins.enter(ReaderPins.base)
        defer { ReaderPins.leave(pin) }
        return try settings(at: block.read().counters.settings)
    }

    /// How durable writes are to be, as far as this process knows.
    var durability: Durability { (try? currentSettings())?.durability ?? .normal }
}

/// A key by its bytes, for collecting what a few records do.
struct RecordKey: Hashable {
    let identity: UInt8
    let bytes: [UInt8]

    init(_ record: Record) {
        identity = KeyClass.identity(record.keyClass)
        bytes = Array(record.key)
    }
}
