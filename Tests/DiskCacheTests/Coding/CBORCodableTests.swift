import TestSupport
import Testing

@testable import DiskCacheCore

private struct Person: Codable, Equatable {
    var name: String
    var age: Int?
    var tags: Set<String>
    var scores: [String: [Double]]
    var raw: [UInt8]
    var rank: Rank
    var child: [Person]
    var maybe: Int??

    enum Rank: String, Codable { case low, high }
}

private enum Shape: Codable, Equatable {
    case circle(radius: Double)
    case square(Int, Int)
    case empty
}

private class Animal: Codable {
    var name = "animal"
}

private final class Dog: Animal {
    var breed = "dog"

    enum CodingKeys: CodingKey { case breed }

    override init() { super.init() }

    required init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        breed = try container.decode(String.self, forKey: .breed)
        try super.init(from: container.superDecoder())
    }

    override func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(breed, forKey: .breed)
        try super.encode(to: container.superEncoder())
    }
}

/// Uses every way there is to nest containers, interleaved.
private struct Nested: Codable, Equatable {
    var first = 1
    var second = "two"

    enum CodingKeys: CodingKey { case map, list, late }

    init() {}

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        #expect(container.allKeys.count == 3 && container.contains(.late))
        let map = try container.nestedContainer(keyedBy: CodingKeys.self, forKey: .map)
        #expect(map.codingPath.map(\.stringValue) == ["map"])
        first = try map.decode(Int.self, forKey: .late)
        var list = try container.nestedUnkeyedContainer(forKey: .list)
        #expect(list.count == 4)
        #expect(try list.decodeNil())
        var inner = try list.nestedUnkeyedContainer()
        #expect(inner.codingPath.map(\.stringValue) == ["list", "Index 1"])
        second = try inner.decode(String.self)
        #expect(inner.isAtEnd)
        #expect(throws: DecodingError.self) { try inner.decode(String.self) }
        _ = try list.nestedContainer(keyedBy: CodingKeys.self)
        #expect(try !list.decodeNil())
        #expect(try Int(from: list.superDecoder()) == 9)
        #expect(try container.decodeNil(forKey: .late))
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        var map = container.nestedContainer(keyedBy: CodingKeys.self, forKey: .map)
        var list = container.nestedUnkeyedContainer(forKey: .list)
        try list.encodeNil()
        try map.encode(first, forKey: .late)
        var inner = list.nestedUnkeyedContainer()
        _ = list.nestedContainer(keyedBy: CodingKeys.self)
        try 9.encode(to: list.superEncoder())
        #expect(list.count == 4)
        try inner.encode(second)
        try container.encodeNil(forKey: .late)
    }
}

private struct Chain: Codable {
    var next: [Chain]
    init(length: Int) {
        next = []
        for _ in 1..<length { next = [Chain(next)] }
    }
    private init(_ next: [Chain]) { self.next = next }
    init(from decoder: any Decoder) throws { next = try decoder.singleValueContainer().decode([Chain].self) }
    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(next)
    }
}

private struct Failing: Codable {
    struct Refusal: Error {}
    init() {}
    init(from decoder: any Decoder) throws { throw Refusal() }
    func encode(to encoder: any Encoder) throws { throw Refusal() }
}

private struct Twice: Codable {
    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(1)
        try container.encode(2)
    }
}

private struct Both: Encodable {
    enum Key: CodingKey { case a }
    func encode(to encoder: any Encoder) throws {
        var map = encoder.container(keyedBy: Key.self)
        try map.encode(1, forKey: .a)
        var list = encoder.unkeyedContainer()
        try list.encode(1)
    }
}

private struct Silent: Encodable {
    func encode(to encoder: any Encoder) throws {}
}

extension CodingUserInfoKey {
    fileprivate static let test = CodingUserInfoKey(rawValue: "test")!
}

