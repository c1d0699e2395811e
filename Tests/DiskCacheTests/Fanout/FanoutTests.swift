import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// The verbs of a cache of several shards, one process.
@Suite struct FanoutTests {
    let world: ModelWorld
    let cache: FanoutCache

    init() throws {
        world = try ModelWorld()
        cache = try world.openFanout()
    }

    @Test func everyVerbDoesItsPart() throws {
        #expect(cache.shardCount == 8)
        for number in 0..<100 { #expect(try cache.set("key \(number)", number)) }
        #expect(try cache.count == 100)
        let loads = try cache.parts.map { try $0.count }
        #expect(loads.allSatisfy { $0 > 0 }, "\(loads)")
        #expect(try cache.get("key 7", as: Int.self) == 7)
        #expect(try cache["key 8", as: Int.self] == 8)
        #expect(try cache.get("none", default: 5) == 5)
        #expect(try cache.contains("key 9") && !cache.contains("key 100"))
        #expect(try cache.withValue("key 10") { $0.byteCount } == 8)
        #expect(try cache.add("new", "value", expire: .after(.seconds(5)), tag: "t"))
        #expect(try !cache.add("new", "other"))
        let entry = try cache.entry("new", as: String.self)
        #expect(entry?.value == "value" && entry?.tag == "t" && entry?.expires != nil)
        #expect(try cache.touch("new", expire: .never) && !cache.touch("none", expire: .never))
        #expect(try cache.popEntry("new", as: String.self)?.expires == nil)
        #expect(try cache.pop("key 11", as: Int.self) == 11)
        #expect(try cache.delete("key 12") && !cache.delete("key 12"))
        #expect(try cache.incr("count", by: 3) == 3 && cache.decr("count") == 2)
        #expect(try cache.incr("ratio", by: 0.5) == 0.5 && cache.decr("ratio", by: 1.5) == -1)
        #expect(
            try cache.update("list", default: [Int]()) {
                $0.append(1); return $0.count
            } == 1)
        #expect(try cache.setMany((200..<300).map { ($0, $0) }).isEmpty)
        #expect(try cache.getMany(Array(199..<202), as: Int.self) == [nil, 200, 201])
        #expect(try cache.deleteMany(250..<400) == 50)
        #expect(try cache.set("file", reading: Pieces(count: 3)))
        #expect(try !cache.add("file", reading: Pieces(count: 1)))
        #expect(try cache.open("file")?.readAll().count == 3000)
        #expect(cache.droppedWrites == 0)
        #expect(try cache.volume > 0)
        #expect(try cache.check().isEmpty)
        let count = try cache.count
        #expect(try cache.clear() == count && cache.count == 0)
    }

    struct Pieces: ByteSource {
        var count: Int
        mutating func next(maximum: Int) throws -> [UInt8]? {
            if count == 0 { return nil }
            count -= 1
            return [UInt8](repeating: 7, count: 1000)
        }
    }

    @Test func equalNumbersLieInOneShard() throws {
        for number in 0..<200 {
            try cache.set(number, "integer")
            #expect(try cache.get(Double(number), as: String.self) == "integer")
            try cache.set(Double(number), "float")
        }
        #expect(try cache.count == 200)
        expectError(.keyInvalid) { try cache.set(Double.nan, 1) }
    }

    @Test func aQueueLiesInOneShard() throws {
        for prefix in [nil, "", "jobs", "a", "b"] {
            for number in 0..<20 { try cache.push(number, prefix: prefix) }
            let key = try cache.push(-1, side: .front, prefix: prefix)
            #expect(try cache.get(key, as: Int.self) == -1)
            let home = try cache.shard(of: key)
            for number in 0..<20 {
                #expect(
                    try cache.shard(of: QueueKey(prefix: prefix, number: 500_000_000_000_000 + Int64(number))) == home)
            }
        }
        #expect(try cache.peek(as: Int.self, prefix: "jobs")?.value == -1)
        #expect(try cache.pullEntry(as: Int.self, prefix: "jobs")?.entry.value == -1)
        for number in 0..<20 { #expect(try cache.pull(as: Int.self, prefix: "jobs")?.value == number) }
        #expect(try cache.pull(as: Int.self, prefix: "jobs", timeout: .milliseconds(1)) == nil)
        #expect(try cache.peekEntry(as: Int.self, side: .back, prefix: "a")?.entry.value == 19)
    }

    // MARK: Settings

