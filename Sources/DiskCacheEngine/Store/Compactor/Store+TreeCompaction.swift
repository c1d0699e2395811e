import Synchronization

/// A smaller file of trees in place of one that is mostly free pages: what is in the trees is copied, in order, into a new generation.
extension Store {
    /// As little as this isn't worth another file.
    private static var fewestPages: Int { 32 }

    /// Replaces the file of trees if more than half of its pages are free. The caller has the compaction lock and is counted in
    /// `ReaderPins`. Who asks for an order meanwhile reads the old file.
    func compactTreesIfSparse(timeout: UInt64) throws(EngineError) {
        guard block.treesGeneration.relaxed() != 0,
            let pager = try views.locked({ () throws(EngineError) in try views.currentPager(self) })
        else { return }
        _ = try withTreesLock(pager) { () throws(EngineError) in
            let root = try pager.fileRoot()
            guard root.pages >= Self.fewestPages else { return }
            try pager.prepareAllocator()
            guard let unused = pager.allocator?.unused, unused > root.pages / 2 else { return }
            try replaceTrees(pager, timeout: timeout)
        }
    }

    private func replaceTrees(_ old: Pager, timeout: UInt64) throws(EngineError) {
        let fresh = try write(timeout: timeout) { () throws(EngineError) in
            let names: [String]
            do throws(SystemError) {
                names = try files.list(directory)
            } catch {
                throw EngineError(error)
            }
            let last = names.compactMap { PageLayout.generation(ofName: $0) }.max() ?? old.generation
            return try Pager.create(
                generation: max(last, old.generation) + 1, in: directory, files: files, storeID: identity.storeID,
                boot: StoreIdentity.bootWords(environment.bootIdentity()), position: 0)
        }
        FaultPoint.reach(.treesCreated)
        do throws(EngineError) {
            let root = try old.fileRoot()
            let batch = try BTreeBatch(fresh)
            let changes = BTreeChanges()
            let entries = BTreeEntries()
            for tree in TreeID.allCases where root.trees[tree.rawValue].exists {
                let cursor = BTree(old, tree).cursor(BTreeRange())
                // A tree without entries exists too.
                try batch.apply(changes, to: tree)
                while try cursor.next(entries, in: old) > 0 {
                    for index in 0..<entries.count { try changes.insert(entries.key(index), entries.value(index)) }
                    guard changes.byteCount > 16 << 20 else { continue }
                    try batch.apply(changes, to: tree)
                    changes.removeAll()
                }
                try batch.apply(changes, to: tree)
                changes.removeAll()
            }
            try batch.publish(position: root.position)
            try write(timeout: timeout) { () throws(EngineError) in
                guard block.treesGeneration.acquire() == old.generation else {
                    throw EngineError(.snapshotExpired, "the trees were replaced meanwhile", path: path)
                }
                block.treesGeneration.release(fresh.generation)
            }
            FaultPoint.reach(.treesInstalled)
        } catch {
            try? files.unlinkIfPresent(PageLayout.name(fresh.generation), in: directory)
            throw error
        }
        views.needsSync.store(true, ordering: .relaxed)
        try? files.unlinkIfPresent(PageLayout.name(old.generation), in: directory)
    }
}
