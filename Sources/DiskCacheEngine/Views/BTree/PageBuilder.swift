/// Makes pages of entries: cuts a list into pages, writes each into a free place, and says which separators lead to them.
///
/// Pages are written once, whole, and never changed. The writer's; `PageLayout` draws what it makes.
final class PageBuilder {
    /// The owner of the memory of which this is a part.
    private unowned(unsafe) let pager: Pager
    /// The page that is being made.
    private let image = PageBuffer()
    private let scratch = PageBuffer()
    private let leftKey = ByteBuffer()
    private let rightKey = ByteBuffer()

    /// More entries than any page holds.
    static let plenty = 2048

    init(_ pager: Pager) { self.pager = pager }

    /// A row of pages of one level that stand for one page before: where their references go, and the next one's separator.
    struct Run {
        let level: Int
        /// The separator of the next page; the first has that of the page before.
        var key: PageEntry
        /// Nothing in the tree lies to the right: what is added next will most likely go there.
        let isRightmost: Bool
        let references: EntryList
        let arena: ByteArena
    }

    /// Which pages the writer may read.
    var view: Pager.View {
        Pager.View(batch: (pager.allocator?.batch ?? 0) + 1, pages: pager.filePages(atLeast: 0), isWriter: true)
    }

    // MARK: Cutting

    /// Writes pages from the front of a list that is still growing, as long as it has plenty; keeps the rest in the list.
    func writeFront(of list: EntryList, _ run: inout Run) throws(EngineError) {
        var start = 0
        while list.count - start > Self.plenty {
            let page = cut(list, from: start, level: run.level, target: PageLayout.fill)
            try writePage(list, start, page, &run)
            start = page.end
        }
        list.removeFirst(start)
    }

    /// Writes all of a list: as one page if it fits, else as pages of about the same size, but at the right edge of the tree
    /// as full ones with the rest in the last.
    func write(_ list: EntryList, _ run: inout Run) throws(EngineError) {
        guard list.count > 0 else { return }
        // The first cell of a branch has no key: children before it are gone.
        if run.level > 0 { try release(list[0].chain, list[0].keyCount) }
        let whole = cut(list, from: 0, level: run.level, target: .max)
        if whole.end == list.count { return try writePage(list, 0, whole, &run) }
        var target = PageLayout.fill
        if !run.isRightmost {
            let total = size(of: list, level: run.level)
            let pages = (total + PageLayout.fill - 1) / PageLayout.fill
            target = max(total / max(pages, 1), PageLayout.pageSize / 2)
        }
        var start = 0
        while start < list.count {
            let page = cut(list, from: start, level: run.level, target: target)
            try writePage(list, start, page, &run)
            start = page.end
        }
    }

    /// Which entries a page takes, and what it is then.
    private struct Cut {
        var end: Int
        /// Bytes that all its keys begin with.
        var prefix: Int
        var size: Int
    }

    /// What a page that begins with entry `start` takes: before it overflows, and until it has `target` bytes.
    private func cut(_ list: EntryList, from start: Int, level: Int, target: Int) -> Cut {
        let entries = list.entries
        let firstKey = level == 0 ? start : start &+ 1
        var bytes = PageLayout.cellEnds
        var page = Cut(end: start, prefix: 0, size: bytes)
        while page.end < list.count {
            let entry = entries + page.end
            var added = Self.fixedSize(entry, level)
            var shared = 0
            if page.end >= firstKey {
                added &+= Self.keySize(entry)
                if page.end == firstKey {
                    shared = min(entry.pointee.inlineCount, PageLayout.inlineHead)
                } else {
                    // Of one old page, or short of anything to lose: nothing to compare.
                    let first = entries + firstKey
                    let isSure =
                        page.prefix == 0
                        || first.pointee.prefix == entry.pointee.prefix
                            && page.prefix <= min(first.pointee.prefixCount, entry.pointee.prefixCount)
                    shared =
                        isSure
                        ? page.prefix : min(page.prefix, PageEntry.commonPrefix(first.pointee, entry.pointee))
                }
            }
            let size = bytes &+ added &- shared &* max(0, page.end &- firstKey)
            if page.end > start, size > PageLayout.pageSize { return page }
            bytes &+= added
            page = Cut(end: page.end &+ 1, prefix: shared, size: size)
            if size >= target, page.end > start &+ 1 { return page }
        }
        return page
    }

    @inline(__always)
    private static func fixedSize(_ entry: UnsafePointer<PageEntry>, _ level: Int) -> Int {
        level == 0 ? 2 &+ PageLayout.leafCellHead &+ Int(entry.pointee.valueCount) : 2 &+ PageLayout.branchCellHead
    }

    @inline(__always)
    private static func keySize(_ entry: UnsafePointer<PageEntry>) -> Int {
        entry.pointee.inlineCount &+ (entry.pointee.isLong ? PageLayout.chainSize : 0)
    }

