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

    /// Loads a word of the first bucket of a hash, and forgets it, so that it is in the cache soon: an atomic load isn't left out.
    @inline(__always)
    func ask(for hash: UInt64) {
        let root = self.root.relaxed()
        guard isValid(root: root) else { return }
        let entry = DirectoryEntry(
            raw: entryWord(root, HashBits.directoryIndex(hash, HashIndex.depth(ofRoot: root))).relaxed())
        if isValid(entry) { _ = slotWord(entry.page, HashBits.home(hash), 0).relaxed() }
    }

    @inline(__always)
    func slotWord(_ page: Int, _ bucket: Int, _ index: Int) -> SharedWord {
        SharedWord(
            base, page &* IndexLayout.pageSize &+ 64 &+ bucket &* IndexLayout.bucketSize &+ index &* 8)
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
