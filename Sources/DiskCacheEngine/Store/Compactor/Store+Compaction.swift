import Synchronization

/// Compaction: what is live at the head of the log goes to its end, and the log begins behind where it was (DESIGN 9).
///
/// The order, at every durability level: 1 copies, each as old as its original, in batches that hold the write lock for a moment; E is
/// where they end. 2 The trees are brought past E. 3 No snapshot is being read. 4 Head record: head, counters and T by one store. 5
/// *floor*. 6 Slots that still name what lies below are vacated, once in a quarter of the log. 7 A sync past the head record. 8 Mappings
/// and files go. Killed anywhere, the next one begins again: copies count like any record, and what lies below a head goes by `dropDead`.
///
/// Each batch is right whoever does what meanwhile; that one process at a time compacts (`compactionLock`) only saves work.
extension Store {
    /// Copies what is live in the lowest segments that begin below `last`, and moves the head behind them: until so many bytes are gained,
    /// or, since copies take room too before anything goes, so many are copied. How many are gained; nil: there is nothing to do, or a
    /// snapshot is in the way.
    func compactHead(
        freeing wanted: Int, copying most: Int, below last: Position, evenIfNeeded: Bool, preparesNext: Bool = false,
        timeout: UInt64,
        grace: Int64 = Store.expiredGrace
    ) throws(EngineError) -> Int? {
        let bounds = try write(timeout: timeout, inGap: true) { () throws(EngineError) in
            (head: head, active: log.activeFirst)
        }
        let segments = log.segments.filter { $0.limit > bounds.head && $0.first < min(bounds.active, last) }
        // What is copied in vain is garbage too.
        if segments.isEmpty { return nil }
        guard snapshotLock.earlierAreOver() || evenIfNeeded else {
            noteSnapshot()
            return nil
        }
        var gained = 0
        var copies = 0
        var newHead: Position?
        for segment in segments {
            guard let next = log.segments.last(where: { $0.header.predecessor == segment.first }) else { break }
            let copied: Int
            do throws(EngineError) {
                guard
                    let bytes = try copyLive(
                        of: segment, end: min(next.header.predecessorEnd, segment.limit), from: bounds.head,
                        preparesNext, timeout, grace)
                else { break }
                copied = bytes
            } catch {
                // What was copied whole makes room for the rest.
                if error.code == .diskFull, newHead != nil { break }
                throw error
            }
            gained += Int(segment.header.length) - copied
            copies += copied
            newHead = next.first
            eviction.promised.add(Int(segment.header.length), ordering: .relaxed)
            if gained >= wanted || copies >= most || log.isOnSpare { break }
        }
        guard let newHead else { return nil }
        // Value files that were replaced are looked for through `previous`, so before the segments go that it leads to.
        if block.deadFiles.acquire() > block.synced.acquire() { try sync() }
        bringTreesForward()
        let snapshots = snapshotLock.exclude()
        do throws(EngineError) {
            guard snapshots.isAllowed || evenIfNeeded else {
                noteSnapshot()
                snapshots.end()
                return nil
            }
            try moveHead(to: newHead, timeout: timeout)
            FaultPoint.reach(.headMoved)
            if Mutant.isPlanted(.vacatesBeforeFloor) { try vacateSlots(timeout: timeout) }
            try raiseFloor(to: newHead)
        } catch {
            snapshots.end()
            throw error
        }
        // Who begins a snapshot from here on has the new head.
        snapshots.end()
        FaultPoint.reach(.floorRaised)
        if isVacatingDue(newHead) { try vacateSlots(timeout: timeout) }
        return gained
    }

    /// Whether the head has moved on by a quarter of the log since slots were vacated. What lies below it counts for nothing, and a place
    /// of it is reused; to look at all slots for each segment that goes would take as long as the copies. In a log so long that slots
    /// hardly tell its positions apart they are vacated each time.
    private func isVacatingDue(_ head: Position) -> Bool {
        let length = CommitBlock.tail(block.word.acquire()) &- head
        let passed = head &- min(eviction.vacated.load(ordering: .relaxed), head)
        return passed >= length / 4 || length > Log.longestLive / 2
    }

    /// A snapshot is in the way: for a moment nobody waits for what can't be done.
    func noteSnapshot() {
        eviction.heldUpUntil.store(SystemCalls.monotonicClock() &+ 100_000_000, ordering: .relaxed)
    }

