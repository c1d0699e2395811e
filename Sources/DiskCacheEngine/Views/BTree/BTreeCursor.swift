/// Reads a range of a tree, forward or backward, some entries a call.
///
/// ```
/// let cursor = tree.cursor(BTreeRange(prefix: bytes))
/// let entries = BTreeEntries()
/// while try cursor.next(entries, in: tree.pager) > 0 { … }
/// ```
///
/// It holds no lock and nothing of the file between calls, but copies of the pages that it stands in. The entries of one call are
/// those of one batch, `batch`; a cursor keeps to its batch as long as it can, and when two others were published since, or another
/// file took its file's place, goes on in the newest, behind the last key that it gave. So it gives each key once at most, and every
/// key that was there throughout.
///
/// Whatever the file holds, it comes to an end: keys only rise (or only fall), and a batch has so many leaves.
///
/// **Threads.** One at a time.
final class BTreeCursor {
    private struct Frame {
        var page: Page
        var index: Int
    }

    private enum Step { case done, end, stale }

    private let tree: TreeID
    private let range: BTreeRange
    private let reversed: Bool
    private let lowerKey: ByteBuffer?
    private let upperKey: ByteBuffer?

    /// The batch as of which the last call's entries were read.
    @exclusivity(unchecked) private(set) var batch: UInt64 = 0
    /// The log position that it covers.
    @exclusivity(unchecked) private(set) var position: Position = 0
    /// Whether the tree was there: one that was dropped reads as empty.
    @exclusivity(unchecked) private(set) var exists = true
    /// Whether the range has come to its end, as of `batch`.
    @exclusivity(unchecked) private(set) var isAtEnd = false

    /// The generation of the file that `batch` is one of.
    @exclusivity(unchecked) private var generation: UInt64 = 0
    @exclusivity(unchecked) private var view = Pager.View(batch: 0, pages: 0)
    /// The way from the root to a leaf, the root first.
    @exclusivity(unchecked) private var frames: [Frame] = []
    @exclusivity(unchecked) private var buffers: [PageBuffer] = []
    private let scratch = PageBuffer()
    @exclusivity(unchecked) private var isPlaced = false
    /// In the leaf: where the range ends, exclusive; going backward, its first index.
    @exclusivity(unchecked) private var limit = 0
    @exclusivity(unchecked) private var leavesLeft = 0
    /// The last key that was given.
    private let lastKey = ByteBuffer(capacity: 256)
    @exclusivity(unchecked) private var hasLastKey = false

    init(_ tree: TreeID, _ range: BTreeRange, reversed: Bool) {
        self.tree = tree
        self.range = range
        self.reversed = reversed
        lowerKey = range.lower.map { ByteBuffer($0.key) }
        upperKey = range.upper.map { ByteBuffer($0.key) }
    }

    /// Puts the cursor before a key, or behind it: the next call goes on there, in its direction, as of the newest batch.
    func seek(to key: UnsafeRawBufferPointer) {
        lastKey.removeAll()
        if let start = key.baseAddress { lastKey.append(start, key.count) }
        hasLastKey = true
        isPlaced = false
        isAtEnd = false
    }

    /// Whether the last key that it gave, or that it was put at, is this one.
    func stands(behind key: UnsafeRawBufferPointer) -> Bool {
        guard hasLastKey, lastKey.count == key.count else { return false }
        guard let start = key.baseAddress else { return true }
        return ByteOrder.commonPrefix(lastKey.base, start, key.count) == key.count
    }

    /// Reads up to `limit` entries into `entries`, in place of what was there; how many. 0: the range has come to its end.
    func next(_ entries: BTreeEntries, limit: Int = 64, in pager: Pager) throws(EngineError) -> Int {
        entries.removeAll()
        while !isAtEnd, entries.count < limit {
            if !isPlaced || generation != pager.generation || pager.hasMoved(beyond: batch) {
                // Entries of two batches don't mix.
                isPlaced = false
                if entries.count > 0 { break }
                guard try place(pager) == .done else { continue }
            }
            switch try read(entries, limit, pager) {
            case .done: break
            case .end: isAtEnd = true
            case .stale: isPlaced = false
            }
        }
        if entries.count > 0 {
            let key = entries.key(entries.count - 1)
            lastKey.removeAll()
            if let start = key.baseAddress { lastKey.append(start, key.count) }
            hasLastKey = true
        }
        return entries.count
    }

    // MARK: Placing

