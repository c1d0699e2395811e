/// An entry on its way into a page: pointers to where its parts lie, be it a copy of an old page or a list of changes.
struct PageEntry {
    /// The first part of the key's bytes, which many share.
    var prefix: UnsafeRawPointer
    /// What follows it; of a long key that has a chain already, up to the end of its head.
    var suffix: UnsafeRawPointer
    /// In a leaf.
    var value: UnsafeRawPointer
    var prefixCount: Int32
    var suffixCount: Int32
    /// The whole key's length.
    var keyCount: Int32
    var valueCount: UInt8 = 0
    var isUnderfull = false
    /// Where the rest of a long key lies, if it has been written.
    var chain = KeyChain.none
    /// In a branch.
    var child = PageReference.none

    @inline(__always) var isLong: Bool { keyCount > PageLayout.maximumInlineKey }
    /// Bytes of the key that stand in a page, its prefix among them.
    @inline(__always) var inlineCount: Int { isLong ? PageLayout.inlineHead : Int(keyCount) }
    /// Bytes of the key that the pointers lead to.
    @inline(__always) var knownCount: Int { Int(prefixCount &+ suffixCount) }

    /// The entry in a page's cell.
    @inline(__always)
    init(_ page: Page, _ index: Int) {
        let cell = page.cell(index)
        prefix = page.prefix
        suffix = cell.suffix
        // The first cell of a branch has no key, so no prefix either.
        let prefixCount = page.isLeaf || index > 0 ? page.prefixCount : 0
        self.prefixCount = Int32(truncatingIfNeeded: prefixCount)
        suffixCount = Int32(truncatingIfNeeded: cell.suffixCount)
        keyCount = Int32(truncatingIfNeeded: cell.longCount == 0 ? prefixCount &+ cell.suffixCount : cell.longCount)
        value = cell.value
        valueCount = UInt8(truncatingIfNeeded: cell.valueCount)
        chain = cell.chain
        if !page.isLeaf { child = page.child(index) }
    }

    /// An entry whose whole key lies in one piece.
    @inline(__always)
    init(key: UnsafeRawPointer, keyCount: Int, value: UnsafeRawPointer, valueCount: Int) {
        prefix = key
        suffix = key
        prefixCount = 0
        suffixCount = Int32(truncatingIfNeeded: keyCount)
        self.keyCount = suffixCount
        self.value = value
        self.valueCount = UInt8(truncatingIfNeeded: valueCount)
    }

    /// How many of the bytes that are known of both keys are the same, from the front.
    @inline(__always)
    static func commonPrefix(_ a: PageEntry, _ b: PageEntry) -> Int {
        if a.prefix == b.prefix, a.prefixCount == b.prefixCount {
            let common = ByteOrder.commonPrefix(a.suffix, b.suffix, Int(min(a.suffixCount, b.suffixCount)))
            return Int(a.prefixCount) &+ common
        }
        let end = min(a.knownCount, b.knownCount)
        var at = 0
        while at < end {
            let (mine, mineCount) = a.bytes(from: at)
            let (other, otherCount) = b.bytes(from: at)
            let count = min(mineCount, otherCount)
            let common = ByteOrder.commonPrefix(mine, other, count)
            at &+= common
            if common < count { return at }
        }
        return end
    }

    /// The piece of the key in which byte `at` lies, from there on.
    @inline(__always)
    func bytes(from at: Int) -> (UnsafeRawPointer, Int) {
        at < prefixCount
            ? (prefix + at, Int(prefixCount) &- at)
            : (suffix + (at &- Int(prefixCount)), Int(suffixCount) &- (at &- Int(prefixCount)))
    }

    /// Copies bytes `start ..< end` of the key.
    @inline(__always)
    func copyKey(from start: Int, to end: Int, into target: UnsafeMutableRawPointer) {
        let split = Int(prefixCount)
        if start < split {
            let count = min(split, end) &- start
            ByteOrder.copy(prefix + start, to: target, count)
            if end > split { ByteOrder.copy(suffix, to: target + count, end &- split) }
        } else {
            ByteOrder.copy(suffix + (start &- split), to: target, end &- start)
        }
    }
}

/// A list of entries that keeps its memory.
final class EntryList {
    @exclusivity(unchecked) private(set) var entries: UnsafeMutablePointer<PageEntry>
    @exclusivity(unchecked) private(set) var count = 0
    @exclusivity(unchecked) private var capacity = 256

    init() { entries = .allocate(capacity: capacity) }

    deinit { entries.deallocate() }

    @inline(__always)
    subscript(index: Int) -> PageEntry {
        get { entries[index] }
        set { entries[index] = newValue }
    }

    @inline(__always)
    func append(_ entry: PageEntry) {
        if count == capacity { grow() }
        (entries + count).initialize(to: entry)
        count &+= 1
    }

    @inline(never)
    private func grow() {
        let larger = UnsafeMutablePointer<PageEntry>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: entries, count: count)
        entries.deallocate()
        entries = larger
        capacity *= 2
    }

    func removeAll() { count = 0 }

    /// Removes the first `number` entries.
    func removeFirst(_ number: Int) {
        (entries).update(from: entries + number, count: count - number)
        count -= number
    }

    /// Puts the entries of `others` in the place of two.
    func replaceTwo(at index: Int, with others: EntryList) {
        var tail: [PageEntry] = []
        for position in (index + 2)..<max(count, index + 2) { tail.append(entries[position]) }
        count = index
        for position in 0..<others.count { append(others[position]) }
        for entry in tail { append(entry) }
    }
}
