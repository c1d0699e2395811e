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
    let block: CommitBlock

    /// The address of the window's fields.
    private let windowWord: Atomic<UnsafeMutableRawPointer>
    let mutex = Guarded<[Segment]>([])
    /// First positions of segments that were taken away, though a reader may still be in their mappings: their addresses are not
    /// to be used again before that. Taken inside `mutex` or alone.
    private let retiring = Guarded<Set<Position>>([])
    let canWrite: Bool
    /// Where the first segment of a log without any begins.
    let firstPosition: Position
    /// Bytes from the head to the end that the log may have.
    let liveLimit: UInt64

    // Writing
    var active: Segment?
    /// Where the next record goes.
    var tail: Position = 0
    /// Blocks of the active segment are allocated up to here.
    var allocatedEnd: Position = 0
    var scratch: UnsafeMutableRawBufferPointer
    /// Whether the transaction that is open may write where the spare was: it takes away, or moves.
    var mayUseSpare = false
    /// What a segment of a log that much was written to has at least. The store says it, by its size limit.
    var busyLength = SegmentHeader.granule
    /// How long the spare is, as far as this process knows.
    let spareLength = Atomic<UInt64>(0)
    /// When this process came to the active segment, monotonic nanoseconds, and where its tail was; whether it has all of its blocks.
    var activeSince: UInt64 = 0
    var activeFrom: Position = 0
    var isAllocated = false
    /// The segment for whose successor was asked (`Log+Next`).
    var askedNextAt: Position = 0
    let wantsNext = Atomic(false)
    /// Whether the next segment or the spare may have come or gone since `lastPreparedBytes` was asked for.
    let isPreparedChanged = Atomic(true)
    var lastPreparedBytes = 0
    /// Called, under the lock, when `wantsNext` has been set. Set once, before the first write.
    var signalsNext: (@Sendable () -> Void)?
    /// Position of the last record appended; 0: none.
    var lastRecord: Position = 0

    init(
        files: any FileSystem, directory: FileDescriptor, identity: StoreIdentity, block: CommitBlock,
        isMappedForWriting: Bool, windowSize: Int, canWrite: Bool, firstPosition: Position = Log.origin,
        liveLimit: UInt64 = Log.longestLive
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
        self.liveLimit = liveLimit
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
    static func touch(_ address: UnsafeMutableRawPointer) {
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

    /// Asks for the cache line of a record's header: of many records at once, it takes little longer than of one.
    @inline(__always)
    func touchHeader(at position: Position) {
        let window = self.window
        guard position >= window.start, position < window.end else { return }
        let address = UInt(bitPattern: window.address(position &+ UInt64(RecordLayout.bits))) & ~7
        _ = UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped.assumingMemoryBound(to: Atomic<UInt64>.self)
            .pointee.load(ordering: .relaxed)
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
        followHead()
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
            case .segment(let segment):
                try map(segment, into: &segments)
                if segment.limit <= block.synced.acquire() { segment.letGo() }
            }
        } catch {
            throw EngineError(error)
        }
    }

    /// Puts a segment into the window; into a greater one if this is half full.
    func map(_ segment: Segment, into segments: inout [Segment]) throws(SystemError) {
        var window = self.window
        if segments.isEmpty { window.start = segment.first }
        guard segment.first >= window.end || segments.isEmpty else {
            throw SystemError(errno: ErrorNumber.invalid, call: "the order of segments", path: segment.path)
        }
        let lowest = min(window.start, retiring.withLock { $0.min() } ?? .max)
        let span = segment.limit &- lowest
        if span > UInt64(window.size / 2) {
            window = try enlarged(for: Int(span), &segments)
        }
        if segment.mappable > 0 {
            _ = try files.map(
                segment.file(), offset: 0, count: segment.mappable, writable: false, at: window.address(segment.first))
        }
        segments.append(segment)
        window.end = segment.limit
    }

    /// A window of twice the size with the same segments in it; the old one is freed when its readers have left.
    private func enlarged(for span: Int, _ segments: inout [Segment]) throws(SystemError) -> LogWindow {
        let old = window
        // A header can say any position.
        guard span <= LogWindow.largest else { throw Self.noWindow }
        let new = try LogWindow(wanted: span * 4)
        if new.size < span {
            new.free()
            throw Self.noWindow
        }
        do throws(SystemError) {
            for segment in segments where segment.mappable > 0 {
                do throws(SystemError) {
                    _ = try files.map(
                        segment.file(), offset: 0, count: segment.mappable,
                        writable: isMappedForWriting && segment.first == active?.first, at: new.address(segment.first))
                } catch {
                    // Compacted away by another process: whoever reads there still does so in the old window.
                    guard error.errno == ErrorNumber.notFound, segment.first == segments.first?.first else {
                        throw error
                    }
                    segments.removeFirst()
                }
            }
        } catch {
            new.free()
            throw error
        }
        new.start = segments.first?.first ?? old.start
        new.end = old.end
        windowWord.store(new.fields, ordering: .sequentiallyConsistent)
        ReaderPins.retireLater { old.free() }
        return new
    }

    private static var noWindow: SystemError {
        SystemError(errno: ErrorNumber.noMemory, call: "mmap", path: "the log's window of addresses")
    }

    /// The segments that are mapped, ascending.
    var segments: [Segment] { mutex.withLock { $0 } }

    /// Keeps no file open that no sync asks for any more.
    func letGoOfFiles(below synced: Position) {
        for segment in segments where segment.limit <= synced { segment.letGo() }
    }

    /// Takes away the mappings of segments that lie below `head` altogether: zeros take their place when their readers have left.
    func dropBelow(_ head: Position) {
        mutex.withLock { segments in
            let window = self.window
            let active = block.active.acquire()
            let gone = segments.filter { $0.limit <= head && $0.first != active }
            guard !gone.isEmpty else { return }
            segments.removeAll { segment in gone.contains { $0.first == segment.first } }
            window.start = segments.first?.first ?? head
            let fields = SendableAddress(window.fields)
            for segment in gone where segment.mappable > 0 {
                retiring.withLock { _ = $0.insert(segment.first) }
                ReaderPins.retireLater { [weak self] in self?.unmapRetired(segment, fields) }
            }
        }
        ReaderPins.collect()
    }

    private func unmapRetired(_ segment: Segment, _ fields: SendableAddress) {
        mutex.withLock { _ in
            retiring.withLock { _ = $0.remove(segment.first) }
            // A window that was replaced in the meantime is unmapped as a whole.
            guard window.fields == fields.pointer else { return }
            files.unmap(window.address(segment.first), count: segment.mappable, leavingZeros: true)
        }
    }

    /// Forgets every segment: what an opening had mapped before it turned out that the log has to be read anew. Nobody else may
    /// be reading yet.
    func forgetSegments() {
        mutex.withLock { segments in
            let window = self.window
            for segment in segments where segment.mappable > 0 {
                files.unmap(window.address(segment.first), count: segment.mappable, leavingZeros: true)
            }
            segments.removeAll()
            window.end = 0
            window.start = 0
        }
    }

    /// Drops what lies below the head, if that has moved: so that a process that only reads keeps nothing that others unlinked.
    private func followHead() {
        let word = block.word.acquire()
        let head = block.head(CommitBlock.slot(word)).relaxed()
        SharedMemory.acquireFence()
        // The other slot is filled for a commit that isn't one yet.
        if block.word.relaxed() == word, head > window.start { dropBelow(head) }
    }

    /// Calls `visit` with every whole record from `start` on, in order, over the segments that follow one another; returns the
    /// position behind the last of them. Reads through the mapping: for what a dead process may have left behind T.
    func scanTail(from start: Position, _ visit: (Record) throws(EngineError) -> Void) throws(EngineError) -> Position {
        try scan(from: start) { (record) throws(EngineError) in
            try visit(record)
            return true
        }
    }
}

/// An address that is carried into a closure that runs when nobody reads there any more.
struct SendableAddress: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer
    init(_ pointer: UnsafeMutableRawPointer) { self.pointer = pointer }
}
