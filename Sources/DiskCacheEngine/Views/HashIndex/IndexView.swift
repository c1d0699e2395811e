import Synchronization

/// What a lookup needs of an index, as raw words. A reader that is counted in `ReaderPins` uses them without a reference to the
/// index: two atomic operations less on a line that all threads share.
struct IndexView: @unchecked Sendable {
    /// base 8 · generation 8 · pages that the file really has 8 · index (unretained) 8 · stamps (unretained) 8 · modes whose
    /// stamps aren't to be had 8: one cache line, read by every get.
    let fields: UnsafeMutableRawPointer

    init(base: UnsafeMutableRawPointer, generation: UInt64, validPages: Int) {
        fields = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
        fields.storeBytes(of: base, as: UnsafeMutableRawPointer.self)
        fields.storeBytes(of: generation, toByteOffset: 8, as: UInt64.self)
        fields.storeBytes(of: validPages, toByteOffset: 16, as: Int.self)
        for offset in stride(from: 24, to: 64, by: 8) { fields.storeBytes(of: 0, toByteOffset: offset, as: UInt.self) }
    }

    @inline(__always) init(fields: UnsafeMutableRawPointer) { self.fields = fields }

    @inline(__always) var base: UnsafeMutableRawPointer { fields.load(as: UnsafeMutableRawPointer.self) }
    @inline(__always) var generation: UInt64 { fields.load(fromByteOffset: 8, as: UInt64.self) }
    /// Checked before a page number from the file is believed.
    @inline(__always) var validPages: UnsafeMutablePointer<Atomic<Int>> {
        (fields + 16).assumingMemoryBound(to: Atomic<Int>.self)
    }
    /// The index that this is a view of; set once, before anybody else sees the view.
    @inline(__always) var index: Unmanaged<HashIndex> {
        get { Unmanaged.fromOpaque(fields.load(fromByteOffset: 24, as: UnsafeRawPointer.self)) }
        nonmutating set {
            fields.storeBytes(of: newValue.toOpaque(), toByteOffset: 24, as: UnsafeMutableRawPointer.self)
        }
    }

