/// Memory that the batches of one file use one after the other.
final class BTreeWorkspace {
    /// What is held of the page that is being rewritten on one level.
    final class Level {
        let page = PageBuffer()
        /// The page's entries; above the leaves, its children as they will be.
        let entries = EntryList()
        /// Keys of those children that are new.
        let keys = ByteArena()
    }

    let levels: [Level] = (0...PageLayout.maximumDepth).map { _ in Level() }
    let scratch = PageBuffer()
    let left = PageBuffer()
    let right = PageBuffer()
    let pair = EntryList()
    let merged = EntryList()
    @exclusivity(unchecked) var edit = LeafEdit()
    let builder: PageBuilder

    init(_ pager: Pager) { builder = PageBuilder(pager) }
}

/// One batch: changes to any of the trees, that all come to count at one instant.
///
/// ```
/// let batch = try BTreeBatch(pager)
/// try batch.apply(changes, to: .key)
/// try batch.publish(position: end)
/// ```
///
/// Each call of `apply` is one pass over a tree, from the leaves up. Only pages that change are written, each once, into a free
/// place; the pages that they replace stay as they are until the batch after the next one. A batch that isn't published, for
/// an error or because the process died, leaves nothing behind.
///
/// **Threads.** The one writer, who holds the flock on the file, one batch at a time.
final class BTreeBatch {
    private let pager: Pager
    private let work: BTreeWorkspace
    private var root: FileRoot
    private var isOpen = true
    @exclusivity(unchecked) private var delta = 0

    /// The number that the batch will have.
    var number: UInt64 { root.batch }

    init(_ pager: Pager) throws(EngineError) {
        try pager.prepareAllocator()
        self.pager = pager
        work = pager.workspace
        root = try pager.fileRoot()
        root.batch += 1
    }

    deinit { abandon() }

    /// How many entries a tree has, this batch included.
    func count(_ tree: TreeID) -> Int { Int(root.trees[tree.rawValue].count) }

    /// Whether a view is kept, this batch included.
    func exists(_ tree: TreeID) -> Bool { root.trees[tree.rawValue].exists }

    /// Inserts and deletes what `changes` says; sorts them first. From now on the tree exists.
    func apply(_ changes: BTreeChanges, to tree: TreeID) throws(EngineError) {
        try whileOpen { () throws(EngineError) in
            changes.sort()
            self.root.trees[tree.rawValue] = try self.merge(changes, into: self.root.trees[tree.rawValue])
        }
    }

    /// Takes a tree away, with all that it holds.
    func drop(_ tree: TreeID) throws(EngineError) {
        try whileOpen { () throws(EngineError) in
            let dropped = self.root.trees[tree.rawValue]
            if dropped.page.page != 0 { try self.release(dropped.page, level: dropped.level) }
            self.root.trees[tree.rawValue] = TreeRoot()
        }
    }

    /// Makes the batch count: the trees hold what the log says below `position`.
    func publish(position: Position) throws(EngineError) {
        guard isOpen, let allocator = pager.allocator, pager.batchWord.relaxed() == root.batch - 1 else {
            abandon()
            throw pager.damaged("the batch was given up")
        }
        root.position = position
        root.pages = allocator.pages
        pager.publish(root)
        pager.allocator?.commit()
        isOpen = false
    }

    /// Gives the batch up; nothing of it was ever to be seen.
    func abandon() {
        if isOpen { pager.allocator?.rollBack() }
        isOpen = false
    }

    private func whileOpen(_ body: () throws(EngineError) -> Void) throws(EngineError) {
        guard isOpen else { throw pager.damaged("the batch was given up") }
        do {
            try body()
        } catch {
            abandon()
            throw error
        }
    }

    // MARK: Merging

    private func merge(_ changes: BTreeChanges, into tree: TreeRoot) throws(EngineError) -> TreeRoot {
        var tree = tree
        tree.exists = true
        guard changes.count > 0 else { return tree }
        delta = 0
        var level = tree.level
        let none = UnsafeRawPointer(work.scratch.base)
        var parent = PageEntry(key: none, keyCount: 0, value: none, valueCount: 0)
        parent.child = tree.page
        clear(level + 1)
        try rewrite(parent, level: level, changes, 0..<changes.count, isRightmost: true)
        while work.levels[level + 1].entries.count > 1 {
            level += 1
            guard level + 1 < PageLayout.maximumDepth else {
                throw EngineError(.limitReached, "a tree is too deep", path: pager.file.path)
            }
            clear(level + 1)
            var run = PageBuilder.Run(
                level: level, key: parent, isRightmost: true, references: work.levels[level + 1].entries,
                arena: work.levels[level + 1].keys)
            try work.builder.write(work.levels[level].entries, &run)
        }
        let count = Int(tree.count) + delta
        let roots = work.levels[level + 1].entries
        guard count >= 0, (count == 0) == (roots.count == 0) else { throw pager.damaged("a tree's count") }
        tree.count = UInt64(count)
        tree.page = roots.count == 0 ? .none : roots[0].child
        tree.level = roots.count == 0 ? 0 : level
        try collapse(&tree)
        return tree
    }

