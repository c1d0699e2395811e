import Testing

@testable import DiskCacheEngine

@Suite struct SettingsTests {
    /// The map of the defaults, by hand from RFC 8949: {"kind": "cache", "tag-index": false, "cull-limit": 10, …}.
    private static let golden: [UInt8] =
        [0xAB] + text("kind") + text("cache") + text("tag-index") + [0xF4] + text("cull-limit") + [0x0A]
        + text("durability") + text("normal") + text("serializer") + text("cbor") + text("size-limit")
        + [0x1A, 0x40, 0, 0, 0] + text("statistics") + [0xF4] + text("min-file-size") + [0x19, 0x80, 0x00]
        + text("sync-interval") + [0x1A, 0x00, 0x0F, 0x42, 0x40] + text("default-expire") + [0xF6]
        + text("eviction-policy") + text("least-recently-stored")

    private static func text(_ value: String) -> [UInt8] { [0x60 | UInt8(value.utf8.count)] + Array(value.utf8) }

    private static var changed: Settings {
        var settings = Settings()
        settings.sizeLimit = .max
        settings.cullLimit = 0
        settings.evictionPolicy = .leastFrequentlyUsed
        settings.statistics = true
        settings.tagIndex = true
        settings.minFileSize = 1 << 24
        settings.durability = .full
        settings.syncInterval = 23
        settings.serializer = "übrig"
        settings.defaultExpire = 24
        return settings
    }

    @Test func theDefaultsHaveTheirBytes() throws {
        #expect(Settings().encoded() == Self.golden)
        #expect(try Settings(decoding: Self.golden) == Settings())
        #expect(try Settings(decoding: [0xA0]) == Settings())
    }

    @Test func whatIsWrittenIsRead() throws {
        #expect(try Settings(decoding: Self.changed.encoded()) == Self.changed)
        #expect(Self.changed != Settings())
        for eviction in Eviction.allCases {
            for durability in Durability.allCases {
                for kind in StoreKind.allCases {
                    for number in [0, 23, 24, 255, 256, 65535, 65536, 1 << 32 - 1, 1 << 32, .max] as [Int64] {
                        var settings = Settings()
                        settings.evictionPolicy = eviction
                        settings.durability = durability
                        settings.sizeLimit = number
                        settings.defaultExpire = number
                        settings.become(kind)
                        #expect(try Settings(decoding: settings.encoded()) == settings)
                    }
                }
            }
        }
    }

