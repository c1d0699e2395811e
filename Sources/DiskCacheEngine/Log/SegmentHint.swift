/// A hint file: what a rebuild must know of each record of a sealed segment, so that it needn't read the segment's values.
///
/// Written once the segment's records are durable, so whatever of the segment turns out bad later is damage and no torn end. It is
/// believed only if every check holds, and nothing is lost without it. `<first>.hint` beside the segment; stored, never renumber:
///
/// ```
///   0  magic 8          89 'D' 'C' 'H' 0D 0A 1A 0A
///   8  format 4         1
///  12  reserved 4       0
///  16  salt 8           of the store
///  24  store id 16
///  40  first 8          the segment's first position
///  48  end 8            where its records end, as its successor's header says
///  56  count 8          entries: one for each record, in order
///  64  segment check 8  the check in the segment's header
///  72  last check 4     the check of its last record
///  76  reserved 36      0
/// 112  sum 8            XXH64 of the entries, seeded with salt + first
/// 120  check 8          XXH64 of bytes 0 to 119, seed 0
/// 128  entries
/// ```
///
/// An entry, of 24 or 32 bytes:
///
/// ```
///   0  hash 8           of the record's key; 0 for kinds that have no slot
///   8  size 4           bytes that it takes in the log: where the next one begins
///  12  bits 2           the record's
///  14  rowid 5
///  19  stored time 5
///  24  expiry 8         if the expiry bit is set
/// ```
struct SegmentHint: Sendable {
    static let headerSize = 128
    static let magic: UInt64 = 0x0A1A_0A0D_4843_4489
    private static let entrySize = 24
    /// A hint that takes more of its segment than this saves too little.
    static let largestShare = 20

    let end: Position
    let count: Int
    private let first: Position
    private let bytes: [UInt8]

    /// What is known of a record without reading it.
    struct Entry: Sendable {
        let position: Position
        let size: Int
        let hash: UInt64
        let bits: RecordBits
        let rowid: UInt64
        let storedTime: UInt64
        let expiry: Int64?

        /// Whether that is all that a rebuild must know: not of records that are about the log, and of values in files.
        var isEnough: Bool {
            bits.kind == RecordKind.tombstone.rawValue
                || (bits.kind == RecordKind.put.rawValue && !ValueFormCode.isFile(bits.form))
        }
        var isCommit: Bool { bits.has(RecordBits.commit) }
        var end: Position { position &+ UInt64(truncatingIfNeeded: size) }
    }

    /// The name beside the segment that begins at a position.
    static func name(_ first: Position) -> String { String(SegmentHeader.name(first).dropLast(3)) + "hint" }

    /// The segment that a name belongs to; nil if it isn't a hint's.
    static func position(ofName name: String) -> Position? {
        guard name.hasSuffix(".hint") else { return nil }
        return SegmentHeader.position(ofName: String(name.dropLast(4)) + "seg")
    }

    // MARK: Making

    /// The file for a segment whose records end at `end`, given its bytes up to there; nil if it would be too large, or not all of
    /// the segment is whole.
    static func encoded(
        _ header: SegmentHeader, end: Position, _ content: UnsafeRawBufferPointer, hash: KeyHash
    ) -> [UInt8]? {
        let salt = header.salt
        guard let base = content.baseAddress, end > header.first + UInt64(SegmentHeader.size),
            content.count == Int(clamping: end - header.first)
        else { return nil }
        let limit = content.count / largestShare
        var bytes = [UInt8](repeating: 0, count: headerSize)
        var offset = SegmentHeader.size
        var count = 0
        var last: UInt32 = 0
        while offset < content.count {
            guard
                let record = Record(
                    at: base + offset, position: header.first + UInt64(offset), available: content.count - offset),
                record.isIntact(salt: salt)
            else { return nil }
            append(record.hasSlot ? hash(KeyClass.identity(record.keyClass), record.key) : 0, 8, &bytes)
            append(UInt64(record.size), 4, &bytes)
            append(UInt64(record.bits.raw), 2, &bytes)
            append(record.rowid, 5, &bytes)
            append(record.storedTime, 5, &bytes)
            if let expiry = record.expiry { append(UInt64(bitPattern: expiry), 8, &bytes) }
            if bytes.count > limit { return nil }
            last = UInt32(littleEndian: record.start.loadUnaligned(as: UInt32.self))
            count += 1
            offset += record.size
        }
        bytes.withUnsafeMutableBytes { raw in
            func put(_ value: UInt64, _ at: Int) {
                raw.storeBytes(of: value.littleEndian, toByteOffset: at, as: UInt64.self)
            }
            put(magic, 0)
            put(UInt64(EngineVersion.format), 8)
            put(salt, 16)
            put(header.storeID.0, 24)
            put(header.storeID.1, 32)
            put(header.first, 40)
            put(end, 48)
            put(UInt64(count), 56)
            put(header.check, 64)
            put(UInt64(last), 72)
            put(XXH64.hash(UnsafeRawBufferPointer(rebasing: raw[headerSize...]), seed: salt &+ header.first), 112)
            put(XXH64.hash(UnsafeRawBufferPointer(rebasing: raw[0..<120]), seed: 0), 120)
        }
        return bytes
    }

