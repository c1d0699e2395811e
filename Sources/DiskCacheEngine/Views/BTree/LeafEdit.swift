/// A few changes inside of a leaf whose result fits into one page and keeps its prefix: what lies between them is copied as it is.
///
/// Most leaves that a batch touches are of this kind. All else is taken apart and built anew (`PageBuilder`).
struct LeafEdit {
    /// The cell at `index` goes, or a new one comes before it, or both.
    private struct Operation {
        var index: Int32
        var isRemoving: Bool
        /// The change with the new cell's content; below 0: none.
        var change: Int32
    }

    /// More changes of one leaf aren't worth trying.
    static let maximumChanges = 128

    private var operations: [Operation] = []
    /// Entries more than before.
    private(set) var delta = 0
    /// Bytes of the page as it will be.
    private(set) var size = 0

    var isEmpty: Bool { operations.isEmpty }

    /// Finds out what a range of changes does to a page; false: something that isn't for here.
    mutating func plan(
        _ page: Page, _ changes: BTreeChanges, _ range: Range<Int>, _ pager: Pager, _ view: Pager.View,
        _ scratch: PageBuffer
    ) throws(EngineError) -> Bool {
        operations.removeAll(keepingCapacity: true)
        delta = 0
        size = page.cellsEnd
        var at = 0
        for number in range {
            let key = changes.key(number)
            guard let bound = try pager.lowerBound(page, key, from: at, view, scratch) else { return false }
            let index = bound.index
            let isDeletion = changes.isDeletion(number)
            if bound.found {
                let cell = page.leafCell(index)
                let value = changes.value(number)
                at = index + 1
                if !isDeletion, cell.hasValue(value) { continue }
                guard cell.longCount == 0 else { return false }
                if isDeletion {
                    // The first and the last key say what the prefix is.
                    guard index > 0, index < page.count - 1 else { return false }
                    size -= 2 + PageLayout.leafCellHead + cell.suffixCount + cell.valueCount
                    delta -= 1
                } else {
                    size += value.count - cell.valueCount
                }
            } else {
                at = index
                if isDeletion { continue }
                guard index > 0, index < page.count, key.count <= PageLayout.maximumInlineKey,
                    key.count >= page.prefixCount
                else { return false }
                size += 2 + PageLayout.leafCellHead + key.count - page.prefixCount + changes.value(number).count
                delta += 1
            }
            operations.append(
                Operation(index: Int32(index), isRemoving: bound.found, change: isDeletion ? -1 : Int32(number)))
        }
        return size <= PageLayout.pageSize
    }

    /// Puts the page as it will be into `target`; how many cells it has.
    func make(_ page: Page, _ changes: BTreeChanges, into target: UnsafeMutableRawPointer) -> Int {
        let count = page.count + delta
        let prefixAt = PageLayout.cellEnds + 2 * count
        ByteOrder.copy(page.prefix, to: target + prefixAt, page.prefixCount)
        var cell = 0
        var at = prefixAt + page.prefixCount
        var old = 0
        for operation in operations {
            Self.copy(page, old..<Int(operation.index), to: target, &cell, &at)
            old = Int(operation.index) + (operation.isRemoving ? 1 : 0)
            if operation.change < 0 { continue }
            let key = changes.key(Int(operation.change))
            let value = changes.value(Int(operation.change))
            guard let keyStart = key.baseAddress, let valueStart = value.baseAddress else { continue }
            target.storeBytes(of: UInt8(truncatingIfNeeded: value.count), toByteOffset: at, as: UInt8.self)
            at += PageLayout.leafCellHead
            ByteOrder.copy(keyStart + page.prefixCount, to: target + at, key.count - page.prefixCount)
            at += key.count - page.prefixCount
            ByteOrder.copy(valueStart, to: target + at, value.count)
            at += value.count
            Self.putEnd(at, of: cell, target)
            cell += 1
        }
        Self.copy(page, old..<page.count, to: target, &cell, &at)
        return count
    }

    /// Copies cells that stay, side by side as they lie.
    @inline(__always)
    private static func copy(
        _ page: Page, _ range: Range<Int>, to target: UnsafeMutableRawPointer, _ cell: inout Int, _ at: inout Int
    ) {
        guard !range.isEmpty else { return }
        let start = page.cellStart(range.lowerBound)
        let end = page.cellEnd(range.upperBound - 1)
        (target + at).copyMemory(from: page.base + start, byteCount: end - start)
        let shift = at &- start
        for index in range {
            putEnd(page.cellEnd(index) &+ shift, of: cell, target)
            cell &+= 1
        }
        at = end &+ shift
    }

    @inline(__always)
    private static func putEnd(_ end: Int, of cell: Int, _ target: UnsafeMutableRawPointer) {
        target.storeBytes(
            of: UInt16(truncatingIfNeeded: end).littleEndian, toByteOffset: PageLayout.cellEnds &+ 2 &* cell,
            as: UInt16.self)
    }
}
