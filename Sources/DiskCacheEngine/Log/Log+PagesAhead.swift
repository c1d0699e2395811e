/// Pages that are mapped ahead of the tail, without the lock.
///
/// Who appends to a segment that has all of its blocks (`Log+Next`) maps its pages under the lock, 32 KiB at a time, which takes as long
/// as twenty small writes. Whoever compacts takes the lock again and again, and has nothing to do with it in between: it maps what comes
/// next meanwhile, so that neither its copies nor other writers have to.
///
///     if let pages, !pages.map() { … }     between two holds of the lock
///     log.note(pages)                      in the next one
extension Log {
    /// So many bytes behind the tail are mapped at least, and at once.
    private static let distance: UInt64 = 128 << 10
    private static let mappedAtOnce: UInt64 = 64 << 10

    /// Pages of the active segment that aren't mapped.
    struct PagesAhead {
        fileprivate var end: Position
        fileprivate var base: UnsafeMutableRawPointer
        fileprivate var count: Int

        /// *Pinned.* Maps them; false: they would need blocks that aren't there. If another segment was begun meanwhile it does nothing.
        func map() -> Bool { SystemCalls.populate(base, count: count) }
    }

    /// *Writer.* What is to be mapped next; nil: enough is, or blocks are missing too.
    var pagesAhead: PagesAhead? {
        guard let active, isAllocated, !isOnSpare, allocatedEnd < tail + Self.distance else { return nil }
        let mapped = max(allocatedEnd, tail)
        let from = mapped / 4096 * 4096
        let end = min(mapped + Self.mappedAtOnce, active.limit)
        guard from < end else { return nil }
        return PagesAhead(end: end, base: window.address(from), count: Int(end - from))
    }

    /// *Writer.* They are mapped. If another segment was begun meanwhile, it lies behind them.
    func note(_ pages: PagesAhead) {
        // Nobody may come to map any more, who would have.
        askForNext(at: tail)
        allocatedEnd = max(allocatedEnd, pages.end)
    }
}
