import Synchronization

/// The log's end, and what the holder of the write lock does there.
extension Log {
    /// The first segment of a new log begins here: 0 stands for "none" wherever a position is stored.
    static let origin: Position = 1 << 16
    /// What `meta` says of segments farther than this from the newest is not believed.
    private static let farthest: Position = 1 << 32

    /// Goes to where the log ends: `tail` in the segment that begins at `activeFirst` (0: there is no segment yet).
    func position(at tail: Position, active activeFirst: Position, last: Position) throws(EngineError) {
        self.tail = tail
        lastRecord = last
        guard activeFirst != 0 else { return }
        if active?.first == activeFirst { return }
        if activeFirst >= window.end { try mapNewSegments(upTo: activeFirst) }
        guard let segment = segments.last(where: { $0.first == activeFirst }) else {
            throw EngineError(
                .corrupted, "the newest segment of the log is missing or damaged; run check",
                path: directory.path + "/" + SegmentHeader.name(activeFirst))
        }
        try activate(segment)
    }

    /// The first position of the segment that appends go to; 0: none.
    var activeFirst: Position { active?.first ?? 0 }

    /// Makes `segment` the one that appends go to, and the one before it read-only again.
    private func activate(_ found: Segment) throws(EngineError) {
        do {
            let segment = try wholeLength(found)
            let sealed = active
            if isMappedForWriting {
                _ = try files.map(
                    segment.file(), offset: 0, count: segment.mappable, writable: true,
                    at: window.address(segment.first))
            }
            // What others allocated is known to the file alone; asking for allocated blocks again costs one call.
            allocatedEnd = max(segment.first, tail)
            active = segment
            activeSince = SystemCalls.monotonicClock()
            activeFrom = allocatedEnd
            isAllocated = hasBlocks(segment)
            // Last: while the new one can't be written to, the old one must be.
            if isMappedForWriting, let sealed, sealed.first != segment.first, sealed.first >= window.start {
                _ = try? files.map(
                    sealed.file(), offset: 0, count: sealed.mappable, writable: false,
                    at: window.address(sealed.first))
            }
        } catch {
            throw EngineError(error)
        }
    }

    /// Whether all blocks of a segment behind the tail are there. The count of a file's blocks includes some that hold none of its content,
    /// so it is asked for the missing ones if it seems to have all.
    private func hasBlocks(_ segment: Segment) -> Bool {
        let length = Int(segment.header.length)
        let used = Int(clamping: max(tail, segment.first) - segment.first)
        guard isMappedForWriting, used < length, let file = try? segment.file(),
            let status = try? files.status(file), status.allocated >= length
        else { return false }
        return (try? files.allocate(file, offset: used, count: length - used)) != nil
    }

    /// A segment whose file reaches to the end that its header names, as every one does when it is made: one that was cut gets its
    /// zeros back before anything is stored there.
    private func wholeLength(_ segment: Segment) throws(SystemError) -> Segment {
        let length = Int(segment.header.length)
        guard segment.mappable < length else { return segment }
        try files.truncate(segment.file(), to: length)
        let whole = try segment.with(files.status(segment.file()))
        _ = try files.map(segment.file(), offset: 0, count: length, writable: false, at: window.address(segment.first))
        mutex.withLock { segments in
            if let index = segments.firstIndex(where: { $0.first == whole.first }) { segments[index] = whole }
        }
        return whole
    }

    /// Makes sure that `count` bytes of records can be appended, one after the other, without any failure: room in the
    /// segment, blocks on the disk. May begin a new segment. `longest` is the largest single record among them.
    @inline(__always)
    func reserve(_ count: Int, head: Position, settings: Position) throws(EngineError) {
        let needed = tail &+ UInt64(truncatingIfNeeded: count)
        if let active, needed <= allocatedEnd, tail >= active.firstRecord { return }
        try reserveSlowly(count, head: head, settings: settings)
    }

    @inline(never)
    private func reserveSlowly(_ count: Int, head: Position, settings: Position) throws(EngineError) {
        let room = count + RecordLayout.voidSize + RecordLayout.commitSize
        if let active {
            if tail < active.firstRecord { tail = active.firstRecord }
            // What the spare gave isn't for more: that goes into a segment of its own, if there is room again.
            if tail + UInt64(room) > active.limit || (isOnSpare && !mayUseSpare) {
                try roll(room, head: head, settings: settings)
            }
        } else {
            try roll(room, head: head, settings: settings)
        }
        do throws(EngineError) {
            try allocate(upTo: tail + UInt64(room))
        } catch {
            guard error.errno == ErrorNumber.noSpace else { throw error }
            // What was made ahead gives its blocks first.
            if nextBytes > 0 {
                do throws(SystemError) {
                    try dropNext()
                } catch {
                    throw EngineError(error)
                }
                return try reserveSlowly(count, head: head, settings: settings)
            }
            guard mayUseSpare, !isOnSpare else { throw error }
            try roll(room, head: head, settings: settings, ofSpare: true)
        }
    }

