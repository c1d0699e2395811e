import Synchronization

/// Keeping what the store takes on disk within its bound (DESIGN 6.3, 9).
///
/// The rows are within three quarters of the limit by culling; the rest is for what isn't live any more, and goes here: from the head
/// of the log, a segment at a time. What its slots still name is copied to the end, then a head record says where the log begins,
/// and, when that is durable, the files go (`dropDead`). The worker begins when an eighth of the bound is left; a writer that finds a
/// sixteenth left does it itself before it returns, so that no writer outruns it.
extension Store {
    /// Bytes that a store with these settings may take.
    static func bound(_ settings: Settings) -> Int { Int(clamping: max(settings.sizeLimit, 4 << 20)) }

    /// *Writer.* What the store takes, without asking for every file. One listing of the log's directory if a segment was unlinked since
    /// the last look, by whomever; one that isn't noticed makes it too much.
    func estimatedVolume() -> Int {
        if let segment = lowestSegment() { noteLowest(segment) }
        let lowest = eviction.lowest
        // The newest segment is allocated in steps, by other processes too.
        var end = max(log.active?.limit ?? lowest, lowest)
        if !log.isAllocated { end = max(lowest, min(end, max(log.tail, log.allocatedEnd) &+ log.step)) }
        let log = Int(clamping: end - lowest)
        let index = self.index.filePages * IndexLayout.pageSize
        return log + self.log.preparedBytes() + index * (eviction.keepsStamps ? 2 : 1)
            + CommitBlock.fileSize + treeBytes()
            + counters.bytesOfFiles + Int(min(transaction.replacedBytes, CommitBlock.mostBytes)) + block.deadBytes
    }

    /// The lowest segment that has a name.
    private struct LowestSegment {
        /// nil: it wasn't found.
        var first: Position?
        /// Bytes of segments that had been unlinked when the directory was listed; `.max`: to be listed again.
        var unlinked: UInt64
    }

    /// Lists the log's directory; nil: no segment was unlinked since that was done. Needs no lock.
    private func lowestSegment() -> LowestSegment? {
        let unlinked = block.metrics().compactedBytes
        if eviction.unlinked.load(ordering: .relaxed) == unlinked { return nil }
        let first = (try? Log.firsts(files, log.directory))?.first
        return LowestSegment(first: first, unlinked: first == nil ? .max : unlinked)
    }

    /// *Writer.* One that was listed earlier than another that is noted already makes the volume too much, until the next look.
    private func noteLowest(_ segment: LowestSegment) {
        eviction.lowest = segment.first ?? log.activeFirst
        eviction.unlinked.store(segment.unlinked, ordering: .relaxed)
    }

    /// *Writer.* Looks at what the store takes; asks for room if that comes near the bound.
    @inline(never)
    func watchVolume() {
        guard Self.isBound(settings) else {
            eviction.checkpoint = .max
            return
        }
        let bound = Self.bound(settings)
        // Several processes may come as far beyond the last look at once.
        eviction.checkpoint = log.tail &+ UInt64(max(bound / 256, 16 << 10))
        let volume = estimatedVolume()
        if volume > bound - bound / 16 {
            eviction.toll = EvictionState.makesRoom
        } else if volume > bound - bound / 8, !eviction.wantsReclaiming.exchange(true, ordering: .relaxed) {
            signalEviction()
        }
    }

    /// *Writer, with a value file.* As a put does where the log grows: files grow without it.
    func watchFiles(adding bytes: UInt64) {
        eviction.fileBytes &+= bytes
        guard eviction.capacity != .max, eviction.fileBytes > UInt64(Self.bound(settings) / 256) else { return }
        eviction.fileBytes = 0
        watchVolume()
    }

    /// Waits a little, so that compaction keeps up, or makes room, in the thread of the writer that found that there is little; the lock
    /// is let go.
    @inline(never)
    package func pay(_ toll: UInt64) {
        // Not in a transaction of its own work.
        if toll == 0 || eviction.reclaiming.isHeldByThisThread { return }
        if toll != EvictionState.makesRoom { return SystemCalls.sleep(nanoseconds: toll) }
        // What goes wrong here isn't the writer's fault: the next one meets it where it matters.
        try? makeRoom()
    }

