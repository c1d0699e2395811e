import Synchronization

extension Store {
    /// Has the memory come near in which the records of rows lie: that of all at once, where a look-up after the other would wait for it
    /// three times each. Nothing is believed of what is read here.
    func fetchRecords(of rows: [OrderedRow]) {
        let index = indexView
        let root = index.root.acquire()
        guard index.isValid(root: root) else { return }
        let depth = HashIndex.depth(ofRoot: root)
        let tail = CommitBlock.tail(block.word.acquire())
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: rows.count) { hashes in
            for (number, row) in rows.enumerated() {
                let hash = hash(KeyClass.identity(row.keyClass), row.key)
                hashes.initializeElement(at: number, to: hash)
                index.ask(for: hash)
            }
            for hash in hashes {
                let entry = DirectoryEntry(raw: index.entryWord(root, HashBits.directoryIndex(hash, depth)).acquire())
                guard index.isValid(entry) else { continue }
                let want = HashBits.fingerprint(hash, depth: entry.depth) &<< 2
                for number in 0..<IndexLayout.slotsPerBucket {
                    let slot = Slot(raw: index.slotWord(entry.page, HashBits.home(hash), number).relaxed())
                    if slot.raw &>> 40 == want { log.fetch(PackedPosition.complete(slot.low, around: tail)) }
                }
            }
        }
    }
}

extension Log {
    /// Asks for the first three cache lines of a record, if one can lie there, and waits for none of them.
    @inline(__always)
    fileprivate func fetch(_ position: Position) {
        let window = self.window
        guard position >= window.start, position < window.end,
            // As where a record is read: what is mapped behind it ends at a multiple of the greatest length.
            Int(SegmentHeader.maximumLength) &- Int(position & UInt64(SegmentHeader.maximumLength &- 1)) >= 256
        else { return }
        let start = UnsafeMutableRawPointer(bitPattern: UInt(bitPattern: window.address(position)) & ~7)
            .unsafelyUnwrapped
        for line in 0..<3 {
            _ = (start + 64 &* line).assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(ordering: .relaxed)
        }
    }
}
