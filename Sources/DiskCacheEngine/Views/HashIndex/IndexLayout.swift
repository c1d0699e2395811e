/// Where things stand in the file `index.<generation>`. Stored in files; never renumber.
///
/// The file is a run of 4 KiB pages. Page 0 is the header:
///
/// ```
///    0  magic 8          89 'D' 'C' 'I' 0D 0A 1A 0A
///    8  format 4         1
///   12  reserved 4       0
///   16  store id 16
///   32  generation 8
///   40  boot 16          two XXH64 of the identity of the boot that made the file
///   56  device 8         of this file, as of then
///   64  inode 8
///   72  reserved 48      0
///  120  check 8          XXH64 of bytes 0 to 119, seed 0
///  128  root 8           first page of the directory << 8 | G
///  136  covered 8        every record below it that counts is in this index
///  144  pages 8          pages from here on were never used
///  152  spare 8          the page that the last split retired; 0: none
///  192  intent 8         1: the three words behind it say which split is half published
///  200  split page 8     page << 6 | depth
///  208  low page 8       takes the keys whose hash bit 16 + depth is 0
///  216  high page 8      takes the others
/// ```
///
/// The **directory** is a run of pages with 2^G entries of 4 bytes: page << 6 | depth. The entry of a hash h is number
/// (h >> 16) & (2^G − 1). An entry only ever gets deeper.
///
/// A **page** is a header line of 64 bytes (depth 8, prefix 8, zeros) and 63 buckets of eight slots of 8 bytes.
/// A **slot**:
///
/// ```
///  63            42 41 40 39                       0
///  +---------------+-----+--------------------------+
///  | fingerprint 22| x 2 | position / 4, low 40 bits|
///  +---------------+-----+--------------------------+
/// ```
///
/// 0 was never used and ends a scan after its bucket; 1 is vacant and doesn't; other values below 16 don't occur.
/// The *fingerprint* is 22 bits of the hash from bit 16 + (depth & ~7) on. The home bucket of a hash is
/// ((h & 0xFFFF) · 63) >> 16; *x*, 0 to 3, tells that the slot stands in bucket home + x · s mod 63, where
/// s = 1 + ((fingerprint >> 17) · 20 >> 5), 1 to 20.
enum IndexLayout {
    static let magic: UInt64 = 0x0A1A_0A0D_4943_4489
    static let pageSize = 4096
    static let buckets = 63
    static let bucketSize = 64
    static let slotsPerBucket = 8
    static let probes = 4
    static let maximumDepth = 31
    static let maximumEntriesPerPage = 64

    static let root = 128
    static let covered = 136
    static let pages = 144
    static let spare = 152
    static let intent = 192
    static let splitPage = 200
    static let lowPage = 208
    static let highPage = 216

    /// The first page after the header: where the directory of a new index lies, and behind it its first bucket page.
    static let firstFreePage = 1

    static func directoryPages(_ depth: Int) -> Int { max(1, (4 << depth) / pageSize) }

    /// More than a store can come to have, one after the other: far below where numbers end.
    static let mostGenerations: UInt64 = 1 << 48

    /// The name of the index file of a generation.
    static func name(_ generation: UInt64) -> String { "index.\(generation)" }

    /// The generation that a file name stands for; nil if it isn't an index's.
    static func generation(ofName name: String) -> UInt64? {
        guard name.hasPrefix("index."), let generation = UInt64(name.dropFirst(6)), generation < mostGenerations,
            Self.name(generation) == name
        else { return nil }
        return generation
    }
}

/// One entry of the directory.
struct DirectoryEntry: Equatable, Sendable {
    let raw: UInt32
    @inline(__always) init(raw: UInt32) { self.raw = raw }
    @inline(__always) init(page: Int, depth: Int) { raw = UInt32(truncatingIfNeeded: page &<< 6 | depth) }
    @inline(__always) var page: Int { Int(raw &>> 6) }
    @inline(__always) var depth: Int { Int(raw & 63) }
}

/// What a slot of a bucket holds: see `IndexLayout`.
struct Slot: Equatable, Sendable {
    let raw: UInt64
    static let neverUsed: UInt64 = 0
    static let vacant: UInt64 = 1

    @inline(__always) init(raw: UInt64) { self.raw = raw }

    @inline(__always) init(fingerprint: UInt64, displacement: Int, position: Position) {
        raw = fingerprint &<< 42 | UInt64(truncatingIfNeeded: displacement) &<< 40 | PackedPosition.pack(position)
    }

    @inline(__always) var isFree: Bool { raw < 2 }
    @inline(__always) var fingerprint: UInt64 { raw &>> 42 }
    @inline(__always) var displacement: Int { Int((raw &>> 40) & 3) }
    @inline(__always) var low: UInt64 { raw & PackedPosition.mask }
    /// The same slot, naming another position.
    @inline(__always) func pointing(to position: Position) -> Slot {
        Slot(raw: raw & ~PackedPosition.mask | PackedPosition.pack(position))
    }
}

/// Which bits of a hash mean what to the index.
enum HashBits {
    @inline(__always) static func fingerprint(_ hash: UInt64, depth: Int) -> UInt64 {
        (hash &>> UInt64(truncatingIfNeeded: 16 &+ (depth & ~7))) & 0x3F_FFFF
    }
    @inline(__always) static func home(_ hash: UInt64) -> Int { Int(((hash & 0xFFFF) &* 63) &>> 16) }
    @inline(__always) static func step(_ fingerprint: UInt64) -> Int {
        1 &+ Int(((fingerprint &>> 17) &* 20) &>> 5)
    }
    @inline(__always) static func directoryIndex(_ hash: UInt64, _ depth: Int) -> Int {
        Int((hash &>> 16) & ((1 &<< UInt64(truncatingIfNeeded: depth)) &- 1))
    }
    /// The bucket of a displacement.
    @inline(__always) static func bucket(_ home: Int, _ step: Int, _ displacement: Int) -> Int {
        let at = home &+ displacement &* step
        // home < 63 and 3 · 20 < 63: one subtraction is enough.
        return at >= 63 ? at &- 63 : at
    }
    /// The home bucket of a slot that stands in `bucket`.
    @inline(__always) static func home(of slot: Slot, in bucket: Int) -> Int {
        let at = bucket &- slot.displacement &* step(slot.fingerprint)
        return at < 0 ? at &+ 63 : at
    }
}
