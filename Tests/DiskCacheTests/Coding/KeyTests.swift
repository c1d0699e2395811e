import TestSupport
import Testing

@testable import DiskCacheCore

/// A key as it is stored.
struct StoredKey: Equatable {
    var keyClass: UInt8
    var bytes: [UInt8]

    init(_ keyClass: UInt8, _ bytes: [UInt8]) {
        self.keyClass = keyClass
        self.bytes = bytes
    }

    /// By the fast way.
    init<K: CacheKey>(_ key: K) throws {
        self = try withKeyBytes(key) { StoredKey($0, Array($1)) }
    }

    /// By the protocol.
    init<K: CacheKey>(written key: K) throws {
        var written = KeyBytes()
        key.encode(into: &written)
        self = try written.withBytes { StoredKey($0, Array($1)) }
    }

    var any: AnyCacheKey {
        get throws { try bytes.withUnsafeBytes { try AnyCacheKey(keyClass: keyClass, bytes: $0) } }
    }

    func isSameKey(as other: StoredKey) -> Bool {
        KeyClass.identity(of: keyClass) == KeyClass.identity(of: other.keyClass) && bytes == other.bytes
    }
}

private func precedes(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.withUnsafeBytes { left in right.withUnsafeBytes { compareBytes(left, $0) < 0 } }
}

private struct Page: Codable, CacheKey {
    var site: String
    var number: Int
}

private enum Kind: String, Codable, CacheKey {
    case small, large
    func encode(into key: inout KeyBytes) { key.encode(rawValue) }
}

private struct Empty: CacheKey {
    func encode(into key: inout KeyBytes) {}
}

@Suite struct KeyTests {
    @Test func classesArePinned() {
        #expect(KeyClass.allCases.map(\.rawValue) == [0, 1, 2, 3, 4, 5, 6, 7])
        #expect(KeyClass.float.identity == 1 && KeyClass.integer.identity == 1 && KeyClass.text.identity == 3)
    }

    /// These bytes are in files: a change here is a change of format.
    @Test func goldenBytes() throws {
        func expect<K: CacheKey>(_ key: K, _ keyClass: UInt8, _ text: String) throws {
            let stored = try StoredKey(key)
            #expect(stored.keyClass == keyClass && hex(stored.bytes) == hex(unhex(text)), "\(key)")
            #expect(try StoredKey(written: key) == stored, "\(key)")
        }
        try expect(Int?.none, 0, "")
        try expect(0, 1, "8000000000000000")
        try expect(1, 1, "bff0000000000000")
        try expect(UInt8(1), 1, "bff0000000000000")
        try expect(-1, 1, "400fffffffffffff")
        try expect(42 as Int?, 1, "c045000000000000")
        try expect(Int64.max, 1, "c3dfffffffffffff 03ff")
        try expect(Int64.min, 1, "3c1fffffffffffff")
        try expect(Int64.min + 1, 1, "3c1fffffffffffff 0001")
        try expect(UInt64.max, 1, "c3efffffffffffff 07ff")
        try expect(1 << 53, 1, "c340000000000000")
        try expect((1 << 53) + 1, 1, "c340000000000000 0001")
        try expect(1.0, 2, "bff0000000000000")
        try expect(Float(1.5), 2, "bff8000000000000")
        try expect(-0.0, 2, "8000000000000000")
        try expect(Double.infinity, 2, "fff0000000000000")
        try expect(-Double.infinity, 2, "000fffffffffffff")
        try expect("", 3, "")
        try expect("key", 3, "6b6579")
        try expect("naïve", 3, "6e61c3af7665")
        try expect([UInt8]([0, 255]), 4, "00ff")
        try expect(true, 5, "f5")
        try expect(false, 5, "f4")
        try expect(Encoded(["b", "a"]), 5, "82 6162 6161")
        try expect(Encoded(Set(["b", "a"])), 5, "82 6161 6162")
        try expect(Page(site: "s", number: 7), 5, "a2 6473697465 6173 666e756d626572 07")
        try expect(QueueKey(number: 0), 6, "00 8000000000000000")
        try expect(QueueKey(prefix: "", number: -1), 6, "01 0001 7fffffffffffffff")
        try expect(QueueKey(prefix: "a\0b", number: 5), 6, "01 61 00ff 62 0001 8000000000000005")
    }

