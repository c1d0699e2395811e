/// What stands in the trees. Stored in files; never renumber.
///
/// ```
///  tree    key                                                         value
///  rowid   rowid 5, big-endian                                         place
///  key     class 1 | key                                               class as given 1 | rowid 5, little-endian
///  tag     class 1 | tag, each 00 as 00 FF | 00 01 | rowid 5, big-endian   place
///
///  place   class as given 1 | key                 a key of at most 63 bytes
///          class as given + 128, 1 | position 8   a longer one: a record of the row, in which the key stands
/// ```
///
/// A class is a raw value of `KeyClass`; in a tree's key a float's is that of an integer, so that numbers are in one order.
/// An entry stands for a row and is the same through all of its versions, but for the tag and the position.
enum OrderEntry {
    static let rowidSize = 5
    /// Keys up to this length stand in the place itself.
    static let longestPlaced = PageLayout.maximumValue - 1
    static let positionFlag: UInt8 = 128

    /// Appends a rowid so that it orders as the number does.
    @inline(__always)
    static func append(rowid: UInt64, to buffer: ByteBuffer) {
        withUnsafeBytes(of: (rowid &<< 24).bigEndian) { buffer.append($0.baseAddress!, rowidSize) }
    }

    /// The key of a row in the rowid tree.
    static func key(rowid: UInt64) -> [UInt8] {
        withUnsafeBytes(of: (rowid &<< 24).bigEndian) { Array($0[..<rowidSize]) }
    }

    /// The rowid in the last five bytes of a key.
    @inline(__always)
    static func rowid(endOf key: UnsafeRawBufferPointer) -> UInt64? {
        guard key.count >= rowidSize else { return nil }
        let start = key.count &- rowidSize
        let low = UInt32(bigEndian: key.loadUnaligned(fromByteOffset: start &+ 1, as: UInt32.self))
        return UInt64(key[start]) &<< 32 | UInt64(low)
    }

    /// Appends the key of the key tree.
    @inline(__always)
    static func append(key record: Record, to buffer: ByteBuffer) {
        withUnsafeBytes(of: KeyClass.identity(record.keyClass)) { buffer.append($0.baseAddress!, 1) }
        if let start = record.key.baseAddress { buffer.append(start, record.key.count) }
    }

    /// Appends the value of the key tree.
    @inline(__always)
    static func append(rowOf record: Record, to buffer: ByteBuffer) {
        withUnsafeBytes(of: (UInt64(record.keyClass) | record.rowid &<< 8).littleEndian) {
            buffer.append($0.baseAddress!, 1 + rowidSize)
        }
    }

    /// The two parts of the value of the key tree.
    @inline(__always)
    static func row(_ value: UnsafeRawBufferPointer) -> (keyClass: UInt8, rowid: UInt64)? {
        guard value.count == 1 + rowidSize else { return nil }
        let low = UInt32(littleEndian: value.loadUnaligned(fromByteOffset: 1, as: UInt32.self))
        return (value[0], UInt64(value[5]) &<< 32 | UInt64(low))
    }

    /// Appends the place of a record's row.
    @inline(__always)
    static func append(placeOf record: Record, to buffer: ByteBuffer) {
        let isLong = record.key.count > longestPlaced
        withUnsafeBytes(of: record.keyClass | (isLong ? positionFlag : 0)) { buffer.append($0.baseAddress!, 1) }
        if isLong {
            withUnsafeBytes(of: record.position.littleEndian) { buffer.append($0.baseAddress!, 8) }
        } else if let start = record.key.baseAddress {
            buffer.append(start, record.key.count)
        }
    }

    /// Where a row's key is found.
    enum Place {
        case key(keyClass: UInt8, UnsafeRawBufferPointer)
        case record(Position)
    }

    /// The place in a value; nil if it isn't one.
    @inline(__always)
    static func place(_ value: UnsafeRawBufferPointer) -> Place? {
        guard let first = value.first else { return nil }
        if first & positionFlag == 0 {
            return .key(keyClass: first, UnsafeRawBufferPointer(rebasing: value[1...]))
        }
        guard value.count == 9 else { return nil }
        return .record(UInt64(littleEndian: value.loadUnaligned(fromByteOffset: 1, as: UInt64.self)))
    }

    /// Appends what all entries of a tag begin with.
    static func append(tag: (form: UInt8, bytes: UnsafeRawBufferPointer), to buffer: ByteBuffer) {
        withUnsafeBytes(of: KeyClass.identity(tag.form)) { buffer.append($0.baseAddress!, 1) }
        var rest = tag.bytes[...]
        let escaped: (UInt8, UInt8) = (0, 0xFF)
        let end: (UInt8, UInt8) = (0, 1)
        while let zero = rest.firstIndex(of: 0) {
            append(UnsafeRawBufferPointer(rebasing: rest[..<zero]), to: buffer)
            withUnsafeBytes(of: escaped) { append($0, to: buffer) }
            rest = rest[(zero + 1)...]
        }
        append(UnsafeRawBufferPointer(rebasing: rest), to: buffer)
        withUnsafeBytes(of: end) { append($0, to: buffer) }
    }

    private static func append(_ bytes: UnsafeRawBufferPointer, to buffer: ByteBuffer) {
        if let start = bytes.baseAddress, !bytes.isEmpty { buffer.append(start, bytes.count) }
    }
}