    /// Each value is one item of another kind, a few nested and without lengths.
    @Test func unknownNamesAreKept() throws {
        let values: [[UInt8]] = [
            [0x00], [0x38, 0xFF], [0x42, 1, 2], Self.text("x"), [0x83, 1, 0x81, 2, 0xA0], [0xA1, 0x01, 0x80],
            [0xC1, 0x1A, 0, 0, 0, 1], [0xF9, 0x7E, 0x00], [0xFA, 0, 0, 0, 0], [0xFB, 0, 0, 0, 0, 0, 0, 0, 1], [0xF7],
            [0xF8, 0x20], [0x5F, 0x41, 1, 0x40, 0xFF], [0x7F, 0x61, 0x61, 0xFF], [0x9F, 0x9F, 0xFF, 1, 0xFF],
            [0xBF, 0x01, 0x02, 0xFF], [0x1B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        ]
        var bytes: [UInt8] = [0xA0 | UInt8(values.count + 1)] + Self.text("size-limit") + [0x18, 0x07]
        for (index, value) in values.enumerated() { bytes += Self.text("later-\(index)") + value }
        let settings = try Settings(decoding: bytes)
        #expect(settings.sizeLimit == 7)
        #expect(settings.unknown.count == values.count)
        for (index, value) in values.enumerated() { #expect(settings.unknown["later-\(index)"] == value) }
        var again = try Settings(decoding: settings.encoded())
        #expect(again == settings)
        #expect(again.encoded() == settings.encoded())
        again.unknown = [:]
        #expect(again != settings)
    }

    @Test func keysAreSortedByTheirEncoding() {
        var settings = Settings()
        for name in ["a", "zz", "", "b", String(repeating: "n", count: 30), "ä"] { settings.unknown[name] = [0x01] }
        let bytes = settings.encoded()
        #expect(bytes.starts(with: [0xB1, 0x60, 0x01, 0x61, 0x61, 0x01, 0x61, 0x62, 0x01, 0x62, 0x7A, 0x7A, 0x01]))
        #expect(bytes.suffix(33).starts(with: [0x78, 30, 0x6E]))
    }

    /// What no map of settings begins with, or is.
    private static let malformed: [[UInt8]] = [
        [], [0x80], [0xBF, 0xFF], [0xA1], [0xA1, 0x01, 0x01], [0xA1, 0x61, 0x61], [0xA1, 0x61, 0xFF, 0x01],
        [0xA0, 0x00], [0xA2, 0x61, 0x61, 1, 0x61, 0x61, 1], [0xA1, 0x7F, 0x61, 0x61, 0xFF, 0x01],
        [0xBB, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
    ]

    /// What is no value.
    private static let malformedValues: [[UInt8]] = [
        [0xFF], [0x9F], [0xBF, 1, 0xFF], [0x1C], [0x1F], [0xDF], [0x5F, 0x61, 0x61, 0xFF], [0x5F, 0x5F, 0xFF, 0xFF],
        [0xC1], [0xC1, 0xFF], [0x81, 0xFF], [0xF8, 0x01], [0x61, 0xC0], [0x7B, 0xFF, 0, 0, 0, 0, 0, 0, 0],
        [0x9B, 0xFF, 0, 0, 0, 0, 0, 0, 0], [UInt8](repeating: 0x81, count: 99999),
        [UInt8](repeating: 0xC1, count: 99999), [UInt8](repeating: 0x9F, count: 99999),
        [UInt8](repeating: 0x81, count: 40) + [0],
    ]

    @Test(arguments: malformed + malformedValues.map { [0xA1, 0x61, 0x61] + $0 })
    func malformedThrows(bytes: [UInt8]) {
        #expect(throws: SettingsError.self) { try Settings(decoding: bytes) }
    }

    private static let strange: [(String, [UInt8])] = [
        ("size-limit", [0xF5]), ("size-limit", [0xF6]), ("size-limit", [0x1B, 0xFF, 0, 0, 0, 0, 0, 0, 0]),
        ("size-limit", [0x61, 0x61]), ("statistics", [0x01]), ("statistics", [0xF6]), ("kind", [0x01]),
        ("kind", [0x61, 0x61]), ("eviction-policy", [0x00]), ("durability", [0x60]), ("serializer", [0x41, 0x61]),
        ("default-expire", [0xF4]), ("min-file-size", [0xFA, 0, 0, 0, 0]),
    ]

    @Test(arguments: strange)
    func aKnownNameWithAnotherValueThrows(name: String, value: [UInt8]) {
        #expect(throws: SettingsError.unknownValue(name)) { try Settings(decoding: [0xA1] + Self.text(name) + value) }
    }

    @Test func truncatedOrFlippedNeverTraps() throws {
        var settings = Self.changed
        settings.unknown["x"] = [0x9F, 0x5F, 0x41, 1, 0xFF, 0xBF, 1, 0x82, 0xC1, 2, 3, 0xFF, 0xFF]
        settings.unknown["y"] = [0xFB, 0, 1, 2, 3, 4, 5, 6, 7]
        let bytes = settings.encoded()
        for count in 0..<bytes.count {
            #expect(throws: SettingsError.self) { try Settings(decoding: Array(bytes[..<count])) }
        }
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            if let read = try? Settings(decoding: flipped) { #expect(try Settings(decoding: read.encoded()) == read) }
        }
    }

    @Test func noiseNeverTraps() {
        let seed = SystemCalls.random()
        print("settings noise seed: \(seed)")
        var state = seed
        for _ in 0..<20000 {
            var bytes: [UInt8] = [0xA1, 0x61, 0x61]
            for _ in 0..<12 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes.append(UInt8(truncatingIfNeeded: state >> 56))
            }
            if let read = try? Settings(decoding: bytes) {
                #expect((try? Settings(decoding: read.encoded())) == read, "seed \(seed)")
            }
        }
    }

    @Test func senselessValuesAreRefused() throws {
        try Settings().validate()
        let changes: [(String, (inout Settings) -> Void)] = [
            ("sizeLimit", { $0.sizeLimit = -1 }), ("cullLimit", { $0.cullLimit = -1 }),
            ("minFileSize", { $0.minFileSize = -1 }), ("minFileSize", { $0.minFileSize = 1 << 24 + 1 }),
            ("syncInterval", { $0.syncInterval = 0 }), ("serializer", { $0.serializer = "" }),
            ("defaultExpire", { $0.defaultExpire = -1 }),
        ]
        for (name, change) in changes {
            var settings = Settings()
            change(&settings)
            #expect(throws: SettingsError.outOfRange(name)) { try settings.validate() }
        }
    }

    /// What is stored counts as the nearest that makes sense.
    @Test func whatIsReadMakesSense() throws {
        for (stored, read) in [(Int64.min, 0), (-25, 0), (-1, 0), (91, 90), (100, 90), (.max, 90)] {
            var settings = Settings()
            settings.sizeLimit = stored
            settings.cullLimit = Int(stored)
            settings.minFileSize = Int(stored)
            settings.syncInterval = Int(stored)
            settings.serializer = ""
            settings.defaultExpire = stored
            settings.compaction = Int(stored)
            let found = try Settings(decoding: settings.encoded())
            try found.validate()
            #expect(found.compaction == read)
            #expect(found.sizeLimit == max(stored, 0) && found.cullLimit == Int(max(stored, 0)))
            #expect(found.minFileSize == Int(min(max(stored, 0), 1 << 24)))
            #expect(found.syncInterval == Int(max(stored, 1)) && found.defaultExpire == max(stored, 0))
            #expect(found.serializer == "cbor")
            settings.kind = .deque
            let deque = try Settings(decoding: settings.encoded())
            try deque.validate()
            #expect(deque.cullLimit == 0 && deque.defaultExpire == nil && deque.evictionPolicy == .none)
        }
    }

    /// A cache's rows may go by themselves, those of a deque or an index may not.
    @Test func onlyACacheForgets() throws {
        let changes: [(String, (inout Settings) -> Void)] = [
            ("evictionPolicy", { $0.evictionPolicy = .leastFrequentlyUsed }), ("cullLimit", { $0.cullLimit = 1 }),
            ("defaultExpire", { $0.defaultExpire = 24 }),
        ]
        for kind in StoreKind.allCases {
            for (name, change) in changes {
                var settings = Settings()
                settings.become(kind)
                try settings.validate()
                change(&settings)
                if kind == .cache {
                    try settings.validate()
                } else {
                    #expect(throws: SettingsError.outOfRange(name)) { try settings.validate() }
                }
            }
        }
    }
}