    /// Blocks are allocated so far ahead at most.
    private static let largestStep: UInt64 = 256 << 10
    /// What moves records, or takes them away, asks for more: so that writers wait more seldom for who copies.
    private static let largestStepOfMoves: UInt64 = 512 << 10
    /// Where blocks and pages are there, and only have to be mapped.
    private static let preparedStep: UInt64 = 32 << 10
    var step: UInt64 {
        min(max((tail &- window.start) / 8, 16 << 10), mayUseSpare ? Self.largestStepOfMoves : Self.largestStep)
    }

    /// Blocks for everything below `position` in the active segment, in steps that grow with the log.
    private func allocate(upTo position: Position) throws(EngineError) {
        guard let active else { return }
        guard position > allocatedEnd else { return }
        if isOnSpare {
            // It has its blocks. By no more than is needed, so that each record is asked whether it may.
            allocatedEnd = position
            return
        }
        askForNext(at: position)
        if isAllocated {
            // What other processes have written meanwhile needn't be mapped here.
            let mapped = max(allocatedEnd, tail)
            let from = mapped / 4096 * 4096
            let end = min(max(position, mapped + Self.preparedStep), active.limit)
            // A copy that shares its blocks with another needs its own now.
            guard SystemCalls.populate(window.address(from), count: Int(end - from)) else {
                throw EngineError(SystemError(errno: ErrorNumber.noSpace, call: "madvise", path: active.path))
            }
            allocatedEnd = end
            return
        }
        let from = max(allocatedEnd, active.first) / 4096 * 4096
        let step = self.step
        var end = (position + step - 1) / step * step
        end = min(max(end, position), active.limit)
        do {
            let offset = Int(from - active.first)
            try files.allocate(
                active.file(), offset: offset, count: Int(end - from),
                mappedAt: isMappedForWriting ? window.address(from) : nil,
                unused: Int(max(allocatedEnd, tail) - active.first))
            allocatedEnd = end
        } catch {
            throw EngineError(error)
        }
    }

    /// Begins a new segment, whose header says that the one before it ends at `tail`. It lies beyond every name, since the
    /// highest of several successors counts and what was cut off may have been one.
    func beginSegment(head: Position, settings: Position) throws(EngineError) {
        try roll(RecordLayout.voidSize, head: head, settings: settings, beyond: Self.firsts(files, directory).last ?? 0)
    }

    /// Begins a new segment behind everything that has a name.
    private func roll(
        _ room: Int, head: Position, settings: Position, beyond taken: Position = 0, ofSpare: Bool = false
    ) throws(EngineError) {
        let volume = active == nil ? 0 : Int(clamping: tail - min(max(head, window.start), tail))
        let length = Self.length(volume, written: tail, busy: busyLength, atLeast: room + SegmentHeader.size + 64)
        guard length <= SegmentHeader.maximumLength else {
            throw EngineError(.valueTooLarge, "one transaction's record is longer than a segment may be")
        }
        var first = active?.limit ?? firstPosition
        // No further than that a wrong bit in `meta` could make positions jump.
        let beyond = block.beyond.relaxed()
        if beyond > first, beyond &- first < Self.farthest { first = beyond }
        do throws(SystemError) {
            // What `meta` says may lie inside of the segment with that name.
            if taken > 0 { first = max(first, try endOfSegment(taken)) }
            let lowest = active == nil ? first : min(max(head, window.start), tail)
            // What `meta` says may be anything while the views are made again.
            let committed = min(max(CommitBlock.tail(block.word.relaxed()), lowest), first)
            // Who goes beyond every name recovers, or compacts all there is: neither needs it fast.
            var next: PreparedSegment?
            if !ofSpare, taken == 0 { next = try? takeNext(about: length, atLeast: room + SegmentHeader.size + 64) }
            while true {
                let length = next?.length ?? length
                first = Self.fitting(first, length)
                let end = first &+ UInt64(length)
                guard end &- lowest <= liveLimit, end &- committed <= liveLimit / 2 else {
                    throw Self.tooLong(directory)
                }
                do throws(SystemError) {
                    guard !ofSpare else { throw SystemError(errno: ErrorNumber.noSpace, call: "", path: "") }
                    try create(first, length, head: head, settings: settings, of: next)
                    return
                } catch {
                    if error.errno == ErrorNumber.noSpace, mayUseSpare,
                        let spare = try takeSpare(atLeast: room + SegmentHeader.size + 64)
                    {
                        first = Self.fitting(first, spare.length)
                        return try create(first, spare.length, head: head, settings: settings, of: spare)
                    }
                    guard error.errno == ErrorNumber.exists else { throw error }
                }
                // A killed process left that name behind: go beyond every name.
                let greatest = try files.list(directory).compactMap { SegmentHeader.position(ofName: $0) }.max() ?? 0
                first = try endOfSegment(max(first, greatest))
            }
        } catch {
            if error.errno == ErrorNumber.fileTooLarge, error.call == Self.limit {
                throw EngineError(
                    .limitReached,
                    "the log would become longer than its positions can tell apart; clear the store, or compact it",
                    path: error.path)
            }
            throw EngineError(error)
        }
    }

