import Synchronization

extension HashIndex {
    /// Calls `visit` with every slot in use and its stamp, each key's at least once. Needs no lock: a page that is split meanwhile is
    /// read again, as its two halves. What is written meanwhile may be met or not.
    func forEachSlotNow(
        ahead: (Slot) -> Void = { _ in }, _ visit: (Slot, UInt64) throws(EngineError) -> Void
    ) throws(EngineError) {
        var page = ScannedPage()
        var waiting: [(prefix: UInt64, depth: Int)] = [(0, 0)]
        while let (prefix, depth) = waiting.popLast() {
            let root = self.root.acquire()
            guard isValid(root: root) else { throw damaged() }
            let mask = (UInt64(1) &<< UInt64(Self.depth(ofRoot: root))) &- 1
            let entryWord = self.entryWord(root, Int(prefix & mask))
            let entry = DirectoryEntry(raw: entryWord.acquire())
            guard isValid(entry), entry.depth <= Self.depth(ofRoot: root) else { throw damaged() }
            if entry.depth > depth {
                waiting.append((prefix | UInt64(1) &<< UInt64(depth), depth + 1))
                waiting.append((prefix, depth + 1))
                continue
            }
            page.read(entry.page, of: self)
            SharedMemory.acquireFence()
            // A page that was retired meanwhile may hold another one's slots by now.
            guard entryWord.relaxed() == entry.raw, self.root.relaxed() == root else {
                waiting.append((prefix, depth))
                continue
            }
            for number in 0..<page.count { ahead(page.slots[number]) }
            for number in 0..<page.count { try visit(page.slots[number], page.stamps[number]) }
        }
    }

    /// A page's slots, copied.
    private struct ScannedPage {
        var slots = [Slot](
            repeating: Slot(raw: 0), count: IndexLayout.buckets * IndexLayout.slotsPerBucket)
        var stamps = [UInt64](repeating: 0, count: IndexLayout.buckets * IndexLayout.slotsPerBucket)
        var count = 0

        mutating func read(_ page: Int, of index: HashIndex) {
            count = 0
            let stampFile = index.stamps
            for bucket in 0..<IndexLayout.buckets {
                for number in 0..<IndexLayout.slotsPerBucket {
                    let word = index.slotWord(page, bucket, number)
                    let slot = Slot(raw: word.relaxed())
                    if slot.isFree { continue }
                    slots[count] = slot
                    stamps[count] = stampFile?.stamp(at: index.offset(of: word)) ?? 0
                    count += 1
                }
            }
        }
    }

    /// Where a slot stands in the file.
    @inline(__always) func offset(of slot: SharedWord) -> Int { UnsafeMutableRawPointer(slot.address) - base }

    /// Whether a slot may name a position below `head`, in so many pages of directory entries from `start` on, and where to go on; nil:
    /// all was seen. Without a lock: where something moved meanwhile the answer is yes. The caller is counted in `ReaderPins`.
    func mayName(
        below head: Position, anchor: Position, from start: Int, pages count: Int
    ) throws(EngineError) -> (isFound: Bool, next: Int?) {
        let root = self.root.acquire()
        var isFound = false
        let next = try forEachPage(from: start, pages: count) { entry, number in
            if isFound { return }
            forEachSlot(entry.page) { slot, _, _ in
                if PackedPosition.complete(slot.low, around: anchor) < head { isFound = true }
            }
            SharedMemory.acquireFence()
            // A page that was retired meanwhile may hold another one's slots by now.
            if self.root.relaxed() != root || entryWord(root, number).relaxed() != entry.raw { isFound = true }
        }
        return (isFound, next)
    }

    /// Empties the slots that name positions below `head`, in the pages of directory entries from `start` on, `count` of them at most.
    /// Where to go on; nil: all was seen. Writer only. No slot passes over a bucket any more: its empty places end a probe again.
    func vacate(below head: Position, anchor: Position, from start: Int, pages count: Int) throws(EngineError) -> Int? {
        try forEachPage(from: start, pages: count) { entry, _ in vacate(entry.page, below: head, anchor: anchor) }
    }

