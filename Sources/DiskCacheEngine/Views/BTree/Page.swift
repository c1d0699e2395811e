/// Memory for the copy of a page.
final class PageBuffer: @unchecked Sendable {
    let base: UnsafeMutableRawPointer

    init() { base = .allocate(byteCount: PageLayout.pageSize, alignment: 16) }

    deinit { base.deallocate() }
}

/// One cell of a page, as pointers into its copy.
struct Cell {
    /// What follows the page's prefix: the whole rest of a key, or of a long key's head.
    let suffix: UnsafeRawPointer
    let suffixCount: Int
    /// The whole key's length if the key is long, else 0.
    let longCount: Int
    let chain: KeyChain
    /// In a leaf.
    let value: UnsafeRawPointer
    let valueCount: Int

    /// Whether its value has these bytes.
    @inline(__always)
    func hasValue(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard valueCount == bytes.count else { return false }
        guard let start = bytes.baseAddress else { return true }
        return ByteOrder.commonPrefix(value, start, valueCount) == valueCount
    }
}

/// A leaf or branch that was copied out of the file and checked: offsets, lengths and page numbers of all its cells lie in
/// bounds, so that reading it can't leave the copy whatever the file held. Whether its keys are in order isn't checked here.
///
/// See `PageLayout` for the bytes.
struct Page {
    let base: UnsafeRawPointer
    let level: Int
    let count: Int
    let prefixCount: Int
    private let firstCell: Int

    @inline(__always) var isLeaf: Bool { level == 0 }
    @inline(__always) var prefix: UnsafeRawPointer { base + (PageLayout.cellEnds &+ 2 &* count) }
    @inline(__always) var batch: UInt64 { FileRoot.word(base, PageLayout.pageBatch) }

    /// Looks at a copy whose checksum was right; nil if it isn't a leaf or branch of that level, or not in bounds.
    init?(_ base: UnsafeRawPointer, level: Int, filePages: Int) {
        self.base = base
        self.level = level
        count = Int(Self.short(base, PageLayout.count))
        prefixCount = Int(Self.short(base, PageLayout.prefix))
        firstCell = PageLayout.cellEnds &+ 2 &* count &+ prefixCount
        let kind = base.load(fromByteOffset: PageLayout.kind, as: UInt8.self)
        guard kind == (level == 0 ? PageLayout.leaf : PageLayout.branch),
            Int(base.load(fromByteOffset: PageLayout.level, as: UInt8.self)) == level,
            count >= 1, prefixCount <= PageLayout.inlineHead, firstCell <= PageLayout.pageSize
        else { return nil }
        guard level == 0 ? hasValidLeafCells(filePages) : hasValidBranchCells(filePages) else { return nil }
    }

    private func hasValidLeafCells(_ filePages: Int) -> Bool {
        var start = firstCell
        for index in 0..<count {
            let end = cellEnd(index)
            guard end > start, end <= PageLayout.pageSize else { return false }
            let flags = base.load(fromByteOffset: start, as: UInt8.self)
            let valueCount = Int(flags & ~PageLayout.longKey)
            let room = end &- start &- PageLayout.leafCellHead &- valueCount
            guard valueCount <= PageLayout.maximumValue, room >= 0 else { return false }
            if flags & PageLayout.longKey != 0 {
                guard hasValidChain(end &- valueCount, room, filePages) else { return false }
            } else if prefixCount &+ room > PageLayout.maximumInlineKey {
                return false
            }
            start = end
        }
        return true
    }

    private func hasValidBranchCells(_ filePages: Int) -> Bool {
        var start = firstCell
        for index in 0..<count {
            let end = cellEnd(index)
            let room = end &- start &- PageLayout.branchCellHead
            guard end <= PageLayout.pageSize, room >= 0 else { return false }
            let flags = base.load(fromByteOffset: start, as: UInt8.self)
            let page = Int(Self.half(base, start &+ 1))
            guard page >= PageLayout.firstTreePage, page < filePages else { return false }
            if flags & PageLayout.longKey != 0 {
                guard index > 0, hasValidChain(end, room, filePages) else { return false }
            } else if index == 0 ? room != 0 : prefixCount &+ room > PageLayout.maximumInlineKey {
                return false
            }
            start = end
        }
        return true
    }

    private func hasValidChain(_ end: Int, _ room: Int, _ filePages: Int) -> Bool {
        guard room == PageLayout.inlineHead &- prefixCount &+ PageLayout.chainSize else { return false }
        let length = Int(Self.half(base, end &- 12))
        let page = Int(Self.half(base, end &- 8))
        return length > PageLayout.maximumInlineKey && length <= PageLayout.maximumKey
            && page >= PageLayout.firstTreePage && page < filePages
    }

    @inline(__always) func cellEnd(_ index: Int) -> Int {
        Int(Self.short(base, PageLayout.cellEnds &+ 2 &* index))
    }

    @inline(__always) func cellStart(_ index: Int) -> Int {
        index == 0 ? firstCell : cellEnd(index &- 1)
    }

    @inline(__always)
    func leafCell(_ index: Int) -> Cell {
        let start = cellStart(index)
        let end = cellEnd(index)
        let flags = base.load(fromByteOffset: start, as: UInt8.self)
        let valueCount = Int(flags & ~PageLayout.longKey)
        return cell(start &+ PageLayout.leafCellHead, end &- valueCount, flags, valueCount)
    }

    @inline(__always)
    func branchCell(_ index: Int) -> Cell {
        let start = cellStart(index)
        return cell(
            start &+ PageLayout.branchCellHead, cellEnd(index), base.load(fromByteOffset: start, as: UInt8.self), 0)
    }

    @inline(__always)
    private func cell(_ start: Int, _ end: Int, _ flags: UInt8, _ valueCount: Int) -> Cell {
        if flags & PageLayout.longKey == 0 {
            return Cell(
                suffix: base + start, suffixCount: end &- start, longCount: 0, chain: .none, value: base + end,
                valueCount: valueCount)
        }
        let chain = end &- PageLayout.chainSize
        return Cell(
            suffix: base + start, suffixCount: chain &- start, longCount: Int(Self.half(base, chain)),
            chain: KeyChain(page: Self.half(base, chain &+ 4), check: Self.half(base, chain &+ 8)), value: base + end,
            valueCount: valueCount)
    }

    @inline(__always)
    func child(_ index: Int) -> PageReference {
        let start = cellStart(index)
        return PageReference(
            page: Self.half(base, start &+ 1), check: Self.half(base, start &+ 5),
            flags: base.load(fromByteOffset: start, as: UInt8.self) & PageLayout.overflowBeneath)
    }

    /// Where the last cell ends.
    var cellsEnd: Int { cellEnd(count - 1) }

    /// The cell of either kind of page.
    @inline(__always) func cell(_ index: Int) -> Cell { isLeaf ? leafCell(index) : branchCell(index) }

    /// Whether any key of the page is long.
    var hasLongKeys: Bool {
        for index in 0..<count where cell(index).longCount != 0 { return true }
        return false
    }

    @inline(__always) static func short(_ p: UnsafeRawPointer, _ at: Int) -> UInt16 {
        UInt16(littleEndian: p.loadUnaligned(fromByteOffset: at, as: UInt16.self))
    }

    @inline(__always) static func half(_ p: UnsafeRawPointer, _ at: Int) -> UInt32 {
        UInt32(littleEndian: p.loadUnaligned(fromByteOffset: at, as: UInt32.self))
    }
}
