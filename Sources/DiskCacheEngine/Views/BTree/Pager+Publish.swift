/// How a root comes to count: published for all who read now, synced for who comes after a power loss.
extension Pager {
    /// Makes `root` the one that counts: its bytes into the place of the one before last, then the number. One store decides.
    func publish(_ root: FileRoot) {
        root.encoded(seed: seed).withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            let target = base + PageLayout.root(ofBatch: root.batch)
            let half = bytes.count / 2
            SharedMemory.copy(start, to: target, count: half)
            reach(.treesRootHalfWritten)
            SharedMemory.copy(start + half, to: target + half, count: bytes.count - half)
        }
        reach(.treesRootWritten)
        batchWord.release(root.batch)
        // What the next batch writes must not be seen before the number.
        SharedMemory.releaseFence()
        reach(.treesRootPublished)
    }

    /// Makes the last root and all that it leads to durable, and remembers it as the one to go back to after a power loss.
    ///
    /// The log must have been synced up to the root's position before. The pages of the root that was synced before are kept
    /// from being written again until this has returned. An error means that nothing is known about the file's content on
    /// disk: it must be given up.
    func sync() throws(EngineError) {
        let root = try fileRoot()
        let last = syncedRoot()
        if root.batch == last?.batch { return }
        do {
            try syncFile()
            reach(.treesPagesSynced)
            // In the place of the one before last: a torn one leaves the last.
            let used = last.flatMap { last in
                PageLayout.syncedRoots.first { self.root(at: $0)?.batch == last.batch }
            }
            let offset = used == PageLayout.syncedRoots[0] ? PageLayout.syncedRoots[1] : PageLayout.syncedRoots[0]
            root.encoded(seed: seed).withUnsafeBytes { bytes in
                guard let start = bytes.baseAddress else { return }
                SharedMemory.copy(start, to: base + offset, count: bytes.count)
            }
            reach(.treesSyncedRootWritten)
            try syncFile()
            if last == nil { try files.syncDirectory(directory) }
        } catch {
            throw EngineError(error)
        }
        reach(.treesSynced)
        allocator?.unpin(synced: root.batch)
    }

    private func syncFile() throws(SystemError) {
        let size = filePages(atLeast: 0) * PageLayout.pageSize
        try SystemCalls.syncMapping(base, count: size, file.path)
        try files.sync(file)
    }

    /// Makes the root that was synced last the one that counts, if it covers no more of the log than there is, and notes the
    /// boot that it is believed in; false: there is none, and the trees must be built again. For who is alone with the
    /// store after another boot: what was written after that root may or may not have reached the disk.
    func restoreSyncedRoot(notBeyond end: Position, identity: Identity) throws(EngineError) -> Bool {
        guard var root = syncedRoot(), root.position <= end else { return false }
        let number = batchWord.relaxed()
        root.batch = max(root.batch, number < 1 << 61 ? number : 0) + 1
        publish(root)
        do {
            var identity = identity
            identity.device = try files.status(file).device
            try files.write(file, identity.encoded(), at: 0)
        } catch {
            throw EngineError(error)
        }
        allocator = nil
        return true
    }
}