    /// Bytes of all entries, were they on one page.
    private func size(of list: EntryList, level: Int) -> Int {
        let firstKey = level == 0 ? 0 : 1
        var bytes = PageLayout.cellEnds
        for index in 0..<list.count {
            bytes &+= Self.fixedSize(list.entries + index, level)
            if index >= firstKey { bytes &+= Self.keySize(list.entries + index) }
        }
        let shared = PageEntry.commonPrefix(list[firstKey], list[list.count - 1])
        return bytes - min(shared, PageLayout.inlineHead) * (list.count - firstKey - 1)
    }

    // MARK: Writing

    /// Writes a page that an edit makes of one.
    func write(_ edit: LeafEdit, of page: Page, _ changes: BTreeChanges, _ run: inout Run) throws(EngineError) {
        let count = edit.make(page, changes, into: image.base)
        var reference = try finish(
            kind: PageLayout.leaf, level: 0, count: count, prefix: page.prefixCount, end: edit.size)
        // Long keys neither came nor went.
        reference.flags = run.key.child.flags
        var entry = run.key
        entry.child = reference
        entry.isUnderfull = edit.size < PageLayout.underfull && !run.isRightmost
        run.references.append(entry)
    }

    private func writePage(_ list: EntryList, _ start: Int, _ cut: Cut, _ run: inout Run) throws(EngineError) {
        let level = run.level
        let firstKey = level == 0 ? start : start + 1
        let (end, prefix) = (cut.end, cut.prefix)
        let base = image.base
        let prefixAt = PageLayout.cellEnds + 2 * (end - start)
        if prefix > 0 { list[firstKey].copyKey(from: 0, to: prefix, into: base + prefixAt) }
        var at = prefixAt + prefix
        var hasLongKeys = false
        for index in start..<end {
            let entry = list.entries + index
            if index >= firstKey, entry.pointee.isLong {
                hasLongKeys = true
                if entry.pointee.chain.page == 0 { entry.pointee.chain = try writeChain(entry.pointee) }
            }
            at = Self.putCell(entry, level: level, prefix: prefix, hasKey: index >= firstKey, base, at)
            put(UInt16(truncatingIfNeeded: at), PageLayout.cellEnds &+ 2 &* (index &- start))
        }
        let kind = level == 0 ? PageLayout.leaf : PageLayout.branch
        var reference = try finish(kind: kind, level: level, count: end - start, prefix: prefix, end: at)
        if level == 0, hasLongKeys { reference.flags = PageLayout.overflowBeneath }
        var entry = run.key
        entry.child = reference
        entry.isUnderfull = cut.size < PageLayout.underfull && !(run.isRightmost && end == list.count)
        run.references.append(entry)
        if end < list.count { run.key = try separator(list, end, run) }
    }

    /// Puts a cell at `start`; where it ends.
    @inline(__always)
    private static func putCell(
        _ entry: UnsafePointer<PageEntry>, level: Int, prefix: Int, hasKey: Bool, _ base: UnsafeMutableRawPointer,
        _ start: Int
    ) -> Int {
        var at = start &+ 1
        var flags = level == 0 ? entry.pointee.valueCount : entry.pointee.child.flags
        if level > 0 {
            put(entry.pointee.child.page, base, at)
            put(entry.pointee.child.check, base, at &+ 4)
            at &+= 8
        }
        if hasKey {
            let inline = entry.pointee.inlineCount
            entry.pointee.copyKey(from: prefix, to: inline, into: base + at)
            at &+= inline &- prefix
            if entry.pointee.isLong {
                flags |= PageLayout.longKey
                put(UInt32(truncatingIfNeeded: entry.pointee.keyCount), base, at)
                put(entry.pointee.chain.page, base, at &+ 4)
                put(entry.pointee.chain.check, base, at &+ 8)
                at &+= PageLayout.chainSize
            }
        }
        if level == 0 {
            let count = Int(entry.pointee.valueCount)
            ByteOrder.copy(entry.pointee.value, to: base + at, count)
            at &+= count
        }
        base.storeBytes(of: flags, toByteOffset: start, as: UInt8.self)
        return at
    }

    /// Completes the header of the image and copies it into a free page.
    private func finish(kind: UInt8, level: Int, count: Int, prefix: Int, end: Int) throws(EngineError) -> PageReference
    {
        guard let page = pager.allocator?.take(), let batch = pager.allocator?.batch else {
            throw pager.damaged("no batch is being written")
        }
        try pager.ensurePages(page + 1)
        let base = image.base
        (base + end).initializeMemory(as: UInt8.self, repeating: 0, count: PageLayout.pageSize - end)
        put(batch + 1, PageLayout.pageBatch)
        put(kind, PageLayout.kind)
        put(UInt8(truncatingIfNeeded: level), PageLayout.level)
        put(UInt16(truncatingIfNeeded: count), PageLayout.count)
        put(UInt16(truncatingIfNeeded: prefix), PageLayout.prefix)
        put(UInt16(truncatingIfNeeded: end), PageLayout.end)
        put(UInt64(0), PageLayout.end + 2)
        let number = UInt32(truncatingIfNeeded: page)
        let check = pager.checksum(base, page: number)
        put(check, 0)
        SharedMemory.copy(base, to: pager.base + page * PageLayout.pageSize, count: PageLayout.pageSize)
        pager.reach(.treesPageWritten)
        return PageReference(page: number, check: UInt32(truncatingIfNeeded: check))
    }

