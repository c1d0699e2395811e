import Testing

@testable import DiskCacheCore

/// The verbs of a cache, one process.
@Suite struct CacheTests {
    struct Point: Codable, Hashable, Sendable {
        var x: Int
        var y: Double
    }

    @Test func everyKindOfValueComesBack() throws {
        let cache = try Cache()
        try cache.set("int", 42)
        try cache.set("double", 1.5)
        try cache.set("text", "größer")
        try cache.set("bytes", [1, 2, 3] as [UInt8])
        try cache.set("null", Int?.none)
        try cache.set("point", Point(x: 1, y: 2.5))
        try cache.set("flag", true)
        #expect(try cache.get("int", as: Int.self) == 42)
        #expect(try cache.get("int", as: Int8.self) == 42)
        #expect(try cache.get("int", as: Double.self) == 42)
        #expect(try cache.get("double", as: Double.self) == 1.5)
        #expect(try cache.get("text", as: String.self) == "größer")
        #expect(try cache.get("bytes", as: [UInt8].self) == [1, 2, 3])
        #expect(try cache.get("null", as: Int?.self) == .some(nil))
        #expect(try cache.get("nothing", as: Int?.self) == nil)
        #expect(try cache.get("point", as: Point.self) == Point(x: 1, y: 2.5))
        #expect(try cache["flag", as: Bool.self] == true)
        #expect(try cache.get("nothing", default: 7) == 7)
        #expect(throws: CacheError.self) { try cache.get("text", as: Int.self) }
        #expect(try cache.withValue("text") { $0.byteCount } == 8)
        #expect(try cache.count == 7)
        #expect(try cache.check().isEmpty)
    }

    @Test func numbersAreOneKey() throws {
        let cache = try Cache()
        try cache.set(1, "one")
        #expect(try cache.get(1.0, as: String.self) == "one")
        try cache.set(9_007_199_254_740_993, "odd")
        #expect(try cache.contains(9_007_199_254_740_992.0) == false)
        #expect(throws: CacheError.self) { try cache.set(Double.nan, 1) }
    }

    @Test func addPopTouchIncrement() throws {
        let cache = try Cache()
        #expect(try cache.add("k", 1))
        #expect(try !cache.add("k", 2))
        #expect(try cache.pop("k", as: Int.self) == 1)
        #expect(try cache.pop("k", as: Int.self) == nil)
        #expect(try cache.incr("n") == 1)
        #expect(try cache.incr("n", by: 10) == 11)
        #expect(try cache.decr("n", by: 1) == 10)
        try cache.set("max", Int64.max)
        #expect { try cache.incr("max") } throws: { ($0 as? CacheError)?.code == .overflow }
        #expect(try cache.get("max", as: Int64.self) == .max)
        try cache.set("t", "text")
        #expect { try cache.incr("t") } throws: { ($0 as? CacheError)?.code == .notANumber }
        #expect { try cache.incr("none", default: nil) } throws: { ($0 as? CacheError)?.code == .keyNotFound }
        try cache.set("e", 1, expire: .after(.seconds(1000)), tag: "tag")
        let entry = try #require(try cache.entry("e", as: Int.self))
        #expect(entry.tag == "tag" && entry.expires != nil && entry.byteCount == 8)
        #expect(try cache.touch("e", expire: .never))
        #expect(try cache.entry("e", as: Int.self)?.expires == nil)
        #expect(try cache.touch("e", expire: .after(.zero)))
        #expect(try !cache.contains("e"))
        #expect(try !cache.touch("e", expire: .never))
        #expect(
            try cache.update("sum", default: 5) {
                $0 += 1; return $0
            } == 6)
        #expect(try cache.get("sum", as: Int.self) == 6)
    }

    @Test func largeValuesLieInFiles() throws {
        let cache = try Cache()
        let large = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 % 251) }
        try cache.set("large", large)
        let entry = try #require(try cache.entry("large", as: [UInt8].self))
        #expect(entry.path != nil && entry.value == large && entry.byteCount == large.count)
        #expect(try cache.get("large", as: [UInt8].self) == large)
        try cache.set("stream", reading: ChunkSource([[1, 2], [], [3]] as [[UInt8]]))
        #expect(try cache.open("stream")?.readAll() == [1, 2, 3])
        #expect(try cache.open("large")?.readAll() == large)
        #expect(try cache.pop("large", as: [UInt8].self) == large)
        try cache.set("stream", 1)
        try cache.sync()
        #expect(try cache.check().isEmpty)
    }

    @Test func manyAtOnceAndNoneIfOneFails() throws {
        let cache = try Cache()
        try cache.setMany((0..<100).map { ("key \($0)", $0) })
        #expect(try cache.getMany(["key 5", "no", "key 7"], as: Int.self) == [5, nil, 7])
        struct Failing: Encodable { func encode(to encoder: any Encoder) throws { throw CacheError(.unencodable) } }
        #expect(throws: CacheError.self) {
            try cache.update("key 1", default: 0) { value in
                try cache.set("key 2", 99)
                value = 98
                throw CacheError(.cancelled)
            }
        }
        #expect(try cache.getMany(["key 1", "key 2"], as: Int.self) == [1, 2])
        #expect(try cache.deleteMany((0..<100).map { "key \($0)" }) == 100)
        #expect(try cache.count == 0)
        #expect(try cache.check().isEmpty)
    }

    @Test func settingsAreStoredAndClosingIsHarmless() throws {
        var configuration = Cache.Configuration()
        configuration.minFileSize = 100
        configuration.evictionPolicy = EvictionPolicy.none
        let cache = try Cache(configuration: configuration)
        try cache.set("k", String(repeating: "x", count: 200))
        try cache.close()
        try cache.close()
        #expect(try cache.get("k", as: String.self)?.count == 200)
        let other = try Cache(directory: cache.directory)
        #expect(try other.settings.minFileSize == 100)
        try other.configure { $0.sizeLimit = 12345 }
        #expect(try cache.settings.sizeLimit == 12345)
        #expect { try other.configure { $0.minFileSize = -1 } } throws: { ($0 as? CacheError)?.code == .invalidSetting }
        try other.configure { $0.defaultExpire = .seconds(100) }
        try cache.set("d", 1)
        #expect(try cache.entry("d", as: Int.self)?.expires != nil)
        try cache.set("d", 1, expire: .never)
        #expect(try cache.entry("d", as: Int.self)?.expires == nil)
        #expect(try cache.clear() == 2)
        #expect(try cache.settings.sizeLimit == 12345)
    }
}
