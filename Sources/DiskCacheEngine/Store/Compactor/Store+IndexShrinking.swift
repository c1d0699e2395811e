import Synchronization

/// A smaller index in place of one that is less than a quarter full (DESIGN 5, "Another file").
///
/// The fresh one is filled from the log, off the lock, by replaying what was committed, until little is left; the rest under the lock,
/// then its generation goes into `meta`. Readers in the old one go on there: it isn't written any more, and whoever begins after
/// that looks at the generation (model: commit-undo-generation.pml).
extension Store {
    /// As little as this isn't worth another file.
    private static var fewestPages: Int { 12 }
    /// What may be left to replay under the lock.
    private static var lastBytes: UInt64 { 16 << 10 }

    /// Replaces the index if less than a quarter of its slots names something from the head on. The caller has the compaction lock.
    func shrinkIndexIfSparse(timeout: UInt64) throws(EngineError) {
        let index = try currentIndex()
        let pages = index.usedPages
        let slots = pages * IndexLayout.buckets * IndexLayout.slotsPerBucket
        guard pages >= Self.fewestPages, Int(clamping: block.read().counters.count) < slots / 4 else { return }
        // What names something below the head stands for nothing, and would not be in the fresh one.
        let committed = block.read()
        let tail = CommitBlock.tail(committed.word)
        var used = 0
        try index.forEachSlotNow { slot, _ in
            if PackedPosition.complete(slot.low, around: tail) >= committed.head { used += 1 }
        }
        if used < slots / 4 { try renewIndex(index, timeout: timeout) }
    }

    /// Puts a fresh index in place of `old`, unless the log is damaged or was cleared meanwhile. The caller has the compaction lock.
    func renewIndex(_ old: HashIndex, timeout: UInt64) throws(EngineError) {
        // Others make the next generation, under the lock; this one is beyond that, so that nobody takes it for theirs.
        let generation = old.generation + 2
        var head: Position = 0
        let fresh = try write(timeout: timeout) { () throws(EngineError) -> HashIndex in
            head = self.head
            return try HashIndex.create(
                generation: generation, in: directory, files: files, storeID: identity.storeID,
                boot: StoreIdentity.bootWords(environment.bootIdentity()))
        }
        var isInstalled = false
        do throws(EngineError) {
            var position = max(head, log.window.start)
            var rounds = 0
            while true {
                let tail = CommitBlock.tail(block.word.acquire())
                if tail &- position <= Self.lastBytes || rounds == 16 || isClosing { break }
                try log.mapNewSegments(upTo: tail &- 4)
                // Damage: which version a key has then is for a rebuild to say.
                guard try replay(from: position, to: tail, into: fresh) else { break }
                position = tail
                rounds += 1
            }
            isInstalled = try write(timeout: timeout) { () throws(EngineError) in
                // Versions from before a `clear` are for snapshots, which look for them in the old one.
                guard index === old, self.head == head, block.floor.relaxed() >= head,
                    log.tail &- position <= Self.lastBytes,
                    try replay(from: position, to: log.tail, into: fresh)
                else { return false }
                fresh.cover(log.tail)
                Seal.clear(metaBase)
                transaction.found = nil
                replaceIndex(with: fresh)
                return true
            }
        } catch {
            discard(fresh)
            throw error
        }
        if isInstalled { try carryStamps(from: old, to: fresh, timeout) } else { discard(fresh) }
    }

    /// False: the log can't be read up to `end`.
    private func replay(from start: Position, to end: Position, into fresh: HashIndex) throws(EngineError) -> Bool {
        if start >= end { return true }
        let reached = try log.follow(from: start, to: end) { (record) throws(EngineError) in
            guard record.hasSlot else { return }
            let identity = KeyClass.identity(record.keyClass)
            let hash = self.hash(identity, record.key)
            while true {
                switch try fresh.view.findForWriting(
                    hash, anchor: record.position, from: 0, log: log, { $0.isOf(identity, record.key) })
                {
                case .present(let place, _), .free(let place):
                    return place.slot.store(place.value.pointing(to: record.position).raw)
                case .full:
                    try fresh.split(hash, anchor: record.position) { (position) throws(EngineError) in
                        try self.rehash(position, from: 0)
                    }
                }
            }
        }
        return reached >= end
    }

    /// A later generation may have taken the name.
    private func discard(_ fresh: HashIndex) {
        guard (try? lock.acquire(timeout: 1_000_000_000)) != nil else { return }
        defer { lock.release() }
        if block.indexGeneration.relaxed() < fresh.generation {
            try? files.unlinkIfPresent(IndexLayout.name(fresh.generation), in: directory)
        }
    }

    /// Until they are all there, rows without a stamp rank by what their records say.
    private func carryStamps(from old: HashIndex, to fresh: HashIndex, _ timeout: UInt64) throws(EngineError) {
        guard let stamps = old.stamps else { return }
        var known: [UInt64: UInt64] = [:]
        try old.forEachSlotNow { slot, stamp in
            if stamp != 0 { known[slot.low] = stamp }
        }
        withExtendedLifetime(stamps) {}
        var next: Int? = known.isEmpty ? nil : 0
        while let start = next {
            next = try write(timeout: timeout) { () throws(EngineError) in
                guard index === fresh, let stamps = fresh.stamps else { return nil }
                return try fresh.forEachSlot(from: start, pages: 16) { slot, offset in
                    guard let stamp = known[slot.low], let word = stamps.word(at: offset) else { return }
                    if stamp > word.pointee.load(ordering: .relaxed) { word.pointee.store(stamp, ordering: .relaxed) }
                }
            }
        }
    }
}
