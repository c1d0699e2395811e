extension Store {
    /// The record that a key has as of one commit. `counts`: it is an access that eviction is to know of.
    @inline(__always)
    func find(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, counts: Bool = false
    ) throws(EngineError) -> Record? {
        if isInTransaction { return try findAsWriter(keyClass, key, counts: counts) }
        let identity = KeyClass.identity(keyClass)
        let hash = self.hash(identity, key)
        var attempt = 0
        while true {
            switch try look(identity, key, hash, counts: counts) {
            case .found(let record): return record
            case .absent: return nil
            case .again: break
            case .damaged(let position):
                if attempt >= 3 { return try findUnderLock(identity, key, hash, position) }
            }
            attempt += 1
            if attempt > 1000 { return try findUnderLock(identity, key, hash, 0) }
        }
    }

    enum Look {
        case found(Record)
        case absent
        /// Something moved meanwhile.
        case again
        /// What a matching slot names isn't whole.
        case damaged(Position)
    }

    /// One pass of the lookup of DESIGN 5; the order of its loads is that of the models (move.pml, head-word.pml,
    /// hash-copysplit.pml, core.pml).
    @inline(__always)
    func look(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, _ hash: UInt64, counts: Bool
    ) throws(EngineError) -> Look {
        var word = block.word.acquire()
        var tail = CommitBlock.tail(word)
        let generation = block.indexGeneration.acquire()
        let index = indexView
        if index.generation != generation && !Mutant.isPlanted(.superseded) {
            try switchIndex(to: generation)
            return .again
        }
        let root = index.root.acquire()
        guard index.isValid(root: root) else { return .damaged(0) }
        let entryWord = index.entryWord(root, HashBits.directoryIndex(hash, HashIndex.depth(ofRoot: root)))
        let entry = DirectoryEntry(raw: entryWord.acquire())
        guard index.isValid(entry) else { return .damaged(0) }
        if Mutant.isPlanted(.directoryFirst) {
            word = block.word.acquire()
            tail = CommitBlock.tail(word)
        }
        let moved = Mutant.isPlanted(.early) && (entryWord.relaxed() != entry.raw || index.root.relaxed() != root)

        let fingerprint = HashBits.fingerprint(hash, depth: entry.depth)
        let step = HashBits.step(fingerprint)
        var bucket = HashBits.home(hash)
        var displacement = 0
        var damaged: Position?
        while true {
            let want = fingerprint &<< 2 | UInt64(truncatingIfNeeded: displacement)
            var match = index.matches(entry.page, bucket, want)
            while match != 0 {
                let i = match.trailingZeroBitCount
                match &= match &- 1
                let slot = Slot(raw: index.slotWord(entry.page, bucket, i).acquire())
                // It may have become another key's since.
                if slot.raw &>> 40 != want || slot.isFree { continue }
                if Mutant.isPlanted(.slotFirst) {
                    word = block.word.acquire()
                    tail = CommitBlock.tail(word)
                }
                let position = PackedPosition.complete(slot.low, around: tail)
                let head = block.head(CommitBlock.slot(word)).relaxed()
                if position < head {
                    // Below the head nothing counts, if that head is still the one (head-word.pml).
                    SharedMemory.acquireFence()
                    if block.word.relaxed() != word && !Mutant.isPlanted(.noReread) { return .again }
                    continue
                }
                switch try log.record(at: position) {
                case .gone: return .again
                case .damaged: damaged = position
                case .record(let record):
                    if !record.isOf(keyClass, key) { continue }
                    if Mutant.isPlanted(.tailLate) {
                        word = block.word.acquire()
                        tail = CommitBlock.tail(word)
                    }
                    if counts { access(index, entry.page, bucket, i, record) }
                    if position >= tail { return try follow(record, word, keyClass, key) }
                    let now = CommitBlock.tail(block.word.relaxed())
                    if now &- tail >= 1 << 40 { return .again }
                    return record.kind == RecordKind.tombstone.rawValue ? .absent : .found(record)
                }
            }
            if index.leastSlot(entry.page, bucket) == Slot.neverUsed { break }
            displacement &+= 1
            if displacement == IndexLayout.probes { break }
            bucket = HashBits.bucket(bucket, step, 1)
        }
        // A miss is believed only if nothing moved.
        SharedMemory.acquireFence()
        if Mutant.isPlanted(.early) {
            if moved { return .again }
        } else if Mutant.isPlanted(.noRoot) {
            if entryWord.relaxed() != entry.raw { return .again }
        } else if Mutant.isPlanted(.noDepth) {
            if entryWord.relaxed() &>> 6 != entry.raw &>> 6 || index.root.relaxed() != root { return .again }
        } else if !Mutant.isPlanted(.noRecheck),
            entryWord.relaxed() != entry.raw || index.root.relaxed() != root
                || block.indexGeneration.relaxed() != generation
                || CommitBlock.tail(block.word.relaxed()) &- tail >= 1 << 40
        {
            return .again
        }
        // Only a slot of this key's fingerprint leads to damage, so it is this key's but for one chance in millions.
        if let damaged { return .damaged(damaged) }
        return .absent
    }

    /// Notes an access, where the policy wants to know: else it costs one relaxed load.
    @inline(__always)
    private func access(_ index: IndexView, _ page: Int, _ bucket: Int, _ number: Int, _ record: Record) {
        let modes = block.modes.relaxed()
        if !Modes(raw: modes).keepsStamps || record.kind == RecordKind.tombstone.rawValue { return }
        stamp(index, index.slotWord(page, bucket, number), record, modes: modes)
    }

    /// The newest version below T of a record that isn't committed as far as this reader goes.
    @inline(never)
    private func follow(
        _ uncommitted: Record, _ word: UInt64, _ keyClass: UInt8, _ key: UnsafeRawBufferPointer
    ) throws(EngineError) -> Look {
        let tail = CommitBlock.tail(word)
        let head = block.head(CommitBlock.slot(word)).relaxed()
        var record = uncommitted
        for _ in 0..<8 {
            let previous = record.previous
            if previous == 0 || previous < head {
                SharedMemory.acquireFence()
                return block.word.relaxed() == word ? .absent : .again
            }
            switch try log.record(at: previous) {
            case .gone: return .again
            case .damaged: return .damaged(previous)
            case .record(let older):
                guard older.isOf(keyClass, key) else { return .damaged(previous) }
                if previous < tail {
                    return older.kind == RecordKind.tombstone.rawValue ? .absent : .found(older)
                }
                record = older
            }
        }
        return .again
    }

    /// Once more with nobody writing: what is still damaged now is so on disk.
    @inline(never)
    private func findUnderLock(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, _ hash: UInt64, _ position: Position
    ) throws(EngineError) -> Record? {
        let nested = lock.isHeldByThisThread
        if !nested { try lock.acquire(timeout: 60_000_000_000) }
        defer { if !nested { lock.release() } }
        if !nested { try takeOver() }
        switch try look(keyClass, key, hash, counts: false) {
        case .found(let record): return record
        case .absent: return nil
        case .again, .damaged:
            if position != 0 { throw damagedRecord(position) }
            throw EngineError(
                .corrupted, "the hash index is damaged; close the store everywhere and open it again to rebuild it",
                path: path)
        }
    }

    func damagedRecord(_ position: Position) -> EngineError {
        EngineError(
            .corrupted,
            "the record at position \(position) is damaged, and this key's value with it; store another, or run check",
            path: path)
    }

    /// The newest version of a key as the holder of the write lock sees it, its own uncommitted writes included.
    func findAsWriter(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, counts: Bool = false
    ) throws(EngineError) -> Record? {
        let identity = KeyClass.identity(keyClass)
        let hash = self.hash(identity, key)
        switch try indexView.findForWriting(
            hash, anchor: log.tail, from: transaction.headBefore, log: log, { $0.isOf(identity, key) })
        {
        case .present(let place, let record):
            if record.kind == RecordKind.tombstone.rawValue || record.position < head { return nil }
            if counts, eviction.keepsStamps {
                stamp(index.view, place.slot, record, modes: block.modes.relaxed())
            }
            transaction.found = (record.position, hash, place)
            return record
        case .free(let place):
            let slot = Slot(raw: place.slot.relaxed())
            if slot.isFree { return nil }
            let position = PackedPosition.complete(slot.low, around: log.tail)
            if position < transaction.headBefore { return nil }
            // The slot serves for a new version, but what it names can't be read: not the same as nothing.
            throw damagedRecord(position)
        case .full: return nil
        }
    }
}