    /// *Maintenance thread.* Gives back garbage as far as the limits say, unless somebody else does already.
    func reclaim() throws(EngineError) {
        let space = try measure(Self.compactionTimeout)
        guard let limits = space.limits, space.volume > limits.backgroundGoal else { return }
        _ = try reclaim(
            downTo: limits.backgroundGoal, isUrgent: false, sparesSnapshots: !limits.isSizeLimit, waiting: 0,
            timeout: Self.compactionTimeout)
    }

    /// Gives back just enough garbage for writers to go on; or waits until whoever compacts already has given back so much, which goes by
    /// segments: what that does besides nobody waits for.
    private func makeRoom() throws(EngineError) {
        let until = deadline(Self.compactionTimeout)
        while SystemCalls.monotonicClock() < until {
            let space = try measure(Self.compactionTimeout)
            // The segment between is what whoever compacts may copy before anything goes.
            guard let limits = space.limits, space.volume > limits.urgentGoal else { return }
            let isDone = try reclaim(
                downTo: limits.urgentGoal, isUrgent: true, sparesSnapshots: !limits.isSizeLimit, waiting: 1_000_000,
                timeout: Self.compactionTimeout)
            if isDone { return }
        }
    }

    /// Nanoseconds.
    private static var compactionTimeout: UInt64 { 10_000_000_000 }

    /// Gives back garbage until the store takes its limit at most.
    func reclaimAll(timeout: UInt64) throws(EngineError) {
        let bound = try write(timeout: timeout) { () throws(EngineError) in Self.bound(settings) }
        guard
            try reclaim(
                downTo: bound - bound / 16, isUrgent: true, sparesSnapshots: false, waiting: timeout, timeout: timeout)
        else { throw compactionTimedOut() }
    }

    func compactionTimedOut() -> EngineError {
        EngineError(.timeout, "another thread or process is compacting the store", path: path)
    }

    private struct Space {
        var volume: Int
        var limits: SpaceLimits?
        var segment: Int
        var tail: Position
        /// Whether the segment is still the newest for whose successor was asked.
        var awaitsNext: Bool
    }

    private func measure(_ timeout: UInt64) throws(EngineError) -> Space {
        // Before the lock is taken: nobody waits for that.
        let segment = lowestSegment()
        return try write(timeout: timeout, inGap: true) { () throws(EngineError) in
            if let segment { noteLowest(segment) }
            return Space(
                volume: estimatedVolume(), limits: spaceLimits(), segment: segmentLength, tail: log.tail,
                awaitsNext: log.activeFirst == log.askedNextAt)
        }
    }

    /// False: another thread or process compacts, and didn't end while this one waited.
    private func reclaim(
        downTo goal: Int, isUrgent: Bool, sparesSnapshots: Bool, waiting: UInt64, timeout: UInt64
    ) throws(EngineError) -> Bool {
        try withCompactionLock(waiting: waiting, timeout) { () throws(EngineError) in
            var space = try measure(timeout)
            if space.volume <= goal { return }
            let evenIfNeeded = isUrgent && !sparesSnapshots
            try dropDead(evenIfNeeded: evenIfNeeded)
            if block.deadFiles.acquire() > block.synced.acquire() { try sync() }
            try unlinkSpared(evenIfNeeded: evenIfNeeded)
            space = try measure(timeout)
            let last = space.tail
            defer { eviction.promised.store(0, ordering: .relaxed) }
            // While a snapshot keeps what lies below the head, to move that on would gain nothing.
            while space.volume > goal, !isClosing, block.floor.acquire() >= block.read().head {
                let begun = SystemCalls.monotonicClock()
                let room = max(space.segment, ((space.limits?.urgent ?? 0) - space.volume) / 2)
                guard
                    let gained = try compactHead(
                        freeing: space.volume - goal, copying: room, below: last, evenIfNeeded: evenIfNeeded,
                        preparesNext: !isUrgent, timeout: timeout)
                else { break }
                try dropDead(evenIfNeeded: evenIfNeeded)
                noteRound(gained, begun: begun)
                space = try measure(timeout)
            }
            if isUrgent, space.volume > goal {
                try dropNext(timeout)
                if log.isSpareNeedless {
                    try write(timeout: timeout) { () throws(EngineError) in try? log.dropSpare() }
                }
            }
            if isUrgent || isClosing { return }
            try compactViews(timeout: timeout)
        }
    }

