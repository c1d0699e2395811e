/// What makes a range of the log durable: its segments, the value files that its records name, and the names of all of them.
///
/// Both ends of a range are ends of transactions. Everything is read with `pread`.
struct SyncRange {
    let log: Log
    let directory: FileDescriptor
    let valueFiles: ValueFiles
    private var files: any FileSystem { log.files }

    init(log: Log, directory: FileDescriptor, valueFiles: ValueFiles) {
        self.log = log
        self.directory = directory
        self.valueFiles = valueFiles
    }

    /// A sync that failed.
    struct Failure: Error {
        let error: SystemError
        /// Whether the disk was asked for something: then nobody knows what of it is there.
        let isInDoubt: Bool
    }

    /// Makes everything in `from ..< tail` durable. The files first, since a record must not be there without its own; but for those that
    /// records of the range have `replaced`: where they are the newest, the range isn't there as a whole.
    ///
    /// Directories are synced where a name in them may be new: another sync of one that isn't would cost a flush of the drive for
    /// nothing. A sync that covered a record of a segment has made that segment's name durable.
    func sync(
        from: Position, to tail: Position, except replaced: Set<ValueFileName> = []
    ) throws(Failure) {
        let segments = try opening { () throws(SystemError) in
            try self.segments(from: from, to: tail, known: log.segments)
        }
        // Most stores have none, and a long range needn't be read for them.
        let hasFiles = try opening { () throws(SystemError) in
            try files.status(of: ValueFiles.root, in: directory) != nil
        }
        for segment in segments where hasFiles {
            let named = try opening { () throws(SystemError) in try self.files(in: segment, from: from, below: tail) }
            let names = named.map(\.name).filter { !replaced.contains($0) }
            try asking { () throws(SystemError) in try valueFiles.sync(names) }
        }
        try asking { () throws(SystemError) in
            for segment in segments {
                let window = log.window
                if segment.first >= window.start, segment.limit <= window.end {
                    try SystemCalls.syncMapping(
                        window.address(segment.first), count: segment.mappable, segment.path)
                }
                try files.sync(segment.file())
            }
            if from == 0 || segments.contains(where: { $0.firstRecord >= from }) {
                try files.syncDirectory(log.directory)
            }
            guard from == 0 else { return }
            // Whoever made the store's directory may have been killed before that was durable.
            try files.syncDirectory(directory)
            try StoreDirectory.syncDirectory("..", in: directory, files)
        }
    }

    /// Failures before anything was asked of the disk leave nothing in doubt.
    private func opening<R>(_ body: () throws(SystemError) -> R) throws(Failure) -> R {
        do throws(SystemError) {
            return try body()
        } catch {
            throw Failure(error: error, isInDoubt: error.errno == ErrorNumber.inputOutput)
        }
    }

    private func asking(_ body: () throws(SystemError) -> Void) throws(Failure) {
        do throws(SystemError) {
            try body()
        } catch {
            // A file that can't be opened for want of descriptors wasn't asked for anything.
            let isInDoubt =
                error.errno != ErrorNumber.tooManyOpenFiles
                && error.errno != ErrorNumber.tooManyOpenFilesInSystem
            throw Failure(error: error, isInDoubt: isInDoubt)
        }
    }

    /// The segments that hold something of a range, by their names: a later `clear` that isn't durable yet takes mappings away.
    /// One that has no name any more lies below a head that is durable.
    private func segments(
        from: Position, to tail: Position, known: [Segment]
    ) throws(SystemError) -> [Segment] {
        // A range in the newest segment needs no list of the others.
        if let last = known.last, last.first <= from, tail <= last.limit { return [last] }
        let firsts = try files.list(log.directory).compactMap { SegmentHeader.position(ofName: $0) }.sorted()
        var found: [Segment] = []
        for (number, first) in firsts.enumerated() where first < tail {
            if number + 1 < firsts.count, firsts[number + 1] <= from { continue }
            if let segment = known.first(where: { $0.first == first }) {
                found.append(segment)
            } else if case .segment(let segment) = try Segment.open(
                first, in: log.directory, files: files, storeID: log.storeID, salt: log.salt, writable: true)
            {
                found.append(segment)
            }
        }
        return found.filter { $0.limit > from }
    }

    // MARK: Storing anew

