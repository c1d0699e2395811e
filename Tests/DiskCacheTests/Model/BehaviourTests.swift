import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// One test for each row of BEHAVIOUR 1 to 4 and 7 that concerns what there is.
@Suite struct BehaviourTests {
    let world: ModelWorld
    let cache: Cache

    init() throws {
        world = try ModelWorld()
        cache = try world.open()
    }

    func advance(_ microseconds: Int64) { world.now += microseconds }

    func order(_ keys: [String]) throws -> [String] {
        try keys.map { key in (key, try rowid(key)) }.filter { $0.1 != nil }.sorted { $0.1! < $1.1! }.map(\.0)
    }

    private func rowid(_ key: String) throws -> UInt64? {
        try withKeyBytes(key) { keyClass, bytes in
            let found = try cache.handle.find(keyClass, bytes)
            defer { cache.handle.end(found.access) }
            return found.record?.rowid
        }
    }

    // MARK: 1. Data model

    @Test func uniqueness_bytesNeverMeetASerialisedKeyOfEqualBytes() throws {
        struct Key: Codable, CacheKey { var a: Int }
        let serialised = try CBOREncoder().encode(Key(a: 1))
        try cache.set(Key(a: 1), "struct")
        try cache.set(serialised, "bytes")
        try cache.set(String(decoding: serialised, as: UTF8.self), "text")
        #expect(try cache.get(Key(a: 1), as: String.self) == "struct")
        #expect(try cache.get(serialised, as: String.self) == "bytes")
        #expect(try cache.count == 3)
    }

