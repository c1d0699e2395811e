/// The parts of CBOR (RFC 8949) that encoder and decoder share.
enum CBORFormat {
    /// How many containers may be nested in each other.
    static let maximumDepth = 512

    static let null: UInt8 = 0xf6
    static let notANumber: [UInt8] = [0xf9, 0x7e, 0x00]
    /// The tags of integers beyond 64 bits, whose content is a byte string.
    static let positiveBignum: UInt64 = 2
    static let negativeBignum: UInt64 = 3
}

/// The first three bits of every item. Raw values are the RFC's.
enum CBORMajor: UInt8 {
    case unsigned = 0
    case negative = 1
    case bytes = 2
    case text = 3
    case array = 4
    case map = 5
    case tag = 6
    case simple = 7
}

extension [UInt8] {
    /// Appends an item's first bytes: major type and argument, in the shortest form.
    mutating func appendHead(_ major: CBORMajor, _ argument: UInt64) {
        let type = major.rawValue << 5
        switch argument {
        case 0..<24:
            append(type | UInt8(argument))
        case 24...0xff:
            append(type | 24)
            append(UInt8(argument))
        case 0x100...0xffff:
            append(type | 25)
            appendBigEndian(UInt16(argument))
        case 0x1_0000...0xffff_ffff:
            append(type | 26)
            appendBigEndian(UInt32(argument))
        default:
            append(type | 27)
            appendBigEndian(argument)
        }
    }

    mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }

    /// Appends a signed integer.
    mutating func appendInteger(_ value: Int64) {
        if value >= 0 {
            appendHead(.unsigned, UInt64(value))
        } else {
            appendHead(.negative, ~UInt64(bitPattern: value))
        }
    }

    /// Appends an integer of 128 bits: as an ordinary one if it fits, else as a bignum.
    mutating func appendInteger(magnitude: UInt128, negative: Bool) {
        if let small = UInt64(exactly: magnitude) {
            appendHead(negative ? .negative : .unsigned, small)
            return
        }
        appendHead(.tag, negative ? CBORFormat.negativeBignum : CBORFormat.positiveBignum)
        let zeros = magnitude.leadingZeroBitCount / 8
        appendHead(.bytes, UInt64(16 - zeros))
        Swift.withUnsafeBytes(of: magnitude.bigEndian) { append(contentsOf: $0.dropFirst(zeros)) }
    }

    /// Appends a float in the shortest form that holds it.
    mutating func appendFloat(_ value: Double) {
        if value.isNaN {
            append(contentsOf: CBORFormat.notANumber)
            return
        }
        let single = Float(value)
        guard Double(single) == value else {
            append(0xfb)
            appendBigEndian(value.bitPattern)
            return
        }
        if let half = HalfFloat(exactly: single) {
            append(0xf9)
            appendBigEndian(half.bits)
        } else {
            append(0xfa)
            appendBigEndian(single.bitPattern)
        }
    }

    /// Appends a text.
    mutating func appendText(_ text: String) {
        withUTF8(of: text) { bytes in
            appendHead(.text, UInt64(bytes.count))
            append(contentsOf: bytes)
        }
    }

    /// Appends a byte string.
    mutating func appendByteString(_ bytes: some Collection<UInt8>) {
        appendHead(.bytes, UInt64(bytes.count))
        append(contentsOf: bytes)
    }
}

/// IEEE 754 binary16, by its bits: `Float16` doesn't exist on every platform that Swift runs on.
struct HalfFloat {
    let bits: UInt16

    init(bits: UInt16) {
        self.bits = bits
    }

    /// The half of the same value, if there is one; not for NaN.
    init?(exactly value: Float) {
        let sign = UInt16(value.bitPattern >> 16) & 0x8000
        let fraction = value.bitPattern & 0x7f_ffff
        let exponent = Int((value.bitPattern >> 23) & 0xff) - 127
        if value == 0 {
            bits = sign
        } else if exponent == 128 {
            guard fraction == 0 else { return nil }
            bits = sign | 0x7c00
        } else if exponent >= -14 && exponent <= 15 {
            guard fraction & 0x1fff == 0 else { return nil }
            bits = sign | UInt16(exponent + 15) << 10 | UInt16(fraction >> 13)
        } else if exponent >= -24 && exponent < -14 {
            // Subnormal: the leading one, implied in a float, moves into the fraction.
            let whole = fraction | 0x80_0000
            let shift = UInt32(-1 - exponent)
            guard whole & ((1 << shift) - 1) == 0 else { return nil }
            bits = sign | UInt16(whole >> shift)
        } else {
            return nil
        }
    }