    @inline(__always)
    private func put<T: FixedWidthInteger>(_ value: T, _ at: Int) { Self.put(value, image.base, at) }

    @inline(__always)
    private static func put<T: FixedWidthInteger>(_ value: T, _ base: UnsafeMutableRawPointer, _ at: Int) {
        base.storeBytes(of: value.littleEndian, toByteOffset: at, as: T.self)
    }

    // MARK: Separators

    /// The shortest key that is above entry `index - 1` and not above entry `index`; in a branch, that of its child.
    private func separator(_ list: EntryList, _ index: Int, _ run: Run) throws(EngineError) -> PageEntry {
        let right = list[index]
        if run.level > 0 {
            let copy = run.arena.allocate(right.knownCount)
            right.copyKey(from: 0, to: right.knownCount, into: copy)
            var key = PageEntry(key: copy, keyCount: right.knownCount, value: copy, valueCount: 0)
            key.keyCount = right.keyCount
            key.chain = right.chain
            return key
        }
        let left = list[index - 1]
        var common = PageEntry.commonPrefix(left, right)
        var source = right
        let undecided =
            common == left.knownCount && left.knownCount < left.keyCount
            || common == right.knownCount && right.knownCount < right.keyCount
        if undecided {
            try loadKey(left, into: leftKey)
            try loadKey(right, into: rightKey)
            common = ByteOrder.commonPrefix(leftKey.base, rightKey.base, min(leftKey.count, rightKey.count))
            source = PageEntry(key: rightKey.base, keyCount: rightKey.count, value: rightKey.base, valueCount: 0)
        }
        guard common < source.knownCount else { throw pager.damaged("the order of keys") }
        let count = common + 1
        let copy = run.arena.allocate(count)
        source.copyKey(from: 0, to: count, into: copy)
        return PageEntry(key: copy, keyCount: count, value: copy, valueCount: 0)
    }

    /// All bytes of an entry's key.
    private func loadKey(_ entry: PageEntry, into buffer: ByteBuffer) throws(EngineError) {
        buffer.removeAll()
        buffer.append(entry.prefix, Int(entry.prefixCount))
        buffer.append(entry.suffix, Int(entry.suffixCount))
        if entry.knownCount < entry.keyCount {
            _ = try pager.append(entry.chain, Int(entry.keyCount), view, scratch, to: buffer)
        }
    }

    // MARK: Overflow pages

    /// Writes what follows the head of a long key, the last page first. The image isn't finished: a page of its own.
    private func writeChain(_ entry: PageEntry) throws(EngineError) -> KeyChain {
        let builder = overflowBuilder
        var chain = KeyChain.none
        var end = Int(entry.keyCount)
        while end > PageLayout.inlineHead {
            let left = end - PageLayout.inlineHead
            let count = (left - 1) % PageLayout.overflowCapacity + 1
            let base = builder.image.base
            base.storeBytes(of: chain.page.littleEndian, toByteOffset: PageLayout.overflowNext, as: UInt32.self)
            base.storeBytes(of: chain.check.littleEndian, toByteOffset: PageLayout.overflowNext + 4, as: UInt32.self)
            entry.copyKey(from: end - count, to: end, into: base + PageLayout.overflowBytes)
            let page = try builder.finish(
                kind: PageLayout.overflow, level: 0, count: count, prefix: 0, end: PageLayout.overflowBytes + count)
            chain = KeyChain(page: page.page, check: page.check)
            end -= count
        }
        return chain
    }

    private lazy var overflowBuilder = PageBuilder(pager)

    /// Gives the overflow pages of a long key back.
    func release(_ chain: KeyChain, _ keyCount: Int32) throws(EngineError) {
        var chain = chain
        var left = Int(keyCount) - PageLayout.inlineHead
        while chain.page != 0 {
            _ = try pager.loadOverflow(chain, view, into: scratch)
            left -= Int(Page.short(scratch.base, PageLayout.count))
            guard left >= 0 else { throw pager.damaged("a long key has no end") }
            pager.allocator?.release(chain.page, born: FileRoot.word(scratch.base, PageLayout.pageBatch))
            chain = Pager.next(ofOverflow: scratch)
        }
    }
}