    @Test func theSizeLimitIsThatOfAllShards() throws {
        #expect(try cache.settings.sizeLimit == 1 << 30)
        try cache.configure { $0.sizeLimit = 1_000_003 }
        #expect(try cache.settings.sizeLimit == 1_000_003)
        #expect(
            try cache.parts.map { try $0.settings.sizeLimit } == [125_001, 125_001, 125_001]
                + Array(repeating: 125_000, count: 5))
        try cache.configure { $0.statistics = true }
        try cache.close()
        let again = try world.openFanout()
        #expect(try again.settings == cache.settings)
        #expect(try again.settings.sizeLimit == 1_000_003 && again.settings.statistics)
        let changed = try world.openFanout { $0.sizeLimit = 8 << 20 }
        #expect(
            try cache.settings.sizeLimit == 8 << 20 && changed.parts.allSatisfy { try $0.settings.sizeLimit == 1 << 20 }
        )
        expectError(.invalidSetting) { try cache.configure { $0.sizeLimit = -1 } }
        expectError(.invalidSetting) { try cache.configure { $0.cullLimit = -1 } }
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            try cache.configure {
                $0.cullLimit = 77
                throw Stop()
            }
        }
        #expect(try cache.settings.cullLimit == 10)
    }

    @Test func aShardThatIsMadeAnewIsLikeTheFirst() throws {
        try cache.configure {
            $0.sizeLimit = 80 << 20
            $0.minFileSize = 999
        }
        try cache.close()
        try Self.remove(world.path + "/005")
        let again = try world.openFanout()
        #expect(try again.settings.sizeLimit == 80 << 20)
        #expect(try again.parts[5].settings == again.parts[0].settings)
    }

    private static func remove(_ path: String) throws {
        let files = SystemFiles()
        for name in try files.list(files.open(path, in: nil, [.directory])) {
            let isDirectory = try files.status(of: path + "/" + name, in: nil)?.kind == .directory
            if isDirectory {
                try remove(path + "/" + name)
            } else {
                try files.unlink(path + "/" + name, in: nil, isDirectory: false)
            }
        }
        try files.unlink(path, in: nil, isDirectory: true)
    }

    @Test func statisticsAreSummed() throws {
        try cache.configure { $0.statistics = true }
        for number in 0..<50 { try cache.set(number, number) }
        for number in 0..<80 { _ = try cache.get(number, as: Int.self) }
        #expect(try cache.statistics == Cache.Statistics(hits: 50, misses: 30))
        #expect(try cache.metrics.commits >= 50)
        try cache.resetStatistics()
        #expect(try cache.statistics == Cache.Statistics(hits: 0, misses: 0))
    }

    @Test func theSizeIsBounded() throws {
        // No shard is held below 4 MiB.
        let limit = 40 << 20
        try cache.configure { $0.sizeLimit = Int64(limit) }
        for number in 0..<3000 { try cache.set(number, [UInt8](repeating: 1, count: 20_000 + number)) }
        #expect(try cache.metrics.liveBytes <= limit)
        try cache.cull()
        #expect(try cache.volume <= limit)
        #expect(try cache.metrics.evicted > 0 && cache.count > 500)
        #expect(try cache.check().isEmpty)
    }

    @Test func removalsAreSummed() throws {
        for number in 0..<100 {
            try cache.set(
                number, number, expire: number % 2 == 0 ? .after(.seconds(1)) : .never,
                tag: number % 5 == 0 ? "five" : nil)
        }
        #expect(try cache.evict(tag: "five") == 20)
        #expect(try cache.expire(asOf: Double(world.now) / 1e6 + 2) == 40)
        #expect(try cache.evictUntagged() == 40)
        for number in 0..<30 { try cache.set(number, number, expire: .after(.seconds(1))) }
        world.now += 2_000_000
        #expect(try cache.count == 30 && cache.expire() == 30)
        for number in 0..<30 { try cache.set(number, number, expire: .after(.seconds(1))) }
        world.now += 2_000_000
        #expect(try cache.cull() == 30 && cache.count == 0)
    }

    @Test func checkNamesTheShard() throws {
        try cache.set("large", [UInt8](repeating: 3, count: 100_000))
        let shard = try cache.shard(of: "large")
        let path = try #require(try cache.entry("large", as: [UInt8].self)?.path)
        try SystemFiles().unlink(path, in: nil, isDirectory: false)
        let findings = try cache.check(fix: true)
        #expect(findings.map(\.kind) == [.missingFile])
        #expect(findings.first?.message.hasPrefix("shard 00\(shard): ") == true, "\(findings)")
        #expect(try cache.check().isEmpty && cache.recoveries.isEmpty)
    }

    @Test func whatIsClosedOpensAgain() throws {
        try cache.set("key", 1)
        let named = try cache.cache("own")
        try named.set("key", 2)
        try cache.transact { expectError(.inTransaction) { try cache.close() } }
        try cache.close()
        try cache.close()
        #expect(try cache.get("key", as: Int.self) == 1 && named.get("key", as: Int.self) == 2)
        #expect(try cache.set("key", 3))
    }

    @Test func aDirectoryThatWasRemovedIsMadeAgainWhole() throws {
        try cache.set("key", 1)
        try cache.close()
        try Self.remove(world.path)
        #expect(try cache.get("key", as: Int.self) == nil)
        #expect(try cache.set("key", 2))
        #expect(try world.openFanout().get("key", as: Int.self) == 2)
    }

    /// What files say may be anything: sums stay within 64 bits.
    @Test func sumsAreClamped() {
        #expect(Int.max.addingClamped(1) == .max && Int.min.addingClamped(-1) == .min && 2.addingClamped(-3) == -1)
    }
}
