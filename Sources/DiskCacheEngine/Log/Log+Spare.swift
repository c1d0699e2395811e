import Synchronization

/// The spare: a file with blocks for a segment, kept for the time when the disk is full. Then what takes away (deletes, `clear`, copies
/// and head records of compaction, void records) goes on in a segment made of it, and nothing else may write there, until there is
/// room for another spare.
///
/// `log/spare` holds nothing; it gets a header and its name when it becomes a segment. Small stores have none: their segments are a
/// fraction of what they hold only from `leastSegments` on.
extension Log {
    static let spareName = "spare"
    private static let unfinishedName = "spare.new"
    /// An eighth of the log at most.
    private static let share = 8

    /// *Writer.* Whether the active segment was made of the spare, and there is no other yet.
    @inline(__always) var isOnSpare: Bool {
        let first = block.spareSegment.relaxed()
        return first != 0 && first == activeFirst
    }

    /// As long as the next segment will be, or as fits into its share; 0: the log is too short for a spare.
    private var wantedSpare: Int {
        guard canWrite, let last = segments.last else { return 0 }
        let volume = Int(clamping: last.limit - min(last.limit, window.start))
        let share = volume / Self.share / SegmentHeader.granule * SegmentHeader.granule
        return min(share, Self.length(volume, written: last.limit, busy: busyLength))
    }

    /// Whether there ought to be a spare, or a longer one, as far as this process knows.
    var wantsSpare: Bool {
        let wanted = wantedSpare
        return wanted > 0 && (spareLength.load(ordering: .relaxed) < wanted || block.spareSegment.relaxed() != 0)
    }

    /// Whether there is one that is far longer than this log needs.
    var isSpareTooMuch: Bool {
        let wanted = wantedSpare
        // Small ones come and go with the log's length, and are left.
        return spareBytes > max(wanted + wanted / 4, busyLength)
    }

    /// Whether there is one though the log is too short for any.
    var isSpareNeedless: Bool { wantedSpare == 0 && spareBytes > 0 }

    /// *Writer.* Gives the spare's blocks back.
    func dropSpare() throws(SystemError) {
        spareLength.store(0, ordering: .relaxed)
        isPreparedChanged.store(true, ordering: .relaxed)
        try files.unlinkIfPresent(Self.spareName, in: directory)
    }

    /// Bytes that the spare takes.
    var spareBytes: Int { (try? files.status(of: Self.spareName, in: directory))??.allocated ?? 0 }

    /// Allocates a spare, if there is none so long. One process at a time; `install` is called with
    /// what ends it, which belongs under the write lock. False: there is no room.
    func makeSpare(_ install: (() throws(SystemError) -> Void) throws(EngineError) -> Void) throws(EngineError) -> Bool
    {
        let length = wantedSpare
        if length == 0 { return false }
        var isThere = false
        do throws(SystemError) {
            if let found = try files.status(of: Self.spareName, in: directory), found.size >= length {
                spareLength.store(UInt64(found.size), ordering: .relaxed)
                if block.spareSegment.relaxed() == 0 { return true }
                // Who was about to take it died.
                isThere = true
            }
            if !isThere { try allocateSpare(length) }
        } catch {
            if error.errno == ErrorNumber.noSpace { return false }
            throw EngineError(error)
        }
        try install { () throws(SystemError) in
            if !isThere {
                try files.rename(Self.unfinishedName, to: Self.spareName, in: directory)
            } else if try files.status(of: Self.spareName, in: directory) == nil {
                return
            }
            block.spareSegment.store(0)
            isPreparedChanged.store(true, ordering: .relaxed)
        }
        if !isThere { spareLength.store(UInt64(length), ordering: .relaxed) }
        return true
    }

    private func allocateSpare(_ length: Int) throws(SystemError) {
        try files.unlinkIfPresent(Self.unfinishedName, in: directory)
        let file = try files.open(Self.unfinishedName, in: directory, [.write, .create, .exclusive])
        do throws(SystemError) {
            files.disableCopyOnWrite(file)
            try files.allocate(file, offset: 0, count: length)
        } catch {
            try? files.unlinkIfPresent(Self.unfinishedName, in: directory)
            throw error
        }
    }

    /// *Writer.* The spare, opened to become a segment that begins at `first`; nil: there is none, or it is too short.
    func takeSpare(atLeast length: Int) throws(SystemError) -> PreparedSegment? {
        guard let status = try files.status(of: Self.spareName, in: directory),
            status.size >= length, status.size <= SegmentHeader.maximumLength,
            status.size % SegmentHeader.granule == 0, status.kind == .regular
        else { return nil }
        spareLength.store(0, ordering: .relaxed)
        isPreparedChanged.store(true, ordering: .relaxed)
        return PreparedSegment(
            file: try files.open(Self.spareName, in: directory, [.write]), name: Self.spareName, length: status.size)
    }
}
