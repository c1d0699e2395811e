/// The writer's protocol (DESIGN 4; models: core.pml, commit-undo-generation.pml). All of it belongs to the holder of the lock.
extension Store {
    // MARK: Beginning and ending

    /// Takes the write lock, settles what a dead owner left, and begins a transaction. Nested: joins the open one.
    @inline(never)
    func begin(timeout: UInt64, inGap: Bool = false) throws(EngineError) {
        if lock.isHeldByThisThread {
            beginNested()
            return
        }
        let clock = environment.wallClock()
        try lock.acquire(timeout: timeout, now: clock, inGap: inGap)
        log.touchTail()
        do throws(EngineError) {
            if block.owner.relaxed() != lock.identity || settingsPosition != counters.settings { try takeOver() }
            if block.poison.relaxed() != 0 { throw poisoned() }
        } catch {
            lock.release()
            throw error
        }
        transaction.depth = 1
        transaction.found = nil
        transaction.first = log.tail
        transaction.isClosed = false
        transaction.operations = 0
        transaction.ownBytes = 0
        transaction.countersBefore = counters
        transaction.headBefore = head
        now = clock
    }

    @inline(never)
    private func beginNested() {
        transaction.depth &+= 1
        transaction.savepoints.append(
            .init(
                tail: log.tail, changes: transaction.changes.count, operations: transaction.operations,
                counters: counters,
                head: head, newFiles: transaction.newFiles.count, droppedFiles: transaction.droppedFiles.count,
                replacedFiles: transaction.replacedFiles, replacedBytes: transaction.replacedBytes,
                queues: queues.list.count, queueChanges: queues.changes.count, ownBytes: transaction.ownBytes))
    }

    /// Commits if this is the outermost level: what was written is visible to all at one instant.
    @inline(__always)
    func commit() throws(EngineError) {
        let toll = try commitOwing()
        if toll != 0 { pay(toll) }
    }

    /// Commits; what is to be paid for it, when the thread holds no other store's lock either: 0: nothing.
    @inline(never)
    func commitOwing() throws(EngineError) -> UInt64 {
        transaction.depth &-= 1
        if transaction.depth > 0 {
            transaction.savepoints.removeLast()
            return 0
        }
        do throws(EngineError) {
            if let failure = transaction.failure { throw failure }
            try publish()
        } catch {
            undo()
            lock.release()
            throw error
        }
        // Visible when appended, acknowledged when durable, whether this call wrote or only saw what others did; the lock is let go
        // before, so that others append meanwhile.
        let wantedEnd = settings.durability == .full ? CommitBlock.tail(block.word.relaxed()) : 0
        let hasPushed = transaction.hasPushed
        transaction.hasPushed = false
        let toll = eviction.toll
        if toll != 0 {
            eviction.toll = 0
            lock.endRun()
        }
        lock.release()
        if hasPushed { wakePullers() }
        wakeFollowers()
        if wantedEnd != 0 { try sync(covering: wantedEnd) }
        return toll
    }

    /// Undoes what was written since the `begin` that it belongs to; the outermost lets go of the lock.
    @inline(never)
    func rollBack() {
        transaction.depth -= 1
        if transaction.depth > 0 {
            undo(to: transaction.savepoints.removeLast())
            return
        }
        // What it threw may tell what others have written.
        let wantedEnd = settings.durability == .full ? CommitBlock.tail(block.word.relaxed()) : 0
        undo()
        lock.release()
        if wantedEnd != 0 { try? sync(covering: wantedEnd) }
    }

    @inline(__always)
    private func publish() throws(EngineError) {
        if queues.isChanged { try writeQueues() }
        guard transaction.operations != 0 else {
            if Mutant.isPlanted(.sameTail) {
                counters.earliestExpiry &-= 1
                block.publish(tail: log.tail, head: head, counters)
            }
            queues.settle()
            return
        }
        if !transaction.isClosed { try appendCommitRecord() }
        if !transaction.droppedFiles.isEmpty {
            for name in transaction.droppedFiles { try? valueFiles.unlink(name) }
            transaction.droppedFiles.removeAll()
        }
        Seal.clear(metaBase)
        let tail = log.tail
        counters.lastRecord = log.lastRecord
        if transaction.replacedFiles != 0 {
            block.deadFiles.store(tail)
            block.deadFileBytes.add(transaction.replacedBytes)
            transaction.replacedFiles = 0
            transaction.replacedBytes = 0
            // Its file is dead too.
            eviction.deadCheckpoint = 0
            if hasManyDeadFiles(settings) { hastenSync() }
        }
        index.cover(tail)
        block.publish(tail: tail, head: head, counters)
        block.note(.commits)
        block.note(.bytesWritten, tail &- transaction.first)
        // The usual one costs less so.
        if transaction.changes.count == 1 { transaction.changes.removeLast() }
        if !transaction.changes.isEmpty { transaction.changes.removeAll(keepingCapacity: true) }
        if !transaction.newFiles.isEmpty { transaction.newFiles.removeAll() }
        queues.settle()
        noteGarbage()
        markDirty()
        if settings.durability == .normal, tail &- block.synced.relaxed() > UInt64(Self.unsyncedLimit) { hastenSync() }
    }

