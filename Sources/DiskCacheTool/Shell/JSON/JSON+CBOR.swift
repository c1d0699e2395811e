import DiskCacheCore

extension JSON {
    /// The JSON of a serialised value, which must be CBOR of definite lengths; throws `undecodable` for everything else.
    ///
    /// What this tool stored comes back as it was. What JSON has no word for and others stored: bytes and floats that aren't numbers are
    /// as the shell writes them, a map with keys that aren't texts is an array of pairs, a tag is left out.
    init(cbor bytes: [UInt8]) throws {
        var reader = CBORReader(bytes: bytes[...])
        self = try reader.value(depth: 0)
        guard reader.bytes.isEmpty else { throw CBORReader.malformed("bytes behind the end") }
    }
}

private struct CBORReader {
    var bytes: ArraySlice<UInt8>

    static func malformed(_ what: String) -> CacheError {
        CacheError(.undecodable, "the stored value isn't CBOR that this tool can read: \(what)")
    }

    mutating func value(depth: Int) throws -> JSON {
        guard depth <= JSONReader.maximumDepth else { throw Self.malformed("nested too deeply") }
        guard let head = bytes.popFirst() else { throw Self.malformed("cut off") }
        if head >> 5 == 7 { return try simple(head & 31) }
        let argument = try argument(head & 31)
        switch head >> 5 {
        case 0: return Int64(exactly: argument).map(JSON.integer) ?? .digits(String(argument))
        case 1: return Int64(exactly: argument).map { .integer(-1 - $0) } ?? .digits(Self.negative(argument))
        case 2: return .object(["$bytes": .text(Base64.encode(Array(try take(argument))))])
        case 3:
            guard let text = String(validating: try take(argument), as: UTF8.self) else {
                throw Self.malformed("a text that isn't UTF-8")
            }
            return .text(text)
        case 4:
            var elements: [JSON] = []
            for _ in 0..<(try count(argument)) { elements.append(try value(depth: depth + 1)) }
            return .array(elements)
        case 5: return try map(try count(argument), depth)
        default: return try value(depth: depth + 1)
        }
    }

    private mutating func map(_ count: Int, _ depth: Int) throws -> JSON {
        var pairs: [(key: JSON, value: JSON)] = []
        for _ in 0..<count {
            let key = try value(depth: depth + 1)
            pairs.append((key, try value(depth: depth + 1)))
        }
        var members: [JSON.Member] = []
        for pair in pairs {
            guard case .text(let name) = pair.key else { return .array(pairs.map { .array([$0.key, $0.value]) }) }
            members.append(JSON.Member(name: name, value: pair.value))
        }
        return .object(members)
    }

    private mutating func simple(_ info: UInt8) throws -> JSON {
        switch info {
        case 20: return .bool(false)
        case 21: return .bool(true)
        case 22, 23: return .null
        case 25: return .float(Self.half(try argument(25)))
        case 26: return .float(Double(Float(bitPattern: UInt32(try argument(26)))))
        case 27: return .float(Double(bitPattern: try argument(27)))
        default: throw Self.malformed("a simple value that JSON has no word for")
        }
    }

    private static func half(_ bits: UInt64) -> Double {
        let (exponent, fraction) = ((bits >> 10) & 31, Double(bits & 1023))
        let magnitude: Double =
            switch exponent {
            case 0: fraction * 0x1p-24
            case 31: fraction == 0 ? .infinity : .nan
            default: Double(sign: .plus, exponent: Int(exponent) - 15, significand: 1 + fraction / 1024)
            }
        return bits & 0x8000 == 0 ? magnitude : -magnitude
    }

    private static func negative(_ argument: UInt64) -> String {
        argument == .max ? "-18446744073709551616" : "-" + String(argument + 1)
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

    /// A number of elements: each takes a byte at least, so a length that is only claimed is found out at once.
    private func count(_ argument: UInt64) throws -> Int {
        guard argument <= UInt64(bytes.count) else { throw Self.malformed("cut off") }
        return Int(argument)
    }
}