    @Test func nothingWrittenIsNoKey() {
        #expect(throws: CacheError.self) { try StoredKey(Empty()) }
    }

    @Test func notANumberIsRefused() {
        for key in [Double.nan, -.nan, .signalingNaN] {
            #expect(performing: { try StoredKey(key) }, throws: { CacheError.Code.keyInvalid ~= $0 })
            #expect(performing: { try StoredKey(written: key) }, throws: { CacheError.Code.keyInvalid ~= $0 })
            #expect(performing: { try StoredKey(Float(key)) }, throws: { CacheError.Code.keyInvalid ~= $0 })
            #expect(
                performing: { try StoredKey(AnyCacheKey.double(key)) }, throws: { CacheError.Code.keyInvalid ~= $0 })
        }
    }

    @Test func numbersAreOneKeyByValue() throws {
        #expect(try StoredKey(1).isSameKey(as: StoredKey(1.0)))
        #expect(try StoredKey(UInt64(1) << 63).isSameKey(as: StoredKey(0x1p63)))
        #expect(try StoredKey(0.0).isSameKey(as: StoredKey(-0.0)))
        #expect(try StoredKey(0).isSameKey(as: StoredKey(-0.0)))
        #expect(try !StoredKey((1 << 53) + 1).isSameKey(as: StoredKey(0x1p53)))
        #expect(try !StoredKey(1).isSameKey(as: StoredKey(true)))
        #expect(AnyCacheKey.int(1) == .double(1) && AnyCacheKey.int(1).hashValue == AnyCacheKey.double(1).hashValue)
        #expect(AnyCacheKey.uint(7) == .int(7))
        #expect(AnyCacheKey.int((1 << 53) + 1) != .double(0x1p53))
        #expect(AnyCacheKey.string("e\u{301}") != .string("\u{e9}"))
        #expect(QueueKey(prefix: "e\u{301}", number: 1) != QueueKey(prefix: "\u{e9}", number: 1))
        #expect(QueueKey(prefix: nil, number: 1) != QueueKey(prefix: "", number: 1))
        #expect(AnyCacheKey.string("a") != .bytes([0x61]) && AnyCacheKey.null != .int(0))
    }

    /// A number in a form whose order can be told without the code under test.
    private enum Number {
        case int(Int64)
        case uint(UInt64)
        case double(Double)

        var stored: StoredKey {
            get throws {
                switch self {
                case .int(let value): try StoredKey(value)
                case .uint(let value): try StoredKey(value)
                case .double(let value): try StoredKey(value)
                }
            }
        }

        var any: AnyCacheKey {
            switch self {
            case .int(let value): .int(value)
            case .uint(let value): .uint(value)
            case .double(let value): .double(value)
            }
        }

        /// The integral part, clamped to 100 bits, and what is left, of the same sign: exact for doubles.
        private var parts: (Int128, Double) {
            switch self {
            case .int(let value): return (Int128(value), 0)
            case .uint(let value): return (Int128(value), 0)
            case .double(let value):
                if value >= 0x1p100 { return (1 << 100, value) }
                if value <= -0x1p100 { return (-(1 << 100), value) }
                let whole = value.rounded(.towardZero)
                return (Int128(whole), value - whole)
            }
        }

        func compare(_ other: Number) -> Int {
            let (left, right) = (parts, other.parts)
            if left.0 != right.0 { return left.0 < right.0 ? -1 : 1 }
            return left.1 == right.1 ? 0 : left.1 < right.1 ? -1 : 1
        }

        static func random(_ generator: inout ReplayableRandom) -> Number {
            let near: [UInt64] = [0, 1 << 52, 1 << 53, 1 << 54, 1 << 62, 1 << 63, .max, 1 << 31, 1 << 32]
            let base = near.randomElement(using: &generator) ?? 0
            let offset = UInt64.random(in: 0...4096, using: &generator)
            let around = Bool.random(using: &generator) ? base &+ offset : base &- offset
            switch Int.random(in: 0..<9, using: &generator) {
            case 0: return .int(Int64.random(in: .min ... .max, using: &generator))
            case 1: return .uint(UInt64.random(in: .min ... .max, using: &generator))
            case 2: return .int(Int64(bitPattern: around))
            case 3: return .uint(around)
            case 4: return .double(Double(around))
            case 5: return .double(-Double(around).nextUp)
            case 6: return .int(Int64.random(in: -100...100, using: &generator))
            case 7: return .double(Double.random(in: -100...100, using: &generator).rounded(.toNearestOrEven) / 2)
            default:
                let value = Double(bitPattern: UInt64.random(in: .min ... .max, using: &generator))
                return .double(
                    value.isNaN ? [.infinity, -.infinity, 0, -0.0].randomElement(using: &generator)! : value)
            }
        }
    }

    @Test func orderOfBytesIsOrderOfNumbers() throws {
        var generator = ReplayableRandom(for: "orderOfBytesIsOrderOfNumbers", variable: "CODING_SEED")
        for _ in 0..<60_000 {
            let (left, right) = (Number.random(&generator), Number.random(&generator))
            let (first, second) = (try left.stored.bytes, try right.stored.bytes)
            let order = left.compare(right)
            let found = precedes(first, second) ? -1 : precedes(second, first) ? 1 : 0
            if order != found || (left.any == right.any) != (order == 0) {
                Issue.record("\(left) and \(right), seed \(generator.seed)")
                break
            }
            guard try left.stored.any == left.any else {
                Issue.record("\(left) doesn't come back, seed \(generator.seed)")
                break
            }
        }
    }

    @Test func theFormComesBack() throws {
        func form(_ key: some CacheKey) throws -> String { "\(try StoredKey(key).any)" }
        #expect(try form(1) == "int(1)")
        #expect(try form(1.0) == "double(1.0)")
        #expect(try form(UInt64.max) == "uint(18446744073709551615)")
        #expect(try form(UInt64(Int64.max)) == "int(9223372036854775807)")
        #expect(try form(Int64.min) == "int(-9223372036854775808)")
        #expect(try form(-Double.infinity) == "double(-inf)")
    }

    @Test func keysComeBackAsTheirTypes() throws {
        func roundTrip<K: CacheKey>(_ key: K) throws {
            #expect(try StoredKey(key).any.decode(K.self) == key)
        }
        try roundTrip(5)
        try roundTrip(Int8.min)
        try roundTrip(UInt64.max)
        try roundTrip(2.5)
        try roundTrip(Float.infinity)
        try roundTrip("text")
        try roundTrip([UInt8]([1, 2]))
        try roundTrip(true)
        try roundTrip(Int?.none)
        try roundTrip(String?.some("x"))
        try roundTrip(QueueKey(prefix: "a\0\u{1}", number: .min))
        try roundTrip(Page(site: "s", number: 1))
        try roundTrip(Kind.large)
        try roundTrip(Encoded(["a": [1, 2], "b": []]))
        try roundTrip(AnyCacheKey.bytes([1]))
        #expect(try StoredKey(1.0).any.decode(Int.self) == 1)
        #expect(throws: CacheError.self) { try StoredKey(1.5).any.decode(Int.self) }
        #expect(throws: CacheError.self) { try StoredKey(300).any.decode(UInt8.self) }
        #expect(throws: CacheError.self) { try StoredKey("1").any.decode(Int.self) }
        #expect(throws: CacheError.self) { try StoredKey(1).any.decode(Bool.self) }
        #expect(throws: CacheError.self) { try StoredKey("medium").any.decode(Kind.self) }
        #expect(throws: CacheError.self) { try StoredKey(QueueKey(number: 1)).any.decode(Page.self) }
    }

    @Test func equalEncodedKeysHaveEqualBytes() throws {
        #expect(try StoredKey(Encoded([0.0])) == StoredKey(Encoded([-0.0])))
        #expect(try CBOREncoder().encode([-0.0]) == unhex("81 f98000"))
    }

    @Test func queuesAreInOrderAndApart() throws {
        let prefixes: [String?] = [
            nil, "", "\0", "\0\0", "\0\u{1}", "\u{1}", "a", "a\0", "a\0\u{1}", "a\0a", "a\u{1}", "aa", "b", "é",
        ]
        let numbers: [Int64] = [.min, -1, 0, 1, 255, 256, .max]
        let keys = prefixes.flatMap { prefix in numbers.map { QueueKey(prefix: prefix, number: $0) } }
        let encoded = try keys.map { try StoredKey($0).bytes }
        for (left, right) in zip(encoded, encoded.dropFirst()) { #expect(precedes(left, right)) }
        for (key, bytes) in zip(keys, encoded) {
            #expect(bytes.withUnsafeBytes { QueueKey(bytes: $0) } == key)
            for prefix in prefixes {
                let start = QueueKey.encodedPrefix(prefix)
                #expect(bytes.starts(with: start) == (prefix == key.prefix), "\(key) \(prefix ?? "nil")")
            }
        }
    }

    @Test func malformedKeysAreRefused() throws {
        func refuses(_ keyClass: UInt8, _ text: String) {
            #expect(throws: CacheError.self, "\(keyClass) \(text)") { _ = try StoredKey(keyClass, unhex(text)).any }
        }
        refuses(0, "00")
        for keyClass: UInt8 in [1, 2] {
            refuses(keyClass, "")
            refuses(keyClass, "80")
            refuses(keyClass, "bff0000000000000 00")
            refuses(keyClass, "bff0000000000000 0000")
            refuses(keyClass, "bff0000000000000 0001")
            refuses(keyClass, "ffffffffffffffff")
            refuses(keyClass, "0000000000000000")
            refuses(keyClass, "7fffffffffffffff")
        }
        refuses(1, "bff8000000000000")
        refuses(1, "fff0000000000000")
        refuses(1, "c3f0000000000000")
        refuses(1, "c3efffffffffffff 0800")
        refuses(2, "c340000000000000 0001")
        refuses(3, "ff")
        refuses(6, "")
        refuses(6, "00 80000000000000")
        refuses(6, "02 8000000000000000")
        refuses(6, "00 00 8000000000000000")
        refuses(6, "01 61 8000000000000000")
        refuses(6, "01 00 00 0001 8000000000000000")
        refuses(6, "01 ff 0001 8000000000000000")
        refuses(7, "")
        refuses(8, "")
        refuses(255, "00")
    }

    @Test func randomBytesNeverTrap() {
        var generator = ReplayableRandom(for: "randomBytesNeverTrap", variable: "CODING_SEED")
        for _ in 0..<50_000 {
            let count = Int.random(in: 0...24, using: &generator)
            let random = (0..<count).map { _ in
                [0, 1, 0xff, UInt8.random(in: 0...255, using: &generator)][Int.random(in: 0..<4, using: &generator)]
            }
            let key = StoredKey(UInt8.random(in: 0...9, using: &generator), random)
            guard let any = try? key.any else { continue }
            guard let again = try? StoredKey(any), again == key else {
                Issue.record("\(key) was accepted as \(any), which is written otherwise; seed \(generator.seed)")
                return
            }
        }
    }
}

private struct Unencodable: CacheKey, Codable {
    struct Refusal: Error {}
    init() {}
    init(from decoder: any Decoder) throws { throw Refusal() }
    func encode(to encoder: any Encoder) throws { throw Refusal() }
}

private struct Rewritten: CacheKey {
    func encode(into key: inout KeyBytes) {
        key.encode(Double.nan)
        key.encode(serializing: 5)
        key.encode("last")
    }
}

extension KeyTests {
    @Test func customKeysFailWhenUsed() throws {
        #expect(performing: { try StoredKey(Unencodable()) }, throws: { CacheError.Code.unencodable ~= $0 })
        #expect(try StoredKey(Rewritten()) == StoredKey("last"))
    }
}
