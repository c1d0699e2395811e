/// One of the trees of a file, for reading: its count, single keys, and cursors over ranges.
///
/// A B+tree (Comer, 1979) with copy-on-write pages: see `Pager` for why reading needs no lock, `BTreeBatch` for writing,
/// `PageLayout` for the bytes.
struct BTree: Sendable {
    let pager: Pager
    let id: TreeID

    init(_ pager: Pager, _ id: TreeID) {
        self.pager = pager
        self.id = id
    }

    /// How many entries there are.
    func count() throws(EngineError) -> Int { Int(try pager.root(of: id).tree.count) }

    /// Whether the view is kept at all.
    func exists() throws(EngineError) -> Bool { try pager.root(of: id).tree.exists }

    /// The log position that the tree covers, and the batch that made it so.
    func position() throws(EngineError) -> (position: Position, batch: UInt64) {
        let root = try pager.root(of: id)
        return (root.position, root.batch)
    }

    /// The value of a key; nil: it isn't there.
    func value(of key: UnsafeRawBufferPointer) throws(EngineError) -> [UInt8]? {
        let buffer = PageBuffer()
        let scratch = PageBuffer()
        while true {
            let root = try pager.root(of: id)
            if root.tree.page.page == 0 { return nil }
            let view = Pager.View(batch: root.batch, pages: root.pages)
            var reference = root.tree.page
            var level = root.tree.level
            var page = try pager.load(reference, level: level, view, into: buffer)
            while let branch = page, level > 0 {
                guard let child = try pager.childIndex(branch, key, view, scratch) else {
                    page = nil
                    break
                }
                reference = branch.child(child)
                level -= 1
                page = try pager.load(reference, level: level, view, into: buffer)
            }
            guard let leaf = page, let bound = try pager.lowerBound(leaf, key, view, scratch) else { continue }
            guard bound.found else { return nil }
            let cell = leaf.leafCell(bound.index)
            return [UInt8](UnsafeRawBufferPointer(start: cell.value, count: cell.valueCount))
        }
    }

    /// A cursor over a range; `reversed`: from its end to its beginning.
    func cursor(_ range: BTreeRange = BTreeRange(), reversed: Bool = false) -> BTreeCursor {
        BTreeCursor(id, range, reversed: reversed)
    }

    /// The first entry; `last`: the last one.
    func first(last: Bool = false) throws(EngineError) -> (key: [UInt8], value: [UInt8])? {
        let entries = BTreeEntries()
        guard try cursor(reversed: last).next(entries, limit: 1, in: pager) == 1 else { return nil }
        return ([UInt8](entries.key(0)), [UInt8](entries.value(0)))
    }
}

/// A range of keys, in the order of their bytes.
struct BTreeRange: Sendable {
    /// Where a range ends on one side.
    struct Bound: Sendable {
        var key: [UInt8]
        var isIncluded: Bool
    }

    /// nil: from the first key on.
    var lower: Bound?
    /// nil: up to the last key.
    var upper: Bound?

    init(lower: Bound? = nil, upper: Bound? = nil) {
        self.lower = lower
        self.upper = upper
    }

    /// Keys from `lower` on, and below `upper`.
    init(from lower: [UInt8], upTo upper: [UInt8]) {
        self.init(lower: Bound(key: lower, isIncluded: true), upper: Bound(key: upper, isIncluded: false))
    }

    /// Keys that begin with `prefix`.
    init(prefix: [UInt8]) {
        lower = Bound(key: prefix, isIncluded: true)
        var end = prefix
        while let last = end.last, last == 0xFF { end.removeLast() }
        if let last = end.popLast() {
            end.append(last + 1)
            upper = Bound(key: end, isIncluded: false)
        }
    }
}

/// Entries one after the other, as a cursor has read them: memory that is used again each time.
final class BTreeEntries {
    private struct Place {
        var offset: Int
        var keyCount: Int32
        var valueCount: Int32
    }

    private let bytes = ByteBuffer(capacity: 1000)
    @exclusivity(unchecked) private var places: UnsafeMutablePointer<Place>
    @exclusivity(unchecked) private var capacity = 32
    @exclusivity(unchecked) private(set) var count = 0

    init() { places = .allocate(capacity: capacity) }

    deinit { places.deallocate() }

    /// Valid until something is appended or removed.
    @inline(__always)
    func key(_ index: Int) -> UnsafeRawBufferPointer {
        let place = places[index]
        return UnsafeRawBufferPointer(start: bytes.base + place.offset, count: Int(place.keyCount))
    }

    /// Valid until something is appended or removed.
    @inline(__always)
    func value(_ index: Int) -> UnsafeRawBufferPointer {
        let place = places[index]
        return UnsafeRawBufferPointer(
            start: bytes.base + place.offset + Int(place.keyCount), count: Int(place.valueCount))
    }

    func removeAll() {
        bytes.removeAll()
        count = 0
    }

    /// Appends a copy of an entry.
    func append(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        let offset = bytes.count
        if let start = key.baseAddress { bytes.append(start, key.count) }
        if let start = value.baseAddress { bytes.append(start, value.count) }
        add(offset, key.count, value.count)
    }

    /// Appends the entries of so many of a leaf's cells, or those before one whose key is long; how many.
    @inline(__always)
    func append(_ page: Page, from first: Int, count wanted: Int, by step: Int) -> Int {
        let (prefix, prefixCount) = (page.prefix, page.prefixCount)
        let last = first &+ (wanted &- 1) &* step
        bytes.reserve(wanted &* prefixCount &+ page.cellEnd(max(first, last)) &- page.cellStart(min(first, last)))
        var offset = bytes.count
        var index = first
        for number in 0..<wanted {
            let cell = page.leafCell(index)
            if cell.longCount != 0 {
                bytes.grow(to: offset)
                return number
            }
            ByteOrder.copy(prefix, to: bytes.base + offset, prefixCount)
            // The value lies right behind the rest of the key.
            ByteOrder.copy(cell.suffix, to: bytes.base + (offset &+ prefixCount), cell.suffixCount &+ cell.valueCount)
            add(offset, prefixCount &+ cell.suffixCount, cell.valueCount)
            offset &+= prefixCount &+ cell.suffixCount &+ cell.valueCount
            index &+= step
        }
        bytes.grow(to: offset)
        return wanted
    }

    /// Appends an entry with a long key; false: the view's root is too old by now, and nothing was appended.
    func append(
        _ page: Page, long cell: Cell, _ pager: Pager, _ view: Pager.View, _ scratch: PageBuffer
    ) throws(EngineError) -> Bool {
        let offset = bytes.count
        bytes.append(page.prefix, page.prefixCount)
        bytes.append(cell.suffix, cell.suffixCount)
        guard try pager.append(cell.chain, cell.longCount, view, scratch, to: bytes) else {
            bytes.truncate(to: offset)
            return false
        }
        let keyCount = bytes.count - offset
        bytes.append(cell.value, cell.valueCount)
        add(offset, keyCount, cell.valueCount)
        return true
    }

    @inline(__always)
    private func add(_ offset: Int, _ keyCount: Int, _ valueCount: Int) {
        if count == capacity { grow() }
        let place = Place(
            offset: offset, keyCount: Int32(truncatingIfNeeded: keyCount),
            valueCount: Int32(truncatingIfNeeded: valueCount))
        (places + count).initialize(to: place)
        count &+= 1
    }

    @inline(never)
    private func grow() {
        let larger = UnsafeMutablePointer<Place>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: places, count: count)
        places.deallocate()
        places = larger
        capacity *= 2
    }
}