private struct ReadsUserInfo: Codable {
    init() {}
    init(from decoder: any Decoder) throws { #expect(decoder.userInfo[.test] as? Int == 5) }
    func encode(to encoder: any Encoder) throws {
        #expect(encoder.userInfo[.test] as? Int == 5)
        var container = encoder.singleValueContainer()
        try container.encode(1)
    }
}

/// Keeps its decoder beyond the end of decoding.
private final class Keeper: Decodable {
    let decoder: any Decoder
    init(from decoder: any Decoder) throws { self.decoder = decoder }
}

@Suite struct CBORCodableTests {
    private func roundTrip<T: Codable & Equatable>(_ value: T, _ text: String? = nil) throws {
        let encoded = try encode(value)
        if let text { #expect(hex(encoded) == hex(unhex(text)), "\(value)") }
        #expect(try CBORDecoder().decode(T.self, from: encoded) == value)
    }

    @Test func structs() throws {
        let child = Person(
            name: "é", age: nil, tags: [], scores: [:], raw: [], rank: .low, child: [], maybe: .some(.none))
        let person = Person(
            name: "A", age: 5, tags: ["x", "yy", "a"], scores: ["s": [1, 2.5], "": []], raw: [1, 2, 3], rank: .high,
            child: [child, child], maybe: 7)
        try roundTrip(person)
        try roundTrip(child)
        try roundTrip(Shape.circle(radius: 2))
        try roundTrip([Shape.square(1, 2), .empty], "82 a1 66737175617265 a2 625f3001 625f3102 a1 65656d707479 a0")
        try roundTrip(Nested())
        try roundTrip(1...5)
        try roundTrip(Duration.seconds(5))
        try roundTrip([Int8.min: Float(1.5)])
    }

    @Test func integersAtTheirEnds() throws {
        try roundTrip(Int64.min, "3b7fffffffffffffff")
        try roundTrip(Int64.max, "1b7fffffffffffffff")
        try roundTrip(UInt64.max, "1bffffffffffffffff")
        try roundTrip(Int128.min)
        try roundTrip(Int128.max)
        try roundTrip(UInt128.max, "c250ffffffffffffffffffffffffffffffff")
        try roundTrip([Int8.min, 0, .max])
        #expect(throws: CacheError.self) { try decode(Int.self, "1b8000000000000000") }
        #expect(throws: CacheError.self) { try decode(Int.self, "3b8000000000000000") }
        #expect(throws: CacheError.self) { try decode(UInt8.self, "190100") }
        #expect(throws: CacheError.self) { try decode(UInt8.self, "20") }
        #expect(throws: CacheError.self) { try decode(Int128.self, "c250ffffffffffffffffffffffffffffffff") }
        #expect(throws: CacheError.self) { try decode(Int128.self, "c350ffffffffffffffffffffffffffffffff") }
        #expect(throws: CacheError.self) { try decode(Int.self, "c249010000000000000000") }
    }

    @Test func floatsTakeWhatTheyHoldExactly() throws {
        try roundTrip(Float.pi)
        try roundTrip(-Double.infinity)
        #expect(try decode(Double.self, "01") == 1)
        #expect(try decode(Double.self, "3bffffffffffffffff") == -0x1p64)
        #expect(try decode(Float.self, "f97e00").isNaN)
        #expect(throws: CacheError.self) { try decode(Float.self, "fb3ff199999999999a") }
        #expect(throws: CacheError.self) { try decode(Double.self, "1b0020000000000001") }
        #expect(throws: CacheError.self) { try decode(Int.self, "f93c00") }
    }

    @Test func optionals() throws {
        try roundTrip(Int?.none, "f6")
        try roundTrip(Int?.some(1), "01")
        try roundTrip(Int??.none, "f6")
        try roundTrip(Int??.some(nil), "81f6")
        try roundTrip(Int??.some(1), "8101")
        try roundTrip(Int???.some(.some(nil)), "8181f6")
        try roundTrip([1, nil, 3], "8301f603")
        try roundTrip(["a": Int?.none], "a16161f6")
        try roundTrip([Int??.none, .some(nil), 4], "83f681f68104")
        try roundTrip([[Int?]??.some([nil]), .some(nil), nil], "83 8181f6 81f6 f6")
        #expect(throws: CacheError.self) { try decode(Int.self, "f6") }
        #expect(throws: CacheError.self) { try decode(Int??.self, "01") }
        #expect(throws: CacheError.self) { try decode(Int??.self, "820101") }
    }

    @Test func classes() throws {
        let dog = Dog()
        dog.name = "Rex"
        let encoded = try encode(dog)
        #expect(hex(encoded) == hex(unhex("a2 656272656564 63646f67 657375706572 a1 646e616d65 63526578")))
        let again = try CBORDecoder().decode(Dog.self, from: encoded)
        #expect(again.name == "Rex" && again.breed == "dog")
    }

    @Test func setsAndDictionariesAreSorted() throws {
        try roundTrip(Set([10, 100, -1, 0]), "84 00 0a 1864 20")
        try roundTrip(["b": 1, "a": 2, "aa": 3], "a3 616102 616201 62616103")
        try roundTrip([10: "a", -1: "b", 300: "c"], "a3 0a6161 19012c6163 206162")
        try roundTrip([Set([3, 1]): Set([[2], [1]])], "a1 820103 82 8101 8102")
        try roundTrip([Person.Rank.high: 1], "a1 646869676801")
        try roundTrip([true: 1, false: 0], "a2 f400 f501")
        try roundTrip([[UInt8]([1]): 1], "a1 410101")
        #expect(throws: CacheError.self) { try decode([String: Int].self, "a1 0101") }
        // Two texts that a Dictionary takes for one key.
        #expect(throws: CacheError.self) { try decode([String: Int].self, "a2 62c3a901 6365cc8101") }
    }

    @Test func orderInMemoryDoesNotShow() throws {
        var generator = ReplayableRandom(for: "orderInMemoryDoesNotShow", variable: "CODING_SEED")
        let names = (0..<200).map { "name\($0 * 7919)" }
        let numbers: [Int] = (0..<200).map { $0 &* 2_654_435_761 }
        var seen: Set<[UInt8]> = []
        for round in 0..<20 {
            var set = Set<String>(minimumCapacity: round * 100)
            var map = [Int: Set<String>](minimumCapacity: round * 77)
            for name in names.shuffled(using: &generator) { set.insert(name) }
            for number in numbers.shuffled(using: &generator) { map[number] = ["\(number)", "x", "y"] }
            seen.insert(try encode([["m": map]: [set]]))
        }
        #expect(seen.count == 1)
    }

    @Test func failuresAreCacheErrors() {
        func code(_ body: () throws -> Void) -> CacheError.Code? {
            do {
                try body()
                return nil
            } catch {
                return (error as? CacheError)?.code
            }
        }
        #expect(code { _ = try encode(Failing()) } == .unencodable)
        #expect(code { _ = try encode([Twice()]) } == .unencodable)
        #expect(code { _ = try encode(Both()) } == .unencodable)
        #expect(code { _ = try decode(Failing.self, "01") } == .undecodable)
        #expect(code { _ = try decode(Person.self, "a0") } == .typeMismatch)
        #expect(code { _ = try decode(Person.self, "80") } == .typeMismatch)
        #expect(code { _ = try decode(Person.Rank.self, "6161") } == .undecodable)
        #expect(code { _ = try decode([Int].self, "8201f5") } == .typeMismatch)
        #expect(code { _ = try decode([Int].self, "a0") } == .typeMismatch)
        #expect(code { _ = try decode([UInt8].self, "820102") } == .typeMismatch)
        #expect(code { _ = try encode(Silent()) } == nil)
        do {
            _ = try decode([[String: [Int]]].self, "81 a1 6161 83 01 02 6162")
        } catch {
            #expect("\(error)".contains("Index 0.Index 0.Index 2"))
        }
    }

    @Test func depthIsLimited() throws {
        let deepest = try encode(Chain(length: 512))
        #expect(deepest == Array(repeating: 0x81, count: 511) + [0x80])
        _ = try CBORDecoder().decode(Chain.self, from: deepest)
        #expect(performing: { try encode(Chain(length: 513)) }, throws: { CacheError.Code.unencodable ~= $0 })
        #expect(
            performing: { try CBORDecoder().decode(Chain.self, from: [0x81] + deepest) },
            throws: { CacheError.Code.undecodable ~= $0 })
        #expect(throws: CacheError.self) {
            try CBORDecoder().decode(Int.self, from: Array(repeating: 0x81, count: 1_000_000))
        }
    }

