/// What a check found that can be put right.
struct Repairs {
    /// The index or a counter is wrong: both are made again from the log.
    var needsRebuild = false
    /// Records of queues don't agree with their items, or may not: they are made again.
    var hasWrongQueues = false
    /// An ordered view is wrong: all of them are made again when they are asked for.
    var needsTrees = false
    /// Rows whose value file is missing or damaged, by the positions of their records: they are removed.
    var lostRows: [Position] = []
    /// Value files that no row names: they are unlinked.
    var unknownFiles: [ValueFileName] = []
}

/// *Writer, inside a transaction.* Puts right what a check found. What the log has lost stays lost.
extension Store {
    func repair(_ repairs: Repairs) throws(EngineError) {
        // As they are stored: what is known of them may be better than what was found.
        if !queues.isChanged { queues.removeAll() }
        transaction.found = nil
        if repairs.needsRebuild { try rebuildViews() }
        if repairs.needsRebuild || repairs.needsTrees { _ = abandonTrees(block.treesGeneration.acquire()) }
        for position in repairs.lostRows {
            // Removing one may have removed another only if it was the same.
            guard case .record(let record) = try log.record(at: position),
                let row = try findAsWriter(record.keyClass, record.key), row.position == position
            else { continue }
            try remove(row, cause: .deleted, isLast: false)
        }
        if repairs.hasWrongQueues || repairs.needsRebuild { try repairQueues() }
        for name in repairs.unknownFiles { try? valueFiles.unlink(name) }
    }

    /// A new index, and counters, from the log; readers go on with the old index until the new one is whole.
    private func rebuildViews() throws(EngineError) {
        let chain = try LogScanner.chain(
            files: files, directory: log.directory, storeID: identity.storeID, head: head)
        let fresh = try HashIndex.create(
            generation: try ViewOpening.nextGeneration(directory, files), in: directory, files: files,
            storeID: identity.storeID, boot: StoreIdentity.bootWords(environment.bootIdentity()))
        let valueFiles = self.valueFiles
        var rebuild = Rebuild(
            files: files, log: log, hash: hash,
            scanner: LogScanner(files: files, salt: identity.salt, links: chain.links, believedEnd: log.tail),
            index: fresh, head: head, reason: "check(fix:)", gaps: chain.gaps
        ) { file throws(EngineError) in try valueFiles.isWhole(file) }
        try rebuild.run()
        FaultPoint.reach(.indexFilled)
        var counted = rebuild.counters
        // These never go back.
        counted.nextRowid = max(counted.nextRowid, counters.nextRowid)
        counted.lastStoredTime = max(counted.lastStoredTime, counters.lastStoredTime)
        counted.lastRecord = log.lastRecord
        counters = counted
        fresh.cover(log.tail)
        Seal.clear(metaBase)
        // A snapshot finds in the new one what it found in the old one: both name the newest records.
        replaceIndex(with: fresh)
        // New counters need a new T.
        try log.reserve(RecordLayout.voidSize + RecordLayout.commitSize, head: head, settings: counters.settings)
        if transaction.operations == 0 { transaction.first = log.tail }
        transaction.countersBefore = counters
        transaction.operations &+= 1
    }
}