    /// Stores a range again, the same bytes, and the value files that it names: what a failed sync has dropped is there in memory
    /// still, but the system wouldn't write it any more. The end of what is whole: at the first bad record it stops.
    ///
    /// On descriptors of its own. Nobody appends below the range's end, so no other store is written over.
    func storeAnew(from: Position, to tail: Position) throws(SystemError) -> Position {
        // Those that a recovery has cut off have their names still, and aren't part of the log.
        var segments: [Segment] = []
        for segment in try self.segments(from: from, to: tail, known: []).reversed()
        where segments.last.map({ $0.header.predecessor == segment.first }) ?? true {
            segments.append(segment)
        }
        segments.reverse()
        var reached = from
        for (number, segment) in segments.enumerated() {
            let start = max(from, segment.first)
            // A successor of another one, or of another end, isn't what comes behind.
            if segment.first > from, reached != 0, segment.header.predecessorEnd > reached { return reached }
            let named = number + 1 < segments.count ? segments[number + 1].header.predecessorEnd : tail
            let end = min(named, tail)
            let limit = min(end, segment.first + UInt64(segment.mappable))
            guard start < limit else { continue }
            let bytes = try files.read(segment.file(), count: Int(limit - start), at: Int(start - segment.first))
            let whole = wholeBytes(bytes, at: start, in: segment)
            try files.write(segment.file(), Array(bytes[..<whole]), at: Int(start - segment.first))
            reached = max(reached, start + UInt64(whole))
            for file in try self.files(in: segment, from: from, below: reached) { try valueFiles.storeAnew(file) }
            if reached < end { return reached }
        }
        return reached
    }

    /// How many of the bytes, from a segment's beginning or a record's, are its header and whole records.
    private func wholeBytes(_ bytes: [UInt8], at start: Position, in segment: Segment) -> Int {
        var offset = start < segment.firstRecord ? Int(segment.firstRecord - start) : 0
        bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            while offset < buffer.count,
                let record = Record(
                    at: base + offset, position: start + UInt64(offset), available: buffer.count - offset),
                record.isIntact(salt: log.salt)
            {
                offset += record.size
            }
        }
        return min(offset, bytes.count)
    }

    // MARK: Value files

    /// The value files that a segment's records of a range name; both ends are record boundaries.
    func files(
        in segment: Segment, from start: Position = 0, below end: Position
    ) throws(SystemError) -> [ValueFileReference] {
        var named: [ValueFileReference] = []
        try forEachFileRecord(in: segment, from: start, below: end) { _, file in named.append(file) }
        return named
    }

    /// Calls `visit` with the records of a segment's range that name value files.
    func forEachFileRecord(
        in segment: Segment, from start: Position = 0, below end: Position,
        _ visit: (Record, ValueFileReference) -> Void
    ) throws(SystemError) {
        let first = max(start, segment.firstRecord)
        let limit = min(end, segment.first + UInt64(segment.mappable))
        if first >= limit { return }
        let bytes = try files.read(segment.file(), count: Int(limit - first), at: Int(first - segment.first))
        bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            var offset = 0
            while offset < buffer.count,
                let record = Record(
                    at: base + offset, position: first + UInt64(offset), available: buffer.count - offset),
                record.isIntact(salt: log.salt)
            {
                if record.kind == RecordKind.put.rawValue, ValueFormCode.isFile(record.form),
                    let file = ValueFileReference(record.value)
                {
                    visit(record, file)
                }
                offset += record.size
            }
        }
    }
}

extension ValueFiles {
    /// Stores a file's bytes again where it is whole; one that is gone or damaged is left as it is.
    func storeAnew(_ reference: ValueFileReference) throws(SystemError) {
        let isWhole: Bool
        do throws(EngineError) {
            isWhole = try self.isWhole(reference)
        } catch {
            throw SystemError(
                errno: error.errno ?? ErrorNumber.inputOutput, call: "pread", path: reference.name.path)
        }
        guard isWhole else { return }
        let file = try system.open(reference.name.path, in: directory, [.write])
        var offset = 0
        while offset < reference.length {
            let piece = try system.read(file, count: min(1 << 20, reference.length - offset), at: offset)
            if piece.isEmpty { return }
            try system.write(file, piece, at: offset)
            offset += piece.count
        }
    }
}
