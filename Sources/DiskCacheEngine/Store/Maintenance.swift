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
            try dropDead()
            if durability != .none { try sync() }
        } catch {
            // Told to the next writer by the poison, or tried again at the next write.
        }
        return ReaderPins.waiting == 0 ? nil : now &+ interval
    }

    /// Makes everything durable that is committed now. Waits for the disk; other writers go on meanwhile.
    ///
    /// Syncs are taken one at a time among processes, by flock on `sync`. A sync that fails poisons the store: a second try could
    /// be told "done" while the pages are lost (P5).
    public func sync() throws(EngineError) {
        let covered = CommitBlock.tail(block.word.acquire())
        let file: FileDescriptor
        do throws(SystemError) {
            file = try syncFile()
        } catch {
            throw EngineError(error)
        }
        try withSyncLock(file) { () throws(EngineError) in
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
        _ file: FileDescriptor, _ body: () throws(EngineError) -> Void
    ) throws(EngineError) {
        ForkGuard.register(file)
        defer { ForkGuard.unregister(file) }
        var pause: UInt64 = 20_000
        while try !files.lockOrThrow(file, .exclusive) {
            SystemCalls.sleep(nanoseconds: pause)
            pause = min(pause * 2, 1_000_000)
        }
        defer { _ = try? files.lock(file, .unlock) }
        try body()
    }

    private func syncNow() throws(EngineError) {
        FaultPoint.reach(.syncBegun)
        let state = block.read()
        let tail = CommitBlock.tail(state.word)
        let from = block.synced.relaxed()
        try log.mapNewSegments(upTo: tail)
        block.syncing.store(1)
        do throws(SystemError) {
            try valueFiles.sync(try valueFilesNamed(from: from, to: tail))
            for segment in log.segments where segment.limit > from && segment.first < tail {
                let window = log.window
                if segment.first >= window.start {
                    try SystemCalls.syncMapping(
                        window.address(segment.first), count: segment.mappable, segment.file.path)
                }
                try files.sync(segment.file)
            }
            try files.syncDirectory(log.directory)
            try files.syncDirectory(directory)
        } catch {
            block.poison.store(UInt64(UInt32(bitPattern: error.errno)) << 48 | (from >> 2) & 0xFFFF_FFFF_FFFF)
            throw EngineError(error)
        }
        FaultPoint.reach(.syncDone)
        // Dead files go before `synced` passes the records that replaced them: who is killed between begins again from `from`.
        if block.deadFiles.relaxed() > from { try unlinkReplaced(from: from, to: tail) }
        block.synced.release(tail)
        block.syncing.store(0)
    }

    /// Names of the value files that records of a range carry; empty at once where the store has none.
    private func valueFilesNamed(from: Position, to tail: Position) throws(SystemError) -> [ValueFileName] {
        guard block.read().counters.fileBytes != 0 else { return [] }
        var names: [ValueFileName] = []
        do throws(EngineError) {
            try forEachCommitted(from: from, to: tail) { (record) throws(EngineError) in
                if ValueFormCode.isFile(record.form), record.kind == RecordKind.put.rawValue,
                    let file = ValueFileReference(record.value)
                {
                    names.append(file.name)
                }
            }
        } catch {
            throw SystemError(errno: error.errno ?? ErrorNumber.inputOutput, call: "scan", path: path)
        }
        // A file that a later record replaced may be gone already.
        var present: [ValueFileName] = []
        for name in names where try files.status(of: name.path, in: directory) != nil { present.append(name) }
        return present
    }

    /// Unlinks the files that committed records of a range replaced; if there was a `clear`, all that are named below it.
    private func unlinkReplaced(from: Position, to tail: Position) throws(EngineError) {
        let pin = ReaderPins.enter(ReaderPins.base)
        defer { ReaderPins.leave(pin) }
        try forEachCommitted(from: from, to: tail) { (record) throws(EngineError) in
            if record.kind == RecordKind.head.rawValue, record.valueWord == record.position {
                try unlinkFiles(below: record.position)
            }
            guard record.kind == RecordKind.put.rawValue || record.kind == RecordKind.tombstone.rawValue,
                record.previous != 0, case .record(let old) = try log.record(at: record.previous),
                old.kind == RecordKind.put.rawValue, ValueFormCode.isFile(old.form),
                let file = ValueFileReference(old.value)
            else { return }
            let keeps = ValueFormCode.isFile(record.form) && ValueFileReference(record.value)?.name == file.name
            if !keeps { unlink(file.name) }
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
    /// unlinks come back in any subset after a power loss (DESIGN 9).
    func dropDead() throws(EngineError) {
        let head = block.read().head
        try log.mapNewSegments(upTo: CommitBlock.tail(block.word.acquire()))
        let segments = log.segments
        guard let lowest = segments.first, lowest.limit <= head else {
            return try unlinkBelow(head, isSynced: false)
        }
        try sync()
        let pin = ReaderPins.enter(ReaderPins.base)
        defer { ReaderPins.leave(pin) }
        try lock.acquire(deadline: SystemCalls.monotonicClock() &+ 10_000_000_000)
        defer { lock.release() }
        if block.owner.relaxed() != lock.identity { try takeOver() }
        let now = self.head
        for segment in segments where segment.limit <= now {
            if block.deadFiles.relaxed() != 0 { try unlinkFiles(in: segment, below: now) }
        }
        if block.floor.relaxed() < now { block.floor.release(now) }
        log.dropBelow(now)
        try unlinkBelow(now, isSynced: true)
        FaultPoint.reach(.segmentsUnlinked)
    }

    /// Unlinks segment files that lie below `head` altogether: those that this process has mapped no more.
    private func unlinkBelow(_ head: Position, isSynced: Bool) throws(EngineError) {
        let mapped = Set(log.segments.map(\.first))
        guard let lowest = mapped.min() else { return }
        let dead = try Log.firsts(files, log.directory).filter {
            $0 < min(lowest, head) && !mapped.contains($0) && $0 != block.active.acquire()
        }
        if dead.isEmpty { return }
        // Past the head record, or a power loss could take that back but not the unlinks.
        if !isSynced { try sync() }
        for first in dead {
            do throws(SystemError) {
                try files.unlinkIfPresent(SegmentHeader.name(first), in: log.directory)
            } catch {
                throw EngineError(error)
            }
        }
    }

    /// Unlinks every file that a record below `head` names: of what `clear` removed. Segments below may be mapped no more, or not
    /// yet after a reopening.
    private func unlinkFiles(below head: Position) throws(EngineError) {
        let mapped = log.segments
        for segment in mapped where segment.first < head { try unlinkFiles(in: segment, below: head) }
        let lowest = min(mapped.first?.first ?? head, head)
        for first in try Log.firsts(files, log.directory) where first < lowest { try unlinkFiles(inUnmapped: first) }
    }

    private func unlinkFiles(inUnmapped first: Position) throws(EngineError) {
        let bytes: [UInt8]
        var position: Position
        do throws(SystemError) {
            guard
                case .segment(let segment) = try Segment.open(
                    first, in: log.directory, files: files, storeID: identity.storeID, salt: identity.salt, writable: true)
            else { return }
            bytes = try files.read(segment.file, count: segment.mappable, at: 0)
            position = segment.firstRecord
        } catch {
            throw EngineError(error)
        }
        bytes.withUnsafeBytes { buffer in
            while position < first + UInt64(buffer.count), let base = buffer.baseAddress {
                let offset = Int(position - first)
                guard let record = Record(at: base + offset, position: position, available: buffer.count - offset),
                    record.isIntact(salt: identity.salt)
                else { return }
                unlinkFile(of: record)
                position = record.end
            }
        }
    }

    private func unlinkFile(of record: Record) {
        guard record.kind == RecordKind.put.rawValue, ValueFormCode.isFile(record.form),
            let file = ValueFileReference(record.value)
        else { return }
        unlink(file.name)
    }

    private func unlinkFiles(in segment: Segment, below head: Position) throws(EngineError) {
        var position = segment.firstRecord
        while position < min(segment.limit, head), case .record(let record) = try log.record(at: position) {
            unlinkFile(of: record)
            position = record.end
        }
    }
}
