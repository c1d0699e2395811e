import Synchronization

/// The next segment, made ahead while one is filled fast: with all of its blocks, and pages of zeros. Then writers, who share a lock, don't
/// wait for the file system to allocate and clear.
///
/// `log/next` holds zeros; like the spare it gets a header and its name when it becomes a segment. It goes when nothing was
/// written for a while, when a process that wrote closes the store, when the log needs its blocks, and whenever the views are made again:
/// a power loss may have given a segment with records that name back.
extension Log {
    static let nextName = "next"
    private static let unfinishedName = "next.new"

    /// Half a segment must have been filled within as many nanoseconds: else nobody waits for long.
    private static let longestHalf: UInt64 = 2_000_000_000

    /// Segments shorter than this are made when they are needed.
    private static let leastLength: UInt64 = 256 << 10

    private static let clearedAtOnce = 1 << 20

    /// *Writer.* Asks for the next segment when half of this one is used, once, if this process has seen at least a quarter filled.
    func askForNext(at position: Position) {
        guard let active, active.first != askedNextAt, isMappedForWriting, active.header.length >= Self.leastLength,
            position &- active.first > active.header.length / 2, position &- activeFrom > active.header.length / 4,
            SystemCalls.monotonicClock() &- activeSince < Self.longestHalf
        else { return }
        askedNextAt = active.first
        // Another process may have made one.
        isPreparedChanged.store(true, ordering: .relaxed)
        wantsNext.store(true, ordering: .relaxed)
        signalsNext?()
    }

    /// How long the next segment will be, as far as can be told now.
    var nextLength: Int {
        guard let last = segments.last else { return SegmentHeader.granule }
        let volume = Int(clamping: last.limit - min(last.limit, window.start))
        return Self.length(volume, written: last.limit, busy: busyLength)
    }

    /// Makes the next segment, unless there is one: one thread of one process at a time, without the write lock. Who takes it away may do
    /// so at any time; nobody else puts one there, so that the rename that ends it replaces nothing. Whether one was made.
    func prepareNext(while isWanted: () -> Bool) throws(SystemError) -> Bool {
        let length = nextLength
        if try files.status(of: Self.nextName, in: directory) != nil { return false }
        try files.unlinkIfPresent(Self.unfinishedName, in: directory)
        do throws(SystemError) {
            let file = try files.open(Self.unfinishedName, in: directory, [.write, .create, .exclusive])
            files.disableCopyOnWrite(file)
            try files.allocate(file, offset: 0, count: length)
            for at in stride(from: 0, to: length, by: Self.clearedAtOnce) {
                guard isWanted() else {
                    try files.unlinkIfPresent(Self.unfinishedName, in: directory)
                    return false
                }
                try MappedAllocation.clear(file, files, from: at, to: min(at + Self.clearedAtOnce, length))
            }
            FaultPoint.reach(.nextFilled)
            try files.rename(Self.unfinishedName, to: Self.nextName, in: directory)
        } catch {
            try? files.unlinkIfPresent(Self.unfinishedName, in: directory)
            // Without it the next segment is made when it is needed, and says what is wrong.
            if error.errno == ErrorNumber.noSpace { return false }
            throw error
        }
        isPreparedChanged.store(true, ordering: .releasing)
        FaultPoint.reach(.nextPlaced)
        return true
    }

    /// *Writer.* The next segment, opened; nil: there is none, or not one of about `length` bytes.
    func takeNext(about length: Int, atLeast least: Int) throws(SystemError) -> PreparedSegment? {
        isPreparedChanged.store(true, ordering: .relaxed)
        guard let status = try files.status(of: Self.nextName, in: directory) else { return nil }
        guard status.kind == .regular, status.size % SegmentHeader.granule == 0, status.allocated >= status.size,
            status.size >= max(least, length / 2), status.size <= min(length + length / 4, SegmentHeader.maximumLength)
        else {
            try dropNext()
            return nil
        }
        return PreparedSegment(
            file: try files.open(Self.nextName, in: directory, [.write]), name: Self.nextName, length: status.size)
    }

    /// *Writer.* Takes it away.
    func dropNext() throws(SystemError) {
        isPreparedChanged.store(true, ordering: .relaxed)
        try files.unlinkIfPresent(Self.nextName, in: directory)
    }

    /// Bytes that it takes.
    var nextBytes: Int { (try? files.status(of: Self.nextName, in: directory))??.allocated ?? 0 }

    /// *Alone.* Takes away the next segment, made or half made.
    func forgetNext() throws(SystemError) {
        try files.unlinkIfPresent(Self.unfinishedName, in: directory)
        try dropNext()
    }

    /// *Writer.* Bytes that it and the spare take, for who looks often: asks only if this process has changed them, another one had the
    /// lock meanwhile, or half of a segment is full, since another one may have made the next without the lock.
    func preparedBytes() -> Int {
        if isPreparedChanged.exchange(false, ordering: .acquiring) { lastPreparedBytes = nextBytes + spareBytes }
        return lastPreparedBytes
    }

    /// *Alone.* Takes away what was made ahead by whoever had the store before. A rename can come back undone after a power loss: what has
    /// no segment's name may hold a segment's records, which would be met behind those that are written there now.
    func forgetPrepared() throws(SystemError) {
        try forgetNext()
        try dropSpare()
    }
}

/// A file with blocks, made to become a segment.
struct PreparedSegment {
    var file: FileDescriptor
    var name: String
    var length: Int
}