    /// Makes visible what is a whole transaction already, and goes on under the same lock with another.
    @inline(never)
    func publishAndGoOn() throws(EngineError) {
        try publish()
        transaction.first = log.tail
        transaction.operations = 0
        transaction.isClosed = false
        transaction.countersBefore = counters
        transaction.headBefore = head
    }

    @inline(never)
    private func appendCommitRecord() throws(EngineError) {
        var draft = RecordDraft(kind: .commit)
        draft.flags = RecordBits.commit
        draft.storedTime = storedTime()
        var body = transaction.operations.littleEndian
        try withUnsafeBytes(of: &body) { (bytes) throws(EngineError) in
            draft.value = bytes
            _ = try log.append(draft, size: draft.size)
        }
        counters.dead &+= UInt64(RecordLayout.commitSize)
        transaction.isClosed = true
    }

    /// Milliseconds since the store's epoch, never less than before.
    @inline(__always)
    func storedTime() -> UInt64 {
        let milliseconds = now / 1000 &- identity.epoch
        let time = max(UInt64(bitPattern: max(milliseconds, 0)) & PackedPosition.mask, counters.lastStoredTime)
        counters.lastStoredTime = time
        return time
    }

    /// When what is stored with these attributes expires.
    @inline(__always)
    func expiry(_ attributes: RecordAttributes) -> Int64? {
        attributes.expiresByDefault ? defaultExpiry() : attributes.expiry
    }

    /// When what is stored now expires by default.
    @inline(__always)
    private func defaultExpiry() -> Int64? {
        guard let interval = settings.defaultExpire else { return nil }
        let sum = now.addingReportingOverflow(interval)
        return sum.overflow ? .max : max(1, sum.partialValue)
    }

    func goneFromQueue() -> EngineError {
        EngineError(.keyNotFound, "this item of a queue is gone; only push makes one")
    }

    // MARK: Operations

    /// What a put found in its place.
    public enum PutCondition: Sendable {
        case always
        /// Only if the key is missing or expired.
        case onlyIfMissing
        /// Only if there is none, expired or not: an item that comes into its queue.
        case pushed
    }

    /// Appends a new version of a key and points its slot at it. `isLast`: it ends the transaction. False: `condition` failed.
    ///
    /// `culls`: what is too much then goes in the same transaction. `access`: what it means for the number of accesses.
    @inline(__always)
    func put(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, form: UInt16, value: UnsafeRawBufferPointer,
        _ attributes: RecordAttributes, condition: PutCondition = .always, isLast: Bool, keptTime: UInt64? = nil,
        culls: Bool = false, access: Access = .reset
    ) throws(EngineError) -> Bool {
        let identity = KeyClass.identity(keyClass)
        let hash = self.hash(identity, key)
        var found = try place(identity, key, hash)
        var draft = RecordDraft(kind: .put)
        draft.form = form
        draft.keyClass = keyClass
        draft.key = key
        draft.value = value
        draft.expiry = expiry(attributes)
        draft.tag = attributes.tag
        var replaced: Record?
        if case .present(_, let record) = found, record.position >= head {
            if record.kind != RecordKind.tombstone.rawValue {
                if condition != .always, condition == .pushed || !(record.expiry.map { $0 <= now } ?? false) {
                    return false
                }
                replaced = record
                draft.rowid = record.rowid
                // The form in which a number was first given stays.
                draft.keyClass = record.keyClass
            }
        }
        if replaced == nil {
            if identity == KeyClass.queue && condition != .pushed {
                throw goneFromQueue()
            }
            guard counters.nextRowid < 1 << 40 else {
                throw EngineError(
                    .limitReached, "the store has used up its 2^40 row numbers; move it to a new directory", path: path)
            }
            draft.rowid = counters.nextRowid
        }
        if let keptTime {
            draft.flags |= RecordBits.kept
            draft.storedTime = keptTime
        } else {
            draft.storedTime = storedTime()
        }
        let size = draft.size
        let bytes = accountedBytes(size, form: form, value: value)
        var mustCull = false
        if culls && needsCull(adding: bytes) {
            try refuseTooLarge(bytes, replacing: replaced)
            mustCull = preparesCull(adding: bytes)
        }
        if isLast && !mustCull { draft.flags |= RecordBits.commit }
        try append(&draft, size: size, identity, hash, &found)
        if replaced == nil {
            counters.nextRowid &+= 1
            counters.count &+= 1
        }
        accountReplacement(of: replaced, form, value)
        counters.add(size: size, form: form, value: value, expiry: draft.expiry)
        if identity == KeyClass.queue { transaction.hasPushed = true }
        transaction.ownBytes &+= bytes
        if eviction.policy == .leastFrequentlyUsed, replaced != nil, case .present(let place, _) = found {
            stampWrite(place.slot, rowid: draft.rowid, access)
        }
        if mustCull { try cull(closes: isLast) } else if isLast { transaction.isClosed = true }
        return true
    }

