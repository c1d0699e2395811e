import DiskCacheCore

/// CBOR as text for people: JSON where JSON has a word for it, RFC 8949's diagnostic notation elsewhere.
///
/// Reads any well-formed CBOR of definite lengths, deterministic or not; throws `undecodable` for everything else.
struct CBORText {
    private var bytes: ArraySlice<UInt8>

    /// The text of one value.
    static func text(_ bytes: [UInt8]) throws -> String {
        var reader = CBORText(bytes: bytes[...])
        let text = try reader.value(depth: 0)
        guard reader.bytes.isEmpty else { throw malformed("bytes behind the end") }
        return text
    }

    private static func malformed(_ what: String) -> CacheError {
        CacheError(.undecodable, "the stored value isn't CBOR that this tool can show: \(what)")
    }

    private mutating func value(depth: Int) throws -> String {
        guard depth < 512 else { throw Self.malformed("nested too deeply") }
        guard let head = bytes.popFirst() else { throw Self.malformed("cut off") }
        if head >> 5 == 7 { return try simple(head & 31) }
        let argument = try argument(head & 31)
        switch head >> 5 {
        case 0: return String(argument)
        case 1: return argument == .max ? "-18446744073709551616" : "-" + String(argument + 1)
        case 2: return "h'" + hexadecimal(try take(argument)) + "'"
        case 3:
            guard let text = String(validating: try take(argument), as: UTF8.self) else {
                throw Self.malformed("a text that isn't UTF-8")
            }
            return quoted(text)
        case 4:
            var parts: [String] = []
            for _ in 0..<(try count(argument)) { parts.append(try value(depth: depth + 1)) }
            return "[" + parts.joined(separator: ", ") + "]"
        case 5:
            var parts: [String] = []
            for _ in 0..<(try count(argument)) {
                let key = try value(depth: depth + 1)
                parts.append(key + ": " + (try value(depth: depth + 1)))
            }
            return "{" + parts.joined(separator: ", ") + "}"
        default: return "\(argument)(" + (try value(depth: depth + 1)) + ")"
        }
    }

    private mutating func simple(_ info: UInt8) throws -> String {
        switch info {
        case 20: return "false"
        case 21: return "true"
        case 22: return "null"
        case 23: return "undefined"
        case 25:
            let bits = try argument(25)
            let (exponent, fraction) = ((bits >> 10) & 31, Double(bits & 1023))
            let magnitude: Double =
                switch exponent {
                case 0: fraction * 0x1p-24
                case 31: fraction == 0 ? .infinity : .nan
                default: Double(sign: .plus, exponent: Int(exponent) - 15, significand: 1 + fraction / 1024)
                }
            return number(bits & 0x8000 == 0 ? magnitude : -magnitude)
        case 26: return number(Double(Float(bitPattern: UInt32(try argument(26)))))
        case 27: return number(Double(bitPattern: try argument(27)))
        default: return "simple(\(try argument(info)))"
        }
    }

    private func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
        return "\(value)"
    }

    private mutating func argument(_ info: UInt8) throws -> UInt64 {
        switch info {
        case 0..<24: return UInt64(info)
        case 24...27: return try take(1 << (UInt64(info) - 24)).reduce(0) { $0 << 8 | UInt64($1) }
        default: throw Self.malformed("an indefinite length")
        }
    }

    private mutating func take(_ count: UInt64) throws -> ArraySlice<UInt8> {
        guard count <= UInt64(bytes.count) else { throw Self.malformed("cut off") }
        defer { bytes = bytes.dropFirst(Int(count)) }
        return bytes.prefix(Int(count))
    }

    /// A number of elements: each takes a byte at least, so a length that the input only claims is found out at once.
    private func count(_ argument: UInt64) throws -> Int {
        guard argument <= UInt64(bytes.count) else { throw Self.malformed("cut off") }
        return Int(argument)
    }
}
