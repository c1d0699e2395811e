/// What a slot's stamp says of the accesses to its row: a hint, of 8 bytes. 0: none.
///
/// Under least-recently-used it is the time of the last one in milliseconds since the store's epoch; under least-frequently-used
/// their number << 40 | rowid, so that the stamp of a row that was there before counts for nothing.
enum Stamp {
    static let rowidBits: UInt64 = 40
    static let largestCount: UInt64 = (1 << 24) - 1

    /// How often a row was read, as its stamp says.
    @inline(__always) static func count(_ stamp: UInt64, rowid: UInt64) -> UInt64 {
        stamp & PackedPosition.mask == rowid & PackedPosition.mask ? stamp &>> rowidBits : 0
    }

    /// The stamp after one access more.
    @inline(__always) static func counted(_ stamp: UInt64, rowid: UInt64) -> UInt64 {
        let count = min(count(stamp, rowid: rowid) &+ 1, largestCount)
        return count &<< rowidBits | rowid & PackedPosition.mask
    }
}