    private static func append(_ value: UInt64, _ count: Int, _ bytes: inout [UInt8]) {
        for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value &>> UInt64(8 * index))) }
    }

    // MARK: Believing

    /// The hint of a segment whose records end at `end`; nil if there is none or anything about it doesn't fit.
    static func open(
        _ segment: Segment, end: Position, in directory: FileDescriptor, files: any FileSystem, salt: UInt64
    ) -> SegmentHint? {
        guard end > segment.firstRecord, end <= segment.limit,
            let status = try? files.status(of: name(segment.first), in: directory), status.kind == .regular,
            status.size >= headerSize + entrySize, status.size <= Int(SegmentHeader.maximumLength),
            let file = try? files.open(name(segment.first), in: directory, []),
            let bytes = try? files.read(file, count: status.size, at: 0), bytes.count == status.size
        else { return nil }
        guard let hint = SegmentHint(bytes, segment, end: end, salt: salt) else { return nil }
        return hint.fits(segment, files: files, salt: salt) ? hint : nil
    }

    private init?(_ bytes: [UInt8], _ segment: Segment, end: Position, salt: UInt64) {
        let count: Int? = bytes.withUnsafeBytes { raw in
            func word(_ at: Int) -> UInt64 {
                UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            }
            guard word(0) == Self.magic, word(8) == UInt64(EngineVersion.format), word(16) == salt,
                word(24) == segment.header.storeID.0, word(32) == segment.header.storeID.1,
                word(40) == segment.first, word(48) == end, word(64) == segment.header.check,
                word(120) == XXH64.hash(UnsafeRawBufferPointer(rebasing: raw[0..<120]), seed: 0),
                word(112)
                    == XXH64.hash(
                        UnsafeRawBufferPointer(rebasing: raw[Self.headerSize...]), seed: salt &+ segment.first)
            else { return nil }
            return Int(exactly: word(56))
        }
        guard let count else { return nil }
        self.bytes = bytes
        self.end = end
        self.count = count
        first = segment.firstRecord
    }

    /// Whether the entries follow one another up to the segment's end, and the last one is of the record that stands there.
    private func fits(_ segment: Segment, files: any FileSystem, salt: UInt64) -> Bool {
        var entries = 0
        var last: Entry?
        let reached = forEach { entry in
            entries += 1
            last = entry
        }
        guard reached == end, entries == count, let last,
            let content = try? files.read(segment.file(), count: last.size, at: Int(last.position - segment.first))
        else { return false }
        let wanted = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 72, as: UInt32.self) }
        return content.withUnsafeBytes { raw in
            guard let base = raw.baseAddress,
                let record = Record(at: base, position: last.position, available: raw.count)
            else { return false }
            return record.size == last.size && record.isIntact(salt: salt)
                && base.loadUnaligned(as: UInt32.self) == wanted
        }
    }

    /// Calls `visit` with each entry, in order; where the last one ends. nil: at an entry that can't be one it stopped.
    @discardableResult
    func forEach<E: Error>(_ visit: (Entry) throws(E) -> Void) throws(E) -> Position? {
        var position = first
        var at = Self.headerSize
        while at < bytes.count {
            guard let entry = entry(at, position) else { return nil }
            at += Self.entrySize + (entry.expiry == nil ? 0 : 8)
            position = entry.end
            try visit(entry)
        }
        return position
    }

    private func entry(_ at: Int, _ position: Position) -> Entry? {
        guard at + Self.entrySize <= bytes.count, position < end else { return nil }
        return bytes.withUnsafeBytes { raw in
            func word(_ offset: Int) -> UInt64 {
                UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: at + offset, as: UInt64.self))
            }
            let bits = RecordBits(raw: UInt16(truncatingIfNeeded: word(8) &>> 32))
            let size = Int(UInt32(truncatingIfNeeded: word(8)))
            guard bits.kind &- 1 < 6, size >= RecordLayout.headerSize, size % 4 == 0, UInt64(size) <= end - position
            else { return nil }
            var expiry: Int64?
            if bits.has(RecordBits.expiry) {
                guard at + Self.entrySize + 8 <= raw.count else { return nil }
                expiry = Int64(bitPattern: word(24))
            }
            return Entry(
                position: position, size: size, hash: word(0), bits: bits, rowid: word(14) & PackedPosition.mask,
                storedTime: word(16) &>> 24, expiry: expiry)
        }
    }
}