    @Test func nativeKeys_codableKeysAreCanonical() throws {
        struct Key: Codable, CacheKey { var parts: [String: Int] }
        try cache.set(Key(parts: ["a": 1, "b": 2, "c": 3]), 1)
        for _ in 0..<10 { #expect(try cache.get(Key(parts: ["c": 3, "a": 1, "b": 2]), as: Int.self) == 1) }
    }

    @Test func oneAndOnePointZero_areOneKeyExactlyAlsoBeyond2To53() throws {
        try cache.set(1, "int")
        try cache.set(1.0, "double")
        #expect(try cache.count == 1)
        #expect(try cache.get(UInt8(1), as: String.self) == "double")
        try cache.set(0.0, "zero")
        #expect(try cache.get(-0.0, as: String.self) == "zero")
        #expect(try cache.get(0, as: String.self) == "zero")
        let big = Int64(1) << 53
        try cache.set(big + 1, "odd")
        #expect(try !cache.contains(Double(big)))
        try cache.set(Double(big), "even")
        #expect(try cache.get(big, as: String.self) == "even")
        #expect(try cache.get(big + 1, as: String.self) == "odd")
        try cache.set(UInt64.max, "max")
        #expect(try !cache.contains(0x1p64))
        #expect(try !cache.contains(true))
        try cache.set(true, "true")
        #expect(try cache.get(1, as: String.self) == "double")
    }

    @Test func nanKey_isRefusedByEveryVerb() throws {
        let nan = Double.nan
        expectError(.keyInvalid) { try cache.set(nan, 1) }
        expectError(.keyInvalid) { try cache.add(nan, 1) }
        expectError(.keyInvalid) { try cache.get(nan, as: Int.self) }
        expectError(.keyInvalid) { try cache.contains(nan) }
        expectError(.keyInvalid) { try cache.delete(nan) }
        expectError(.keyInvalid) { try cache.pop(nan, as: Int.self) }
        expectError(.keyInvalid) { try cache.touch(nan, expire: .never) }
        expectError(.keyInvalid) { try cache.incr(nan) }
        expectError(.keyInvalid) { try cache.open(-Float.nan) }
        expectError(.keyInvalid) { try cache.update(nan, default: 1) { $0 += 1 } }
        #expect(try cache.count == 0)
    }

    @Test func stringIdentity_isThatOfTheBytes() throws {
        #expect("\u{e9}" == "e\u{301}")
        try cache.set("\u{e9}", 1)
        try cache.set("e\u{301}", 2)
        #expect(try cache.count == 2)
        #expect(try cache.get("\u{e9}", as: Int.self) == 1)
    }

    @Test func storedNil_isAValue() throws {
        try cache.set("k", Int?.none)
        #expect(try cache.get("k", as: Int?.self) == .some(nil))
        #expect(try cache.get("missing", as: Int?.self) == nil)
        #expect(try cache.contains("k"))
        #expect(try !cache.add("k", 1))
        #expect(try cache.pop("k", as: Int?.self) == .some(nil))
        #expect(try cache.pop("k", as: Int?.self) == nil)
        expectError(.typeMismatch) { () -> Int? in
            try cache.set("k", String?.none)
            return try cache.get("k", as: Int.self)
        }
    }

    @Test func nanValue_keepsItsBits() throws {
        for value in [Double.nan, -.nan, .signalingNaN, .infinity, -.infinity, -0.0] {
            try cache.set("k", value)
            #expect(try cache.get("k", as: Double.self)?.bitPattern == value.bitPattern)
        }
    }

    @Test func inlineOrFile_countsBytesNotCharacters() throws {
        try cache.configure { $0.minFileSize = 100 }
        try cache.set("k", String(repeating: "ä", count: 50))
        #expect(try cache.entry("k", as: String.self)?.path != nil)
        try cache.set("k", String(repeating: "a", count: 99))
        #expect(try cache.entry("k", as: String.self)?.path == nil)
        try cache.set("k", reading: ChunkSource([[UInt8]()]))
        #expect(try cache.entry("k", as: [UInt8].self)?.path != nil)
    }

    @Test func largeText_isExactToTheByte() throws {
        let text = String(repeating: "a\r\nb\rc\n\0", count: 10_000)
        try cache.set("k", text)
        #expect(try cache.entry("k", as: String.self)?.path != nil)
        #expect(try cache.get("k", as: String.self)?.utf8.elementsEqual(text.utf8) == true)
    }

    @Test func fileName_nothingIsLeftBehindByAFailedWrite() throws {
        struct Broken: ByteSource {
            var left = 3
            mutating func next(maximum: Int) throws -> [UInt8]? {
                left -= 1
                if left == 0 { throw CacheError(.cancelled) }
                return [UInt8](repeating: 1, count: 50_000)
            }
        }
        expectError(.cancelled) { try cache.set("k", reading: Broken()) }
        expectError(.cancelled) {
            try cache.update("k", default: 1) { _ in
                try cache.set("file", [UInt8](repeating: 1, count: 50_000))
                throw CacheError(.cancelled)
            }
        }
        #expect(try cache.count == 0)
        #expect(try cache.check().isEmpty)
    }

    @Test func valueRead_fileGoneCountsAsMissing() throws {
        try cache.set("k", [UInt8](repeating: 1, count: 50_000))
        let path = try #require(try cache.entry("k", as: [UInt8].self)?.path)
        try SystemFiles().unlink(path, in: nil, isDirectory: false)
        #expect(try cache.get("k", as: [UInt8].self) == nil)
        #expect(try cache.open("k") == nil)
        #expect(try cache.entry("k", as: [UInt8].self) == nil)
        #expect(try cache.check().map(\.kind) == [.missingFile])
        #expect(try cache.pop("k", as: [UInt8].self) == nil)
        #expect(try cache.check().isEmpty)
    }

    @Test func expiryBoundary_isOnePredicateEverywhere() throws {
        func put() throws { try cache.set("k", 5, expire: .after(.seconds(1))) }
        try put()
        advance(999_999)
        #expect(try cache.get("k", as: Int.self) == 5)
        #expect(try !cache.add("k", 6))
        advance(1)
        #expect(try cache.get("k", as: Int.self) == nil)
        #expect(try cache.entry("k", as: Int.self) == nil)
        #expect(try cache.open("k") == nil)
        #expect(try cache.withValue("k") { _ in 1 } == nil)
        #expect(try !cache.contains("k"))
        #expect(try cache.pop("k", as: Int.self) == nil)
        #expect(try !cache.delete("k"))
        #expect(try !cache.touch("k", expire: .never))
        #expect(try cache.incr("k") == 1)
        try put()
        advance(1_000_000)
        #expect(
            try cache.update("k", default: 100) {
                $0 += 1; return $0
            } == 101)
        try put()
        advance(1_000_000)
        #expect(try cache.add("k", 7))
    }

    // MARK: 2. Settings, life cycle

    @Test func directory_isMadeWithItsParents() throws {
        let path = world.path + "/a/b/c"
        let made = try Cache(directory: path)
        try made.set("k", 1)
        #expect(made.directory == path)
        #expect(try Cache(directory: path).get("k", as: Int.self) == 1)
    }

    @Test func directory_temporaryIfNoneIsGiven() throws {
        let (first, second) = (try Cache(), try Cache())
        #expect(first.directory != second.directory)
        #expect(first.directory.hasPrefix("/"))
    }

    @Test func timeout_isTheObjectsOwn() throws {
        cache.timeout = .milliseconds(50)
        #expect(cache.timeout == .milliseconds(50))
        #expect(try world.open().timeout == .seconds(60))
    }