    /// Where the positions of a segment end, which may be one that was cut off: its names are in use all the same, since whoever opens the
    /// store maps what is whole.
    private func endOfSegment(_ first: Position) throws(SystemError) -> Position {
        let opened = try Segment.open(
            first, in: directory, files: files, storeID: storeID, salt: salt, writable: false)
        if case .segment(let segment) = opened { return segment.limit }
        return first + UInt64(SegmentHeader.granule)
    }

    /// How long a new segment is, of a log that has `volume` bytes and of which `written` bytes were ever written.
    ///
    /// Compaction gives back whole segments and ends each round with a sync, and a store may have three segments more than twice what
    /// lives: a few rows that are written again and again would have all writers wait for syncs if their segments were as small as they
    /// are. So what much was written to has segments of `busy` bytes.
    static func length(_ volume: Int, written: UInt64, busy: Int, atLeast least: Int = 0) -> Int {
        let granule = SegmentHeader.granule
        let share = max(volume / 32, min(Int(clamping: written / 32), busy), granule)
        let wanted = max(least, min(share, SegmentHeader.maximumLength))
        return (wanted + granule - 1) / granule * granule
    }

    /// A slot tells positions apart that lie less than 2^39 units around one another; a transaction may take half of that.
    static let longestLive: UInt64 = 1 << 41
    private static let limit = "the live log's limit"

    private static func tooLong(_ directory: FileDescriptor) -> SystemError {
        SystemError(errno: ErrorNumber.fileTooLarge, call: limit, path: directory.path)
    }

    /// The least position from `first` on at which a segment of `length` straddles no multiple of the greatest length, and
    /// whose first record isn't one of the marks of the index.
    static func fitting(_ first: Position, _ length: Int) -> Position {
        let limit = UInt64(SegmentHeader.maximumLength)
        if first & (limit - 1) + UInt64(length) > limit { return (first | (limit - 1)) + 1 }
        return first
    }