    /// Calls `visit` with the slots in use, and where they stand in the file, of so many pages. As `vacate` otherwise.
    func forEachSlot(
        from start: Int, pages count: Int, _ visit: (Slot, _ offset: Int) -> Void
    ) throws(EngineError) -> Int? {
        try forEachPage(from: start, pages: count) { entry, _ in
            forEachSlot(entry.page) { slot, bucket, index in
                visit(slot, offset(of: slotWord(entry.page, bucket, index)))
            }
        }
    }

    private func forEachPage(
        from start: Int, pages count: Int, _ visit: (DirectoryEntry, Int) -> Void
    ) throws(EngineError) -> Int? {
        let root = self.root.relaxed()
        guard isValid(root: root) else { throw damaged() }
        var left = count
        for number in start..<max(start, 1 << Self.depth(ofRoot: root)) {
            let entry = DirectoryEntry(raw: entryWord(root, number).relaxed())
            guard isValid(entry) else { throw damaged() }
            // Each page once: at the lowest entry that names it.
            if number >> entry.depth != 0 { continue }
            if left == 0 { return number }
            left -= 1
            visit(entry, number)
        }
        return nil
    }

    /// *Writer.* As `vacate`, of the page of a hash alone.
    func vacatePage(of hash: UInt64, below head: Position, anchor: Position) throws(EngineError) {
        vacate(try entry(of: hash).page, below: head, anchor: anchor)
    }

    /// *Writer.* How many slots of the page of a hash name positions below `head`, and how many of these have its fingerprint.
    func countStale(
        _ hash: UInt64, below head: Position, anchor: Position
    ) throws(EngineError) -> (page: Int, fingerprint: Int) {
        let entry = try entry(of: hash)
        let fingerprint = HashBits.fingerprint(hash, depth: entry.depth)
        var count = (page: 0, fingerprint: 0)
        forEachSlot(entry.page) { slot, bucket, _ in
            guard PackedPosition.complete(slot.low, around: anchor) < head else { return }
            count.page += 1
            if slot.fingerprint == fingerprint, HashBits.home(of: slot, in: bucket) == HashBits.home(hash) {
                count.fingerprint += 1
            }
        }
        return count
    }

    private func entry(of hash: UInt64) throws(EngineError) -> DirectoryEntry {
        let root = self.root.relaxed()
        let entry = DirectoryEntry(
            raw: entryWord(root, HashBits.directoryIndex(hash, Self.depth(ofRoot: root))).relaxed())
        guard isValid(root: root), isValid(entry) else { throw damaged() }
        return entry
    }

    private func vacate(_ page: Int, below head: Position, anchor: Position) {
        var changed = false
        var passedOver: UInt64 = 0
        for bucket in 0..<IndexLayout.buckets {
            for number in 0..<IndexLayout.slotsPerBucket {
                let word = slotWord(page, bucket, number)
                let slot = Slot(raw: word.relaxed())
                if slot.isFree { continue }
                if PackedPosition.complete(slot.low, around: anchor) < head {
                    word.release(Slot.vacant)
                    changed = true
                    continue
                }
                let home = HashBits.home(of: slot, in: bucket)
                let step = HashBits.step(slot.fingerprint)
                for displacement in 0..<slot.displacement {
                    passedOver |= 1 &<< UInt64(HashBits.bucket(home, step, displacement))
                }
            }
        }
        guard changed else { return }
        for bucket in 0..<IndexLayout.buckets where passedOver & (1 &<< UInt64(bucket)) == 0 {
            for number in 0..<IndexLayout.slotsPerBucket {
                let word = slotWord(page, bucket, number)
                if word.relaxed() == Slot.vacant { word.release(Slot.neverUsed) }
            }
        }
    }
}