    private func clear(_ level: Int) {
        work.levels[level].entries.removeAll()
        work.levels[level].keys.reset()
    }

    /// A root with one child isn't needed.
    private func collapse(_ tree: inout TreeRoot) throws(EngineError) {
        while tree.level > 0 {
            let page = try load(tree.page, level: tree.level, into: work.left)
            if page.count > 1 { return }
            pager.allocator?.release(tree.page.page, born: page.batch)
            tree.page = page.child(0)
            tree.level -= 1
        }
    }

    private func load(_ page: PageReference, level: Int, into buffer: PageBuffer) throws(EngineError) -> Page {
        guard let page = try pager.load(page, level: level, work.builder.view, into: buffer) else {
            throw pager.damaged("another process writes")
        }
        return page
    }

    /// Applies a range of changes below the page that `parent` leads to. What stands in its place afterwards, none or one or
    /// several pages, is appended to the entries of the level above.
    private func rewrite(
        _ parent: PageEntry, level: Int, _ changes: BTreeChanges, _ range: Range<Int>, isRightmost: Bool
    ) throws(EngineError) {
        let above = work.levels[level + 1]
        let before = above.entries.count
        var run = PageBuilder.Run(
            level: level, key: parent, isRightmost: isRightmost, references: above.entries, arena: above.keys)
        if level == 0 {
            try rewriteLeaf(parent, changes, range, &run)
        } else {
            try rewriteBranch(parent, changes, range, &run)
        }
        if above.entries.count == before { try work.builder.release(parent.chain, parent.keyCount) }
    }

    private func rewriteLeaf(
        _ parent: PageEntry, _ changes: BTreeChanges, _ range: Range<Int>, _ run: inout PageBuilder.Run
    ) throws(EngineError) {
        let list = work.levels[0].entries
        list.removeAll()
        let page = parent.child.page == 0 ? nil : try load(parent.child, level: 0, into: work.levels[0].page)
        let count = page?.count ?? 0
        let view = work.builder.view
        if let page, range.count <= LeafEdit.maximumChanges,
            try work.edit.plan(page, changes, range, pager, view, work.scratch)
        {
            if work.edit.isEmpty { return run.references.append(parent) }
            pager.allocator?.release(parent.child.page, born: page.batch)
            delta += work.edit.delta
            return try work.builder.write(work.edit, of: page, changes, &run)
        }
        var at = 0
        var isChanged = false
        for number in range {
            let key = changes.key(number)
            let value = changes.value(number)
            if let page {
                guard let bound = try pager.lowerBound(page, key, from: at, view, work.scratch) else { break }
                append(page, at..<bound.index, to: list)
                at = bound.index
                if bound.found {
                    var old = PageEntry(page, at)
                    at += 1
                    if changes.isDeletion(number) {
                        try work.builder.release(old.chain, old.keyCount)
                        delta -= 1
                        isChanged = true
                    } else {
                        let isSame = page.leafCell(bound.index).hasValue(value)
                        if let start = value.baseAddress { old.value = start }
                        old.valueCount = UInt8(truncatingIfNeeded: value.count)
                        list.append(old)
                        if !isSame { isChanged = true }
                    }
                    continue
                }
            }
            if changes.isDeletion(number) { continue }
            guard let start = key.baseAddress, let valueStart = value.baseAddress else { continue }
            list.append(PageEntry(key: start, keyCount: key.count, value: valueStart, valueCount: value.count))
            delta += 1
            isChanged = true
            if list.count > 2 * PageBuilder.plenty { try work.builder.writeFront(of: list, &run) }
        }
        guard isChanged else {
            if page != nil { run.references.append(parent) }
            return
        }
        if let page {
            append(page, at..<count, to: list)
            pager.allocator?.release(parent.child.page, born: page.batch)
        }
        try work.builder.write(list, &run)
    }

    @inline(__always)
    private func append(_ page: Page, _ range: Range<Int>, to list: EntryList) {
        for index in range { list.append(PageEntry(page, index)) }
    }