    // MARK: Copies

    /// How long ago, in microseconds, a row must have expired that compaction removes by itself. Writes remove what has just expired, some
    /// at a time; when the others go is nobody's surprise then.
    static var expiredGrace: Int64 { 60_000_000 }

    /// What is looked up at once.
    private static var batchRecords: Int { 128 }
    private static var batchBytes: Int { 64 << 10 }
    /// How long the lock is held for copies, nanoseconds: no longer than threads of this process wait for it without going to sleep. But
    /// where the lock comes from another process, which costs more than that, or where several threads have their turns before, it is used
    /// for as long again.
    private static var shortestHold: UInt64 { 4_000 }
    private static var longestHold: UInt64 { 200_000 }
    private static var longestHoldOfOwner: UInt64 { 100_000 }

    /// Copies what slots still name in a segment to the end of the log; how many bytes. nil: a record is damaged that a slot names, and
    /// what it was must stay known, until `check(fix:)` takes the slot away.
    ///
    /// Which records count is found as a reader finds it, without the lock: one that a committed one has replaced never counts
    /// again. The others are copied in batches that hold the lock for a moment, where each is looked up once more.
    private func copyLive(
        of segment: Segment, end: Position, from head: Position, _ preparesNext: Bool, _ timeout: UInt64, _ grace: Int64
    ) throws(EngineError) -> Int? {
        var position = max(segment.firstRecord, head)
        var copied = 0
        var found: [(record: Record, hash: UInt64)] = []
        var live: [Position] = []
        var ahead: Log.PagesAhead?
        while position < end {
            // Nobody needs it.
            if preparesNext { try? prepareNext(timeout) }
            found.removeAll(keepingCapacity: true)
            live.removeAll(keepingCapacity: true)
            var bytes = 0
            while position < end, found.count < Self.batchRecords, bytes < Self.batchBytes {
                guard case .record(let record) = try log.record(at: position) else {
                    let damage = position
                    position = try recordBehind(damage, end)
                    if try isNamed(damage..<position) { return nil }
                    continue
                }
                if record.kind == RecordKind.put.rawValue || record.kind == RecordKind.system.rawValue {
                    found.append((record, hash(KeyClass.identity(record.keyClass), record.key)))
                }
                bytes += record.size
                position = record.end
            }
            // Their slots are all over the index: all are asked for before the first is looked at.
            let index = indexView
            for item in found { index.ask(for: item.hash) }
            for item in found where mayCount(item.record, item.hash) {
                if Mutant.isPlanted(.headBeforeCopies) && copied == 0 && live.isEmpty { continue }
                live.append(item.record.position)
            }
            if isClosing { return nil }
            if live.isEmpty { continue }
            var isWhole = true
            var next = 0
            while isWhole, next < live.count {
                let isOwner = block.owner.relaxed() == lock.identity
                if let pages = ahead, !pages.map() { ahead = nil }
                let asked = SystemCalls.monotonicClock()
                try write(timeout: timeout, inGap: true) { () throws(EngineError) in
                    if let ahead { log.note(ahead) }
                    let begun = SystemCalls.monotonicClock()
                    let waited = begun &- asked
                    let longest = isOwner ? Self.longestHoldOfOwner : Self.longestHold
                    // A gap between two writes of one thread is nothing to make up for.
                    let cost = isOwner && waited < longest / 2 ? 0 : min(waited, longest)
                    let until = begun &+ max(cost, Self.shortestHold)
                    repeat {
                        let position = live[next]
                        // Damaged since, or the log was cleared meanwhile: slots still name what lies below the head, and a copy of
                        // it would count.
                        guard position >= self.head || Mutant.isPlanted(.copiesCleared),
                            case .record(let record) = try log.record(at: position)
                        else {
                            isWhole = false
                            return
                        }
                        copied += try copyIfNamed(record, grace)
                        next += 1
                    } while next < live.count && !StepPoint.isTimeless && SystemCalls.monotonicClock() < until
                    ahead = log.pagesAhead
                }
            }
            if !isWhole { return nil }
        }
        return copied
    }

