/// What of the settings a reader must know on every read, in one word of `meta`: the policy's code in bits 0 to 7, whether hits and
/// misses are counted in bit 8.
///
/// A hint: whoever loads or changes the settings under the write lock stores it. A reader that goes by an old one counts a few reads
/// more, or fewer.
struct Modes: Equatable, Sendable {
    let raw: UInt64

    @inline(__always) init(raw: UInt64) { self.raw = raw }

    init(_ settings: Settings) {
        raw = UInt64(settings.evictionPolicy.rawValue) | (settings.statistics ? 1 << 8 : 0)
    }

    /// The policy's code (`Eviction`).
    @inline(__always) var policy: UInt8 { UInt8(truncatingIfNeeded: raw) }
    @inline(__always) var countsReads: Bool { raw & 1 << 8 != 0 }
}

extension Store {
    /// *Writer.* Makes the settings that hold from here on known to all readers.
    func announceModes() {
        let modes = Modes(settings).raw
        if block.modes.relaxed() != modes { block.modes.store(modes) }
    }
}
