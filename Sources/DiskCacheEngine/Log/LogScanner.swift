/// Reads the log record by record, from the files and not through mappings: a bad sector is then an error and not a signal.
///
/// Used by rebuild and check. It follows the chain of segments as their headers tell it, and never believes what lies behind
/// the end that a segment's successor names.
struct LogScanner {
    /// A segment of the chain, with where its records end if its successor says so.
    struct Link {
        let segment: Segment
        let end: Position?
    }

    /// A segment that is missing or damaged.
    struct Gap {
        let text: String
        /// Where it ends at the latest: it is no loss if the log begins there or behind.
        let end: Position
    }

    /// What stands at a place of the log.
    enum Outcome {
        case record(Record)
        /// A record of which a hint tells.
        case hinted(SegmentHint.Entry)
        /// Bytes that are no record, though a record follows them or should: from, to.
        case damaged(Position, Position)
        /// Nothing more can be believed from here on; whether the rest of the last segment is all zeros.
        case end(Position, isClean: Bool)
    }

    let files: any FileSystem
    let salt: UInt64
    let links: [Link]
    /// Bad records below this are damage in the middle; from here on the first one is the end, in whichever segment it lies.
    let believedEnd: Position
    /// Hints of segments of the chain, by first position: those are not read.
    var hints: [Position: SegmentHint] = [:]

    /// Opens a segment. Those of a chain stay open, since others compact while it is read; but where descriptors don't last, the `others`
    /// are opened again when they are read.
    private static func open(
        _ first: Position, storeID: (UInt64, UInt64)?, besides others: [Segment], _ directory: FileDescriptor,
        _ files: any FileSystem
    ) throws(SystemError) -> Segment.Opened {
        do throws(SystemError) {
            return try Segment.open(first, in: directory, files: files, storeID: storeID, salt: nil, writable: true)
        } catch {
            guard error.errno == ErrorNumber.tooManyOpenFiles, !others.isEmpty else { throw error }
            for segment in others { segment.letGo() }
            return try Segment.open(first, in: directory, files: files, storeID: storeID, salt: nil, writable: true)
        }
    }

    /// The live chain that ends in the highest whole segment, what is missing in it, and the head as far as headers tell it.
    ///
    /// `known`: where the log begins, if something better than headers told it. `end`: where what counts was seen to end; a *clear* at or
    /// behind that is none.
    static func chain(
        files: any FileSystem, directory: FileDescriptor, storeID: (UInt64, UInt64)?, head known: Position? = nil,
        before end: Position = .max
    ) throws(EngineError) -> (links: [Link], gaps: [Gap], head: Position) {
        var gaps: [Gap] = []
        var segments: [Segment] = []
        var unusable: [Position: String] = [:]
        var expected = storeID
        do throws(SystemError) {
            let names = try files.list(directory)
            let firsts = names.compactMap { SegmentHeader.position(ofName: $0) }.sorted(by: >)
            for first in firsts {
                switch try open(first, storeID: expected, besides: segments, directory, files) {
                case .segment(let segment):
                    segments.append(segment)
                    if expected == nil { expected = segment.header.storeID }
                case .missing: break
                case .unusable(let why):
                    // What a killed process left when it made a segment has no content; anything else is damage.
                    let status = try files.status(of: SegmentHeader.name(first), in: directory)
                    let bytes = try Self.headerBytes(first, files, directory)
                    if status.map({ $0.size > 0 }) ?? false, bytes.contains(where: { $0 != 0 }) {
                        unusable[first] = why
                        // Below whole segments it is missed only if one of them names it: else a recovery passed it over.
                        if segments.isEmpty {
                            let end = first + UInt64(status?.size ?? 0)
                            gaps.append(Gap(text: "segment \(SegmentHeader.name(first)): \(why)", end: end))
                        }
                    }
                }
            }
        } catch {
            throw EngineError(error)
        }
        guard var claiming = segments.first else { return ([], gaps, 0) }
        let newest = claiming
        if let known {
            let found = follow(from: newest, to: known, segments, unusable)
            return (found.links, gaps + found.gaps, known)
        }
        var head = newest.header.head
        var found = follow(from: newest, to: head, segments, unusable)
        // A header is on the disk before what lies below it need be, so the head that it names may be lost. As long as what an older one
        // leads to is all there, that is looked through as well: if the later head counts, its record is met there.
        while head >= end || !isProved(head, segments, files),
            let below = segments.first(where: { $0.first == claiming.header.predecessor })
        {
            var lower = below.header.head
            var longer = follow(from: newest, to: lower, segments, unusable)
            // It may have been moved since, by a record of that segment.
            let link = Link(segment: below, end: claiming.header.predecessorEnd)
            let scanner = LogScanner(files: files, salt: below.header.salt, links: [link], believedEnd: 0)
            let named = try scanner.newestHead(closing: longer.gaps, before: end)
            if named > lower { (lower, longer) = (named, follow(from: newest, to: named, segments, unusable)) }
            if head < end, longer.gaps.count > found.gaps.count { break }
            (found, head, claiming) = (longer, lower, below)
        }
        return (found.links, gaps + found.gaps, head)
    }

