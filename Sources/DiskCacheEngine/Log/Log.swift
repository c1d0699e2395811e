import Synchronization

/// The log as one process sees it: the live segments in a window of addresses, and, for who holds the write lock, its end.
///
/// **Threads.** `window`, `record(at:)` may be used by any thread between `ReaderPins.enter` and `leave`. Mapping and
/// unmapping take `mutex`. What is under *Writing* belongs to the holder of the write lock.
final class Log: @unchecked Sendable {
    let files: any FileSystem
    /// The descriptor of `log/`.
    let directory: FileDescriptor
    let storeID: (UInt64, UInt64)
    let salt: UInt64
    let epoch: Int64
    /// Whether records are stored through the mapping, or with pwrite (DESIGN 3).
    let isMappedForWriting: Bool
    private let block: CommitBlock

    /// The address of the window's fields.
    private let windowWord: Atomic<UnsafeMutableRawPointer>
    private let mutex = Mutex<[Segment]>([])
    private let canWrite: Bool
    /// Where the first segment of a log without any begins.
    private let firstPosition: Position

    // Writing
    private var active: Segment?
    /// Where the next record goes.
    private(set) var tail: Position = 0
    /// Blocks of the active segment are allocated up to here.
    private var allocatedEnd: Position = 0
    private var scratch: UnsafeMutableRawBufferPointer
    /// Position of the last record appended; 0: none.
    private(set) var lastRecord: Position = 0