    /// Where the next record begins behind damage; `end`: there is none before that.
    private func recordBehind(_ damage: Position, _ end: Position) throws(EngineError) -> Position {
        var position = damage + 4
        while position < end {
            if case .record = try log.record(at: position) { return position }
            position += 4
        }
        return end
    }

    /// Whether a slot leads into what is damaged. No slot comes to that later.
    private func isNamed(_ damage: Range<Position>) throws(EngineError) -> Bool {
        let tail = CommitBlock.tail(block.word.acquire())
        var isFound = false
        try currentIndex().forEachSlotNow { (slot, _) throws(EngineError) in
            if damage.contains(PackedPosition.complete(slot.low, around: tail)) { isFound = true }
        }
        return isFound
    }

    /// Whether a record may be its key's newest version: false is certain.
    func mayCount(_ record: Record) -> Bool {
        guard record.kind == RecordKind.put.rawValue || record.kind == RecordKind.system.rawValue else { return false }
        return mayCount(record, hash(KeyClass.identity(record.keyClass), record.key))
    }

    /// The same, where the hash of its key is known.
    ///
    /// By the slots alone, whose scan is that of a lookup that misses (DESIGN 5): what replaced a record needn't be read for that. A slot
    /// of its fingerprint that names what isn't committed may come to name the record again.
    private func mayCount(_ record: Record, _ hash: UInt64) -> Bool {
        let tail = CommitBlock.tail(block.word.acquire())
        let generation = block.indexGeneration.acquire()
        let index = indexView
        let root = index.root.acquire()
        guard index.generation == generation, index.isValid(root: root) else { return true }
        let entryWord = index.entryWord(root, HashBits.directoryIndex(hash, HashIndex.depth(ofRoot: root)))
        let entry = DirectoryEntry(raw: entryWord.acquire())
        guard index.isValid(entry) else { return true }
        let fingerprint = HashBits.fingerprint(hash, depth: entry.depth)
        let step = HashBits.step(fingerprint)
        var bucket = HashBits.home(hash)
        for displacement in 0..<IndexLayout.probes {
            let want = fingerprint &<< 2 | UInt64(truncatingIfNeeded: displacement)
            var isLast = false
            for i in 0..<IndexLayout.slotsPerBucket {
                let slot = Slot(raw: index.slotWord(entry.page, bucket, i).relaxed())
                if slot.raw == Slot.neverUsed { isLast = true }
                if slot.raw &>> 40 != want || slot.isFree { continue }
                let position = PackedPosition.complete(slot.low, around: tail)
                if position == record.position || position >= tail { return true }
            }
            if isLast { break }
            bucket = HashBits.bucket(bucket, step, 1)
        }
        SharedMemory.acquireFence()
        return entryWord.relaxed() != entry.raw || index.root.relaxed() != root
            || block.indexGeneration.relaxed() != generation
            || CommitBlock.tail(block.word.relaxed()) &- tail >= 1 << 40
    }

    /// A copy is a transaction of its own; it is as old as its original. How many bytes it takes. A row that has expired isn't copied, it
    /// is removed like any other, unless nothing is to be removed automatically.
    private func copyIfNamed(_ record: Record, _ grace: Int64) throws(EngineError) -> Int {
        guard record.kind == RecordKind.put.rawValue || record.kind == RecordKind.system.rawValue,
            let kind = RecordKind(rawValue: record.kind)
        else { return 0 }
        let hash = self.hash(KeyClass.identity(record.keyClass), record.key)
        var named = try index.slot(naming: record.position, hash: hash)
        if Mutant.isPlanted(.copiesReplaced), named == nil,
            case .present(let place, _) = try self.place(KeyClass.identity(record.keyClass), record.key, hash)
        {
            named = place
        }
        guard let place = named else { return 0 }
        if let expiry = record.expiry, expiry <= now &- grace, settings.cullLimit > 0 {
            try remove(record, cause: .expired, isLast: true)
            try publishAndGoOn()
            return 0
        }
        var draft = RecordDraft(kind: kind)
        draft.form = record.form
        draft.keyClass = record.keyClass
        draft.flags = RecordBits.copy | RecordBits.commit
        if record.bits.has(RecordBits.kept) { draft.flags |= RecordBits.kept }
        draft.key = record.key
        draft.value = record.value
        draft.expiry = record.expiry
        draft.tag = record.tag
        draft.previous = Mutant.isPlanted(.copyWithoutPrevious) ? 0 : record.position
        draft.rowid = record.rowid
        draft.storedTime = record.storedTime
        log.mayUseSpare = true
        defer { log.mayUseSpare = false }
        try log.reserve(
            draft.size + RecordLayout.voidSize + RecordLayout.commitSize, head: head, settings: counters.settings)
        transaction.first = log.tail
        transaction.countersBefore = counters
        let position = try log.append(draft, size: draft.size)
        victims.passOverCopy(from: position, to: log.tail)
        transaction.changes.append(.init(record: position, hash: hash, before: place.value.raw))
        transaction.operations = 1
        transaction.isClosed = true
        place.slot.release(place.value.pointing(to: position).raw)
        FaultPoint.reach(.copied)
        counters.dead &+= UInt64(draft.size)
        try publishAndGoOn()
        return draft.size
    }

