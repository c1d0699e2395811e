/// The form of every key: `key-` and twelve decimal digits, 16 bytes.
///
/// Both directions are a few nanoseconds without a branch or an allocation, so that the work on keys, which is the
/// same for all engines, doesn't hide what an engine costs.
@frozen
public enum KeyFormat {
    /// Bytes of a key.
    public static let size = 16

    /// A buffer of `size` bytes with the constant part of a key written; the caller frees it.
    static func allocate() -> UnsafeMutableRawBufferPointer {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
        buffer.copyBytes(from: "key-000000000000".utf8)
        return buffer
    }

    /// Writes `number` as the twelve digits of the key at `key`, whose first four bytes stay.
    @inlinable
    @inline(__always)
    public static func write(_ number: UInt64, to key: UnsafeMutableRawPointer) {
        let high = number / 100_000_000
        let low = number &- high &* 100_000_000
        let highDigits = digits(high) &>> 32
        key.storeBytes(of: UInt32(truncatingIfNeeded: highDigits).littleEndian, toByteOffset: 4, as: UInt32.self)
        key.storeBytes(of: digits(low).littleEndian, toByteOffset: 8, as: UInt64.self)
    }

    /// The number of the key at `key`.
    @inlinable
    @inline(__always)
    public static func number(at key: UnsafeRawPointer) -> UInt64 {
        let high = UInt64(UInt32(littleEndian: key.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
        let low = UInt64(littleEndian: key.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        return value(high &<< 32 | 0x3030_3030) &* 100_000_000 &+ value(low)
    }

    /// Eight ASCII digits of a number under 10⁸, the first digit in the lowest byte: three steps that split all
    /// halves, quarters and eighths of the word at once.
    @inlinable
    @inline(__always)
    static func digits(_ number: UInt64) -> UInt64 {
        let upper = number / 10_000
        let halves = upper | (number &- upper &* 10_000) &<< 32
        let hundreds = (halves &* 10_486) &>> 20 & 0x0000_007F_0000_007F
        let quarters = (halves &- hundreds &* 100) &<< 16 | hundreds
        let tens = (quarters &* 103) &>> 10 & 0x000F_000F_000F_000F
        let eighths = (quarters &- tens &* 10) &<< 8 | tens
        return eighths | 0x3030_3030_3030_3030
    }

    /// The number that eight ASCII digits write, the first digit in the lowest byte.
    @inlinable
    @inline(__always)
    static func value(_ digits: UInt64) -> UInt64 {
        var word = digits & 0x0F0F_0F0F_0F0F_0F0F
        word = (word &* 10 &+ word &>> 8) & 0x00FF_00FF_00FF_00FF
        word = (word &* 100 &+ word &>> 16) & 0x0000_FFFF_0000_FFFF
        return (word &* 10_000 &+ word &>> 32) & 0xFFFF_FFFF
    }
}
