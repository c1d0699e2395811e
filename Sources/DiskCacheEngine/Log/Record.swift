/// A view of one record where it lies, borrowed: valid as long as the mapping under it.
///
/// It is made only after every length in the header was checked against the bytes that are there, so nothing that a file
/// holds can lead outside (P20); whether the bytes are the ones that were written, `isIntact` tells.
public struct Record: @unchecked Sendable {
    let start: UnsafeRawPointer
    /// Where the record lies in the log.
    public let position: Position
    let bits: RecordBits
    private let keyStart: Int32
    private let keyCount: Int32
    private let valueCount: Int32

    /// The record at `start`, or nil if what lies there can't be one that ends within `available` bytes.
    @inline(__always)
    init?(at start: UnsafeRawPointer, position: Position, available: Int) {
        guard available >= RecordLayout.headerSize else { return nil }
        let word = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: 4, as: UInt64.self))
        let bits = RecordBits(raw: UInt16(truncatingIfNeeded: word))
        var key = Int((word &>> 16) & 0xFF)
        var value = Int((word &>> 24) & 0xFFFF)
        var at = RecordLayout.headerSize
        if bits.raw & (RecordBits.wide | RecordBits.expiry | RecordBits.tag) != 0 {
            if bits.has(RecordBits.wide) {
                guard key == 0, value == 0, available >= RecordLayout.wideHeaderSize else { return nil }
                key = Int(Self.half(start + RecordLayout.wideKeyLength))
                value = Int(Self.half(start + RecordLayout.wideValueLength))
                guard key <= RecordLayout.maximumKey, value <= RecordLayout.maximumInlineValue else { return nil }
                at = RecordLayout.wideHeaderSize
            }
            if bits.has(RecordBits.expiry) { at &+= RecordLayout.expirySize }
            if bits.has(RecordBits.tag) {
                guard at &+ RecordLayout.tagPrefixSize <= available else { return nil }
                let low = Int((start + (at &+ 1)).load(as: UInt8.self))
                let high = Int((start + (at &+ 2)).load(as: UInt8.self))
                at &+= RecordLayout.tagPrefixSize &+ (high &<< 8 | low)
            }
        }
        guard at &+ key &+ value <= available else { return nil }
        guard bits.kind &- 1 < 6 else { return nil }
        self.start = start
        self.position = position
        self.bits = bits
        keyStart = Int32(truncatingIfNeeded: at)
        keyCount = Int32(truncatingIfNeeded: key)
        valueCount = Int32(truncatingIfNeeded: value)
    }

    /// Bytes that the checksum covers, counted from the record's start.
    @inline(__always) var contentEnd: Int { Int(keyStart) &+ Int(keyCount) &+ Int(valueCount) }
    /// Bytes that the record takes in the log.
    @inline(__always) public var size: Int { RecordLayout.aligned(contentEnd) }
    /// Where the next record may begin.
    @inline(__always) var end: Position { position &+ UInt64(truncatingIfNeeded: size) }

    /// Whether the checksum fits the bytes, the store and the position.
    @inline(__always) func isIntact(salt: UInt64) -> Bool {
        Self.checksum(start, contentEnd, salt: salt, position: position)
            == UInt32(littleEndian: start.loadUnaligned(as: UInt32.self))
    }

    /// The checksum that belongs into a record's first four bytes.
    @inline(__always)
    static func checksum(_ start: UnsafeRawPointer, _ contentEnd: Int, salt: UInt64, position: Position) -> UInt32 {
        let whole = XXH64.hash(start + RecordLayout.bits, contentEnd &- RecordLayout.bits, seed: salt &+ position)
        let low = UInt32(truncatingIfNeeded: whole)
        return low == 0 ? 1 : low
    }

    /// The record's kind, as stored.
    @inline(__always) public var kind: UInt16 { bits.kind }
    /// Whether it is the last of its transaction.
    @inline(__always) var isCommit: Bool { bits.has(RecordBits.commit) }
    /// The class of its key.
    @inline(__always) public var keyClass: UInt8 { bits.keyClass }
    /// The form of its value.
    @inline(__always) public var form: UInt16 { bits.form }
    /// The key's bytes.
    @inline(__always) public var key: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: start + Int(keyStart), count: Int(keyCount))
    }
    /// The value's bytes.
    @inline(__always) public var value: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: start + (Int(keyStart) &+ Int(keyCount)), count: Int(valueCount))
    }
    /// Microseconds since 1970 from which the record counts as absent; nil: never.
    @inline(__always) public var expiry: Int64? {
        guard bits.has(RecordBits.expiry) else { return nil }
        let at = bits.has(RecordBits.wide) ? RecordLayout.wideHeaderSize : RecordLayout.headerSize
        return Int64(littleEndian: start.loadUnaligned(fromByteOffset: at, as: Int64.self))
    }
    /// The tag's form and bytes.
    public var tag: (form: UInt8, bytes: UnsafeRawBufferPointer)? {
        guard bits.has(RecordBits.tag) else { return nil }
        var at = bits.has(RecordBits.wide) ? RecordLayout.wideHeaderSize : RecordLayout.headerSize
        if bits.has(RecordBits.expiry) { at += RecordLayout.expirySize }
        let body = at + RecordLayout.tagPrefixSize
        return (
            (start + at).load(as: UInt8.self), UnsafeRawBufferPointer(start: start + body, count: Int(keyStart) - body)
        )
    }
    /// The key's place in insertion order.
    @inline(__always) public var rowid: UInt64 { Self.five(start + RecordLayout.rowid) }
    /// Milliseconds since the store's epoch.
    @inline(__always) public var storedTime: UInt64 { Self.five(start + RecordLayout.storedTime) }
    /// The version before this record's transaction; 0: none.
    @inline(__always) var previous: Position {
        PackedPosition.complete(Self.five(start + RecordLayout.previous), below: position)
    }
    /// The first word of the value, of kinds whose value is a position.
    var valueWord: UInt64 {
        valueCount >= 8 ? UInt64(littleEndian: value.loadUnaligned(as: UInt64.self)) : 0
    }

    /// Whether this is a version of the key.
    @inline(__always) func isOf(_ keyClass: UInt8, _ other: UnsafeRawBufferPointer) -> Bool {
        guard Int(keyCount) == other.count, KeyClass.identity(bits.keyClass) == keyClass else { return false }
        return Self.equal(start + Int(keyStart), other)
    }

    @inline(__always) private static func equal(_ a: UnsafeRawPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        guard let base = b.baseAddress else { return true }
        var left = b.count
        var at = 0
        var difference: UInt64 = 0
        while left >= 8 {
            difference |=
                a.loadUnaligned(fromByteOffset: at, as: UInt64.self)
                ^ base.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            at &+= 8
            left &-= 8
        }
        while left > 0 {
            difference |= UInt64((a + at).load(as: UInt8.self) ^ (base + at).load(as: UInt8.self))
            at &+= 1
            left &-= 1
        }
        return difference == 0
    }

    /// 5 bytes, by a load of 8 that begins 3 before them: every field of 5 has a record's bytes there.
    @inline(__always) private static func five(_ p: UnsafeRawPointer) -> UInt64 {
        UInt64(littleEndian: p.loadUnaligned(fromByteOffset: -3, as: UInt64.self)) &>> 24
    }

    @inline(__always) private static func half(_ p: UnsafeRawPointer) -> UInt32 {
        UInt32(littleEndian: p.loadUnaligned(as: UInt32.self))
    }
}

