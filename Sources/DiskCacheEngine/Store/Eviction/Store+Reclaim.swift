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

    /// *Writer.* What the store takes, without asking for every file. One listing of the log's directory.
    private func estimatedVolume() -> Int {
        let lowest = (try? Log.firsts(files, log.directory))?.first ?? log.activeFirst
        let end = max(self.log.active?.limit ?? lowest, lowest)
        let log = Int(clamping: end - lowest)
        // Another process may have made it longer than this one knows.
        let index = max(self.index.validPages, Int(clamping: self.index.pages.relaxed())) * IndexLayout.pageSize
        return log + index * (eviction.keepsStamps ? 2 : 1) + CommitBlock.fileSize + treeBytes()
            + Int(clamping: counters.fileBytes &+ transaction.replacedBytes &+ block.deadFileBytes.relaxed())
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
            eviction.wantsRoom = true
        } else if volume > bound - bound / 8, !eviction.wantsReclaiming.exchange(true, ordering: .relaxed) {
            signalEviction()
        }
    }

    /// *Writer, with a value file.* As `cullAfterWrite` does where the log grows: files grow without it.
    func watchFiles(adding bytes: UInt64) {
        eviction.fileBytes &+= bytes
        guard eviction.capacity != .max, eviction.fileBytes > UInt64(Self.bound(settings) / 256) else { return }
        eviction.fileBytes = 0
        watchVolume()
    }

    /// Makes room, in the thread of the writer that found that there is little; the lock is let go.
    @inline(never)
    func makeRoom() {
        // Not in a transaction of its own work.
        if eviction.reclaiming.isHeldByThisThread { return }
        // What goes wrong here isn't the writer's fault: the next one meets it where it matters.
        try? reclaim(isUrgent: true)
    }

    /// Gives back garbage until the store takes an eighth less than its bound, or, urgently, just enough to go on.
    func reclaim(isUrgent: Bool, timeout: UInt64 = 10_000_000_000) throws(EngineError) {
        let (volume, bound) = try measure(timeout)
        let goal = isUrgent ? bound - bound / 16 - bound / 32 : bound - bound / 8 - bound / 32
        if volume > goal { try reclaim(downTo: goal, isUrgent: isUrgent, timeout: timeout) }
    }

    /// Gives back garbage until the store takes its limit at most.
    func reclaimAll(timeout: UInt64) throws(EngineError) {
        let (_, bound) = try measure(timeout)
        try reclaim(downTo: bound - bound / 16, isUrgent: true, timeout: timeout)
    }

    private func measure(_ timeout: UInt64) throws(EngineError) -> (volume: Int, bound: Int) {
        try write(timeout: timeout) { () throws(EngineError) in (estimatedVolume(), Self.bound(settings)) }
    }

    private func reclaim(downTo goal: Int, isUrgent: Bool, timeout: UInt64) throws(EngineError) {
        // One thread of the process; what another has freed is seen by measuring again.
        guard eviction.reclaiming.tryAcquire() || eviction.reclaiming.acquire(deadline: deadline(timeout)) else {
            throw EngineError(.timeout, "another thread is making room", path: path)
        }
        defer { eviction.reclaiming.release() }
        let pin = ReaderPins.enter(ReaderPins.base)
        defer { ReaderPins.leave(pin) }
        // One process too: else each would copy what the others have begun with, and more.
        guard let file = try reclaimLock(waits: isUrgent, timeout) else { return }
        defer {
            _ = try? files.lock(file, .unlock)
            ForkGuard.unregister(file)
        }
        var volume = try measure(timeout).volume
        if volume <= goal { return }
        try dropDead(evenIfNeeded: isUrgent)
        if block.deadFiles.acquire() > block.synced.acquire() { try sync() }
        volume = try measure(timeout).volume
        // While a snapshot keeps what lies below the head, to move that on would gain nothing.
        guard volume > goal, block.floor.acquire() >= block.read().head,
            try compactHead(freeing: volume - goal, timeout: timeout)
        else { return }
        try dropDead(evenIfNeeded: isUrgent)
        if block.floor.acquire() >= block.read().head { try vacateSlots(timeout: timeout) }
    }

    /// The flock on the log's directory, on a descriptor of its own; nil: another process has it.
    private func reclaimLock(waits: Bool, _ timeout: UInt64) throws(EngineError) -> FileDescriptor? {
        let file: FileDescriptor
        do throws(SystemError) {
            file = try files.open("log", in: directory, [.directory])
        } catch {
            throw EngineError(error)
        }
        ForkGuard.register(file)
        let until = deadline(timeout)
        while true {
            if try files.lockOrThrow(file, .exclusive) { return file }
            guard waits, SystemCalls.monotonicClock() < until else {
                ForkGuard.unregister(file)
                return nil
            }
            SystemCalls.sleep(nanoseconds: 100_000)
        }
    }

    private func deadline(_ timeout: UInt64) -> UInt64 {
        let sum = SystemCalls.monotonicClock().addingReportingOverflow(timeout)
        return sum.overflow ? .max : sum.partialValue
    }

    // MARK: The head

    /// Copies what is live in the lowest segments, as many as it takes, and moves the head behind them. False: nothing to gain.
    func compactHead(freeing wanted: Int, timeout: UInt64) throws(EngineError) -> Bool {
        let bounds = try write(timeout: timeout) { () throws(EngineError) in (head: head, active: log.activeFirst) }
        let segments = log.segments.filter { $0.limit > bounds.head && $0.first < bounds.active }
        var gained = 0
        var newHead: Position?
        for segment in segments {
            guard let next = log.segments.last(where: { $0.header.predecessor == segment.first }),
                let copied = try copyLive(of: segment, end: next.header.predecessorEnd, from: bounds.head, timeout)
            else { break }
            gained += Int(segment.header.length) - copied
            newHead = next.first
            if gained >= wanted { break }
        }
        guard let newHead, gained > 0 else { return false }
        // Value files that were replaced are looked for through `previous`, so before the segments go that it leads to.
        if block.deadFiles.acquire() > block.synced.acquire() { try sync() }
        // Else the trees would be built again from what is left.
        if block.treesGeneration.relaxed() != 0 { _ = try? catchUp(building: []) }
        try moveHead(to: newHead, timeout: timeout)
        return true
    }

    /// What is copied at once, under the lock.
    private static var batchRecords: Int { 128 }
    private static var batchBytes: Int { 64 << 10 }

    /// Copies what slots still name in a segment to the end of the log; how many bytes. nil: a record is damaged, and what it was
    /// must stay known.
    ///
    /// Which records count is found as a reader finds it, without the lock: one that a committed one has replaced never counts
    /// again. The others are copied in batches that hold the lock for a moment, where each is looked up once more.
    private func copyLive(
        of segment: Segment, end: Position, from head: Position, _ timeout: UInt64
    ) throws(EngineError) -> Int? {
        var position = max(segment.firstRecord, head)
        var copied = 0
        while position < end {
            var live: [Position] = []
            var bytes = 0
            while position < end, live.count < Self.batchRecords, bytes < Self.batchBytes {
                guard case .record(let record) = try log.record(at: position) else { return nil }
                if counts(record) {
                    live.append(position)
                    bytes += record.size
                }
                position = record.end
            }
            if live.isEmpty { continue }
            var isWhole = true
            try write(timeout: timeout) { () throws(EngineError) in
                for position in live {
                    // Damaged since, or the log was cleared meanwhile: slots still name what lies below the head, and a copy of it
                    // would count.
                    guard position >= self.head, case .record(let record) = try log.record(at: position) else {
                        isWhole = false
                        return
                    }
                    copied += try copyIfNamed(record)
                }
            }
            if !isWhole { return nil }
        }
        return copied
    }

    /// Whether a record is its key's newest version as far as a reader can tell.
    private func counts(_ record: Record) -> Bool {
        guard record.kind == RecordKind.put.rawValue || record.kind == RecordKind.system.rawValue else { return false }
        do throws(EngineError) {
            return try find(record.keyClass, record.key)?.position == record.position
        } catch {
            // Whoever has the lock sees better.
            return true
        }
    }

    /// A copy is a transaction of its own; it is as old as its original. How many bytes it takes.
    private func copyIfNamed(_ record: Record) throws(EngineError) -> Int {
        guard record.kind == RecordKind.put.rawValue || record.kind == RecordKind.system.rawValue,
            let kind = RecordKind(rawValue: record.kind)
        else { return 0 }
        let hash = self.hash(KeyClass.identity(record.keyClass), record.key)
        guard let place = try index.slot(naming: record.position, hash: hash) else { return 0 }
        var draft = RecordDraft(kind: kind)
        draft.form = record.form
        draft.keyClass = record.keyClass
        draft.flags = RecordBits.copy | RecordBits.commit
        if record.bits.has(RecordBits.kept) { draft.flags |= RecordBits.kept }
        draft.key = record.key
        draft.value = record.value
        draft.expiry = record.expiry
        draft.tag = record.tag
        draft.previous = record.position
        draft.rowid = record.rowid
        draft.storedTime = record.storedTime
        try log.reserve(
            draft.size + RecordLayout.voidSize + RecordLayout.commitSize, head: head, settings: counters.settings)
        transaction.first = log.tail
        transaction.countersBefore = counters
        let position = try log.append(draft)
        transaction.changes.append(.init(record: position, hash: hash, before: place.value.raw))
        transaction.operations = 1
        transaction.isClosed = true
        place.slot.release(place.value.pointing(to: position).raw)
        FaultPoint.reach(.copied)
        counters.dead &+= UInt64(draft.size)
        try publishAndGoOn()
        return draft.size
    }

    /// The log begins at `position` from here on.
    private func moveHead(to position: Position, timeout: UInt64) throws(EngineError) {
        try write(timeout: timeout) { () throws(EngineError) in
            guard position > head else { return }
            let encoded = settings.encoded()
            if counters.settings != 0, counters.settings < position { try appendSettings(encoded) }
            let room = 40 + RecordLayout.voidSize + RecordLayout.commitSize
            try log.reserve(room, head: head, settings: counters.settings)
            if transaction.operations == 0 { transaction.first = log.tail }
            var draft = RecordDraft(kind: .head)
            draft.storedTime = storedTime()
            var body = (position.littleEndian, counters.nextRowid.littleEndian)
            _ = try withUnsafeBytes(of: &body) { (bytes) throws(EngineError) in
                draft.value = bytes
                return try log.append(draft)
            }
            transaction.operations &+= 1
            counters.dead -= min(counters.dead, position &- head)
            head = position
        }
        FaultPoint.reach(.headMoved)
    }

    /// Empties the slots that name what lies below the head: tombstones, and what a damaged index may hold.
    private func vacateSlots(timeout: UInt64) throws(EngineError) {
        var next: Int? = 0
        while let start = next {
            next = try write(timeout: timeout) { () throws(EngineError) in
                Seal.clear(metaBase)
                return try index.vacate(
                    below: min(head, block.floor.relaxed()), anchor: log.tail, from: start, pages: 128)
            }
        }
        FaultPoint.reach(.slotsVacated)
    }
}
