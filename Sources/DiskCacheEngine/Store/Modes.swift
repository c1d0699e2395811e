/// What of the settings a reader must know on every read, beside which stamps are kept (`StampMode`), in the word *modes* of `meta`:
/// whether hits and misses are counted in bit 8.
///
/// A hint: whoever loads or changes the settings under the write lock stores it. A reader that goes by an old one counts a few reads
/// more, or fewer.
struct Modes: Equatable, Sendable {
    let raw: UInt64
    static let statistics: UInt64 = 1 << 8

    @inline(__always) init(raw: UInt64) { self.raw = raw }

    @inline(__always) var countsReads: Bool { raw & Self.statistics != 0 }
}

extension Store {
    /// *Writer.* Makes the settings that hold from here on known to all readers.
    func announceModes() {
        let before = block.modes.relaxed()
        let modes = settings.statistics ? before | Modes.statistics : before & ~Modes.statistics
        if before != modes { block.modes.store(modes) }
    }
}