    /// Appends a tombstone for a key that is there. `isLast` as in `put`; an item of a queue is followed by its queue's record.
    @inline(never)
    func remove(
        _ record: Record, cause: TombstoneCause, isLast: Bool
    ) throws(EngineError) {
        let identity = KeyClass.identity(record.keyClass)
        let hash: UInt64
        var found: HashIndex.Found
        if let known = transaction.found, known.position == record.position,
            known.place.slot.relaxed() == known.place.value.raw
        {
            hash = known.hash
            found = .present(known.place, record)
        } else {
            hash = self.hash(identity, record.key)
            found = try place(identity, record.key, hash)
        }
        // On a full disk too.
        log.mayUseSpare = true
        defer { log.mayUseSpare = false }
        var draft = RecordDraft(kind: .tombstone)
        draft.form = cause.rawValue
        draft.keyClass = record.keyClass
        draft.key = record.key
        draft.rowid = record.rowid
        draft.storedTime = storedTime()
        let closes = isLast && identity != KeyClass.queue
        if closes { draft.flags |= RecordBits.commit }
        let size = draft.size
        try append(&draft, size: size, identity, hash, &found)
        counters.count &-= 1
        if cause != .deleted { block.note(cause == .expired ? .expired : .evicted) }
        accountReplacement(of: record, ValueFormCode.null, UnsafeRawBufferPointer(start: nil, count: 0))
        counters.dead &+= UInt64(size)
        if closes { transaction.isClosed = true }
        if identity == KeyClass.queue { try itemRemoved(record.key) }
    }

    // MARK: Parts

    /// The key's slot, or a free one; splits pages until there is one.
    @inline(__always)
    func place(
        _ identity: UInt8, _ key: UnsafeRawBufferPointer, _ hash: UInt64
    ) throws(EngineError) -> HashIndex.Found {
        let found = try indexView.findForWriting(hash, anchor: log.tail, from: transaction.headBefore, log: log) {
            $0.isOf(identity, key)
        }
        if case .full = found { return try placeAfterSplits(identity, key, hash) }
        return found
    }

    @inline(never)
    private func placeAfterSplits(
        _ identity: UInt8, _ key: UnsafeRawBufferPointer, _ hash: UInt64
    ) throws(EngineError) -> HashIndex.Found {
        transaction.found = nil
        while true {
            if try !vacatesPage(of: hash) {
                try index.split(hash, anchor: log.tail) { (position) throws(EngineError) in
                    try self.rehash(position, from: transaction.headBefore)
                }
            }
            let found = try indexView.findForWriting(hash, anchor: log.tail, from: transaction.headBefore, log: log) {
                $0.isOf(identity, key)
            }
            if case .full = found { continue }
            return found
        }
    }

    /// Makes room, appends, and points the slot at the record: in this order, so that nothing fails behind the append.
    @inline(__always)
    func append(
        _ draft: inout RecordDraft, size: Int, _ identity: UInt8, _ hash: UInt64, _ found: inout HashIndex.Found
    ) throws(EngineError) {
        let room = size &+ RecordLayout.voidSize &+ RecordLayout.commitSize
        try log.reserve(room, head: head, settings: counters.settings)
        if transaction.operations == 0 { transaction.first = log.tail }
        let place: HashIndex.Place
        var before = Slot.vacant
        switch found {
        case .present(let present, let record):
            place = present
            before = present.value.raw
            // A version of this very transaction is skipped: what a reader goes back to was committed.
            draft.previous = record.position >= transaction.first ? record.previous : record.position
        case .free(let free):
            place = free
        case .full:
            throw index.damaged()
        }
        if Mutant.isPlanted(.slotBeforeRecord) { place.slot.release(place.value.pointing(to: log.tail).raw) }
        let position = try log.append(draft, size: size)
        transaction.changes.append(.init(record: position, hash: hash, before: before))
        transaction.operations &+= 1
        followVictims(draft, hash, at: position)
        place.slot.release(place.value.pointing(to: position).raw)
        FaultPoint.reach(.slotStored)
    }

    @inline(__always)
    private func accountReplacement(of record: Record?, _ form: UInt16, _ value: UnsafeRawBufferPointer) {
        guard let record else { return }
        counters.subtract(record)
        if record.position >= transaction.first {
            transaction.ownBytes &-= accountedBytes(record.size, form: record.form, value: record.value)
        }
        if ValueFormCode.isFile(record.form) { accountFile(of: record, form, value) }
    }

    /// A record with a file was replaced by one of this form and value, or removed. A file of this very transaction is named by
    /// no `previous`, so it is remembered here.
    @inline(never)
    private func accountFile(of record: Record, _ form: UInt16, _ value: UnsafeRawBufferPointer) {
        transaction.replacedFiles &+= 1
        transaction.replacedBytes &+= CommitBlock.Counters.fileBytes(record.value)
        guard record.position >= transaction.first, let name = ValueFileReference(record.value)?.name,
            transaction.newFiles.contains(name)
        else { return }
        let keeps = ValueFormCode.isFile(form) && ValueFileReference(value)?.name == name
        if !keeps { transaction.droppedFiles.append(name) }
    }
}
