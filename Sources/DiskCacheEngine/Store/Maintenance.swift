import Synchronization

/// What happens behind the writers' backs: making writes durable, unlinking what nothing names any more.
///
/// One task a store on the process's `Worker`, begun by the first write. Every process that writes has one; that several do the
/// same is harmless, since syncs are taken one at a time and everything else is done under the write lock.
extension Store {
    /// *Writer.* There is something to sync. One relaxed load when the worker knows already.
    @inline(__always)
    func markDirty() {
        if isDirty.load(ordering: .relaxed) == 0 { wakeMaintenance() }
    }

    /// *Writer.* What waits for a sync is so much that it shouldn't wait for the next tick.
    @inline(never)
    func hastenSync() {
        if isHurried.load(ordering: .relaxed) { return }
        isHurried.store(true, ordering: .relaxed)
        wakeMaintenance()
    }

    /// Whether replaced value files take so much, 64 MiB or a tenth of the limit, that they are worth a sync at any durability: none goes
    /// before one.
    func hasManyDeadFiles(_ settings: Settings) -> Bool {
        guard block.deadFiles.relaxed() > block.synced.relaxed() else { return false }
        let limit = min(max(0, Int(clamping: settings.sizeLimit / 10)), Self.unsyncedLimit)
        return block.deadFileBytes.relaxed() > UInt64(limit)
    }

    /// Bytes of log, or of dead value files, from which on a sync isn't put off.
    static let unsyncedLimit = 64 << 20

    @inline(never)
    private func wakeMaintenance() {
        isDirty.store(1, ordering: .relaxed)
        maintenance.withLock { token in
            // Who closes the store has taken it already, or will.
            if isClosing { return }
            if let token {
                Worker.shared.signal(token)
            } else {
                token = Worker.shared.add { [weak self] now in self?.maintain(now) }
            }
        }
    }

    /// One turn; when the next is wanted.
    private func maintain(_ now: UInt64) -> UInt64? {
        ReaderPins.collect()
        let settings = (try? currentSettings()) ?? Settings()
        let interval = UInt64(max(settings.syncInterval, 1000)) &* 1000
        // A write just now asks for a sync an interval from now.
        let isHurried = self.isHurried.exchange(false, ordering: .relaxed)
        if isDirty.exchange(2, ordering: .acquiringAndReleasing) == 1, !isHurried { return now &+ interval }
        isDirty.store(0, ordering: .releasing)
        var (owesHints, owesViews, owesNext) = (false, false, false)
        do throws(EngineError) {
            // Without waiting for another process's sync: this thread serves every store.
            if settings.durability != .none || hasManyDeadFiles(settings) { try sync(timeout: 0) }
            try dropDead()
            try keepSpare()
            do throws(EngineError) {
                try unlinkSpared(evenIfNeeded: false, timeout: 0)
            } catch {
                if error.code != .timeout { throw error }
                awaitsSnapshots.store(true, ordering: .relaxed)
            }
            try maintainTrees()
            owesHints = writeHints()
            try sweep()
            owesViews = try renewLostViews()
            owesNext = try dropIdleNext()
        } catch {
            // The next writer is told by the poison; anything else is tried again.
            if error.code != .poisoned && block.poison.relaxed() == 0 {
                isDirty.store(2, ordering: .relaxed)
                return now &+ interval
            }
        }
        let waits = awaitsSnapshots.exchange(false, ordering: .relaxed) || ReaderPins.waiting != 0
        return waits || owesHints || owesViews || owesNext ? now &+ interval : nil
    }

    /// Takes away the segment that was made ahead when nothing was written since the last turn. True: it may be there, and that is to be
    /// looked at again.
    private func dropIdleNext() throws(EngineError) -> Bool {
        guard log.nextBytes > 0 else { return false }
        let tail = CommitBlock.tail(block.word.relaxed())
        if idleTail.exchange(tail, ordering: .relaxed) != tail { return true }
        try dropNext(1_000_000_000)
        return false
    }

    /// The files that committed records of a range replaced; if there was a `clear`, all that are named below it.
    func deadFiles(from: Position, to tail: Position) throws(EngineError) -> [ValueFileName] {
        var names: [ValueFileName] = []
        if from >= tail { return names }
        do throws(SystemError) {
            // Most stores have none, and a long range needn't be read for them.
            if try files.status(of: ValueFiles.root, in: directory) == nil { return names }
        } catch {
            throw EngineError(error)
        }
        try log.mapNewSegments(upTo: tail &- 4)
        let pin = ReaderPins.enter(ReaderPins.base)
        defer { ReaderPins.leave(pin) }
        try forEachCommitted(from: from, to: tail) { (record) throws(EngineError) in
            if record.kind == RecordKind.head.rawValue, record.valueWord == record.position {
                try collectFiles(below: record.position, &names)
            }
            guard record.kind == RecordKind.put.rawValue || record.kind == RecordKind.tombstone.rawValue,
                record.previous != 0, case .record(let old) = try log.record(at: record.previous),
                old.kind == RecordKind.put.rawValue, ValueFormCode.isFile(old.form),
                let file = ValueFileReference(old.value)
            else { return }
            let keeps = ValueFormCode.isFile(record.form) && ValueFileReference(record.value)?.name == file.name
            if !keeps { names.append(file.name) }
        }
        return names
    }

