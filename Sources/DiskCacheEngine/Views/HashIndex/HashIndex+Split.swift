import Synchronization

/// Splitting pages while readers go on (model: hash-copysplit.pml).
extension HashIndex {
    /// Splits the page of `hash`, so that there is room for it; once may not be enough. Readers go on all the while.
    @inline(never)
    func split(
        _ hash: UInt64, anchor: Position, rehash: (Position) throws(EngineError) -> UInt64?
    ) throws(EngineError) {
        var root = self.root.relaxed()
        var depth = Self.depth(ofRoot: root)
        let entry = DirectoryEntry(raw: entryWord(root, HashBits.directoryIndex(hash, depth)).relaxed())
        guard isValid(entry), entry.depth <= depth else { throw damaged() }
        try checkHeaderWords(root)
        guard entry.depth < IndexLayout.maximumDepth else { throw full() }
        if entry.depth == depth {
            try double(root)
            root = self.root.relaxed()
            depth = Self.depth(ofRoot: root)
        }
        let prefix = (hash &>> 16) & ((1 &<< UInt64(entry.depth)) &- 1)
        let bit = UInt64(1) &<< UInt64(entry.depth)
        var low = IndexPageImage(depth: entry.depth + 1, prefix: prefix)
        var high = IndexPageImage(depth: entry.depth + 1, prefix: prefix | bit)
        if (entry.depth + 1) & 7 == 0 {
            try distributeByRecords(entry, anchor: anchor, rehash: rehash, &low, &high)
        } else {
            distribute(entry, &low, &high)
        }

        let unused = Int(pages.relaxed())
        let spare = Int(self.spare.relaxed())
        let lowPage = spare != 0 ? spare : unused
        let highPage = spare != 0 ? unused : unused + 1
        try ensurePages(highPage + 1)
        if !Mutant.isPlanted(.fillAfter) {
            low.write(to: base + lowPage * IndexLayout.pageSize)
            high.write(to: base + highPage * IndexLayout.pageSize)
        }
        if let stamps {
            carry(stamps, from: entry.page, to: [(lowPage, low), (highPage, high)], isFirst: true)
            FaultPoint.reach(.stampsCarried)
        }
        FaultPoint.reach(.splitFilled)
        SharedWord(base, IndexLayout.splitPage).store(UInt64(entry.raw))
        SharedWord(base, IndexLayout.lowPage).store(UInt64(lowPage))
        SharedWord(base, IndexLayout.highPage).store(UInt64(highPage))
        intent.release(1)
        FaultPoint.reach(.splitIntentStored)
        if Mutant.isPlanted(.zeroEarly) {
            SharedMemory.zero(base + entry.page * IndexLayout.pageSize, count: IndexLayout.pageSize)
        }
        publish(entry, lowPage: lowPage, highPage: highPage, root: root, from: Int(prefix), by: 1 << entry.depth)
        // Those that came while it was under way; what comes to the old page from now on is lost.
        if let stamps { carry(stamps, from: entry.page, to: [(lowPage, low), (highPage, high)], isFirst: false) }
        if Mutant.isPlanted(.fillAfter) {
            low.write(to: base + lowPage * IndexLayout.pageSize)
            high.write(to: base + highPage * IndexLayout.pageSize)
        }
    }

    /// Sets the entries that still name the old page, retires it and clears the intent. Doing it again changes nothing.
    private func publish(
        _ entry: DirectoryEntry, lowPage: Int, highPage: Int, root: UInt64, from start: Int, by stride: Int
    ) {
        let low = DirectoryEntry(page: lowPage, depth: entry.depth + 1)
        let high = DirectoryEntry(page: highPage, depth: entry.depth + 1)
        let count = 1 << Self.depth(ofRoot: root)
        var index = start
        while index < count {
            let word = entryWord(root, index)
            if word.relaxed() == entry.raw {
                word.release(index &>> entry.depth & 1 == 0 ? low.raw : high.raw)
                FaultPoint.reach(.splitEntryStored)
            }
            index += stride
        }
        FaultPoint.reach(.splitEntriesStored)
        // The next split writes into the old page: nobody may see that before the entries.
        SharedMemory.releaseFence()
        spare.release(UInt64(entry.page))
        FaultPoint.reach(.splitSpareStored)
        if pages.relaxed() < UInt64(max(lowPage, highPage) + 1) { pages.store(UInt64(max(lowPage, highPage) + 1)) }
        intent.release(0)
        FaultPoint.reach(.splitDone)
    }

