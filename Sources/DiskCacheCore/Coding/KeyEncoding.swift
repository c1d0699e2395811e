/// What kind of thing a key is. Raw values are stored in files; never renumber.
///
/// Integers and floats are one class, *number*, when keys are compared: the two raw values only remember which form
/// was stored. ``identity`` is what hashes and ordered views use.
enum KeyClass: UInt8, Sendable, CaseIterable {
    case null = 0
    case integer = 1
    case float = 2
    case text = 3
    case bytes = 4
    case encoded = 5
    case queue = 6
    case system = 7

    /// The class as far as equality and order go: a float counts as a number, and so as an integer.
    var identity: UInt8 { KeyClass.identity(of: rawValue) }

    /// The same for a raw value.
    static func identity(of rawValue: UInt8) -> UInt8 {
        rawValue == KeyClass.float.rawValue ? KeyClass.integer.rawValue : rawValue
    }

    /// Where a key stands in the order of keys, as bytes: its class, numbers being one, and its own.
    static func place(_ rawValue: UInt8, _ key: UnsafeRawBufferPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: key.count + 1) { buffer, count in
            buffer.initializeElement(at: 0, to: identity(of: rawValue))
            _ = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[1...]).initializeMemory(
                as: UInt8.self, from: key)
            count = key.count + 1
        }
    }
}

/// A number as a key: exact for −2^63 … 2^64−1 and every `Double`, and in numeric order under `memcmp`.
///
/// ```
/// byte   0                                       8            10
///        | greatest double ≤ x, sortable, BE     | x − it, BE |
///                                                  only if it isn't 0
/// ```
///
/// A double is made sortable by flipping all its bits if it is negative, else its sign bit alone. What an integer
/// exceeds the double below it by is less than the distance between two doubles, at most 2,047 below 2^64.
@usableFromInline struct NumberKey: Hashable, Sendable {
    /// The sortable bits of the greatest double that isn't above the number.
    @usableFromInline var high: UInt64
    /// What is missing to the number.
    @usableFromInline var low: UInt16

    /// The key of a signed integer.
    @usableFromInline init(_ value: Int64) {
        // Doubles are exact up to 53 bits; above, the bits that don't fit are the remainder. Clearing low bits of a
        // two's complement number rounds down for either sign, which is what "greatest double ≤ x" asks.
        let excess = 11 - value.magnitude.leadingZeroBitCount
        if excess <= 0 {
            self.init(sortable: Double(value), low: 0)
        } else {
            let mask = (Int64(1) << Int64(excess)) - 1
            self.init(sortable: Double(value & ~mask), low: UInt16(truncatingIfNeeded: value & mask))
        }
    }

    /// The key of an unsigned integer.
    @usableFromInline init(_ value: UInt64) {
        let excess = 11 - value.leadingZeroBitCount
        if excess <= 0 {
            self.init(sortable: Double(value), low: 0)
        } else {
            let mask = (UInt64(1) << UInt64(excess)) - 1
            self.init(sortable: Double(value & ~mask), low: UInt16(truncatingIfNeeded: value & mask))
        }
    }

    /// The key of a float. −0.0 is 0.0; NaN must have been refused before.
    @usableFromInline init(_ value: Double) {
        self.init(sortable: value, low: 0)
    }

    private init(sortable value: Double, low: UInt16) {
        let bits = (value == 0 ? 0 : value).bitPattern
        self.high = bits >> 63 == 1 ? ~bits : bits | (1 << 63)
        self.low = low
    }

    /// Takes a number key apart; nil unless the bytes are 8 or 10 and the remainder isn't 0.
    init?(bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 8 || bytes.count == 10 else { return nil }
        high = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
        low = 0
        if bytes.count == 10 {
            low = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt16.self))
            if low == 0 { return nil }
        }
    }

    /// The greatest double that isn't above the number.
    var floor: Double {
        Double(bitPattern: high >> 63 == 1 ? high & ~(1 << 63) : ~high)
    }

    /// The number as a signed integer, if it is one and this is how it would be written.
    var int64: Int64? {
        guard let base = Int64(exactly: floor) else { return nil }
        let (value, overflow) = base.addingReportingOverflow(Int64(low))
        return !overflow && NumberKey(value) == self ? value : nil
    }

    /// The number as an unsigned integer, if it is one and this is how it would be written.
    var uint64: UInt64? {
        guard let base = UInt64(exactly: floor) else { return nil }
        let (value, overflow) = base.addingReportingOverflow(UInt64(low))
        return !overflow && NumberKey(value) == self ? value : nil
    }

    /// The number as a float, if it is one exactly and this is how it would be written.
    var double: Double? {
        guard low == 0 else { return nil }
        let value = floor
        return !value.isNaN && NumberKey(value) == self ? value : nil
    }

    /// Lends the bytes, from the stack.
    @inlinable @inline(__always)
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        var storage = (high.bigEndian, low.bigEndian)
        let count = low == 0 ? 8 : 10
        return try withUnsafeBytes(of: &storage) { bytes in
            try body(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        }
    }

    /// The bytes in an array of their own.
    var bytes: [UInt8] { withBytes { Array($0) } }
}