    func unlink(_ name: ValueFileName) {
        try? valueFiles.unlink(name)
        FaultPoint.reach(.deadFileUnlinked)
    }

    /// Calls `visit` with the committed, unvoided records of `from ..< tail`, a transaction at a time.
    private func forEachCommitted(
        from: Position, to tail: Position, _ visit: (Record) throws(EngineError) -> Void
    ) throws(EngineError) {
        let pin = ReaderPins.enter(ReaderPins.base)
        defer { ReaderPins.leave(pin) }
        var pending: [Record] = []
        let start = max(from, log.window.start)
        _ = try log.scanTail(from: start) { (record) throws(EngineError) in
            guard record.position < tail else { return }
            if record.kind == RecordKind.void.rawValue {
                let voided = record.valueWord
                pending.removeAll { $0.position >= voided }
            }
            pending.append(record)
            if record.isCommit {
                for item in pending { try visit(item) }
                pending.removeAll(keepingCapacity: true)
            }
        }
    }

    // MARK: Behind the head

    /// Takes away what lies below the head (after `clear`): value files, then segments; after a sync past the head record, since
    /// unlinks come back in any subset after a power loss (DESIGN 9). Whoever did the `clear` may have died before this, so the
    /// files decide, not what this process has mapped.
    ///
    /// While a snapshot may need it, it stays; `evenIfNeeded`: the space is needed more, and such a snapshot says that it has expired.
    func dropDead(evenIfNeeded: Bool = false) throws(EngineError) {
        let state = block.read()
        // A head that was flipped in memory would take the whole log away.
        guard state.isIntact else { return }
        let head = state.head
        let below = try segmentsBelow(head)
        if below.isEmpty && block.floor.acquire() >= head && !owesVacating.load(ordering: .relaxed) {
            return log.dropBelow(head)
        }
        // Before the sync: what is replaced after it may be wanted again after a power loss.
        let names = try filesGone(in: below)
        if block.floor.acquire() < head {
            guard snapshotLock.earlierAreOver() || evenIfNeeded else {
                noteSnapshot()
                awaitsSnapshots.store(true, ordering: .relaxed)
                return
            }
            try raiseFloor(to: head)
            owesVacating.store(true, ordering: .relaxed)
        }
        if owesVacating.exchange(false, ordering: .relaxed) {
            do throws(EngineError) {
                try vacateSlots(timeout: 10_000_000_000)
            } catch {
                owesVacating.store(true, ordering: .relaxed)
                throw error
            }
        }
        if below.isEmpty { return log.dropBelow(head) }
        if !Mutant.isPlanted(.unlinksBeforeSync) { try sync() }
        log.dropBelow(head)
        // From here on nobody can want them: no lock is needed, and that another process does the same does no harm.
        for name in names { unlink(name) }
        do throws(SystemError) {
            for first in below {
                let size = try files.status(of: SegmentHeader.name(first), in: log.directory)?.size ?? 0
                try files.unlinkIfPresent(SegmentHint.name(first), in: log.directory)
                try files.unlinkIfPresent(SegmentHeader.name(first), in: log.directory)
                FaultPoint.reach(.segmentUnlinked)
                block.note(.compactedBytes, UInt64(size))
            }
        } catch {
            throw EngineError(error)
        }
        FaultPoint.reach(.segmentsUnlinked)
    }

    /// First positions of the segments that lie below the head altogether.
    private func segmentsBelow(_ head: Position) throws(EngineError) -> [Position] {
        if head == 0 { return [] }
        let firsts = try Log.firsts(files, log.directory)
        guard let holding = firsts.last(where: { $0 <= head }) else { return [] }
        return firsts.filter { $0 < holding }
    }

    /// What lies below `head` can't be had any more: known before a slot that names it is vacated and before its file goes.
    func raiseFloor(to head: Position) throws(EngineError) {
        try lock.acquire(timeout: 10_000_000_000, inGap: true)
        defer { lock.release() }
        if block.owner.relaxed() != lock.identity { try takeOver() }
        if block.floor.relaxed() < head { block.floor.release(head) }
    }

