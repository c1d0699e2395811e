extension Store {
    /// Whether a look-up of a key would read nothing that isn't in memory, as far as one can tell: no page of the index, no record, and no
    /// file of its own. It walks as `look` does, believes everything, and is wrong at worst.
    func isInMemory(_ keyClass: UInt8, _ key: UnsafeRawBufferPointer) -> Bool {
        let hash = self.hash(KeyClass.identity(keyClass), key)
        let memory = Residency()
        let index = indexView
        guard index.generation == block.indexGeneration.acquire() else { return false }
        let root = index.root.acquire()
        guard index.isValid(root: root) else { return false }
        let entryWord = index.entryWord(root, HashBits.directoryIndex(hash, HashIndex.depth(ofRoot: root)))
        guard memory.has(entryWord.address, count: 4) else { return false }
        let entry = DirectoryEntry(raw: entryWord.acquire())
        guard index.isValid(entry) else { return false }
        let fingerprint = HashBits.fingerprint(hash, depth: entry.depth)
        let step = HashBits.step(fingerprint)
        var bucket = HashBits.home(hash)
        let tail = CommitBlock.tail(block.word.acquire())
        for displacement in 0..<IndexLayout.probes {
            // A bucket is a line, so it lies in one page.
            guard memory.has(index.slotWord(entry.page, bucket, 0).address, count: 1) else { return false }
            var isLast = false
            for place in 0..<IndexLayout.slotsPerBucket {
                let slot = Slot(raw: index.slotWord(entry.page, bucket, place).relaxed())
                if slot.raw == Slot.neverUsed { isLast = true }
                if slot.isFree || slot.raw &>> 40 != fingerprint &<< 2 | UInt64(displacement) { continue }
                guard isRecordInMemory(PackedPosition.complete(slot.low, around: tail), memory) else { return false }
            }
            if isLast { return true }
            bucket = HashBits.bucket(bucket, step, 1)
        }
        return true
    }

    /// Larger records are read elsewhere anyhow: to check and decode them takes its time.
    private static let largest = 1 << 16

    private func isRecordInMemory(_ position: Position, _ memory: Residency) -> Bool {
        let window = log.window
        let room = Int(SegmentHeader.maximumLength) - Int(position & UInt64(SegmentHeader.maximumLength - 1))
        guard position >= window.start, position < window.end else { return false }
        let address = UnsafeRawPointer(window.address(position))
        // The look-up itself asks for the first lines, whatever the record's size is.
        guard memory.has(address, count: min(256, room)),
            let record = Record(at: address, position: position, available: room)
        else { return false }
        return record.size <= Self.largest && !ValueFormCode.isFile(record.form)
            && memory.has(address, count: record.size)
    }
}

extension StoreHandle {
    /// Whether a look-up of a key would read nothing that isn't in memory; false too if the store isn't open.
    public func isInMemory(_ keyClass: UInt8, _ key: UnsafeRawBufferPointer) -> Bool {
        guard isOpen, let access = try? beginAccess() else { return false }
        defer { end(access) }
        return access.store._withUnsafeGuaranteedRef { $0.isInMemory(keyClass, key) }
    }
}
