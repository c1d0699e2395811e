/// Where things stand in a record: the one place that reader and writer share. Stored in files; never renumber.
///
/// ```
///  0      4     6   7      9         14       19       24
///  +------+-----+---+------+---------+--------+--------+
///  |check | bits|key|value | previous| rowid  | stored |            24 bytes
///  | 4    | 2   |len| len 2| 5       | 5      | time 5 |
///  +------+-----+---+------+---------+--------+--------+
///  [key length 4, value length 4]       if wide (both lengths above are 0 then)
///  [expiry 8]                           if the expiry bit is set
///  [tag form 1, tag length 2, tag]      if the tag bit is set
///  key · value · zeros up to a multiple of 4
/// ```
///
/// - *check*: low half of XXH64 over everything from byte 4 to the end of the value, seeded with the store's salt plus
///   the record's position; 0 is stored as 1, so zeroed space is never a record. It is stored last.
/// - *bits*: kind (bits 0 to 2), flags (3 to 8), value form or cause (9 to 12), key class (13 to 15).
/// - *previous*: low 40 bits of the position, in units of 4, of the version before this transaction; 0: none.
/// - *rowid*: the key's place in insertion order. *stored time*: milliseconds since the store's epoch.
/// - *expiry*: microseconds since 1970. All numbers are little-endian.
enum RecordLayout {
    static let check = 0
    static let bits = 4
    static let previous = 9
    static let rowid = 14
    static let storedTime = 19
    static let headerSize = 24
    static let wideKeyLength = 24
    static let wideValueLength = 28
    static let wideHeaderSize = 32
    static let expirySize = 8
    static let tagPrefixSize = 3

    static let maximumShortKey = 255
    static let maximumShortValue = 65_535
    static let maximumTag = 65_535
    static let maximumKey = 16 << 20
    static let maximumInlineValue = 16 << 20

    /// The bytes of a void record and of a commit record; room for both is kept behind every append (DESIGN 4).
    static let voidSize = 32
    static let commitSize = 28

    @inline(__always) static func aligned(_ count: Int) -> Int { (count &+ 3) & ~3 }
}

/// What a record is. Stored in files; never renumber. 0 and 7 are no kinds.
public enum RecordKind: UInt16, Sendable {
    /// A key's value.
    case put = 1
    /// A key was removed; the value form tells why (`TombstoneCause`).
    case tombstone = 2
    /// The end of a transaction where nobody could know which record is last.
    case commit = 3
    /// What lies from a position (the value, 8 bytes) to here doesn't count.
    case void = 4
    /// The log begins at a position (the value: head 8, next rowid 8).
    case head = 5
    /// A fact of the store itself: settings.
    case system = 6
}

/// Why a key was removed. Stored in files; never renumber.
public enum TombstoneCause: UInt16, Sendable { case deleted = 0, evicted = 1, expired = 2 }

/// The 16 bits of a record's header after the checksum.
struct RecordBits: Equatable, Sendable {
    var raw: UInt16

    static let commit: UInt16 = 1 << 3
    static let copy: UInt16 = 1 << 4
    static let kept: UInt16 = 1 << 5
    static let wide: UInt16 = 1 << 6
    static let expiry: UInt16 = 1 << 7
    static let tag: UInt16 = 1 << 8

    @inline(__always) init(raw: UInt16) { self.raw = raw }

    @inline(__always) init(kind: RecordKind, form: UInt16, keyClass: UInt8, flags: UInt16) {
        raw = kind.rawValue | flags | (form & 15) &<< 9 | UInt16(keyClass & 7) &<< 13
    }

    @inline(__always) var kind: UInt16 { raw & 7 }
    @inline(__always) var form: UInt16 { (raw &>> 9) & 15 }
    @inline(__always) var keyClass: UInt8 { UInt8(truncatingIfNeeded: raw &>> 13) }
    @inline(__always) func has(_ flag: UInt16) -> Bool { raw & flag != 0 }
}

/// The classes of keys. Stored in files; never renumber.
public enum KeyClass {
    /// nil.
    public static let null: UInt8 = 0
    /// A number that was given as an integer.
    public static let integer: UInt8 = 1
    /// A number that was given as a floating-point number; equal numbers are one key, whichever they were given as.
    public static let float: UInt8 = 2
    /// UTF-8.
    public static let text: UInt8 = 3
    /// Bytes.
    public static let bytes: UInt8 = 4
    /// Anything else, serialised.
    public static let encoded: UInt8 = 5
    /// An item of a queue.
    public static let queue: UInt8 = 6
    /// The store's own facts.
    public static let system: UInt8 = 7

    /// The class that decides whether two keys are the same.
    @inline(__always) static func identity(_ keyClass: UInt8) -> UInt8 { keyClass == float ? integer : keyClass }
}

/// The forms of values. Stored in files; never renumber.
public enum ValueFormCode {
    /// nil; no bytes.
    public static let null: UInt16 = 0
    /// 8 bytes, two's complement.
    public static let integer: UInt16 = 1
    /// 8 bytes, IEEE 754.
    public static let double: UInt16 = 2
    /// UTF-8.
    public static let text: UInt16 = 3
    /// Bytes.
    public static let bytes: UInt16 = 4
    /// Whatever the store's serialiser makes.
    public static let encoded: UInt16 = 5
    /// Text in a file of its own; the record's value is the reference (name 16, length 8, XXH64 8).
    public static let textFile: UInt16 = 6
    /// Bytes in a file of their own.
    public static let bytesFile: UInt16 = 7
    /// A serialised value in a file of its own.
    public static let encodedFile: UInt16 = 8
    /// 8 bytes, unsigned, beyond the signed integers.
    public static let unsigned: UInt16 = 9

    /// Whether the value lies in a file of its own.
    @inline(__always) public static func isFile(_ form: UInt16) -> Bool { form &- textFile < 3 }
}