    /// Whether a head is that of a *clear* whose transaction is whole, before where a recovery cut the log. Of another one this can't be told
    /// at its place.
    private static func isProved(_ head: Position, _ segments: [Segment], _ files: any FileSystem) -> Bool {
        if head == 0 { return true }
        guard let segment = segments.first(where: { $0.first <= head }), head >= segment.firstRecord else {
            return false
        }
        let successor = segments.first { $0.header.predecessor == segment.first }
        let end = min(segment.limit, successor?.header.predecessorEnd ?? .max)
        guard head < end,
            let bytes = try? files.read(
                segment.file(), count: min(4096, Int(clamping: end - head)), at: Int(head - segment.first))
        else { return false }
        return bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return false }
            var offset = 0
            while let record = Record(
                at: base + offset, position: head + UInt64(offset), available: buffer.count - offset),
                record.isIntact(salt: segment.header.salt)
            {
                if offset == 0, record.kind != RecordKind.head.rawValue || record.valueWord != head { return false }
                if record.isCommit { return true }
                offset += record.size
            }
            return false
        }
    }

    /// The chain from a segment down to the one that a head lies in, ascending, and what is missing in it.
    private static func follow(
        from newest: Segment, to head: Position, _ segments: [Segment], _ unusable: [Position: String]
    ) -> (links: [Link], gaps: [Gap]) {
        var gaps: [Gap] = []
        var current = newest
        var links: [Link] = [Link(segment: current, end: nil)]
        while current.first > head {
            let predecessor = current.header.predecessor
            if predecessor == 0 { break }
            if let found = segments.first(where: { $0.first == predecessor }) {
                links.append(Link(segment: found, end: current.header.predecessorEnd))
                current = found
            } else {
                if current.header.predecessorEnd > head {
                    gaps.append(
                        Gap(
                            text: "segment \(SegmentHeader.name(predecessor)): "
                                + (unusable[predecessor] ?? "it is missing"),
                            end: current.header.predecessorEnd))
                }
                guard let lower = segments.first(where: { $0.first < predecessor }) else { break }
                links.append(Link(segment: lower, end: nil))
                current = lower
            }
        }
        return (links.reversed(), gaps)
    }

    private static func headerBytes(
        _ first: Position, _ files: any FileSystem, _ directory: FileDescriptor
    ) throws(SystemError) -> [UInt8] {
        let file = try files.open(SegmentHeader.name(first), in: directory, [])
        return try files.read(file, count: SegmentHeader.size, at: 0)
    }

    /// Calls `visit` with what stands at each place from `start` on, in order. It ends with one `end`.
    /// `visit` may keep nothing of a record.
    func scan(from start: Position, _ visit: (Outcome) throws(EngineError) -> Void) throws(EngineError) {
        var position = start
        var isJoined = false
        for (index, link) in links.enumerated() {
            let segment = link.segment
            if segment.limit <= start { continue }
            // Where a segment is missing whose end isn't believed, nothing that follows is a prefix.
            let lost = segment.header.predecessorEnd
            if !isJoined, segment.header.predecessor != 0, lost > position, lost > believedEnd {
                return try visit(.end(position, isClean: false))
            }
            isJoined = link.end != nil
            if position < segment.firstRecord { position = segment.firstRecord }
            let isLast = index == links.count - 1
            if let hint = hints[segment.first], link.end == hint.end, !isLast {
                try hint.forEach { (entry) throws(EngineError) in
                    if entry.position >= start { try visit(.hinted(entry)) }
                }
                position = hint.end
                continue
            }
            let bytes: [UInt8]
            do throws(SystemError) {
                bytes = try files.read(segment.file(), count: segment.mappable, at: 0)
            } catch {
                if isLast { throw EngineError(error) }
                try visit(.damaged(position, link.end ?? segment.limit))
                continue
            }
            var failure: EngineError?
            var ended = false
            bytes.withUnsafeBytes { buffer in
                do throws(EngineError) {
                    ended = try scan(segment, link.end, isLast, buffer, &position, visit)
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
            if ended { return }
        }
        try visit(.end(position, isClean: links.isEmpty))
    }

    /// The head, as far as a committed record of the newest segment tells it: what is below counts for nothing, and segments that
    /// held it may be gone rightly. 0: it tells nothing.
    ///
    /// The greatest *clear*. A head behind which rows were copied counts only if what lies between it and that record is whole, which the
    /// scan from an older one finds out; but where segments are missing that it takes away, it was durable with all before it.
    func newestHead(closing gaps: [Gap], before end: Position) throws(EngineError) -> Position {
        guard let newest = links.last else { return 0 }
        let scanner = LogScanner(files: files, salt: salt, links: [newest], believedEnd: 0)
        var cleared: Position = 0
        var moved: [Position] = []
        var pending: (at: Position, head: Position) = (0, 0)
        try scanner.scan(from: newest.segment.firstRecord) { (outcome) throws(EngineError) in
            guard case .record(let record) = outcome else { return }
            if record.kind == RecordKind.head.rawValue {
                pending = (record.position, min(record.valueWord, record.position))
            }
            if record.kind == RecordKind.void.rawValue, record.valueWord <= pending.at { pending = (0, 0) }
            if record.isCommit {
                if pending.at >= end { pending = (0, 0) }
                if pending.at != 0, pending.at == pending.head {
                    cleared = max(cleared, pending.head)
                } else if pending.at != 0 {
                    moved.append(pending.head)
                }
                pending = (0, 0)
            }
        }
        // What is damaged above the newest whole segment is nothing that a head record in that could take away.
        let missing = gaps.map(\.end).filter { $0 <= newest.segment.first }.max() ?? 0
        if missing <= max(cleared, newest.segment.header.head) { return cleared }
        return max(cleared, moved.filter { $0 >= missing }.min() ?? 0)
    }

    /// Whether nothing but zeros lies from an offset, a multiple of 4, to the end.
    private static func isZero(_ buffer: UnsafeRawBufferPointer, from start: Int) -> Bool {
        guard let base = buffer.baseAddress else { return true }
        var offset = start
        var found: UInt32 = 0
        while offset + 4 <= buffer.count {
            found |= base.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
            offset += 4
        }
        while offset < buffer.count {
            found |= UInt32(base.load(fromByteOffset: offset, as: UInt8.self))
            offset += 1
        }
        return found == 0
    }

    /// One segment. True if `end` was told.
    private func scan(
        _ segment: Segment, _ namedEnd: Position?, _ isLast: Bool, _ buffer: UnsafeRawBufferPointer,
        _ position: inout Position, _ visit: (Outcome) throws(EngineError) -> Void
    ) throws(EngineError) -> Bool {
        // Where a successor names the end, a file that is shorter lacks records; else it just hasn't grown.
        let end = min(namedEnd ?? segment.first + UInt64(buffer.count), segment.limit)
        let readable = min(end, segment.first + UInt64(buffer.count))
        func record(at position: Position) -> Record? {
            guard position >= segment.firstRecord, position < readable, let base = buffer.baseAddress else {
                return nil
            }
            let offset = Int(position - segment.first)
            guard
                let record = Record(at: base + offset, position: position, available: Int(readable - position)),
                record.isIntact(salt: salt)
            else { return nil }
            return record
        }
        while position < end {
            if let found = record(at: position) {
                try visit(.record(found))
                position = found.end
                continue
            }
            if position >= believedEnd {
                // A power loss may tear an older segment and spare a newer one: what follows here came later, all of it.
                let isClean = isLast && Self.isZero(buffer, from: min(Int(position - segment.first), buffer.count))
                try visit(.end(position, isClean: isClean))
                return true
            }
            if !isLast && namedEnd == nil {
                // The successor is missing: what follows can't be told from what never was.
                break
            }
            let limit = min(end, believedEnd)
            var next = position + 4
            while next < limit, record(at: next) == nil { next = next < readable ? next + 4 : limit }
            try visit(.damaged(position, min(next, limit)))
            position = min(next, limit)
        }
        if isLast {
            try visit(.end(position, isClean: position >= segment.limit))
            return true
        }
        return false
    }
}
