import Synchronization

/// Making committed writes durable (DESIGN 4).
///
/// Syncs are taken one at a time, the write lock let go: by a queue among the threads of a process, by flock on `sync` among processes.
/// Whoever waited looks first whether the sync that went before covers what it wants, so writers that commit at the same time share one.
///
/// A sync that fails **poisons** the store, since a second try could be told "done" while the pages are lost (P5): every process stops
/// writing, reads go on, and the next opener that is alone stores the range anew (`Store.cure`). `syncing` is 1 while one is under way:
/// who finds it so knows that its owner was killed, perhaps after an error that nobody was told, and stores the range anew as well.
extension Store {
    var syncRange: SyncRange { SyncRange(log: log, directory: directory, valueFiles: valueFiles) }

    /// Makes everything durable that is committed now. Waits for the disk; other writers go on meanwhile.
    ///
    /// Waits for others' syncs `timeout` nanoseconds at most; then it throws `timeout`. Throws `poisoned` once a sync has failed.
    public func sync(timeout: UInt64 = 60_000_000_000) throws(EngineError) {
        try sync(covering: CommitBlock.tail(block.word.acquire()), timeout: timeout)
    }

    /// Returns when everything below `tail`, the end of a transaction, is durable.
    @inline(never)
    func sync(covering tail: Position, timeout: UInt64 = 60_000_000_000) throws(EngineError) {
        do throws(EngineError) {
            try withSyncLock(timeout: timeout, unless: { () throws(EngineError) in try isDurable(tail) }, syncNow)
        } catch {
            throw unlessRemoved(error)
        }
    }

    /// An error, or `directoryRemoved` if that is why something wasn't there.
    func unlessRemoved(_ error: EngineError) -> EngineError {
        guard error.code == .io, error.errno == ErrorNumber.notFound, (try? files.status(openFile))?.links == 0 else {
            return error
        }
        return EngineError(
            .directoryRemoved, "the directory of the store was removed; open another store", path: path)
    }

    /// Does `body` with the lock on `sync`, unless another has done what was wanted meanwhile.
    private func withSyncLock(
        timeout: UInt64, unless isDone: () throws(EngineError) -> Bool, _ body: () throws(EngineError) -> Void
    ) throws(EngineError) {
        if try isDone() { return }
        let sum = SystemCalls.monotonicClock().addingReportingOverflow(timeout)
        let deadline = sum.overflow ? UInt64.max : sum.partialValue
        guard syncQueue.tryAcquire() || syncQueue.acquire(deadline: deadline) else { throw syncTimeout() }
        defer { syncQueue.release() }
        if try isDone() { return }
        let file = try syncFile()
        ForkGuard.register(file)
        defer { ForkGuard.unregister(file) }
        var pause: UInt64 = 20_000
        while try !files.lockOrThrow(file, .exclusive) {
            if SystemCalls.monotonicClock() >= deadline { throw syncTimeout() }
            SystemCalls.sleep(nanoseconds: pause)
            pause = min(pause * 2, 200_000)
            if try isDone() { return }
        }
        defer { _ = try? files.lock(file, .unlock) }
        if try isDone() { return }
        try body()
    }

    /// Poison first: whether what a failed sync was to cover is there, nobody knows.
    @inline(__always)
    private func isDurable(_ tail: Position) throws(EngineError) -> Bool {
        if block.poison.acquire() != 0 { throw poisoned() }
        return block.synced.acquire() >= tail
    }

    private func syncFile() throws(EngineError) -> FileDescriptor {
        do throws(SystemError) {
            do throws(SystemError) {
                return try files.open("sync", in: directory, [.write])
            } catch {
                if error.errno != ErrorNumber.notFound { throw error }
            }
            return try files.open("sync", in: directory, [.write, .create])
        } catch {
            throw EngineError(error)
        }
    }

    private func syncTimeout() -> EngineError {
        EngineError(
            .timeout,
            "another process's sync took too long to wait for; what was written is visible, but perhaps not durable",
            path: path + "/sync")
    }

    func poisoned() -> EngineError {
        let errno = Int32(truncatingIfNeeded: block.poison.relaxed() >> 48)
        return EngineError(
            .poisoned,
            "a sync failed (errno \(errno)), so nothing is written any more; close the store in every process and open it again, which stores anew what the disk may lack",
            path: path, errno: errno)
    }