    /// Finishes what a killed writer left of a split or a doubling: before anything else is done with the index.
    func repair() throws(EngineError) {
        let root = self.root.relaxed()
        guard isValid(root: root) else { throw damaged() }
        let end = Self.run(ofRoot: root) + IndexLayout.directoryPages(Self.depth(ofRoot: root))
        if pages.relaxed() < UInt64(end) { pages.store(UInt64(end)) }
        guard intent.acquire() != 0 else { return }
        let raw = SharedWord(base, IndexLayout.splitPage).relaxed()
        let lowPage = SharedWord(base, IndexLayout.lowPage).relaxed()
        let highPage = SharedWord(base, IndexLayout.highPage).relaxed()
        let entry = DirectoryEntry(raw: UInt32(truncatingIfNeeded: raw))
        guard raw <= UInt64(UInt32.max), isValid(entry), entry.depth < IndexLayout.maximumDepth,
            lowPage < 1 << 26, highPage < 1 << 26,
            isValid(DirectoryEntry(page: Int(lowPage), depth: 0)),
            isValid(DirectoryEntry(page: Int(highPage), depth: 0))
        else { throw damaged() }
        if Mutant.isPlanted(.noIntent) { return intent.release(0) }
        if Mutant.isPlanted(.recopy) {
            var low = IndexPageImage(depth: entry.depth + 1, prefix: 0)
            var high = IndexPageImage(depth: entry.depth + 1, prefix: 0)
            distribute(entry, &low, &high)
            for page in [Int(lowPage), Int(highPage)] {
                SharedMemory.zero(base + page * IndexLayout.pageSize, count: IndexLayout.pageSize)
            }
            low.write(to: base + Int(lowPage) * IndexLayout.pageSize)
            high.write(to: base + Int(highPage) * IndexLayout.pageSize)
        }
        publish(entry, lowPage: Int(lowPage), highPage: Int(highPage), root: root, from: 0, by: 1)
    }

    /// Gives the slots of two new pages the stamps that they had in the old one; the second time, if those are larger by now.
    private func carry(
        _ stamps: StampFile, from old: Int, to pages: [(page: Int, image: IndexPageImage)], isFirst: Bool
    ) {
        // Without blocks for the new pages their rows count as never read.
        if isFirst { try? stamps.ensure(validPages * IndexLayout.pageSize) }
        var known: [UInt64: UInt64] = [:]
        forEachSlot(old) { slot, bucket, index in
            let stamp = stamps.stamp(at: offset(of: slotWord(old, bucket, index)))
            if stamp != 0 { known[slot.low] = stamp }
        }
        for (page, image) in pages {
            for (number, raw) in image.slots.enumerated() {
                guard let word = stamps.word(at: page * IndexLayout.pageSize + 64 + number * 8) else { return }
                let slot = Slot(raw: raw)
                let stamp = slot.isFree ? 0 : known[slot.low] ?? 0
                if isFirst || stamp > word.pointee.load(ordering: .relaxed) {
                    word.pointee.store(stamp, ordering: .relaxed)
                }
            }
        }
    }

    /// The split bit stands in the slots themselves: no record is read.
    private func distribute(_ entry: DirectoryEntry, _ low: inout IndexPageImage, _ high: inout IndexPageImage) {
        let shift = UInt64(entry.depth & 7)
        var lowImage = low
        var highImage = high
        var fits = true
        // Those that stand at home first, so that nobody is pushed from where it was found at once.
        for displacement in 0..<IndexLayout.probes {
            forEachSlot(entry.page) { slot, bucket, _ in
                guard slot.displacement == displacement else { return }
                let home = HashBits.home(of: slot, in: bucket)
                if (slot.fingerprint &>> shift) & 1 == 0 {
                    fits = lowImage.insert(fingerprint: slot.fingerprint, home: home, low: slot.low) && fits
                } else {
                    fits = highImage.insert(fingerprint: slot.fingerprint, home: home, low: slot.low) && fits
                }
            }
        }
        if !fits {
            // Every slot at its old place: always possible.
            lowImage = low
            highImage = high
            forEachSlot(entry.page) { slot, bucket, index in
                let at = bucket * IndexLayout.slotsPerBucket + index
                if (slot.fingerprint &>> shift) & 1 == 0 {
                    lowImage.keep(slot.raw, at: at)
                } else {
                    highImage.keep(slot.raw, at: at)
                }
            }
        }
        lowImage.markPassedOver()
        highImage.markPassedOver()
        low = lowImage
        high = highImage
    }