    /// Every file that a record below `head` names, mapped or not: after a reopening what `clear` removed isn't mapped.
    private func collectFiles(below head: Position, _ names: inout [ValueFileName]) throws(EngineError) {
        let firsts = try Log.firsts(files, log.directory)
        do throws(SystemError) {
            for first in firsts where first < head {
                let opened = try Segment.open(
                    first, in: log.directory, files: files, storeID: identity.storeID, salt: identity.salt,
                    writable: false)
                guard case .segment(let segment) = opened else { continue }
                names += try syncRange.files(in: segment, below: head).map(\.name)
            }
        } catch {
            throw EngineError(error)
        }
    }

    /// The value files that are named in these segments and that their keys don't name any more: what compaction copied keeps
    /// its file.
    private func filesGone(in below: [Position]) throws(EngineError) -> [ValueFileName] {
        let pin = ReaderPins.enter(ReaderPins.base)
        defer { ReaderPins.leave(pin) }
        var gone: [ValueFileName] = []
        do throws(SystemError) {
            if try files.status(of: ValueFiles.root, in: directory) == nil { return [] }
        } catch {
            throw EngineError(error)
        }
        for first in below {
            let segment: Segment
            do throws(SystemError) {
                let opened = try Segment.open(
                    first, in: log.directory, files: files, storeID: identity.storeID, salt: identity.salt,
                    writable: false)
                guard case .segment(let found) = opened else { continue }
                segment = found
            } catch {
                throw EngineError(error)
            }
            // By what the files say, as after a reopening they aren't mapped.
            let named = try namedFiles(in: segment)
            for (name, keyClass, key) in named {
                let now = key.withUnsafeBytes { key -> Result<ValueFileName?, EngineError> in
                    do throws(EngineError) {
                        guard let row = try find(keyClass, key), ValueFormCode.isFile(row.form) else {
                            return .success(nil)
                        }
                        return .success(ValueFileReference(row.value)?.name)
                    } catch {
                        return .failure(error)
                    }
                }
                if try now.get() != name { gone.append(name) }
            }
        }
        return gone
    }

    private func namedFiles(
        in segment: Segment
    ) throws(EngineError) -> [(name: ValueFileName, keyClass: UInt8, key: [UInt8])] {
        var named: [(name: ValueFileName, keyClass: UInt8, key: [UInt8])] = []
        do throws(SystemError) {
            try syncRange.forEachFileRecord(in: segment, below: segment.limit) { record, file in
                named.append((file.name, record.keyClass, Array(record.key)))
            }
        } catch {
            throw EngineError(error)
        }
        return named
    }

    // MARK: What killed processes left

    /// Unlinks temporary files that nobody writes any more and, if nobody has done that since a rebuild, files that no record names:
    /// once after an opening, and whenever the write lock came from another owner.
    private func sweep() throws(EngineError) {
        guard wantsSweep.exchange(false, ordering: .relaxed) else { return }
        do throws(SystemError) {
            try valueFiles.sweepTemporary()
        } catch {
            throw EngineError(error)
        }
        if block.unswept.acquire() != 0 { try sweepUnnamed() }
    }

    /// A file in place has a record in the log before it has its name: so whatever is listed first, and then not met up to a tail
    /// that is looked up under the lock afterwards, belongs to nobody.
    func sweepUnnamed() throws(EngineError) {
        var names: Set<ValueFileName>
        do throws(SystemError) {
            names = Set(try valueFiles.list())
        } catch {
            throw EngineError(error)
        }
        if names.isEmpty { return block.unswept.store(0) }
        let (begin, tail) = try settledBounds()
        let chain = try LogScanner.chain(
            files: files, directory: log.directory, storeID: identity.storeID, head: begin)
        var isWhole = chain.gaps.allSatisfy { $0.end <= begin }
        let scanner = LogScanner(files: files, salt: identity.salt, links: chain.links, believedEnd: tail)
        try scanner.scan(from: begin) { (outcome) throws(EngineError) in
            switch outcome {
            case .record(let record):
                if ValueFormCode.isFile(record.form), let file = ValueFileReference(record.value) {
                    names.remove(file.name)
                }
            case .damaged: isWhole = false
            case .hinted, .end: break
            }
        }
        // What a cleared record names, a snapshot may be reading.
        guard snapshotLock.earlierAreOver() else {
            wantsSweep.store(true, ordering: .relaxed)
            awaitsSnapshots.store(true, ordering: .relaxed)
            return
        }
        // What a damaged record names may still be wanted by who repairs it.
        if isWhole {
            for name in names { unlink(name) }
        }
        block.unswept.store(0)
    }

    /// Head and tail when nothing is under way.
    private func settledBounds() throws(EngineError) -> (head: Position, tail: Position) {
        try lock.acquire(timeout: 10_000_000_000)
        defer { lock.release() }
        if block.owner.relaxed() != lock.identity { try takeOver() }
        return (head, log.tail)
    }
}