    private func create(
        _ first: Position, _ length: Int, head: Position, settings: Position, of prepared: PreparedSegment? = nil
    ) throws(SystemError) {
        if prepared != nil, try files.status(of: SegmentHeader.name(first), in: directory) != nil {
            throw SystemError(errno: ErrorNumber.exists, call: "rename", path: directory.path)
        }
        block.making.release(first)
        let file: FileDescriptor
        if let prepared {
            file = prepared.file
        } else {
            file = try files.open(SegmentHeader.name(first), in: directory, [.write, .create, .exclusive])
        }
        FaultPoint.reach(.segmentCreated)
        do throws(SystemError) {
            let header = SegmentHeader(
                salt: salt, storeID: storeID, first: first, length: UInt64(length), predecessor: active?.first ?? 0,
                predecessorEnd: active == nil ? 0 : tail, head: head, settings: settings, epoch: epoch)
            files.disableCopyOnWrite(file)
            // As one piece, so that its pages lie side by side in memory.
            let start = min(length, MappedAllocation.piece)
            let encoded = header.encoded()
            if let prepared {
                try files.write(file, encoded, at: 0)
                if prepared.name == Self.spareName { block.spareSegment.release(first) }
                try files.rename(prepared.name, to: SegmentHeader.name(first), in: directory)
            } else {
                try files.truncate(file, to: length)
                try files.allocate(file, offset: 0, count: start)
                try files.write(file, encoded + [UInt8](repeating: 0, count: start - encoded.count), at: 0)
            }
            FaultPoint.reach(.segmentHeaderWritten)
            let segment = Segment(
                header: header, file: file, status: try files.status(file), in: directory, files: files,
                isWritable: true)
            let result = mutex.withLock { segments -> Result<Void, SystemError> in
                do throws(SystemError) {
                    try map(segment, into: &segments)
                    return .success(())
                } catch {
                    return .failure(error)
                }
            }
            try result.get()
            let before = tail
            tail = segment.firstRecord
            do throws(EngineError) {
                try activate(segment)
            } catch {
                tail = before
                throw SystemError(errno: error.errno ?? ErrorNumber.inputOutput, call: "mmap", path: file.path)
            }
            allocatedEnd = prepared == nil ? first + UInt64(start) : tail
            if isMappedForWriting { SystemCalls.populate(window.address(first), count: start) }
            // Before the first record in it: who settles for a dead writer must know where to look.
            block.active.release(first)
            block.making.store(0)
            FaultPoint.reach(.segmentMapped)
        } catch {
            // Nothing was written into it: the name is free again.
            try? files.unlink(SegmentHeader.name(first), in: directory, isDirectory: false)
            mutex.withLock { segments in
                guard segments.last?.first == first, active?.first != first else { return }
                segments.removeLast()
                window.end = segments.last?.limit ?? window.start
            }
            block.making.store(0)
            throw error
        }
    }

    /// Asks for the cache lines that the next small record is stored into, if it goes through the mapping: they come while its
    /// key is looked for, and no store has to wait for them.
    @inline(__always)
    func touchTail() {
        guard isMappedForWriting, tail &+ 256 <= allocatedEnd else { return }
        Self.touch(window.address(tail))
    }

    /// Appends a record of `size` bytes for which room was reserved; its position. It counts only once the commit word says so.
    @inline(__always)
    func append(_ draft: borrowing RecordDraft, size: Int) throws(EngineError) -> Position {
        let position = tail
        if isMappedForWriting {
            let target = window.address(position)
            if StepPoint.access(.store, target, size) { draft.write(to: target, position: position, salt: salt) }
        } else {
            try appendByWriting(draft, size, position)
        }
        FaultPoint.reach(.recordCopied)
        tail = position &+ UInt64(truncatingIfNeeded: size)
        lastRecord = position
        return position
    }

    @inline(never)
    private func appendByWriting(_ draft: borrowing RecordDraft, _ size: Int, _ position: Position) throws(EngineError)
    {
        if scratch.count < size {
            scratch.deallocate()
            scratch = .allocate(byteCount: size * 2, alignment: 16)
        }
        draft.write(to: scratch.baseAddress!, position: position, salt: salt)
        guard let active else { return }
        do {
            try files.write(
                active.file(), UnsafeRawBufferPointer(rebasing: scratch[0..<size]), at: Int(position - active.first))
        } catch {
            throw EngineError(error)
        }
    }

    /// Deals with the segment that a killed process was making. If its header is whole it becomes the active one: it names an end of
    /// the one before, and what were appended there would be passed over by a rebuild, even if the file were unlinked now, since
    /// an unlink can come back undone after a power loss. If not, it is taken away; its positions are not used again.
    func finishHalfMade(tail: Position) throws(EngineError) {
        let first = block.making.acquire()
        if first == 0 { return }
        let active = block.active.acquire()
        if first > active, active == 0 || first &- active < Self.farthest {
            do throws(SystemError) {
                let opened = try Segment.open(
                    first, in: directory, files: files, storeID: storeID, salt: salt, writable: canWrite)
                if case .segment(let made) = opened, made.header.predecessor == active,
                    active == 0 || made.header.predecessorEnd >= tail
                {
                    block.active.release(first)
                } else if let status = try files.status(of: SegmentHeader.name(first), in: directory) {
                    let granule = SegmentHeader.granule
                    let length = (max(status.size, granule) + granule - 1) / granule * granule
                    block.beyond.store(first + UInt64(min(length, SegmentHeader.maximumLength)))
                    try files.unlinkIfPresent(SegmentHeader.name(first), in: directory)
                }
            } catch {
                throw EngineError(error)
            }
        }
        block.making.store(0)
    }

    /// Steps over whole records that somebody else appended, and goes on behind them.
    func advance(to position: Position, last: Position) {
        tail = position
        lastRecord = last
    }
}
