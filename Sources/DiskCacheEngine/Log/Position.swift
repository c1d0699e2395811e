/// A byte offset in the endless log. Positions only grow and are never used again; records begin at multiples of 4.
public typealias Position = UInt64

/// Positions are kept in 40 bits of units of 4 bytes wherever they are stored by the million, and completed around a
/// position that is known to be near. The live log stays below 2^39 units, so the completion is unique (DESIGN 3, 5).
enum PackedPosition {
    static let mask: UInt64 = (1 << 40) - 1
    /// Values below this are marks in index slots, so no record begins where its packed position would be one.
    static let firstUsable: UInt64 = 16

    @inline(__always) static func pack(_ position: Position) -> UInt64 { (position &>> 2) & mask }

    /// The position nearest to `anchor`, on either side, with these low bits.
    @inline(__always) static func complete(_ low: UInt64, around anchor: Position) -> Position {
        let units = anchor &>> 2
        let difference = Int64(bitPattern: (low &- units) &<< 24) &>> 24
        return (units &+ UInt64(bitPattern: difference)) &<< 2
    }

    /// The greatest position below `own` with these low bits; 0 stands for none, and so do its own bits and those that no position
    /// below it has.
    @inline(__always) static func complete(_ low: UInt64, below own: Position) -> Position {
        if low == 0 { return 0 }
        let units = own &>> 2
        let distance = (units &- low) & mask
        return distance == 0 || distance > units ? 0 : (units &- distance) &<< 2
    }
}
