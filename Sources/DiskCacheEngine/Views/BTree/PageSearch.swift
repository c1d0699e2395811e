/// Looking for keys in pages, and reading keys that don't fit into them.
extension Pager {
    /// Where a key stands, or would, among the cells of a page from `start` on; nil: the view's root is too old by now.
    ///
    /// The first cell of a branch has no key and is left out.
    @inline(__always)
    func lowerBound(
        _ page: Page, _ key: UnsafeRawBufferPointer, from start: Int = 0, _ view: View, _ scratch: PageBuffer
    ) throws(EngineError) -> (index: Int, found: Bool)? {
        var low = page.isLeaf ? start : max(start, 1)
        var high = page.count
        let prefixCount = page.prefixCount
        // An empty buffer has no address; any will do.
        let bytes = key.baseAddress ?? page.base
        if prefixCount > 0, low < high {
            let common = ByteOrder.commonPrefix(bytes, page.prefix, min(key.count, prefixCount))
            if common < prefixCount {
                let isBefore =
                    common == key.count
                    || bytes.load(fromByteOffset: common, as: UInt8.self)
                        < page.prefix.load(fromByteOffset: common, as: UInt8.self)
                return (isBefore ? low : high, false)
            }
        }
        let rest = bytes + prefixCount
        let restCount = key.count &- prefixCount
        while low < high {
            let middle = (low &+ high) &>> 1
            let cell = page.cell(middle)
            var order = ByteOrder.compare(rest, restCount, cell.suffix, cell.suffixCount)
            if cell.longCount != 0, restCount >= cell.suffixCount,
                ByteOrder.commonPrefix(rest, cell.suffix, cell.suffixCount) == cell.suffixCount
            {
                let tail = UnsafeRawBufferPointer(start: rest + cell.suffixCount, count: restCount - cell.suffixCount)
                guard let decided = try compare(tail, cell.chain, cell.longCount, view, scratch) else { return nil }
                order = decided
            }
            if order == 0 { return (middle, true) }
            if order < 0 { high = middle } else { low = middle &+ 1 }
        }
        return (low, false)
    }

    /// The child of a branch that a key leads to; nil: the view's root is too old by now.
    @inline(__always)
    func childIndex(
        _ page: Page, _ key: UnsafeRawBufferPointer, from start: Int = 0, _ view: View, _ scratch: PageBuffer
    ) throws(EngineError) -> Int? {
        guard let bound = try lowerBound(page, key, from: start &+ 1, view, scratch) else { return nil }
        return bound.found ? bound.index : bound.index &- 1
    }

    // MARK: Overflow pages

    static func next(ofOverflow buffer: PageBuffer) -> KeyChain {
        KeyChain(
            page: Page.half(buffer.base, PageLayout.overflowNext),
            check: Page.half(buffer.base, PageLayout.overflowNext + 4))
    }

    /// Hands out the pieces of a long key behind its head, until `body` returns false; nil: the view's root is too old.
    private func forEachPiece(
        of chain: KeyChain, _ longCount: Int, _ view: View, _ scratch: PageBuffer,
        _ body: (UnsafeRawPointer, Int) -> Bool
    ) throws(EngineError) -> Bool? {
        var left = longCount - PageLayout.inlineHead
        var chain = chain
        while left > 0 {
            guard chain.page != 0 else { throw damaged("a long key ends early") }
            guard try loadOverflow(chain, view, into: scratch) else { return nil }
            let count = Int(Page.short(scratch.base, PageLayout.count))
            guard count <= left else { throw damaged("a long key has no end") }
            if !body(scratch.base + PageLayout.overflowBytes, count) { return true }
            left -= count
            chain = Self.next(ofOverflow: scratch)
        }
        guard chain.page == 0 else { throw damaged("a long key has no end") }
        return true
    }

    /// Compares what follows a key's head with what follows that of a long key.
    @inline(never)
    func compare(
        _ tail: UnsafeRawBufferPointer, _ chain: KeyChain, _ longCount: Int, _ view: View, _ scratch: PageBuffer
    ) throws(EngineError) -> Int? {
        var at = 0
        var order = 0
        let finished = try forEachPiece(of: chain, longCount, view, scratch) { bytes, count in
            let mine = min(count, tail.count - at)
            guard let start = tail.baseAddress, mine > 0 else {
                order = -1
                return false
            }
            order = ByteOrder.compare(start + at, mine, bytes, count)
            at += mine
            return order == 0
        }
        guard finished != nil else { return nil }
        return order == 0 ? (at < tail.count ? 1 : 0) : order
    }

    /// Appends what follows the head of a long key; false: the view's root is too old by now.
    @inline(never)
    func append(
        _ chain: KeyChain, _ longCount: Int, _ view: View, _ scratch: PageBuffer, to buffer: ByteBuffer
    ) throws(EngineError) -> Bool {
        try forEachPiece(of: chain, longCount, view, scratch) { bytes, count in
            buffer.append(bytes, count)
            return true
        } != nil
    }
}
