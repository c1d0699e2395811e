/// The first 128 bytes of a segment. Stored in files; never renumber.
///
/// ```
///   0  magic 8            89 'D' 'C' 'S' 0D 0A 1A 0A
///   8  format 4           1
///  12  reserved 4         0
///  16  salt 8             seeds every record's checksum
///  24  store id 16
///  40  first 8            the position of this segment's first byte
///  48  length 8           bytes of positions that it covers, and of the file
///  56  predecessor 8      the first position of the segment before it; 0: none
///  64  predecessor end 8  where that one's records end: nothing behind it is ever read
///  72  head 8             where the log began when the segment was made; 0: at its first segment
///  80  settings 8         the position of the settings record as of then; 0: none
///  88  epoch 8            milliseconds since 1970 from which stored times count
///  96  reserved 24        0
/// 120  check 8            XXH64 of bytes 0 to 119, seed 0
/// ```
struct SegmentHeader: Equatable, Sendable {
    static let size = 128
    static let magic: UInt64 = 0x0A1A_0A0D_5343_4489

    var salt: UInt64
    var storeID: (UInt64, UInt64)
    var first: Position
    var length: UInt64
    var predecessor: Position
    var predecessorEnd: Position
    var head: Position
    var settings: Position
    var epoch: Int64

    static func == (a: Self, b: Self) -> Bool { a.encoded() == b.encoded() }

    /// The 128 bytes.
    func encoded() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.size)
        bytes.withUnsafeMutableBytes { raw in
            func put(_ value: UInt64, _ at: Int) {
                raw.storeBytes(of: value.littleEndian, toByteOffset: at, as: UInt64.self)
            }
            put(Self.magic, 0)
            put(UInt64(EngineVersion.format), 8)
            put(salt, 16)
            put(storeID.0, 24)
            put(storeID.1, 32)
            put(first, 40)
            put(length, 48)
            put(predecessor, 56)
            put(predecessorEnd, 64)
            put(head, 72)
            put(settings, 80)
            put(UInt64(bitPattern: epoch), 88)
            put(XXH64.hash(UnsafeRawBufferPointer(rebasing: raw[0..<120]), seed: 0), 120)
        }
        return bytes
    }

    /// The check that stands in its last eight bytes.
    var check: UInt64 {
        encoded().withUnsafeBytes {
            UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: 120, as: UInt64.self))
        }
    }

    init(
        salt: UInt64, storeID: (UInt64, UInt64), first: Position, length: UInt64, predecessor: Position,
        predecessorEnd: Position, head: Position, settings: Position, epoch: Int64
    ) {
        self.salt = salt
        self.storeID = storeID
        self.first = first
        self.length = length
        self.predecessor = predecessor
        self.predecessorEnd = predecessorEnd
        self.head = head
        self.settings = settings
        self.epoch = epoch
    }

    /// The header in `bytes`, or nil if they aren't a whole one.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.size else { return nil }
        func word(_ at: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        }
        guard word(0) == Self.magic, word(8) == UInt64(EngineVersion.format),
            word(120) == XXH64.hash(UnsafeRawBufferPointer(rebasing: bytes[0..<120]), seed: 0)
        else { return nil }
        salt = word(16)
        storeID = (word(24), word(32))
        first = word(40)
        length = word(48)
        predecessor = word(56)
        predecessorEnd = word(64)
        head = word(72)
        settings = word(80)
        epoch = Int64(bitPattern: word(88))
        // What came before lies below: a chain that doesn't go down would never end.
        guard predecessor == 0 || predecessor < first, predecessorEnd <= first, head <= first, settings <= first else {
            return nil
        }
        guard first % UInt64(Self.granule) == 0, length % UInt64(Self.granule) == 0, length > 0,
            length <= UInt64(Self.maximumLength), first < 1 << 62,
            first & (UInt64(Self.maximumLength) - 1) + length <= UInt64(Self.maximumLength)
        else { return nil }
    }

    /// Segments begin and end at multiples of this.
    static let granule = 64 << 10
    /// No segment is longer, and none straddles a multiple of this, so that a segment lies in one piece in every window.
    static let maximumLength = 64 << 20

    /// The name of the segment that begins at a position: 16 hexadecimal digits and `.seg`.
    static func name(_ first: Position) -> String {
        let digits = String(first, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits + ".seg"
    }

    /// The position that a file name stands for; nil if it isn't a segment's.
    static func position(ofName name: String) -> Position? {
        let bytes = Array(name.utf8)
        guard bytes.count == 20, name.hasSuffix(".seg") else { return nil }
        let digits = bytes[0..<16]
        guard digits.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }) else { return nil }
        guard let position = Position(String(decoding: digits, as: UTF8.self), radix: 16), position < 1 << 62 else {
            return nil
        }
        return position
    }
}