    /// Runs `body` while no other thread or process compacts; false if one does for all of the nanoseconds that this one waits.
    func withCompactionLock(
        waiting: UInt64, _ timeout: UInt64, _ body: () throws(EngineError) -> Void
    ) throws(EngineError) -> Bool {
        let until = deadline(waiting)
        // One thread of the process; what another has freed is seen by measuring again.
        guard eviction.reclaiming.tryAcquire() || eviction.reclaiming.acquire(deadline: until) else { return false }
        defer { eviction.reclaiming.release() }
        let pin = ReaderPins.enter(ReaderPins.base)
        defer { ReaderPins.leave(pin) }
        // One process too: else each would copy what the others have begun with, and more.
        guard let file = try compactionLock(until: until) else { return false }
        defer {
            _ = try? files.lock(file, .unlock)
            ForkGuard.unregister(file)
        }
        try body()
        if log.isSpareTooMuch { try write(timeout: timeout) { () throws(EngineError) in try? log.dropSpare() } }
        if log.wantsSpare { try makeSpare(timeout) }
        return true
    }

    /// The caller has the compaction lock.
    private func makeSpare(_ timeout: UInt64) throws(EngineError) {
        _ = try log.makeSpare { (install) throws(EngineError) in try changeFiles(timeout, install) }
    }

    /// Changes names in the log's directory under the write lock.
    private func changeFiles(
        _ timeout: UInt64, _ change: () throws(SystemError) -> Void
    ) throws(EngineError) {
        try write(timeout: timeout) { () throws(EngineError) in
            do throws(SystemError) {
                try change()
            } catch {
                throw EngineError(error)
            }
        }
    }

    /// *Maintenance thread.* Makes the next segment, if it is asked for. Where somebody compacts, that does it between two batches.
    func keepNext() throws(EngineError) {
        if log.wantsNext.load(ordering: .relaxed) {
            _ = try withCompactionLock(waiting: 0, 1_000_000_000) { () throws(EngineError) in
                try prepareNext(1_000_000_000)
            }
        }
    }

    /// The caller has the compaction lock.
    func prepareNext(_ timeout: UInt64) throws(EngineError) {
        guard !isClosing, log.wantsNext.exchange(false, ordering: .relaxed) else { return }
        let space = try measure(timeout)
        // It is no more than garbage where there is little room. What was asked for long ago isn't wanted any more.
        if !space.awaitsNext { return }
        if let limits = space.limits, space.volume + log.nextLength > limits.urgent { return }
        do throws(SystemError) {
            // So that the maintenance thread comes by when nothing is written any more.
            if try log.prepareNext(while: { !isClosing }) { markDirty() }
        } catch {
            throw EngineError(error)
        }
    }

    /// Gives back what the next segment takes.
    func dropNext(_ timeout: UInt64) throws(EngineError) {
        log.wantsNext.store(false, ordering: .relaxed)
        guard log.nextBytes > 0 else { return }
        try changeFiles(timeout) { () throws(SystemError) in try log.dropNext() }
    }

    /// *Maintenance thread.* Keeps a spare for the time when the disk is full.
    func keepSpare() throws(EngineError) {
        if log.wantsSpare {
            _ = try withCompactionLock(waiting: 0, 1_000_000_000) { () throws(EngineError) in }
        }
    }

    /// The flock on the log's directory, on a descriptor of its own; nil: another process has it.
    private func compactionLock(until: UInt64) throws(EngineError) -> FileDescriptor? {
        let file: FileDescriptor
        do throws(SystemError) {
            file = try files.open("log", in: directory, [.directory])
        } catch {
            throw EngineError(error)
        }
        ForkGuard.register(file)
        do throws(EngineError) {
            while true {
                if try files.lockOrThrow(file, .exclusive) { return file }
                if SystemCalls.monotonicClock() >= until { break }
                SystemCalls.sleep(nanoseconds: 100_000)
            }
        } catch {
            ForkGuard.unregister(file)
            throw error
        }
        ForkGuard.unregister(file)
        return nil
    }

    private func deadline(_ timeout: UInt64) -> UInt64 {
        let sum = SystemCalls.monotonicClock().addingReportingOverflow(timeout)
        return sum.overflow ? .max : sum.partialValue
    }
}
