/// What of the settings a reader must know on every read, in one word of `meta`: the policy's code in bits 0 to 7, whether hits and
/// misses are counted in bit 8, and in bits 32 to 63 the serial number of the file of stamps that is in use, if the policy wants one.
///
/// A hint: whoever loads or changes the settings under the write lock stores it. A reader that goes by an old one counts a few reads
/// more, or fewer.
struct Modes: Equatable, Sendable {
    let raw: UInt64
    static let statistics: UInt64 = 1 << 8

    @inline(__always) init(raw: UInt64) { self.raw = raw }

    init(_ settings: Settings) {
        raw = UInt64(settings.evictionPolicy.rawValue) | (settings.statistics ? 1 << 8 : 0)
    }

    /// The policy's code (`Eviction`).
    @inline(__always) var policy: UInt8 { UInt8(truncatingIfNeeded: raw) }
    /// Whether stamps are kept: under codes 1 and 2.
    @inline(__always) var keepsStamps: Bool { (raw &+ 1) & 2 != 0 }
    /// What of it is about stamps.
    static let stampBits: UInt64 = 0xFFFF_FFFF_0000_00FF
    static let serialBits: UInt64 = 0xFFFF_FFFF_0000_0000
    @inline(__always) var countsReads: Bool { raw & 1 << 8 != 0 }
}