/// A record that is about to be written.
struct RecordDraft {
    var kind: RecordKind
    var form: UInt16 = 0
    var keyClass: UInt8 = 0
    var flags: UInt16 = 0
    var key = UnsafeRawBufferPointer(start: nil, count: 0)
    var value = UnsafeRawBufferPointer(start: nil, count: 0)
    var expiry: Int64?
    var tag: (form: UInt8, bytes: UnsafeRawBufferPointer)?
    var previous: Position = 0
    var rowid: UInt64 = 0
    var storedTime: UInt64 = 0

    @inline(__always) private var isWide: Bool {
        key.count > RecordLayout.maximumShortKey || value.count > RecordLayout.maximumShortValue
    }

    /// Bytes up to the end of the value.
    @inline(__always) var contentSize: Int {
        var size = isWide ? RecordLayout.wideHeaderSize : RecordLayout.headerSize
        if expiry != nil { size &+= RecordLayout.expirySize }
        if let tag { size &+= RecordLayout.tagPrefixSize &+ tag.bytes.count }
        return size &+ key.count &+ value.count
    }

    /// Bytes that the record will take in the log.
    @inline(__always) var size: Int { RecordLayout.aligned(contentSize) }

    /// Writes the record to `target`, `size` bytes, the checksum last.
    @inline(__always)
    func write(to target: UnsafeMutableRawPointer, position: Position, salt: UInt64) {
        let wide = isWide
        var flags = flags
        if wide { flags |= RecordBits.wide }
        if expiry != nil { flags |= RecordBits.expiry }
        if tag != nil { flags |= RecordBits.tag }
        let bits = RecordBits(kind: kind, form: form, keyClass: keyClass, flags: flags)
        let packed = previous == 0 ? 0 : PackedPosition.pack(previous)
        // Bytes 4 to 24 as one load of 8, one of 8 and one of 4: bits 2, key 1, value 2, previous 5, rowid 5, time 5.
        let lengths: UInt64 = wide ? 0 : UInt64(key.count) &<< 16 | UInt64(value.count) &<< 24
        let low = UInt64(bits.raw) | lengths | packed &<< 40
        let middle = (packed &>> 24) & 0xFFFF | (rowid & PackedPosition.mask) &<< 16 | storedTime &<< 56
        let high = UInt32(truncatingIfNeeded: storedTime &>> 8)
        target.storeBytes(of: low.littleEndian, toByteOffset: 4, as: UInt64.self)
        target.storeBytes(of: middle.littleEndian, toByteOffset: 12, as: UInt64.self)
        target.storeBytes(of: high.littleEndian, toByteOffset: 20, as: UInt32.self)
        var at = RecordLayout.headerSize
        if wide {
            let (keyCount, valueCount) = (UInt32(key.count).littleEndian, UInt32(value.count).littleEndian)
            target.storeBytes(of: keyCount, toByteOffset: RecordLayout.wideKeyLength, as: UInt32.self)
            target.storeBytes(of: valueCount, toByteOffset: RecordLayout.wideValueLength, as: UInt32.self)
            at = RecordLayout.wideHeaderSize
        }
        if let expiry {
            target.storeBytes(of: expiry.littleEndian, toByteOffset: at, as: Int64.self)
            at &+= RecordLayout.expirySize
        }
        if let tag {
            target.storeBytes(of: tag.form, toByteOffset: at, as: UInt8.self)
            target.storeBytes(of: UInt16(tag.bytes.count).littleEndian, toByteOffset: at &+ 1, as: UInt16.self)
            at &+= RecordLayout.tagPrefixSize
            if let base = tag.bytes.baseAddress { (target + at).copyMemory(from: base, byteCount: tag.bytes.count) }
            at &+= tag.bytes.count
        }
        if let base = key.baseAddress { (target + at).copyMemory(from: base, byteCount: key.count) }
        at &+= key.count
        FaultPoint.reach(.recordHalfCopied)
        if let base = value.baseAddress { (target + at).copyMemory(from: base, byteCount: value.count) }
        at &+= value.count
        var end = at
        while end & 3 != 0 {
            target.storeBytes(of: 0, toByteOffset: end, as: UInt8.self)
            end &+= 1
        }
        let check = Record.checksum(UnsafeRawPointer(target), at, salt: salt, position: position)
        target.storeBytes(of: check.littleEndian, toByteOffset: 0, as: UInt32.self)
    }
}
