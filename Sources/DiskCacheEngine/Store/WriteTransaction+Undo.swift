/// Taking back what a transaction wrote, in the process that wrote it; what a dead process wrote, `Recovery.swift` takes back.
extension Store {
    /// Takes back what the transaction wrote: slots first, newest first, then a void record, then T. What was appended stays
    /// in the log and counts for nothing.
    @inline(never)
    func undo() {
        defer {
            transaction.changes.removeAll(keepingCapacity: true)
            transaction.newFiles.removeAll()
            transaction.droppedFiles.removeAll()
            transaction.savepoints.removeAll()
            transaction.failure = nil
            transaction.operations = 0
            transaction.replacedFiles = 0
            transaction.hasPushed = false
            queues.removeAll()
            transaction.replacedBytes = 0
            transaction.ownBytes = 0
        }
        if !Mutant.isPlanted(.undoLate) { putSlotsBack(downTo: 0) }
        let first = transaction.first
        let wrote = transaction.operations != 0
        putBack(transaction.countersBefore, transaction.headBefore)
        for name in transaction.newFiles { try? valueFiles.unlink(name) }
        guard wrote else { return }
        // Rows that it removed or replaced are back, and the pools have let go of them.
        forgetVictims()
        rowEnds.forget()
        appendVoid(from: first)
        if Mutant.isPlanted(.undoLate) { putSlotsBack(downTo: 0) }
    }

    /// Takes back what a nested level wrote, while the outer ones go on: as `undo`, with a void record inside the transaction.
    func undo(to savepoint: TransactionState.Savepoint) {
        putSlotsBack(downTo: savepoint.changes)
        transaction.changes.removeSubrange(savepoint.changes...)
        queues.goBack(to: savepoint.queues, changes: savepoint.queueChanges)
        let wrote = transaction.operations != savepoint.operations
        putBack(savepoint.counters, savepoint.head)
        for name in transaction.newFiles[savepoint.newFiles...] { try? valueFiles.unlink(name) }
        transaction.newFiles.removeSubrange(savepoint.newFiles...)
        transaction.droppedFiles.removeSubrange(savepoint.droppedFiles...)
        transaction.replacedFiles = savepoint.replacedFiles
        transaction.replacedBytes = savepoint.replacedBytes
        transaction.ownBytes = savepoint.ownBytes
        guard wrote else { return }
        forgetVictims()
        rowEnds.forget()
        do throws(EngineError) {
            let room = RecordLayout.voidSize + RecordLayout.voidSize + RecordLayout.commitSize
            try log.reserve(room, head: head, settings: counters.settings)
            var draft = RecordDraft(kind: .void)
            draft.storedTime = counters.lastStoredTime
            var body = savepoint.tail.littleEndian
            try withUnsafeBytes(of: &body) { (bytes) throws(EngineError) in
                draft.value = bytes
                _ = try log.append(draft, size: draft.size)
            }
            FaultPoint.reach(.voidWritten)
            counters.dead &+= log.tail &- savepoint.tail
        } catch {
            transaction.failure = error
        }
    }

    /// Slots name again what they named before, newest change first.
    private func putSlotsBack(downTo first: Int) {
        for change in transaction.changes[first...].reversed() {
            if let place = try? index.slot(naming: change.record, hash: change.hash) {
                let before = Slot(raw: change.before)
                // A split may have moved the slot since: its place keeps its own fingerprint and displacement.
                place.slot.release(
                    before.isFree
                        ? Slot.vacant
                        : place.value.pointing(to: PackedPosition.complete(before.low, around: log.tail)).raw)
                FaultPoint.reach(.undoSlot)
            }
        }
        FaultPoint.reach(.undoSlots)
    }

    /// Counters, settings and head as they were; store times still never go back, nor do rowids: a scan begun inside the transaction
    /// may outlive it, and what comes after must not look as if it had been there then.
    private func putBack(_ last: CommitBlock.Counters, _ headBefore: Position) {
        counters.count = last.count
        counters.live = last.live
        counters.dead = last.dead
        counters.fileBytes = last.fileBytes
        counters.earliestExpiry = last.earliestExpiry
        counters.settings = last.settings
        head = headBefore
        // If they can't be read now, the next transaction tries again, and says why.
        try? loadSettings()
    }

    /// Appends "what lies from `first` to here doesn't count", for which every append keeps room, and publishes it.
    /// False: it couldn't be written, and the transaction stays uncommitted behind T, for the next owner to settle.
    @discardableResult
    func appendVoid(from first: Position) -> Bool {
        var draft = RecordDraft(kind: .void)
        draft.flags = RecordBits.commit
        draft.storedTime = counters.lastStoredTime
        var body = first.littleEndian
        let done: Bool = withUnsafeBytes(of: &body) { bytes in
            draft.value = bytes
            return Mutant.isPlanted(.noVoid) || (try? log.append(draft, size: draft.size)) != nil
        }
        guard done else {
            block.owner.store(0)
            return false
        }
        FaultPoint.reach(.voidWritten)
        counters.lastRecord = log.lastRecord
        counters.dead &+= log.tail &- first
        Seal.clear(metaBase)
        index.cover(log.tail)
        block.publish(tail: log.tail, head: head, counters)
        markDirty()
        return true
    }
}
