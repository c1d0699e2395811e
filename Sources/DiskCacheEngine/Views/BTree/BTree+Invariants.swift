/// What a look at all pages of a file found, beside that nothing is wrong.
struct BTreeReport: Sendable {
    var leaves = 0
    var branches = 0
    var overflowPages = 0
    var freePages = 0
    var depth = 0
    /// Bytes in use on leaves.
    var leafBytes = 0
    var entries = 0
}

/// Proves the invariants of the file; throws `corrupted`, which says what is wrong, where they don't hold.
///
/// I1 keys rise strictly, within a page and across pages, and lie between the separators above them.
/// I2 all leaves of a tree have level 0 and a branch is one above its children; no depth is beyond 16.
/// I3 a page's prefix is all that its keys share, up to 256 bytes. I4 each page is led to once, or is free.
/// I5 the count of a tree is that of its entries. I6 a leaf's reference says whether it holds long keys.
struct BTreeChecker {
    private let pager: Pager
    private let view: Pager.View
    private let scratch = PageBuffer()
    private var marks: PageMarks
    private var report = BTreeReport()
    private var previous: [UInt8]?

    /// Looks at the published root of all trees. For the writer, between two batches.
    static func check(_ pager: Pager) throws(EngineError) -> BTreeReport {
        let root = try pager.fileRoot()
        var checker = BTreeChecker(pager, root)
        for tree in root.trees {
            checker.previous = nil
            let before = checker.report.entries
            if tree.page.page != 0 {
                checker.report.depth = max(checker.report.depth, tree.level + 1)
                try checker.visit(tree.page, level: tree.level, from: [], upTo: nil)
            }
            guard checker.report.entries - before == tree.count else { throw checker.wrong("the count of a tree") }
        }
        try checker.checkFreePages()
        return checker.report
    }

    private init(_ pager: Pager, _ root: FileRoot) {
        self.pager = pager
        view = Pager.View(batch: root.batch, pages: root.pages, isWriter: true)
        marks = PageMarks(pages: root.pages)
    }

    private func wrong(_ what: String) -> EngineError {
        EngineError(.corrupted, "the ordered views break a rule: \(what)", path: pager.file.path)
    }

    private mutating func visit(
        _ reference: PageReference, level: Int, from lower: [UInt8], upTo upper: [UInt8]?
    ) throws(EngineError) {
        guard marks.insert(reference.page) else { throw wrong("page \(reference.page) is there twice") }
        let buffer = PageBuffer()
        guard let page = try pager.load(reference, level: level, view, into: buffer) else { return }
        var keys: [[UInt8]] = []
        for index in 0..<page.count { keys.append(try key(page, index)) }
        try checkPrefix(page, keys)
        let hasLongKeys = level == 0 && page.hasLongKeys
        guard (reference.flags == PageLayout.overflowBeneath) == hasLongKeys else {
            throw wrong("a mark for long keys")
        }
        if level == 0 {
            report.leaves += 1
            report.leafBytes += Int(Page.short(page.base, PageLayout.end))
            for key in keys {
                guard Self.isBelow(lower, key, orEqual: true) else { throw wrong("a key below its separator") }
                if let upper, !Self.isBelow(key, upper, orEqual: false) { throw wrong("a key at the next separator") }
                if let previous, !Self.isBelow(previous, key, orEqual: false) { throw wrong("the order of keys") }
                previous = key
                report.entries += 1
            }
            return
        }
        report.branches += 1
        keys[0] = lower
        for index in 0..<page.count {
            let end = index + 1 < page.count ? keys[index + 1] : upper
            if let end, !Self.isBelow(keys[index], end, orEqual: false) { throw wrong("the order of separators") }
            try visit(page.child(index), level: level - 1, from: keys[index], upTo: end)
        }
    }

    /// The whole key of a cell, whose overflow pages are marked.
    private mutating func key(_ page: Page, _ index: Int) throws(EngineError) -> [UInt8] {
        if !page.isLeaf, index == 0 { return [] }
        let cell = page.cell(index)
        let buffer = ByteBuffer()
        buffer.append(page.prefix, page.prefixCount)
        buffer.append(cell.suffix, cell.suffixCount)
        guard cell.longCount > 0 else { return [UInt8](buffer.bytes) }
        var chain = cell.chain
        while chain.page != 0 {
            guard marks.insert(chain.page) else { throw wrong("page \(chain.page) is there twice") }
            report.overflowPages += 1
            _ = try pager.loadOverflow(chain, view, into: scratch)
            chain = Pager.next(ofOverflow: scratch)
        }
        _ = try pager.append(cell.chain, cell.longCount, view, scratch, to: buffer)
        return [UInt8](buffer.bytes)
    }

    private func checkPrefix(_ page: Page, _ keys: [[UInt8]]) throws(EngineError) {
        let keyed = page.isLeaf ? keys[...] : keys.dropFirst()
        guard let first = keyed.first, let last = keyed.last else {
            if page.prefixCount != 0 { throw wrong("a prefix of no key") }
            return
        }
        let shared = zip(first, last).prefix { $0 == $1 }.count
        let alone = first.count > PageLayout.maximumInlineKey ? PageLayout.inlineHead : first.count
        guard page.prefixCount == min(shared, alone, PageLayout.inlineHead) else { throw wrong("the prefix of a page") }
    }

    private static func isBelow(_ a: [UInt8], _ b: [UInt8], orEqual: Bool) -> Bool {
        let order = a.withUnsafeBytes { a in
            b.withUnsafeBytes { b -> Int in
                guard let left = a.baseAddress, let right = b.baseAddress else { return a.count - b.count }
                return ByteOrder.compare(left, a.count, right, b.count)
            }
        }
        return orEqual ? order <= 0 : order < 0
    }

    /// Every page below the root's end is led to, or free in exactly one way.
    private mutating func checkFreePages() throws(EngineError) {
        guard let allocator = pager.allocator, allocator.batch == view.batch else { return }
        var seen = marks
        for page in allocator.free + allocator.freedLast + allocator.pinned.map(\.page) {
            guard seen.insert(page) else { throw wrong("page \(page) is free and in use, or free twice") }
            report.freePages += 1
        }
        for page in PageLayout.firstTreePage..<view.pages where !seen[page] {
            throw wrong("page \(page) is neither free nor in use")
        }
    }
}