    /// The file of stamps beside the index, unretained; 0: none. Loaded by who is counted in `ReaderPins`.
    @inline(__always) var stamps: UnsafeMutablePointer<Atomic<UInt>> {
        (fields + 32).assumingMemoryBound(to: Atomic<UInt>.self)
    }
    /// The stamp of a slot; 0: there is none. The caller is counted in `ReaderPins`.
    @inline(__always)
    func stamp(of slot: SharedWord) -> UInt64 {
        guard let file = UnsafeRawPointer(bitPattern: stamps.pointee.load(ordering: .acquiring)) else { return 0 }
        let offset = UnsafeMutableRawPointer(slot.address) - base
        return Unmanaged<StampFile>.fromOpaque(file)._withUnsafeGuaranteedRef { $0.stamp(at: offset) }
    }
    /// The `modes` under which the file of stamps was looked for in vain: it isn't looked for again before they change.
    @inline(__always) var missedModes: UnsafeMutablePointer<Atomic<UInt64>> {
        (fields + 40).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    @inline(__always) var root: SharedWord { SharedWord(base, IndexLayout.root) }

    /// The directory entry of a hash.
    @inline(__always)
    func entryWord(_ root: UInt64, _ index: Int) -> SharedHalf {
        SharedHalf(base, HashIndex.run(ofRoot: root) &* IndexLayout.pageSize &+ index &* 4)
    }

    /// The directory entry of a hash as it is at this moment, for who needn't know whether that lasts; nil: it isn't valid.
    @inline(__always)
    private func entryNow(_ hash: UInt64) -> DirectoryEntry? {
        let root = self.root.relaxed()
        guard isValid(root: root) else { return nil }
        let index = HashBits.directoryIndex(hash, HashIndex.depth(ofRoot: root))
        let entry = DirectoryEntry(raw: entryWord(root, index).relaxed())
        return isValid(entry) ? entry : nil
    }

    /// Loads a word of the first bucket of a hash, and forgets it, so that it is in the cache soon: an atomic load isn't left out.
    @inline(__always)
    func ask(for hash: UInt64) {
        guard let entry = entryNow(hash) else { return }
        _ = slotWord(entry.page, HashBits.home(hash), 0).relaxed()
    }

    /// Loads a word of the record that the first bucket of a hash names, and forgets it. For who has asked for the bucket a while ago.
    @inline(__always)
    func askForRecord(_ hash: UInt64, anchor: Position, _ log: Log) {
        guard let entry = entryNow(hash) else { return }
        let home = HashBits.home(hash)
        let match = matches(entry.page, home, HashBits.fingerprint(hash, depth: entry.depth) &<< 2)
        guard match != 0 else { return }
        let slot = Slot(raw: slotWord(entry.page, home, match.trailingZeroBitCount).relaxed())
        log.touchHeader(at: PackedPosition.complete(slot.low, around: anchor))
    }

    @inline(__always)
    func slotWord(_ page: Int, _ bucket: Int, _ index: Int) -> SharedWord {
        SharedWord(
            base, page &* IndexLayout.pageSize &+ 64 &+ bucket &* IndexLayout.bucketSize &+ index &* 8)
    }

    /// Which slots of a bucket have these upper 24 bits, a bit each: without a branch for each, none of which could be foretold.
    @inline(__always)
    func matches(_ page: Int, _ bucket: Int, _ want: UInt64) -> UInt32 {
        var match: UInt32 = 0
        for i in 0..<IndexLayout.slotsPerBucket {
            match |= (slotWord(page, bucket, i).relaxed() &>> 40 == want ? 1 : 0) &<< UInt32(truncatingIfNeeded: i)
        }
        return match
    }

    /// The least slot of a bucket, which tells whether one was never used, or is vacant. To be asked after `matches`: what changed in
    /// between changed while the key was being looked for, and no slot that passes over a bucket stands as long as one there is never used.
    @inline(__always)
    func leastSlot(_ page: Int, _ bucket: Int) -> UInt64 {
        var least = UInt64.max
        for i in 0..<IndexLayout.slotsPerBucket { least = min(least, slotWord(page, bucket, i).relaxed()) }
        return least
    }

    /// Whether a directory's pages lie in the file.
    @inline(__always)
    func isValid(root: UInt64) -> Bool {
        let depth = HashIndex.depth(ofRoot: root)
        guard depth <= IndexLayout.maximumDepth else { return false }
        let run = HashIndex.run(ofRoot: root)
        return run >= IndexLayout.firstFreePage && hasPages(run &+ max(1, (4 &<< depth) &>> 12))
    }

    /// Whether an entry's page lies in the file.
    @inline(__always)
    func isValid(_ entry: DirectoryEntry) -> Bool {
        entry.page >= IndexLayout.firstFreePage && entry.depth <= IndexLayout.maximumDepth
            && hasPages(entry.page &+ 1)
    }

    @inline(__always) private func hasPages(_ count: Int) -> Bool {
        count <= validPages.pointee.load(ordering: .relaxed) || hasPagesNow(count)
    }

    /// The file may have grown: ask it.
    @inline(never) private func hasPagesNow(_ count: Int) -> Bool {
        index._withUnsafeGuaranteedRef { $0.refreshValidPages() }
        return count <= validPages.pointee.load(ordering: .relaxed)
    }
}

extension IndexView {
    /// *Writer.* Looks for a key. `anchor` is a position near which all live ones lie: the tail.
    ///
    /// `lowest`: slots that name what lies below are as if they weren't there: the committed head. It must be the same for every process
    /// that may come to the same slot. What a process still has mapped is not: one would find the slot that a `clear` has left and write
    /// there, another would take a free one, and the key stood in two.
    @inline(__always)
    func findForWriting(
        _ hash: UInt64, anchor: Position, from lowest: Position, log: Log, _ matches: (Record) -> Bool
    ) throws(EngineError) -> HashIndex.Found {
        let root = self.root.relaxed()
        let entry = DirectoryEntry(
            raw: entryWord(root, HashBits.directoryIndex(hash, HashIndex.depth(ofRoot: root))).relaxed())
        guard isValid(entry) else { throw damaged() }
        let fingerprint = HashBits.fingerprint(hash, depth: entry.depth)
        let step = HashBits.step(fingerprint)
        let home = HashBits.home(hash)
        var free: HashIndex.Place?
        for displacement in 0..<IndexLayout.probes {
            let bucket = HashBits.bucket(home, step, displacement)
            var match = self.matches(entry.page, bucket, fingerprint &<< 2 | UInt64(displacement))
            while match != 0 {
                let word = slotWord(entry.page, bucket, match.trailingZeroBitCount)
                match &= match &- 1
                let slot = Slot(raw: word.relaxed())
                if slot.isFree { continue }
                let position = PackedPosition.complete(slot.low, around: anchor)
                if position < lowest && !Mutant.isPlanted(.byMapping) {
                    // Below *floor* nobody can want it any more: its place is as good as vacant.
                    if free == nil, position < log.block.floor.relaxed() {
                        free = HashIndex.Place(
                            slot: word, value: Slot(fingerprint: fingerprint, displacement: displacement, position: 0))
                    }
                    continue
                }
                switch try log.record(at: position) {
                case .record(let record):
                    if matches(record) { return .present(HashIndex.Place(slot: word, value: slot), record) }
                case .gone:
                    break
                case .damaged:
                    // Lost, but its slot serves if it was this key's; readers are told of it as long as it stands.
                    if free == nil, let remains = log.unverifiedRecord(at: position), matches(remains) {
                        free = HashIndex.Place(slot: word, value: slot)
                    }
                }
            }
            let least = leastSlot(entry.page, bucket)
            if least <= Slot.vacant, free == nil {
                var number = 0
                while slotWord(entry.page, bucket, number).relaxed() > Slot.vacant { number &+= 1 }
                free = HashIndex.Place(
                    slot: slotWord(entry.page, bucket, number),
                    value: Slot(fingerprint: fingerprint, displacement: displacement, position: 0))
            }
            if least == Slot.neverUsed { break }
        }
        if let free { return .free(free) }
        return .full
    }

    @inline(never) private func damaged() -> EngineError { index._withUnsafeGuaranteedRef { $0.damaged() } }
}