    /// The window of the fingerprint moves by 8 bits: the keys are hashed again. One split in eight generations.
    private func distributeByRecords(
        _ entry: DirectoryEntry, anchor: Position, rehash: (Position) throws(EngineError) -> UInt64?,
        _ low: inout IndexPageImage, _ high: inout IndexPageImage
    ) throws(EngineError) {
        var positions: [Position] = []
        forEachSlot(entry.page) { slot, _, _ in
            positions.append(PackedPosition.complete(slot.low, around: anchor))
        }
        for position in positions {
            // nil: below the head, where nothing counts any more.
            guard let hash = try rehash(position) else { continue }
            let fingerprint = HashBits.fingerprint(hash, depth: entry.depth + 1)
            let home = HashBits.home(hash)
            let packed = PackedPosition.pack(position)
            let fits =
                (hash &>> UInt64(16 + entry.depth)) & 1 == 0
                ? low.insert(fingerprint: fingerprint, home: home, low: packed)
                : high.insert(fingerprint: fingerprint, home: home, low: packed)
            guard fits else { throw full() }
        }
        low.markPassedOver()
        high.markPassedOver()
    }

    func forEachSlot(_ page: Int, _ body: (Slot, Int, Int) -> Void) {
        for bucket in 0..<IndexLayout.buckets {
            for index in 0..<IndexLayout.slotsPerBucket {
                let slot = Slot(raw: slotWord(page, bucket, index).relaxed())
                if !slot.isFree { body(slot, bucket, index) }
            }
        }
    }

    /// The header's words are not covered by its check: before pages are written by them they must be possible.
    private func checkHeaderWords(_ root: UInt64) throws(EngineError) {
        let pages = self.pages.relaxed()
        let spare = self.spare.relaxed()
        let end = Self.run(ofRoot: root) + IndexLayout.directoryPages(Self.depth(ofRoot: root))
        guard isValid(root: root), pages >= UInt64(end), pages < 1 << 26,
            isValid(DirectoryEntry(page: Int(pages) - 1, depth: 0)),
            spare == 0 || (spare < pages && spare >= UInt64(IndexLayout.firstFreePage))
        else { throw damaged() }
    }

    /// A directory of twice the size: a fresh run with the old one twice, then one store of the root.
    private func double(_ root: UInt64) throws(EngineError) {
        let depth = Self.depth(ofRoot: root)
        let unused = Int(pages.relaxed())
        guard depth < IndexLayout.maximumDepth,
            depth < 10 || (2 << depth) <= IndexLayout.maximumEntriesPerPage * unused
        else { throw full() }
        let count = IndexLayout.directoryPages(depth + 1)
        try ensurePages(unused + count)
        let size = 4 << depth
        let old = base + Self.run(ofRoot: root) * IndexLayout.pageSize
        let new = base + unused * IndexLayout.pageSize
        SharedMemory.copy(old, to: new, count: size)
        SharedMemory.copy(old, to: new + size, count: size)
        FaultPoint.reach(.directoryFilled)
        self.root.release(UInt64(unused) << 8 | UInt64(depth + 1))
        FaultPoint.reach(.directoryDoubled)
        pages.store(UInt64(unused + count))
    }

    /// Blocks for that many pages, in steps that grow with the file up to 256 KiB.
    private func ensurePages(_ count: Int) throws(EngineError) {
        let size = count * IndexLayout.pageSize
        guard size <= reserved else {
            throw EngineError(.limitReached, "the hash index doesn't fit into the address space", path: file.path)
        }
        let valid = validPages * IndexLayout.pageSize
        if size <= valid { return }
        do {
            let current = try files.status(file).size
            if size > current {
                let step = min(max(current / 4, MappedAllocation.piece), 256 << 10)
                let piece = MappedAllocation.piece
                let end = min((max(size, current + step) + piece - 1) / piece * piece, reserved)
                try files.allocate(
                    file, offset: current, count: end - current, mappedAt: base + current, unused: current)
            }
            view.validPages.pointee.store(
                min(try files.status(file).size, reserved) / IndexLayout.pageSize, ordering: .relaxed)
        } catch {
            throw EngineError(error)
        }
    }

    private func full() -> EngineError {
        EngineError(
            .limitReached, "too many keys share the same hash bits for the index to tell them apart", path: file.path)
    }
}