    private func rewriteBranch(
        _ parent: PageEntry, _ changes: BTreeChanges, _ range: Range<Int>, _ run: inout PageBuilder.Run
    ) throws(EngineError) {
        let level = run.level
        clear(level)
        let page = try load(parent.child, level: level, into: work.levels[level].page)
        let list = work.levels[level].entries
        let view = work.builder.view
        var at = 0
        var number = range.lowerBound
        var isChanged = false
        while number < range.upperBound {
            guard let child = try pager.childIndex(page, changes.key(number), from: at, view, work.scratch) else {
                break
            }
            append(page, at..<child, to: list)
            at = child + 1
            var end = number + 1
            while end < range.upperBound {
                guard at < page.count else {
                    end = range.upperBound
                    break
                }
                guard try !isAtOrAbove(changes.key(end), page, at) else { break }
                end += 1
            }
            let entry = PageEntry(page, child)
            let before = list.count
            try rewrite(
                entry, level: level - 1, changes, number..<end, isRightmost: run.isRightmost && at == page.count)
            if list.count != before + 1 || list[before].child != entry.child { isChanged = true }
            number = end
        }
        guard isChanged else {
            run.references.append(parent)
            return
        }
        append(page, at..<page.count, to: list)
        pager.allocator?.release(parent.child.page, born: page.batch)
        try mergeUnderfull(level)
        try work.builder.write(list, &run)
    }

    /// Whether a key belongs to child `index` of a branch, or one behind it.
    @inline(__always)
    private func isAtOrAbove(_ key: UnsafeRawBufferPointer, _ page: Page, _ index: Int) throws(EngineError) -> Bool {
        let entry = PageEntry(page, index)
        guard let start = key.baseAddress else { return false }
        if !entry.isLong {
            let split = Int(entry.prefixCount)
            let common = ByteOrder.commonPrefix(start, entry.prefix, min(split, key.count))
            if common < split {
                return common < key.count
                    && start.load(fromByteOffset: common, as: UInt8.self)
                        > entry.prefix.load(fromByteOffset: common, as: UInt8.self)
            }
            return ByteOrder.compare(start + split, key.count - split, entry.suffix, Int(entry.suffixCount)) >= 0
        }
        let child = try pager.childIndex(page, key, from: index - 1, work.builder.view, work.scratch)
        return child ?? 0 >= index
    }

    // MARK: Underfull pages

    /// Merges children of the branch at `level` that became nearly empty with a neighbour, into one page or two.
    private func mergeUnderfull(_ level: Int) throws(EngineError) {
        let list = work.levels[level].entries
        var index = 0
        while index < list.count {
            guard list[index].isUnderfull, list.count > 1 else {
                index += 1
                continue
            }
            let left = index + 1 < list.count ? index : index - 1
            try mergePair(left, level)
            list.replaceTwo(at: left, with: work.merged)
            if work.merged.count > 1 {
                for offset in 0..<work.merged.count { list[left + offset].isUnderfull = false }
                index = left + work.merged.count
            } else {
                index = left
            }
        }
    }

    private func mergePair(_ index: Int, _ level: Int) throws(EngineError) {
        let list = work.levels[level].entries
        let (first, second) = (list[index], list[index + 1])
        let left = try load(first.child, level: level - 1, into: work.left)
        let right = try load(second.child, level: level - 1, into: work.right)
        work.pair.removeAll()
        append(left, 0..<left.count, to: work.pair)
        if level == 1 {
            try work.builder.release(second.chain, second.keyCount)
            append(right, 0..<right.count, to: work.pair)
        } else {
            // The separator between the two becomes that of the second one's first child.
            var entry = second
            entry.child = right.child(0)
            entry.isUnderfull = false
            work.pair.append(entry)
            append(right, 1..<right.count, to: work.pair)
        }
        pager.allocator?.release(first.child.page, born: left.batch)
        pager.allocator?.release(second.child.page, born: right.batch)
        work.merged.removeAll()
        var run = PageBuilder.Run(
            level: level - 1, key: first, isRightmost: false, references: work.merged, arena: work.levels[level].keys)
        try work.builder.write(work.pair, &run)
    }

    // MARK: Dropping

    private func release(_ reference: PageReference, level: Int) throws(EngineError) {
        guard level > 0 || reference.flags != 0 else {
            pager.allocator?.releaseUnread(reference.page)
            return
        }
        let page = try load(reference, level: level, into: work.levels[level].page)
        for index in 0..<page.count {
            let cell = page.cell(index)
            try work.builder.release(cell.chain, Int32(truncatingIfNeeded: cell.longCount))
            if level > 0 { try release(page.child(index), level: level - 1) }
        }
        pager.allocator?.release(reference.page, born: page.batch)
    }
}