    @Test func userInfoArrives() throws {
        let serializer = CBORSerializer(userInfo: [.test: 5])
        let encoded = try serializer.encode([ReadsUserInfo()])
        _ = try encoded.withUnsafeBytes { try serializer.decode([ReadsUserInfo].self, from: $0) }
    }

    @Test func aKeptDecoderThrows() throws {
        let keeper = try decode(Keeper.self, "a1 6161 6162")
        let container = try keeper.decoder.container(keyedBy: Shape.Key.self)
        #expect(throws: DecodingError.self) { try container.decode(String.self, forKey: .a) }
        #expect(container.allKeys.isEmpty)
    }

    @Test func largeValues() throws {
        try roundTrip(Array(0..<50_000))
        try roundTrip(Dictionary(uniqueKeysWithValues: (0..<5000).map { ("key \($0)", [$0]) }))
        try roundTrip(String(repeating: "long ", count: 50_000))
    }

    @Test func randomRoundTrips() throws {
        var generator = ReplayableRandom(for: "randomRoundTrips", variable: "CODING_SEED")
        for _ in 0..<3000 {
            let value = AnyCBOR.random(4, &generator)
            let encoded = try encode(value)
            guard try CBORDecoder().decode(AnyCBOR.self, from: encoded) == value else {
                Issue.record("\(value), seed \(generator.seed)")
                return
            }
        }
    }