    @Test func defaults() throws {
        let settings = try cache.settings
        #expect(settings.sizeLimit == 1 << 30)
        #expect(settings.cullLimit == 10)
        #expect(!settings.statistics)
        #expect(!settings.tagIndex)
        #expect(settings.evictionPolicy == .leastRecentlyStored)
        #expect(settings.minFileSize == 1 << 15)
        #expect(settings.durability == .normal)
        #expect(settings.defaultExpire == nil)
        #expect(settings.serializer == "cbor")
        #expect(cache.timeout == .seconds(60))
    }

    @Test func settings_areStoredOverriddenByArgumentsAndWrittenOnChangeOnly() throws {
        var configuration = Cache.Configuration()
        configuration.sizeLimit = 1 << 20
        configuration.evictionPolicy = EvictionPolicy.leastFrequentlyUsed
        _ = try world.open(configuration)
        #expect(try cache.settings.sizeLimit == 1 << 20)
        let tail = try cache.handle.withStore { $0.block.word.relaxed() }
        let other = try world.open(configuration)
        try other.configure { $0.sizeLimit = 1 << 20 }
        #expect(try cache.handle.withStore { $0.block.word.relaxed() } == tail)
        try cache.close()
        try other.close()
        #expect(try cache.settings.evictionPolicy == .leastFrequentlyUsed)
    }

    @Test func settings_ofAllLiveObjectsAreCurrent() throws {
        let other = try world.open()
        try other.configure { $0.minFileSize = 10 }
        #expect(try cache.settings.minFileSize == 10)
        try cache.set("k", "0123456789")
        #expect(try cache.entry("k", as: String.self)?.path != nil)
        expectError(.invalidSetting) { try cache.configure { $0.sizeLimit = -1 } }
        expectError(.cancelled) { try cache.configure { _ in throw CacheError(.cancelled) } }
        #expect(try other.settings == cache.settings)
    }

    @Test func serializer_ofAnotherNameIsRefused() throws {
        struct Other: Serializer {
            var name: String { "other" }
            func encode<V: Encodable>(_ value: V) throws -> [UInt8] { try CBOREncoder().encode(value) }
            func decode<V: Decodable>(_ type: V.Type, from bytes: UnsafeRawBufferPointer) throws -> V {
                try CBORSerializer().decode(type, from: bytes)
            }
        }
        try cache.set("k", 1)
        try cache.configure { $0.cullLimit = 3 }
        var configuration = Cache.Configuration()
        configuration.serializer = Other()
        expectError(.serializerMismatch) { try world.open(configuration) }
        #expect(try cache.get("k", as: Int.self) == 1)
    }

    @Test func close_isIdempotentAndTheNextCallReopens() throws {
        try cache.set("k", 1)
        try cache.close()
        try cache.close()
        #expect(try cache.get("k", as: Int.self) == 1)
        try cache.close()
        #expect(try cache.incr("k") == 2)
        try cache.close()
        #expect(try cache.count == 1)
        #expect(try cache.recovery == nil)
    }

    @Test func close_insideATransactionIsRefused() throws {
        let result = try cache.update("k", default: 1) { value -> Int in
            expectError(.inTransaction) { try cache.close() }
            expectError(.inTransaction) { try cache.check() }
            value += 1
            return value
        }
        #expect(result == 2)
        #expect(try cache.get("k", as: Int.self) == 2)
    }

    @Test func twoObjectsOfOneDirectory_joinInOneThread() throws {
        let other = try world.open()
        try cache.update("k", default: 1) { value in
            try other.set("other", 5)
            #expect(try other.incr("k", by: 10, default: 0) == 10)
            value = 2
        }
        #expect(try cache.get("k", as: Int.self) == 2)
        #expect(try cache.get("other", as: Int.self) == 5)
    }

    // MARK: 4. Lock timeout

    @Test func timeout_isContentionAloneAndNothingHasHappened() throws {
        let files = SystemFiles()
        let lock = try files.open(world.path + "/lock", in: nil, [.write])
        #expect(try files.lock(lock, .exclusive))
        cache.timeout = .milliseconds(30)
        expectError(.timeout) { try cache.set("k", 1) }
        expectError(.timeout) { try cache.set("k", [UInt8](repeating: 1, count: 50_000)) }
        expectError(.timeout) { try cache.add("k", 1) }
        expectError(.timeout) { try cache.delete("k") }
        expectError(.timeout) { try cache.touch("k", expire: .never) }
        expectError(.timeout) { try cache.incr("k") }
        expectError(.timeout) { try cache.pop("k", as: Int.self) }
        expectError(.timeout) { try cache.clear() }
        expectError(.timeout) { try cache.check() }
        expectError(.timeout) { try cache.configure { $0.cullLimit = 1 } }
        expectError(.timeout) { try cache.update("k", default: 1) { $0 += 1 } }
        // Reading never waits.
        #expect(try cache.get("k", as: Int.self) == nil)
        #expect(try !cache.contains("k"))
        #expect(try cache.count == 0)
        #expect(try cache.volume > 0)
        #expect(try files.lock(lock, .unlock))
        #expect(try cache.incr("k") == 1)
        #expect(try cache.check().isEmpty)
    }