    /// The same value as a double.
    var value: Double {
        let fraction = UInt64(bits & 0x3ff)
        let exponent = Int((bits >> 10) & 0x1f)
        let magnitude: Double
        switch exponent {
        case 0: magnitude = Double(fraction) * 0x1p-24
        case 31: magnitude = fraction == 0 ? .infinity : .nan
        default: magnitude = Double(bitPattern: UInt64(exponent - 15 + 1023) << 52 | fraction << 42)
        }
        return bits & 0x8000 == 0 ? magnitude : -magnitude
    }
}

/// Compares two runs of bytes as `memcmp` does, a beginning of the other being less.
func compareBytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
    let common = min(left.count, right.count)
    var index = 0
    while index + 8 <= common {
        let first = left.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        let second = right.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        if first != second { return first.bigEndian < second.bigEndian ? -1 : 1 }
        index += 8
    }
    while index < common {
        if left[index] != right[index] { return left[index] < right[index] ? -1 : 1 }
        index += 1
    }
    return left.count == right.count ? 0 : left.count < right.count ? -1 : 1
}

/// Whether bytes are well-formed UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF.
func isValidUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let count = bytes.count
    var index = 0
    while index < count {
        if index + 8 <= count,
            bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
        {
            index += 8
            continue
        }
        let lead = bytes[index]
        // The second byte's range is what rules out overlong forms, surrogates and what is beyond U+10FFFF.
        let length: Int
        let second: ClosedRange<UInt8>
        switch lead {
        case 0x00...0x7f:
            index += 1
            continue
        case 0xc2...0xdf: (length, second) = (2, 0x80...0xbf)
        case 0xe0: (length, second) = (3, 0xa0...0xbf)
        case 0xed: (length, second) = (3, 0x80...0x9f)
        case 0xe1...0xef: (length, second) = (3, 0x80...0xbf)
        case 0xf0: (length, second) = (4, 0x90...0xbf)
        case 0xf1...0xf3: (length, second) = (4, 0x80...0xbf)
        case 0xf4: (length, second) = (4, 0x80...0x8f)
        default: return false
        }
        guard count - index >= length, second.contains(bytes[index + 1]) else { return false }
        for offset in 2..<max(length, 2) where bytes[index + offset] & 0xc0 != 0x80 { return false }
        index += length
    }
    return true
}

/// One step of a coding path: where in a value the encoder or decoder is.
///
/// A linked list, since each nested value adds a step and hardly anybody asks for the whole path.
final class CodingStep {
    let key: any CodingKey
    let parent: CodingStep?

    init(_ key: any CodingKey, parent: CodingStep?) {
        self.key = key
        self.parent = parent
    }

    /// The steps from the root to here.
    static func path(_ last: CodingStep?) -> [any CodingKey] {
        var keys: [any CodingKey] = []
        var step = last
        while let current = step {
            keys.append(current.key)
            step = current.parent
        }
        return keys.reversed()
    }
}

/// An element's place in an array. Its name is only made when somebody asks.
struct IndexKey: CodingKey {
    let index: Int

    init(_ index: Int) {
        self.index = index
    }

    init?(stringValue: String) {
        return nil
    }

    init?(intValue: Int) {
        index = intValue
    }

    var stringValue: String { "Index \(index)" }
    var intValue: Int? { index }
}

/// The key that `superEncoder()` and `superDecoder()` go by.
struct SuperKey: CodingKey {
    init() {}

    init?(stringValue: String) {
        guard stringValue == "super" else { return nil }
    }

    init?(intValue: Int) {
        return nil
    }

    var stringValue: String { "super" }
    var intValue: Int? { nil }
}