    init(
        files: any FileSystem, directory: FileDescriptor, identity: StoreIdentity, block: CommitBlock,
        isMappedForWriting: Bool, windowSize: Int, canWrite: Bool, firstPosition: Position = Log.origin
    ) throws(SystemError) {
        self.files = files
        self.directory = directory
        storeID = identity.storeID
        salt = identity.salt
        epoch = identity.epoch
        self.block = block
        self.isMappedForWriting = isMappedForWriting
        self.canWrite = canWrite
        self.firstPosition = firstPosition
        windowWord = Atomic(try LogWindow(wanted: windowSize).fields)
        scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)
    }

    deinit {
        window.free()
        scratch.deallocate()
    }

    // MARK: Reading

    @inline(__always) var window: LogWindow { LogWindow(fields: windowWord.load(ordering: .acquiring)) }

    /// What stands at a position.
    enum Lookup {
        case record(Record)
        /// No record can stand there, or its bytes aren't those that were written.
        case damaged
        /// The position lies below everything that is still there.
        case gone
    }

    /// The verified record at `position`. The caller is counted in `ReaderPins`.
    @inline(__always)
    func record(at position: Position) throws(EngineError) -> Lookup {
        let window = self.window
        if position >= window.start {
            let end = window.end
            if position < end {
                return check(window, position, end)
            }
        }
        return try recordOutside(position)
    }

    @inline(__always)
    private func check(_ window: LogWindow, _ position: Position, _ end: Position) -> Lookup {
        // A position in a window isn't nearer to its end of addresses than to the end of positions: segments don't
        // straddle a multiple of their greatest length, so the room up to that multiple is mapped, by zeros at least.
        let room = Int(SegmentHeader.maximumLength) &- Int(position & UInt64(SegmentHeader.maximumLength &- 1))
        let address = window.address(position)
        // How long the record is stands in its first cache line; its second and third are asked for now, not after that has come.
        if room >= 256 { Self.touch(address) }
        guard let record = Record(at: UnsafeRawPointer(address), position: position, available: room),
            record.isIntact(salt: salt)
        else { return .damaged }
        return .record(record)
    }

    /// Loads a word of each of the two cache lines behind an address, and forgets it: an atomic load isn't left out.
    @inline(__always)
    private static func touch(_ address: UnsafeMutableRawPointer) {
        let aligned = UnsafeMutableRawPointer(bitPattern: UInt(bitPattern: address) & ~7).unsafelyUnwrapped
        _ = (aligned + 64).assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(ordering: .relaxed)
        _ = (aligned + 128).assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(ordering: .relaxed)
    }

    @inline(never)
    private func recordOutside(_ position: Position) throws(EngineError) -> Lookup {
        if position < window.start { return .gone }
        try mapNewSegments(upTo: position)
        let window = self.window
        guard position >= window.start else { return .gone }
        guard position < window.end else { return .damaged }
        return check(window, position, window.end)
    }

    /// The record at a position as its bytes lie there, whole or not; nil if they haven't the form of one.
    func unverifiedRecord(at position: Position) -> Record? {
        let window = self.window
        guard position >= window.start, position < window.end else { return nil }
        let room = Int(SegmentHeader.maximumLength) - Int(position & UInt64(SegmentHeader.maximumLength - 1))
        return Record(at: UnsafeRawPointer(window.address(position)), position: position, available: room)
    }

    // MARK: Mapping

    /// Maps every segment that other processes have made since, up to the one that holds `position`.
    @inline(never)
    func mapNewSegments(upTo position: Position) throws(EngineError) {
        let result = mutex.withLock { segments -> Result<Void, EngineError> in
            if position < window.end { return .success(()) }
            do throws(EngineError) {
                let last = segments.last?.first ?? 0
                let found = try Self.firsts(files, directory).filter { $0 > last }
                for first in found where first <= position {
                    try openAndMap(first, into: &segments)
                }
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    /// First positions of all segment files, ascending.
    static func firsts(_ files: any FileSystem, _ directory: FileDescriptor) throws(EngineError) -> [Position] {
        do {
            return try files.list(directory).compactMap { SegmentHeader.position(ofName: $0) }.sorted()
        } catch {
            throw EngineError(error)
        }
    }

    /// Maps a known list of segments, ascending: what opening and recovery found.
    func adopt(_ list: [Position]) throws(EngineError) {
        let result = mutex.withLock { segments -> Result<Void, EngineError> in
            do throws(EngineError) {
                for first in list { try openAndMap(first, into: &segments) }
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    private func openAndMap(_ first: Position, into segments: inout [Segment]) throws(EngineError) {
        do {
            switch try Segment.open(
                first, in: directory, files: files, storeID: storeID, salt: salt, writable: canWrite)
            {
            case .missing: return
            case .unusable: return  // What a killed creator left, or damage: a lookup there finds zeros and says so.
            case .segment(let segment): try map(segment, into: &segments)
            }
        } catch {
            throw EngineError(error)
        }
    }

    /// Puts a segment into the window; into a greater one if this is half full.
    private func map(_ segment: Segment, into segments: inout [Segment]) throws(SystemError) {
        var window = self.window
        if segments.isEmpty { window.start = segment.first }
        let span = segment.limit - window.start
        if span > UInt64(window.size / 2) {
            window = try enlarged(for: Int(span), segments)
        }
        if segment.mappable > 0 {
            _ = try files.map(
                segment.file, offset: 0, count: segment.mappable, writable: false, at: window.address(segment.first))
        }
        segments.append(segment)
        window.end = segment.limit
    }

    /// A window of twice the size with the same segments in it; the old one is freed when its readers have left.
    private func enlarged(for span: Int, _ segments: [Segment]) throws(SystemError) -> LogWindow {
        let old = window
        let new = try LogWindow(wanted: span * 4)
        if new.size < span {
            new.free()
            throw SystemError(errno: ErrorNumber.noMemory, call: "mmap", path: "the log's window of addresses")
        }
        new.start = old.start
        for segment in segments where segment.mappable > 0 {
            _ = try files.map(
                segment.file, offset: 0, count: segment.mappable,
                writable: isMappedForWriting && segment.first == active?.first, at: new.address(segment.first))
        }
        new.end = old.end
        windowWord.store(new.fields, ordering: .sequentiallyConsistent)
        ReaderPins.retire { old.free() }
        return new
    }

    /// The segments that are mapped, ascending.
    var segments: [Segment] { mutex.withLock { $0 } }

    /// Takes away the mappings of segments that lie below `head` altogether.
    func dropBelow(_ head: Position) {
        mutex.withLock { segments in
            let window = self.window
            let gone = segments.filter { $0.limit <= head && $0.first != active?.first }
            guard !gone.isEmpty else { return }
            segments.removeAll { segment in gone.contains { $0.first == segment.first } }
            window.start = segments.first?.first ?? head
            for segment in gone where segment.mappable > 0 {
                let address = SendableAddress(window.address(segment.first))
                let fields = SendableAddress(window.fields)
                let files = self.files
                ReaderPins.retire { [weak self] in
                    // A window that was replaced in the meantime is unmapped as a whole.
                    guard let self, self.window.fields == fields.pointer else { return }
                    files.unmap(address.pointer, count: segment.mappable, leavingZeros: true)
                }
            }
        }
    }

    /// Bytes that the segment files take on disk.
    func allocatedBytes() throws(EngineError) -> Int {
        do {
            var sum = 0
            for segment in segments { sum += try files.status(segment.file).allocated }
            return sum
        } catch {
            throw EngineError(error)
        }
    }

    /// Calls `visit` with every whole record from `start` on, in order, over the segments that follow one another; returns the
    /// position behind the last of them. Reads through the mapping: for what a dead process may have left behind T.
    func scanTail(from start: Position, _ visit: (Record) throws(EngineError) -> Void) throws(EngineError) -> Position {
        var position = start
        var segments = self.segments
        guard var current = segments.last(where: { $0.first <= start }) ?? segments.first else { return start }
        if position < current.firstRecord { position = current.firstRecord }
        while true {
            if position < current.limit, case .record(let record) = try record(at: position) {
                try visit(record)
                position = record.end
                continue
            }
            let newest = block.active.acquire()
            if current.first < newest {
                try mapNewSegments(upTo: newest)
                segments = self.segments
            }
            // Beyond the newest one that was made known lies at most what a killed process had begun to make.
            guard
                let next = segments.last(where: {
                    $0.header.predecessor == current.first && $0.header.predecessorEnd == position && $0.first <= newest
                })
            else { return position }
            current = next
            position = current.firstRecord
        }
    }

    // MARK: Writing (the holder of the write lock alone)

    /// The first segment of a new log begins here: 0 stands for "none" wherever a position is stored.
    static let origin: Position = 1 << 16

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
    private func activate(_ segment: Segment) throws(EngineError) {
        do {
            if isMappedForWriting {
                if let sealed = active, sealed.first != segment.first, sealed.first >= window.start {
                    _ = try files.map(
                        sealed.file, offset: 0, count: sealed.mappable, writable: false,
                        at: window.address(sealed.first))
                }
                _ = try files.map(
                    segment.file, offset: 0, count: segment.mappable, writable: true,
                    at: window.address(segment.first))
            }
            // What others allocated is known to the file alone; asking for allocated blocks again costs one call.
            allocatedEnd = max(segment.first, tail)
            active = segment
        } catch {
            throw EngineError(error)
        }
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
            if tail + UInt64(room) > active.limit {
                try roll(room, head: head, settings: settings)
            }
        } else {
            try roll(room, head: head, settings: settings)
        }
        try allocate(upTo: tail + UInt64(room))
    }

    /// Blocks for everything below `position` in the active segment, in steps that grow with the log.
    private func allocate(upTo position: Position) throws(EngineError) {
        guard let active else { return }
        guard position > allocatedEnd else { return }
        let volume = Int(clamping: tail - window.start)
        let step = UInt64(min(max(volume / 8, 16 << 10), 256 << 10))
        let from = max(allocatedEnd, active.first) / 4096 * 4096
        var end = (position + step - 1) / step * step
        end = min(max(end, position), active.limit)
        do {
            let offset = Int(from - active.first)
            try files.allocate(active.file, offset: offset, count: Int(end - from))
            if isMappedForWriting {
                SystemCalls.populate(window.address(from), count: Int(end - from))
            }
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
        _ room: Int, head: Position, settings: Position, beyond taken: Position = 0
    ) throws(EngineError) {
        let volume = active == nil ? 0 : Int(clamping: tail - min(max(head, window.start), tail))
        let granule = SegmentHeader.granule
        let wanted = max(room + SegmentHeader.size + 64, min(max(volume / 32, granule), SegmentHeader.maximumLength))
        let length = (wanted + granule - 1) / granule * granule
        guard length <= SegmentHeader.maximumLength else {
            throw EngineError(.valueTooLarge, "one transaction's record is longer than a segment may be")
        }
        var first = max(active?.limit ?? firstPosition, block.beyond.relaxed())
        if taken >= first { first = taken + UInt64(granule) }
        do throws(SystemError) {
            while true {
                first = Self.fitting(first, length)
                do throws(SystemError) {
                    try create(first, length, head: head, settings: settings)
                    return
                } catch {
                    guard error.errno == ErrorNumber.exists else { throw error }
                }
                // A killed process left that name behind: go beyond every name.
                let greatest = try files.list(directory).compactMap { SegmentHeader.position(ofName: $0) }.max() ?? 0
                first = max(first, greatest) + UInt64(granule)
            }
        } catch {
            throw EngineError(error)
        }
    }

    /// The least position from `first` on at which a segment of `length` straddles no multiple of the greatest length, and
    /// whose first record isn't one of the marks of the index.
    static func fitting(_ first: Position, _ length: Int) -> Position {
        let limit = UInt64(SegmentHeader.maximumLength)
        if first & (limit - 1) + UInt64(length) > limit { return (first | (limit - 1)) + 1 }
        return first
    }

    private func create(_ first: Position, _ length: Int, head: Position, settings: Position) throws(SystemError) {
        block.making.release(first)
        let file = try files.open(SegmentHeader.name(first), in: directory, [.write, .create, .exclusive])
        FaultPoint.reach(.segmentCreated)
        do throws(SystemError) {
            let header = SegmentHeader(
                salt: salt, storeID: storeID, first: first, length: UInt64(length), predecessor: active?.first ?? 0,
                predecessorEnd: active == nil ? 0 : tail, head: head, settings: settings, epoch: epoch)
            files.disableCopyOnWrite(file)
            try files.truncate(file, to: length)
            try files.allocate(file, offset: 0, count: min(length, 16 << 10))
            try files.write(file, header.encoded(), at: 0)
            FaultPoint.reach(.segmentHeaderWritten)
            let segment = Segment(header: header, file: file, status: try files.status(file))
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
            allocatedEnd = first + UInt64(min(length, 16 << 10))
            if isMappedForWriting { SystemCalls.populate(window.address(first), count: min(length, 16 << 10)) }
            // Before the first record in it: who settles for a dead writer must know where to look.
            block.active.release(first)
            block.making.store(0)
            FaultPoint.reach(.segmentMapped)
        } catch {
            // Nothing was written into it: the name is free again.
            try? files.unlink(SegmentHeader.name(first), in: directory, isDirectory: false)
            block.making.store(0)
            throw error
        }
    }

    /// Appends a record for which room was reserved; its position. It counts only once the commit word says so.
    @inline(__always)
    func append(_ draft: borrowing RecordDraft) throws(EngineError) -> Position {
        let position = tail
        let size = draft.size
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
    private func appendByWriting(_ draft: borrowing RecordDraft, _ size: Int, _ position: Position) throws(EngineError) {
        if scratch.count < size {
            scratch.deallocate()
            scratch = .allocate(byteCount: size * 2, alignment: 16)
        }
        draft.write(to: scratch.baseAddress!, position: position, salt: salt)
        guard let active else { return }
        do {
            try files.write(
                active.file, UnsafeRawBufferPointer(rebasing: scratch[0..<size]), at: Int(position - active.first))
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
        if first > active {
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

/// An address that is carried into a closure that runs when nobody reads there any more.
struct SendableAddress: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer
    init(_ pointer: UnsafeMutableRawPointer) { self.pointer = pointer }
}