    // MARK: 7. Counters

    @Test func incr_missingBeginsAtDefault() throws {
        #expect(try cache.incr("k") == 1)
        #expect(try cache.incr("l", by: 5, default: 10) == 15)
        #expect(try cache.incr("d", by: 0.5) == 0.5)
        #expect(try cache.decr("m") == -1)
        expectError(.keyNotFound) { try cache.incr("n", default: nil) }
        expectError(.keyNotFound) { try cache.decr("n", by: 1.5, default: nil) }
        expectError(.overflow) { try cache.incr("n", by: 1, default: .max) }
        #expect(try !cache.contains("n"))
        let entry = try #require(try cache.entry("k", as: Int.self))
        #expect(entry.tag == nil && entry.expires == nil)
    }

    @Test func incr_missingIgnoresTheDefaultExpiry() throws {
        try cache.configure { $0.defaultExpire = .seconds(10) }
        try cache.incr("k")
        #expect(try cache.entry("k", as: Int.self)?.expires == nil)
    }

    @Test func incr_expiredIsAsMissingAndKeepsItsPlace() throws {
        try cache.set("a", 100, expire: .after(.seconds(1)), tag: "t")
        try cache.set("b", 1)
        advance(1_000_000)
        #expect(try cache.incr("a") == 1)
        let entry = try #require(try cache.entry("a", as: Int.self))
        #expect(entry.tag == nil && entry.expires == nil)
        #expect(try order(["a", "b"]) == ["a", "b"])
    }

    @Test func incr_liveKeepsTagAndExpiryAndRefreshesTheStoreTime() throws {
        try cache.set("a", 100, expire: .after(.seconds(50)), tag: "t")
        try cache.set("b", 1)
        let before = try #require(try cache.entry("a", as: Int.self))
        advance(1_000_000)
        #expect(try cache.incr("a", by: -101) == -1)
        let after = try #require(try cache.entry("a", as: Int.self))
        #expect(after.tag == "t" && after.expires == before.expires)
        #expect(after.storedAt == before.storedAt + 1)
        #expect(try order(["a", "b"]) == ["a", "b"])
    }

    @Test func incr_floats() throws {
        try cache.set("k", 1)
        #expect(try cache.incr("k", by: 0.25) == 1.25)
        #expect(try cache.decr("k", by: 0.5) == 0.75)
        expectError(.notANumber) { try cache.incr("k") }
        #expect(try cache.get("k", as: Double.self) == 0.75)
    }

    @Test func incr_nonNumber() throws {
        try cache.set("nil", Int?.none)
        try cache.set("bool", true)
        try cache.set("text", "1")
        try cache.set("bytes", [UInt8](repeating: 0, count: 8))
        for key in ["nil", "bool", "text", "bytes"] {
            expectError(.notANumber) { try cache.incr(key) }
            expectError(.notANumber) { try cache.incr(key, by: 1.5) }
        }
        #expect(try cache.get("text", as: String.self) == "1")
    }

    @Test func incr_overflowLeavesTheValue() throws {
        try cache.set("k", Int64.max)
        expectError(.overflow) { try cache.incr("k") }
        #expect(try cache.get("k", as: Int64.self) == .max)
        try cache.set("k", Int64.min)
        expectError(.overflow) { try cache.decr("k") }
        expectError(.overflow) { try cache.decr("k", by: .min) }
        #expect(try cache.get("k", as: Int64.self) == .min)
        #expect(try cache.incr("k", by: .max) == -1)
    }

    @Test func storeTime_neverGoesBack() throws {
        try cache.set("a", 1)
        world.now -= 10_000_000
        try cache.set("b", 1)
        let (a, b) = (try cache.entry("a", as: Int.self), try cache.entry("b", as: Int.self))
        #expect(a?.storedAt == b?.storedAt)
        try cache.close()
        world.restart()
        try cache.set("c", 1)
        #expect(try cache.entry("c", as: Int.self)?.storedAt == a?.storedAt)
    }
}
