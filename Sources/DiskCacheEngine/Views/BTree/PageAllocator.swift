/// Which pages of the file are free. It isn't stored: it follows from the roots, and is found again by walking the branches
/// when another process wrote last. So a batch writes nothing to keep it, a killed one leaks nothing, and no damage to a list
/// of free pages can ever have a page written that is in use.
///
/// A page that batch g replaced is written again by batch g + 2 at the earliest (`Pager` says why), and one that belongs to the
/// synced root not before another root was synced.
struct PageAllocator {
    /// The published batch that this describes.
    private(set) var batch: UInt64
    /// The batch of the synced root; 0: none.
    private(set) var synced: UInt64
    /// May be written by the next batch.
    private(set) var free: [UInt32]
    /// Replaced by `batch` itself.
    private(set) var freedLast: [UInt32] = []
    /// Not in the last root, but in the synced one, with the batch that replaced them.
    private(set) var pinned: [(page: UInt32, freed: UInt64)]
    /// Pages from here on were never used.
    private(set) var pages: Int

    // Of the batch that is being written.
    private var available: Int
    private var recycled: [UInt32] = []
    private var freed: [UInt32] = []
    private var pinnedNow: [UInt32] = []
    private var pagesBefore: Int

    /// `free` in descending order, so that pages are taken from the front of the file.
    init(batch: UInt64, synced: UInt64, free: [UInt32], pinned: [UInt32], pages: Int) {
        self.batch = batch
        self.synced = synced
        self.free = free
        self.pinned = pinned.map { ($0, batch) }
        self.pages = pages
        available = free.count
        pagesBefore = pages
    }

    /// Pages that the last root doesn't need.
    var unused: Int { free.count + freedLast.count + pinned.count }

    /// A page for the batch that is being written. It may lie behind the file's end.
    mutating func take() -> Int {
        if let page = recycled.popLast() { return Int(page) }
        if available > 0 {
            available -= 1
            return Int(free[available])
        }
        pages += 1
        return pages - 1
    }

    /// Gives back a page that the batch does no longer need; `born` is the batch that wrote it.
    mutating func release(_ page: UInt32, born: UInt64) {
        if born > batch {
            recycled.append(page)
        } else if born <= synced {
            pinnedNow.append(page)
        } else {
            freed.append(page)
        }
    }

    /// The same for a page that wasn't looked at: kept as long as any page is.
    mutating func releaseUnread(_ page: UInt32) { release(page, born: synced > 0 ? synced : batch) }

    /// The batch was published.
    mutating func commit() {
        batch += 1
        free.removeSubrange(available...)
        free += freedLast
        free += recycled
        freedLast = freed
        for page in pinnedNow { pinned.append((page, batch)) }
        clear()
    }

    /// The batch is given up.
    mutating func rollBack() {
        pages = pagesBefore
        clear()
    }

    private mutating func clear() {
        recycled.removeAll(keepingCapacity: true)
        freed.removeAll(keepingCapacity: true)
        pinnedNow.removeAll(keepingCapacity: true)
        available = free.count
        pagesBefore = pages
    }

    /// Another root was synced, between two batches: what only the one before it kept is free.
    mutating func unpin(synced: UInt64) {
        self.synced = synced
        for (page, freed) in pinned {
            if freed == batch { freedLast.append(page) } else { free.append(page) }
        }
        pinned.removeAll()
        available = free.count
    }
}

extension Pager {
    /// Brings `allocator` up to date with the file: at once if nobody else wrote since.
    ///
    /// Else a batch that changes nothing is published first: what the last one replaced may then be written by the next, and
    /// whatever a killed writer left in the place of the other root is gone.
    func prepareAllocator() throws(EngineError) {
        var root = try fileRoot()
        let synced = syncedRoot()
        if let allocator, allocator.batch == root.batch, allocator.synced == synced?.batch ?? 0 { return }
        root.batch += 1
        publish(root)
        var marks = PageMarks(pages: root.pages)
        try mark(root, in: &marks)
        var pinned: [UInt32] = []
        if let synced, synced.pages <= root.pages {
            var both = marks
            try mark(synced, in: &both, sharedWith: marks)
            for page in PageLayout.firstTreePage..<root.pages where both[page] && !marks[page] {
                pinned.append(UInt32(page))
            }
            marks = both
        }
        var free: [UInt32] = []
        for page in (PageLayout.firstTreePage..<root.pages).reversed() where !marks[page] { free.append(UInt32(page)) }
        allocator = PageAllocator(
            batch: root.batch, synced: synced?.batch ?? 0, free: free, pinned: pinned, pages: root.pages)
    }

    /// Marks all pages that a root leads to. A page that is met twice is damage, unless it is in `shared`.
    func mark(_ root: FileRoot, in marks: inout PageMarks, sharedWith shared: PageMarks? = nil) throws(EngineError) {
        let view = View(batch: root.batch, pages: root.pages, isWriter: true)
        for tree in root.trees where tree.page.page != 0 {
            try mark(tree.page, level: tree.level, view, in: &marks, shared)
        }
    }

    /// Leaves are read only where a long key hangs on one.
    private func mark(
        _ reference: PageReference, level: Int, _ view: View, in marks: inout PageMarks, _ shared: PageMarks?
    ) throws(EngineError) {
        // All below it is shared as well.
        if let shared, shared.contains(reference.page) { return }
        guard marks.insert(reference.page) else { throw damaged("page \(reference.page) is there twice") }
        if level == 0, reference.flags == 0 { return }
        let buffer = PageBuffer()
        guard let page = try load(reference, level: level, view, into: buffer) else { return }
        let chains = PageBuffer()
        for index in 0..<page.count {
            var chain = page.cell(index).chain
            while chain.page != 0 {
                if let shared, shared.contains(chain.page) { break }
                guard marks.insert(chain.page) else { throw damaged("page \(chain.page) is there twice") }
                _ = try loadOverflow(chain, view, into: chains)
                chain = Self.next(ofOverflow: chains)
            }
            if level > 0 { try mark(page.child(index), level: level - 1, view, in: &marks, shared) }
        }
    }
}

/// A bit for each page of the file.
struct PageMarks {
    private var words: [UInt64]
    let pages: Int

    init(pages: Int) {
        self.pages = pages
        words = [UInt64](repeating: 0, count: (pages + 63) / 64)
    }

    subscript(page: Int) -> Bool { words[page >> 6] >> UInt64(page & 63) & 1 != 0 }

    func contains(_ page: UInt32) -> Bool { page < pages && self[Int(page)] }

    /// False if the page was marked already, or isn't one.
    mutating func insert(_ page: UInt32) -> Bool {
        guard page < pages, !self[Int(page)] else { return false }
        words[Int(page) >> 6] |= 1 << UInt64(page & 63)
        return true
    }
}
