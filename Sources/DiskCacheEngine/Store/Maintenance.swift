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

    @inline(never)
    private func wakeMaintenance() {
        isDirty.store(1, ordering: .relaxed)
        maintenance.withLock { token in
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
        let interval = UInt64(max((try? currentSettings())?.syncInterval ?? 1_000_000, 1000)) &* 1000
        // A write just now asks for a sync an interval from now.
        if isDirty.exchange(2, ordering: .acquiringAndReleasing) == 1 { return now &+ interval }
        isDirty.store(0, ordering: .releasing)
        do throws(EngineError) {
            // Without waiting for another process's sync: this thread serves every store.
            if durability != .none { try sync(timeout: 0) }
            try dropDead()
            try keepSpare()
            unlinkSpared(evenIfNeeded: false)
            try maintainTrees()
            try sweep()
        } catch {
            // The next writer is told by the poison; anything else is tried again.
            if error.code != .poisoned && block.poison.relaxed() == 0 {
                isDirty.store(2, ordering: .relaxed)
                return now &+ interval
            }
        }
        let waits = awaitsSnapshots.exchange(false, ordering: .relaxed) || ReaderPins.waiting != 0
        return waits ? now &+ interval : nil
    }

    /// Makes everything durable that is committed now. Waits for the disk; other writers go on meanwhile.
    ///
    /// Syncs are taken one at a time among processes, by flock on `sync`. A sync that fails poisons the store: a second try could
    /// be told "done" while the pages are lost (P5).
    ///
    /// Waits for another's sync `timeout` nanoseconds at most; then it throws `timeout`.
    public func sync(timeout: UInt64 = 60_000_000_000) throws(EngineError) {
        let covered = CommitBlock.tail(block.word.acquire())
        let file: FileDescriptor
        do throws(SystemError) {
            file = try syncFile()
        } catch {
            throw EngineError(error)
        }
        try withSyncLock(file, timeout) { () throws(EngineError) in
            if block.poison.acquire() != 0 { throw poisoned() }
            if block.synced.acquire() >= covered { return }
            try syncNow()
        }
    }

    private func syncFile() throws(SystemError) -> FileDescriptor {
        do throws(SystemError) {
            return try files.open("sync", in: directory, [.write])
        } catch {
            if error.errno != ErrorNumber.notFound { throw error }
        }
        return try files.open("sync", in: directory, [.write, .create])
    }

    /// An open file a call: two threads exclude each other as two processes do.
    private func withSyncLock(
        _ file: FileDescriptor, _ timeout: UInt64, _ body: () throws(EngineError) -> Void
    ) throws(EngineError) {
        ForkGuard.register(file)
        defer { ForkGuard.unregister(file) }
        var pause: UInt64 = 20_000
        let begun = SystemCalls.monotonicClock()
        while try !files.lockOrThrow(file, .exclusive) {
            if SystemCalls.monotonicClock() &- begun >= timeout {
                throw EngineError(.timeout, "another process's sync took too long to wait for", path: file.path)
            }
            SystemCalls.sleep(nanoseconds: pause)
            pause = min(pause * 2, 1_000_000)
        }
        defer { _ = try? files.lock(file, .unlock) }
        try body()
    }

    /// Failures of opening and mapping, before anything was asked of the disk: nothing is in doubt, and the next sync does it all.
    private static func isHarmless(_ error: SystemError) -> Bool {
        [
            ErrorNumber.tooManyOpenFiles, ErrorNumber.tooManyOpenFilesInSystem, ErrorNumber.noMemory,
            ErrorNumber.notFound,
            ErrorNumber.accessDenied, ErrorNumber.notPermitted,
        ].contains(error.errno)
    }

    private func syncNow() throws(EngineError) {
        FaultPoint.reach(.syncBegun)
        // Before T: no more than what that covers.
        let deadBytes = block.deadFileBytes.relaxed()
        let state = block.read()
        let tail = CommitBlock.tail(state.word)
        let from = block.synced.relaxed()
        try log.mapNewSegments(upTo: tail)
        block.syncing.store(1)
        do throws(SystemError) {
            let segments = try segmentsToSync(from: from, to: tail)
            if state.counters.fileBytes != 0 {
                for segment in segments {
                    try valueFiles.sync(try valueFilesNamed(in: segment, from: from, below: tail))
                }
            }
            for segment in segments {
                let window = log.window
                if segment.first >= window.start {
                    try SystemCalls.syncMapping(
                        window.address(segment.first), count: segment.mappable, segment.file.path)
                }
                try files.sync(segment.file)
            }
            try files.syncDirectory(log.directory)
            try files.syncDirectory(directory)
            // Once: whoever made the store's directory may have been killed before that was durable.
            if from == 0 { try StoreDirectory.syncDirectory("..", in: directory, files) }
        } catch {
            if Self.isHarmless(error) {
                block.syncing.store(0)
                throw EngineError(error)
            }
            block.poison.store(UInt64(UInt32(bitPattern: error.errno)) << 48 | (from >> 2) & 0xFFFF_FFFF_FFFF)
            throw EngineError(error)
        }
        FaultPoint.reach(.syncDone)
        // Dead files go before `synced` passes the records that replaced them: who is killed between begins again from `from`.
        if block.deadFiles.acquire() > from { try unlinkReplaced(from: from, to: tail) }
        block.deadFileBytes.add(0 &- deadBytes)
        block.synced.release(tail)
        block.syncing.store(0)
        block.note(.syncs)
    }

    /// The segments that hold something of a range, by their names: a later `clear` that isn't durable yet takes mappings away.
    /// One that has no name any more lies below a head that is durable.
    private func segmentsToSync(from: Position, to tail: Position) throws(SystemError) -> [Segment] {
        let mapped = log.segments
        let firsts = try files.list(log.directory).compactMap { SegmentHeader.position(ofName: $0) }.sorted()
        var found: [Segment] = []
        for (number, first) in firsts.enumerated() where first < tail {
            if number + 1 < firsts.count, firsts[number + 1] <= from { continue }
            if let segment = mapped.first(where: { $0.first == first }) {
                found.append(segment)
            } else if case .segment(let segment) = try Segment.open(
                first, in: log.directory, files: files, storeID: identity.storeID, salt: identity.salt, writable: true)
            {
                found.append(segment)
            }
        }
        return found.filter { $0.limit > from }
    }

    /// Unlinks the files that committed records of a range replaced; if there was a `clear`, all that are named below it. While a
    /// snapshot is being read they are spared for later: a snapshot that begins after this needs none of them.
    private func unlinkReplaced(from: Position, to tail: Position) throws(EngineError) {
        var names: [ValueFileName] = []
        try collectReplaced(from: from, to: tail, &names)
        if names.isEmpty { return }
        if snapshotLock.earlierAreOver() {
            for name in names { unlink(name) }
        } else {
            let dead = names
            spared.withLock { $0 += dead }
            awaitsSnapshots.store(true, ordering: .relaxed)
        }
    }

    /// Unlinks what was spared for snapshots.
    func unlinkSpared(evenIfNeeded: Bool) {
        let names = spared.withLock { $0 }
        if names.isEmpty { return }
        guard snapshotLock.earlierAreOver() || evenIfNeeded else {
            awaitsSnapshots.store(true, ordering: .relaxed)
            return
        }
        for name in names { unlink(name) }
        spared.withLock { $0.removeFirst(min(names.count, $0.count)) }
    }

    private func collectReplaced(
        from: Position, to tail: Position, _ names: inout [ValueFileName]
    ) throws(EngineError) {
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
    }

    private func unlink(_ name: ValueFileName) {
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
        let head = block.read().head
        let below = try segmentsBelow(head)
        if below.isEmpty && block.floor.acquire() >= head { return log.dropBelow(head) }
        // Before the sync: what is replaced after it may be wanted again after a power loss.
        let names = try filesGone(in: below)
        if block.floor.acquire() < head {
            guard snapshotLock.earlierAreOver() || evenIfNeeded else {
                noteSnapshot()
                awaitsSnapshots.store(true, ordering: .relaxed)
                return
            }
            try raiseFloor(to: head)
            try vacateSlots(timeout: 10_000_000_000)
        }
        if below.isEmpty { return log.dropBelow(head) }
        if !Mutant.isPlanted(.unlinksBeforeSync) { try sync() }
        log.dropBelow(head)
        // From here on nobody can want them: no lock is needed, and that another process does the same does no harm.
        for name in names { unlink(name) }
        do throws(SystemError) {
            for first in below {
                let size = try files.status(of: SegmentHeader.name(first), in: log.directory)?.size ?? 0
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
        try lock.acquire(timeout: 10_000_000_000)
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
                names += try valueFilesNamed(in: segment, below: head)
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
            try forEachFileRecord(in: segment, below: segment.limit) { record, file in
                named.append((file.name, record.keyClass, Array(record.key)))
            }
        } catch {
            throw EngineError(error)
        }
        return named
    }

    /// The value files that a segment's records of a range name; both ends are record boundaries. Read with `pread`.
    func valueFilesNamed(
        in segment: Segment, from start: Position = 0, below end: Position
    ) throws(SystemError) -> [ValueFileName] {
        var names: [ValueFileName] = []
        try forEachFileRecord(in: segment, from: start, below: end) { _, file in names.append(file.name) }
        return names
    }

    private func forEachFileRecord(
        in segment: Segment, from start: Position = 0, below end: Position,
        _ visit: (Record, ValueFileReference) -> Void
    ) throws(SystemError) {
        let first = max(start, segment.firstRecord)
        let limit = min(end, segment.first + UInt64(segment.mappable))
        if first >= limit { return }
        let bytes = try files.read(segment.file, count: Int(limit - first), at: Int(first - segment.first))
        bytes.withUnsafeBytes { buffer in
            var offset = 0
            while offset < buffer.count,
                let record = Record(
                    at: buffer.baseAddress! + offset, position: first + UInt64(offset),
                    available: buffer.count - offset),
                record.isIntact(salt: identity.salt)
            {
                if record.kind == RecordKind.put.rawValue, ValueFormCode.isFile(record.form),
                    let file = ValueFileReference(record.value)
                {
                    visit(record, file)
                }
                offset += record.size
            }
        }
    }

    // MARK: What killed processes left

    /// Unlinks temporary files that nobody writes any more and, after a rebuild, files that no record names: once after an
    /// opening, and whenever the write lock came from another owner.
    private func sweep() throws(EngineError) {
        guard wantsSweep.exchange(false, ordering: .relaxed) else { return }
        do throws(SystemError) {
            try valueFiles.sweepTemporary()
        } catch {
            throw EngineError(error)
        }
        guard recovery != nil, !hasSweptAll.exchange(true, ordering: .relaxed) else { return }
        try sweepUnnamed()
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
        if names.isEmpty { return }
        let (begin, tail) = try settledBounds()
        let chain = try LogScanner.chain(files: files, directory: log.directory, storeID: identity.storeID)
        var isWhole = chain.gaps.allSatisfy { $0.end <= begin }
        let scanner = LogScanner(files: files, salt: identity.salt, links: chain.links, believedEnd: tail)
        try scanner.scan(from: begin) { (outcome) throws(EngineError) in
            switch outcome {
            case .record(let record):
                if ValueFormCode.isFile(record.form), let file = ValueFileReference(record.value) {
                    names.remove(file.name)
                }
            case .damaged: isWhole = false
            case .end: break
            }
        }
        // What a damaged record names may still be wanted by who repairs it.
        guard isWhole else { return }
        for name in names { unlink(name) }
    }

    /// Head and tail when nothing is under way.
    private func settledBounds() throws(EngineError) -> (head: Position, tail: Position) {
        try lock.acquire(timeout: 10_000_000_000)
        defer { lock.release() }
        if block.owner.relaxed() != lock.identity { try takeOver() }
        return (head, log.tail)
    }
}