    /// Finds the leaf and place to go on at, in the newest batch.
    private func place(_ pager: Pager) throws(EngineError) -> Step {
        let root = try pager.root(of: tree)
        generation = pager.generation
        batch = root.batch
        position = root.position
        exists = root.tree.exists
        view = Pager.View(batch: root.batch, pages: root.pages)
        frames.removeAll(keepingCapacity: true)
        leavesLeft = root.pages
        guard root.tree.page.page != 0 else {
            isAtEnd = true
            return .end
        }
        let bound = reversed ? range.upper : range.lower
        let key = hasLastKey ? lastKey.bytes : (reversed ? upperKey : lowerKey)?.bytes
        let isIncluded = !hasLastKey && bound?.isIncluded ?? false
        var reference = root.tree.page
        for level in stride(from: root.tree.level, through: 0, by: -1) {
            guard let page = try load(reference, level: level, pager) else { return .stale }
            var index = reversed ? page.count - 1 : 0
            if let key, level > 0 {
                guard let child = try pager.childIndex(page, key, view, scratch) else { return .stale }
                index = child
            } else if let key {
                guard let found = try pager.lowerBound(page, key, view, scratch) else { return .stale }
                index = found.index
                if reversed {
                    if !(found.found && isIncluded) { index -= 1 }
                } else if found.found && !isIncluded {
                    index += 1
                }
            }
            if level > 0 { reference = page.child(index) }
            frames.append(Frame(page: page, index: index))
        }
        guard try setLimit(pager) else { return .stale }
        isPlaced = true
        return .done
    }

    /// Loads a page into the buffer of the next frame.
    private func load(_ reference: PageReference, level: Int, _ pager: Pager) throws(EngineError) -> Page? {
        if buffers.count == frames.count { buffers.append(PageBuffer()) }
        if level == 0 {
            leavesLeft -= 1
            guard leavesLeft >= 0 else { throw pager.damaged("more leaves than pages") }
        }
        return try pager.load(reference, level: level, view, into: buffers[frames.count])
    }

    /// Looks where the range ends in the leaf; false: the batch is too old by now.
    private func setLimit(_ pager: Pager) throws(EngineError) -> Bool {
        let page = frames[frames.count - 1].page
        guard let bound = reversed ? range.lower : range.upper, let key = reversed ? lowerKey : upperKey else {
            limit = reversed ? 0 : page.count
            return true
        }
        guard let found = try pager.lowerBound(page, key.bytes, view, scratch) else { return false }
        let isSkipped = found.found && bound.isIncluded != reversed
        limit = isSkipped ? found.index + 1 : found.index
        return true
    }

    // MARK: Reading

    /// Reads on in the leaf, and in those behind it.
    private func read(_ entries: BTreeEntries, _ wanted: Int, _ pager: Pager) throws(EngineError) -> Step {
        while true {
            let leaf = frames.count - 1
            let page = frames[leaf].page
            var index = frames[leaf].index
            while reversed ? index >= limit : index < limit {
                let step = reversed ? -1 : 1
                let room = wanted - entries.count
                if room == 0 {
                    frames[leaf].index = index
                    return .done
                }
                let left = reversed ? index &+ 1 &- limit : limit &- index
                let appended = entries.append(page, from: index, count: min(left, room), by: step)
                index &+= appended &* step
                if appended == 0 {
                    guard try entries.append(page, long: page.leafCell(index), pager, view, scratch) else {
                        return .stale
                    }
                    index &+= step
                }
            }
            frames[leaf].index = index
            // The range ended inside of the leaf.
            if reversed ? limit > 0 : limit < page.count { return .end }
            let moved = try moveToNextLeaf(entries, pager)
            if moved != .done { return moved }
        }
    }

    private func moveToNextLeaf(_ entries: BTreeEntries, _ pager: Pager) throws(EngineError) -> Step {
        var level = 0
        frames.removeLast()
        while let frame = frames.last {
            level += 1
            let index = reversed ? frame.index - 1 : frame.index + 1
            if index >= 0, index < frame.page.count {
                frames[frames.count - 1].index = index
                break
            }
            frames.removeLast()
        }
        guard !frames.isEmpty else { return .end }
        while level > 0 {
            let frame = frames[frames.count - 1]
            level -= 1
            guard let page = try load(frame.page.child(frame.index), level: level, pager) else { return .stale }
            frames.append(Frame(page: page, index: reversed ? page.count - 1 : 0))
        }
        guard try setLimit(pager) else { return .stale }
        try checkOrder(entries, pager)
        return .done
    }

    /// The keys of the next leaf must lie behind the last one that was given.
    private func checkOrder(_ entries: BTreeEntries, _ pager: Pager) throws(EngineError) {
        let frame = frames[frames.count - 1]
        let key: UnsafeRawBufferPointer
        if entries.count > 0 {
            key = entries.key(entries.count - 1)
        } else {
            guard hasLastKey else { return }
            key = lastKey.bytes
        }
        guard let bound = try pager.lowerBound(frame.page, key, view, scratch) else { return }
        guard !bound.found, bound.index == (reversed ? frame.page.count : 0) else {
            throw pager.damaged("the order of keys")
        }
    }
}