    /// Mutations of good CBOR: whatever is accepted must be what the encoder would have written.
    @Test func hostileBytesNeverTrap() throws {
        var generator = ReplayableRandom(for: "hostileBytesNeverTrap", variable: "CODING_SEED")
        var samples = try (0..<60).map { _ in try encode(AnyCBOR.random(4, &generator)) }
        samples.append(
            try encode(
                Person(
                    name: "A", age: 5, tags: ["x", "yy"], scores: ["s": [1, 2.5]], raw: [1, 2, 3], rank: .high,
                    child: [], maybe: 7)))
        var accepted = 0
        for round in 0..<120_000 {
            var sample = samples.randomElement(using: &generator)!
            for _ in 0...Int.random(in: 0...2, using: &generator) {
                let place = Int.random(in: 0...sample.count, using: &generator)
                switch Int.random(in: 0..<6, using: &generator) {
                case 0 where place < sample.count: sample[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                case 1 where place < sample.count: sample[place] = UInt8.random(in: 0...255, using: &generator)
                case 2: sample.removeLast(sample.count - place)
                case 3: sample.insert(UInt8.random(in: 0...255, using: &generator), at: place)
                case 4 where place < sample.count: sample.remove(at: place)
                default:
                    sample.replaceSubrange(place..<place, with: [0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
                }
            }
            do {
                if round % 4 == 0 { _ = try? CBORDecoder().decode(Person.self, from: sample) }
                let value = try CBORDecoder().decode(AnyCBOR.self, from: sample)
                accepted += 1
                guard try encode(value) == sample else {
                    Issue.record("\(hex(sample)) accepted as \(value), seed \(generator.seed)")
                    return
                }
            } catch is CacheError {
                continue
            } catch {
                Issue.record("\(error), seed \(generator.seed)")
                return
            }
        }
        #expect(accepted > 100)
    }
}

extension Shape {
    fileprivate enum Key: CodingKey { case a }
}