    /// *With the lock on `sync`.*
    private func syncNow() throws(EngineError) {
        FaultPoint.reach(.syncBegun)
        // Before T: no more than what that covers.
        let deadBytes = block.deadFileBytes.relaxed()
        let tail = CommitBlock.tail(block.word.acquire())
        let from = block.synced.relaxed()
        try log.mapNewSegments(upTo: tail &- 4)
        let range = syncRange
        let replaced = block.deadFiles.acquire() > from ? try deadFiles(from: from, to: tail) : []
        if block.syncing.relaxed() != 0 { try storeAnew(range, from: from, to: tail) }
        block.syncing.store(1)
        do throws(SyncRange.Failure) {
            try range.sync(from: from, to: tail, except: Set(replaced))
        } catch {
            if error.isInDoubt {
                poison(error.error, from: from)
            } else {
                block.syncing.store(0)
            }
            throw EngineError(error.error)
        }
        FaultPoint.reach(.syncDone)
        // Dead files go before `synced` passes the records that replaced them, or `deadFrom` tells of them: who is killed between begins
        // again from `from`.
        if !replaced.isEmpty { unlinkReplaced(replaced, from: from) }
        block.deadFileBytes.add(0 &- deadBytes)
        block.synced.release(tail)
        log.letGoOfFiles(below: tail)
        block.syncing.store(0)
        block.note(.syncs)
    }

    /// Unlinks the files that committed records from `from` on replaced; if there was a `clear`, all that are named below it. While a
    /// snapshot is being read they are spared for later: a snapshot that begins after this needs none of them.
    private func unlinkReplaced(_ names: [ValueFileName], from: Position) {
        if snapshotLock.earlierAreOver() {
            for name in names { unlink(name) }
            return
        }
        let before = block.deadFrom.relaxed()
        // No log begins below that.
        block.deadFrom.store(max(before == 0 ? from : min(before, from), UInt64(SegmentHeader.granule)))
        awaitsSnapshots.store(true, ordering: .relaxed)
    }

    /// Unlinks what was spared for snapshots, by whichever process, if that isn't needed any more, or `evenIfNeeded`.
    func unlinkSpared(evenIfNeeded: Bool, timeout: UInt64 = 60_000_000_000) throws(EngineError) {
        let (start, end) = (block.deadFrom.acquire(), block.synced.acquire())
        if start == 0 || !mayUnlink(evenIfNeeded) { return }
        // What may be long without the lock.
        let names = try deadFiles(from: start, to: end)
        try withSyncLock(timeout: timeout, unless: { block.deadFrom.acquire() == 0 }) { () throws(EngineError) in
            // A snapshot that began since may need what `synced` has passed since; no later one does, while that stays where it is.
            guard mayUnlink(evenIfNeeded) else { return }
            for name in names { unlink(name) }
            for name in try deadFiles(from: max(start, end), to: block.synced.relaxed()) { unlink(name) }
            block.deadFrom.store(0)
        }
    }

    private func mayUnlink(_ evenIfNeeded: Bool) -> Bool {
        if snapshotLock.earlierAreOver() || evenIfNeeded { return true }
        awaitsSnapshots.store(true, ordering: .relaxed)
        return false
    }

    /// After a sync whose owner died: perhaps it was told of an error, which nobody else is told.
    private func storeAnew(_ range: SyncRange, from: Position, to tail: Position) throws(EngineError) {
        do throws(SystemError) {
            guard try range.storeAnew(from: from, to: tail) >= tail else {
                throw SystemError(errno: ErrorNumber.inputOutput, call: "the log's check", path: path + "/log")
            }
            FaultPoint.reach(.storedAnew)
        } catch {
            poison(error, from: from)
            throw EngineError(error)
        }
    }

    private func poison(_ error: SystemError, from: Position) {
        block.poison.release(UInt64(UInt32(bitPattern: error.errno)) << 48 | (from >> 2) & 0xFFFF_FFFF_FFFF)
    }

    // MARK: Lifting a poison

    /// *Alone, under the write lock, while opening, in the boot in which a sync failed.* Stores everything anew that the sync was to
    /// cover, up to the first bad record, and syncs it on fresh descriptors. Where that began: the views must be made again from there,
    /// since what was lost of them nobody knows. nil: it failed, and the store stays poisoned.
    static func cure(_ block: CommitBlock, _ range: SyncRange) -> Position? {
        let tail = CommitBlock.tail(block.word.acquire())
        let from = min(block.synced.acquire(), (block.poison.acquire() & 0xFFFF_FFFF_FFFF) << 2, tail)
        guard let end = try? range.storeAnew(from: from, to: tail) else { return nil }
        FaultPoint.reach(.storedAnew)
        guard (try? range.sync(from: from, to: end)) != nil else { return nil }
        return from
    }
}
