import Synchronization

/// What the system couldn't write back of index and trees (DESIGN 4).
///
/// A page whose writeback failed counts as clean from then on: the system may drop it, and read what the disk had before, so that a slot
/// names an older version, in this boot still. Neither file holds a fact, so both are made again from the log, whose own errors a sync
/// is told of.
extension Store {
    /// *Maintenance thread.* Asks for such errors, and makes again what is lost. Whether that is still to be done, for somebody else
    /// compacts, or the log is damaged.
    func renewLostViews() throws(EngineError) -> Bool {
        let index = try currentIndex()
        if isLost(index.file) { lostIndex.store(index.generation, ordering: .relaxed) }
        let pager = try? views.locked { () throws(EngineError) in try views.currentPager(self) }
        if let pager, isLost(pager.file) { lostTrees.store(pager.generation, ordering: .relaxed) }
        if let pager, lostTrees.load(ordering: .relaxed) == pager.generation, !abandonTrees(pager.generation) {
            return true
        }
        guard lostIndex.load(ordering: .relaxed) == index.generation else { return false }
        _ = try withCompactionLock(waiting: 0, Self.renewalTimeout) { () throws(EngineError) in
            try renewIndex(index, timeout: Self.renewalTimeout)
        }
        return try currentIndex() === index
    }

    private static var renewalTimeout: UInt64 { 10_000_000_000 }

    private func isLost(_ file: FileDescriptor) -> Bool {
        do throws(SystemError) {
            try files.askWriteback(file)
            return false
        } catch {
            // Others say that the call can't be had, which is no news of the file.
            return [ErrorNumber.inputOutput, ErrorNumber.noSpace, ErrorNumber.quota].contains(error.errno)
        }
    }
}