    // MARK: Behind the copies

    /// How long a process that is stopped while it merges may keep a segment from going.
    private static var treesPatience: UInt64 { 1_000_000_000 }

    /// Brings the trees past what was copied: else they would be built again from what is left. If that can't be done, for a stopped
    /// process has their lock or the disk is full, an empty file takes their place.
    private func bringTreesForward() {
        let until = SystemCalls.monotonicClock() &+ Self.treesPatience
        while true {
            let generation = block.treesGeneration.acquire()
            if generation == 0 { return }
            do throws(EngineError) {
                if try catchUp(building: []) { return }
            } catch {
                _ = abandonTrees(generation)
                return
            }
            if SystemCalls.monotonicClock() >= until {
                _ = abandonTrees(generation)
                return
            }
            SystemCalls.sleep(nanoseconds: 1_000_000)
        }
    }

    /// The log begins at `position` from here on.
    private func moveHead(to position: Position, timeout: UInt64) throws(EngineError) {
        try write(timeout: timeout, inGap: true) { () throws(EngineError) in
            guard position > head else { return }
            log.mayUseSpare = true
            defer { log.mayUseSpare = false }
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
                return try log.append(draft, size: draft.size)
            }
            transaction.operations &+= 1
            counters.dead -= min(counters.dead, position &- head)
            eviction.deadCheckpoint = 0
            head = position
        }
    }

    /// What is vacated under one hold of the lock.
    private static var vacatedPages: Int { 2 }

    /// Empties the slots that name what lies below head and floor: tombstones, and what a `clear` left.
    func vacateSlots(timeout: UInt64) throws(EngineError) {
        let pin = ReaderPins.enter(ReaderPins.base)
        defer { ReaderPins.leave(pin) }
        let floor = min(block.read().head, block.floor.acquire())
        var next: Int? = 0
        while let start = next {
            // Most pages have no such slot, which can be seen without the lock.
            let look = try currentIndex().mayName(
                below: min(block.read().head, block.floor.relaxed()), anchor: CommitBlock.tail(block.word.acquire()),
                from: start, pages: Self.vacatedPages)
            if !look.isFound && !Mutant.isPlanted(.vacatesBeforeFloor) {
                next = look.next
                continue
            }
            next = try write(timeout: timeout, inGap: true) { () throws(EngineError) in
                Seal.clear(metaBase)
                return try index.vacate(
                    below: Mutant.isPlanted(.vacatesBeforeFloor) ? head : min(head, block.floor.relaxed()),
                    anchor: log.tail, from: start, pages: Self.vacatedPages)
            }
        }
        eviction.vacated.store(floor, ordering: .relaxed)
        if Mutant.isPlanted(.dropsTombstones) { try vacateTombstones() }
        FaultPoint.reach(.slotsVacated)
    }

    #if FAILPOINTS
        private func vacateTombstones() throws(EngineError) {
            try write(timeout: .max) { () throws(EngineError) in
                for position in index.positions(anchor: log.tail) {
                    guard case .record(let record) = try log.record(at: position),
                        record.kind == RecordKind.tombstone.rawValue
                    else { continue }
                    let hash = self.hash(KeyClass.identity(record.keyClass), record.key)
                    try index.slot(naming: position, hash: hash)?.slot.release(Slot.vacant)
                }
            }
        }
    #else
        private func vacateTombstones() throws(EngineError) {}
    #endif
}
