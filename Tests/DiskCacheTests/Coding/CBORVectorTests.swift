import TestSupport
import Testing

@testable import DiskCacheCore

/// Any CBOR that this library writes, for tests.
indirect enum AnyCBOR: Hashable, Codable {
    case null
    case bool(Bool)
    case int(Int128)
    case float(UInt64)
    case text(String)
    case bytes([UInt8])
    case array([AnyCBOR])
    case map([AnyCBOR: AnyCBOR])

    static func double(_ value: Double) -> AnyCBOR { .float(value.bitPattern) }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int128.self) {
            self = .int(value)
        } else if let value = try? container.decode(Double.self) {
            self = .float(value.bitPattern)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if let value = try? container.decode([UInt8].self) {
            self = .bytes(value)
        } else if let value = try? container.decode([AnyCBOR].self) {
            self = .array(value)
        } else {
            self = .map(try container.decode([AnyCBOR: AnyCBOR].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .int(let value): try container.encode(value)
        case .float(let bits): try container.encode(Double(bitPattern: bits))
        case .text(let value): try container.encode(value)
        case .bytes(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .map(let value): try container.encode(value)
        }
    }

    static func random(_ depth: Int, _ generator: inout ReplayableRandom) -> AnyCBOR {
        let count = Int.random(in: 0...5, using: &generator)
        switch Int.random(in: 0..<(depth > 0 ? 10 : 7), using: &generator) {
        case 0: return .null
        case 1: return .bool(.random(using: &generator))
        case 2:
            let shift = Int.random(in: 0...127, using: &generator)
            return .int(Int128.random(in: .min ... .max, using: &generator) >> Int128(shift))
        case 3:
            return .double(
                [0, -0.0, 0.5, 65504, 65505, 1e300, 5.9604644775390625e-8, .infinity].randomElement(using: &generator)!)
        case 4:
            let value = Double(bitPattern: UInt64.random(in: .min ... .max, using: &generator))
            return .double(value.isNaN ? .nan : value)
        case 5: return .text(String((0..<count * 3).map { _ in "aé\0日🙂".randomElement(using: &generator)! }))
        case 6: return .bytes((0..<count * 7).map { _ in UInt8.random(in: 0...255, using: &generator) })
        case 7, 8: return .array((0..<count).map { _ in random(depth - 1, &generator) })
        default:
            var map: [AnyCBOR: AnyCBOR] = [:]
            for _ in 0..<count { map[random(depth - 1, &generator)] = random(depth - 1, &generator) }
            return .map(map)
        }
    }
}

func encode(_ value: some Encodable) throws -> [UInt8] { try CBOREncoder().encode(value) }
func decode<T: Decodable>(_ type: T.Type = T.self, _ text: String) throws -> T {
    try CBORDecoder().decode(type, from: unhex(text))
}

@Suite struct CBORVectorTests {
    /// The vectors of RFC 8949, appendix A, that are deterministic and of types that are used here: both ways.
    @Test func appendixA() throws {
        let vectors: [(AnyCBOR, String)] = [
            (.int(0), "00"), (.int(1), "01"), (.int(10), "0a"), (.int(23), "17"), (.int(24), "1818"),
            (.int(25), "1819"), (.int(100), "1864"), (.int(1000), "1903e8"), (.int(1_000_000), "1a000f4240"),
            (.int(1_000_000_000_000), "1b000000e8d4a51000"),
            (.int(18_446_744_073_709_551_615), "1bffffffffffffffff"),
            (.int(18_446_744_073_709_551_616), "c249010000000000000000"),
            (.int(-18_446_744_073_709_551_616), "3bffffffffffffffff"),
            (.int(-18_446_744_073_709_551_617), "c349010000000000000000"),
            (.int(-1), "20"), (.int(-10), "29"), (.int(-100), "3863"), (.int(-1000), "3903e7"),
            (.double(0), "f90000"), (.double(-0.0), "f98000"), (.double(1), "f93c00"),
            (.double(1.1), "fb3ff199999999999a"), (.double(1.5), "f93e00"), (.double(65504), "f97bff"),
            (.double(100000), "fa47c35000"), (.double(3.4028234663852886e+38), "fa7f7fffff"),
            (.double(1.0e+300), "fb7e37e43c8800759c"), (.double(5.960464477539063e-8), "f90001"),
            (.double(0.00006103515625), "f90400"), (.double(-4), "f9c400"), (.double(-4.1), "fbc010666666666666"),
            (.double(.infinity), "f97c00"), (.double(.nan), "f97e00"), (.double(-.infinity), "f9fc00"),
            (.bool(false), "f4"), (.bool(true), "f5"), (.null, "f6"),
            (.bytes([]), "40"), (.bytes([1, 2, 3, 4]), "4401020304"),
            (.text(""), "60"), (.text("a"), "6161"), (.text("IETF"), "6449455446"), (.text("\"\\"), "62225c"),
            (.text("\u{fc}"), "62c3bc"), (.text("\u{6c34}"), "63e6b0b4"), (.text("\u{10151}"), "64f0908591"),
            (.array([]), "80"), (.array([.int(1), .int(2), .int(3)]), "83010203"),
            (
                .array([.int(1), .array([.int(2), .int(3)]), .array([.int(4), .int(5)])]),
                "8301820203820405"
            ),
            (.array((1...25).map { .int($0) }), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
            (.map([:]), "a0"), (.map([.int(1): .int(2), .int(3): .int(4)]), "a201020304"),
            (.map([.text("a"): .int(1), .text("b"): .array([.int(2), .int(3)])]), "a26161016162820203"),
            (.array([.text("a"), .map([.text("b"): .text("c")])]), "826161a161626163"),
            (
                .map([
                    .text("a"): .text("A"), .text("b"): .text("B"), .text("c"): .text("C"), .text("d"): .text("D"),
                    .text("e"): .text("E"),
                ]), "a56161614161626142616361436164614461656145"
            ),
        ]
        for (value, text) in vectors {
            #expect(hex(try encode(value)) == text)
            #expect(try decode(AnyCBOR.self, text) == value, "\(text)")
        }
    }

    /// The rest of the appendix: tags, simple values, other forms of floats, indefinite lengths.
    @Test(arguments: [
        "c074323031332d30332d32315432303a30343a30305a", "c11a514b67b0", "c1fb41d452d9e8200000", "d74401020304",
        "d818456449455446", "d82076687474703a2f2f7777772e6578616d706c652e636f6d", "f7", "f0", "f8ff",
        "fa7f800000", "fa7fc00000", "faff800000", "fb7ff0000000000000", "fb7ff8000000000000", "fbfff0000000000000",
        "5f42010243030405ff", "7f657374726561646d696e67ff", "9fff", "9f018202039f0405ffff", "9f01820203820405ff",
        "83018202039f0405ff", "83019f0203ff820405", "bf61610161629f0203ffff", "826161bf61626163ff",
        "bf6346756ef563416d7421ff",
    ])
    func appendixARefused(_ text: String) {
        #expect(performing: { try decode(AnyCBOR.self, text) }, throws: { CacheError.Code.undecodable ~= $0 })
    }

    @Test(arguments: [
        "", "18", "1800", "1817", "1900ff", "1a0000ffff", "1b00000000ffffffff", "3817", "1c", "1d", "1e", "1f",
        "61", "6161 00", "0000", "41", "5bffffffffffffffff", "7b7fffffffffffffff", "9bffffffffffffffff",
        "bbffffffffffffffff", "bb8000000000000000", "9a00100000 00", "81", "8201", "a1", "a101", "a201020102",
        "a203040102", "a2 6162 01 6161 02", "a2 626161 01 6162 02", "61ff", "62c328", "63e0809f", "63eda080",
        "64f0808080", "64f4908080", "64f8888080", "61c3", "f800", "f814", "f818", "f9", "f97e01", "f9fe00",
        "fa3f800000", "fa00000000", "fb3ff0000000000000", "fb36a0000000000000", "fc", "fd", "fe", "ff", "c2", "c240",
        "c24101", "c248ffffffffffffffff", "c249000000000000000001", "c25101020304050607080910111213141516 17",
        "c2820102", "c201", "d9d9f700",
    ])
    func malformedIsRefused(_ text: String) {
        #expect(performing: { try decode(AnyCBOR.self, text) }, throws: { CacheError.Code.undecodable ~= $0 })
    }

    @Test func halvesAreExact() {
        // Every half there is, through double and back.
        for bits in UInt16.min...UInt16.max {
            let value = HalfFloat(bits: bits).value
            if value.isNaN { continue }
            #expect(HalfFloat(exactly: Float(value))?.bits == bits)
        }
        #expect(
            HalfFloat(exactly: 65520) == nil && HalfFloat(exactly: 0x1p-25) == nil
                && HalfFloat(exactly: 0x1.8p-24) == nil)
        #expect(HalfFloat(exactly: .leastNonzeroMagnitude) == nil)
    }

    @Test func utf8IsToldAsTheStandardLibraryTellsIt() {
        var generator = ReplayableRandom(for: "utf8IsToldAsTheStandardLibraryTellsIt", variable: "CODING_SEED")
        let interesting: [UInt8] = [
            0, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0,
            0xf1, 0xf3, 0xf4, 0xf5, 0xff,
        ]
        for _ in 0..<40_000 {
            let count = Int.random(in: 0...20, using: &generator)
            var text = (0..<count).map { _ in interesting.randomElement(using: &generator)! }
            if Bool.random(using: &generator) { text = Array("abcdefgh".utf8) + text }
            let valid = String(validating: text, as: UTF8.self) != nil
            guard text.withUnsafeBytes({ isValidUTF8($0) }) == valid else {
                Issue.record("\(hex(text)), seed \(generator.seed)")
                return
            }
        }
    }
}
