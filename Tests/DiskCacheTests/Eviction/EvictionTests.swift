import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// BEHAVIOUR 5, row by row.
@Suite struct EvictionTests {
    let world: ModelWorld
    let cache: Cache

    init() throws {
        world = try ModelWorld()
        var configuration = Cache.Configuration()
        configuration.sizeLimit = 6400
        configuration.durability = DiskCacheCore.Durability.none
        cache = try world.open(configuration)
    }

    private func keys(_ range: Range<Int> = 0..<200) throws -> [Int] { try range.filter { try cache.holds($0) } }

    /// Bytes in the log behind its end as of `body`'s beginning.
    private func appended(_ body: () throws -> Void) throws -> UInt64 {
        let before = try cache.handle.withStore { CommitBlock.tail($0.block.word.acquire()) }
        try body()
        return try cache.handle.withStore { CommitBlock.tail($0.block.word.acquire()) } - before
    }

    @Test func leastRecentlyStored_goesByStoreTimeAndThenByInsertion() throws {
        for key in 0..<10 { try cache.set(key, key) }
        world.now += 5000
        try cache.set(0, 0)
        try cache.incr(1)
        try cache.touch(2, expire: .never)
        _ = try cache.get(3, as: Int.self)
        world.now += 5000
        // 4800 bytes hold 46 rows of 104.
        for key in 10..<49 { try cache.set(key, key) }
        #expect(try keys() == [0, 1] + Array(5..<49))
    }

    @Test func leastRecentlyUsed_goesByTheLastRead() throws {
        try cache.configure { $0.evictionPolicy = .leastRecentlyUsed }
        for key in 0..<10 { try cache.set(key, key) }
        world.now += 5000
        _ = try cache.get(0, as: Int.self)
        _ = try cache.contains(1)
        try cache.touch(2, expire: .never)
        try cache.incr(3)
        _ = try cache.withValue(4) { _ in }
        world.now += 5000
        // With stamps a row takes 128: 37 of them.
        for key in 10..<40 { try cache.set(key, key) }
        #expect(try keys() == [0, 3, 4] + Array(6..<40))
    }

    @Test func leastFrequentlyUsed_goesByReadsAndNeverTheNewcomer() throws {
        try cache.configure { $0.evictionPolicy = .leastFrequentlyUsed }
        for key in 0..<37 { try cache.set(key, key) }
        for key in 0..<37 { for _ in 0..<1 + key % 3 { _ = try cache.get(key, as: Int.self) } }
        // The newcomer has been read least of all, and stays; then it is the next to go.
        try cache.set(100, 1)
        #expect(try cache.holds(100) && !cache.holds(0))
        try cache.set(101, 1)
        #expect(try cache.holds(101) && !cache.holds(100) && cache.holds(3))
    }

    @Test func none_growsAndOnlyExpiredRowsGo() throws {
        try cache.configure { $0.evictionPolicy = .none }
        try cache.set(0, 0, expire: .after(.seconds(1)))
        for key in 1..<200 { try cache.set(key, key) }
        #expect(try cache.count == 200)
        world.now += 1_000_000
        try cache.set(1, 1)
        #expect(try cache.count == 199)
        try cache.set(2, 1, expire: .after(.microseconds(1)))
        world.now += 1
        #expect(try cache.cull() == 1)
        try cache.set("large", [UInt8](repeating: 1, count: 20_000))
    }

    @Test func cullLimit_boundsExpiredRowsAWriteEarliestFirst() throws {
        try cache.configure { $0.cullLimit = 3 }
        for key in 0..<8 { try cache.set(key, key, expire: .after(.milliseconds(100 - key))) }
        world.now += 1_000_000
        try cache.set(20, 0)
        #expect(try keys() == [0, 1, 2, 3, 4, 20])
        try cache.incr(20)
        try cache.touch(20, expire: .never)
        #expect(try !cache.add(20, 0))
        try cache.delete(21)
        #expect(try keys() == [0, 1, 2, 3, 4, 20])
        try cache.incr(0)
        #expect(try keys() == [0, 1, 20])
        #expect(try cache.expire() == 1)
        #expect(try cache.expire() == 0)
    }

    @Test func cullLimitZero_turnsAllOfItOff() throws {
        try cache.configure { $0.cullLimit = 0 }
        try cache.set(0, 0, expire: .after(.seconds(1)))
        world.now += 2_000_000
        for key in 1..<100 { try cache.set(key, key) }
        try cache.set(100, [UInt8](repeating: 0, count: 5000))
        #expect(try cache.count == 101)
        // 4800 bytes: neither the large one, nor its elders.
        #expect(try cache.cull() == 101)
        for key in 1..<100 { try cache.set(key, key) }
        #expect(try cache.cull() == 99 - 46)
        #expect(try keys() == Array(54..<100))
    }

    @Test(arguments: EvictionPolicy.allCases) func oversized_isRefusedAndNothingIsTouched(_ policy: EvictionPolicy)
        throws
    {
        try cache.configure { $0.evictionPolicy = policy }
        for key in 0..<20 { try cache.set(key, key) }
        let large = [UInt8](repeating: 1, count: 4800)
        guard policy != .none else { return try #expect(cache.set(5, large)) }
        let bytes = try appended {
            expectError(.valueTooLarge) { try cache.set(5, large) }
            expectError(.valueTooLarge) { try cache.add(50, large) }
            expectError(.valueTooLarge) { try cache.set(5, [UInt8](repeating: 1, count: 100_000)) }
        }
        #expect(bytes == 0)
        #expect(try keys() == Array(0..<20) && cache.get(5, as: Int.self) == 5)
        // What fits takes everybody else's place.
        try cache.set(5, [UInt8](repeating: 1, count: 4650))
        #expect(try keys() == [5])
    }

    @Test func transaction_keepsItsRowsOrIsRefused() throws {
        for key in 0..<20 { try cache.set(key, key) }
        try cache.setMany((100..<140).map { ($0, $0) })
        #expect(try keys() == Array(14..<20) + Array(100..<140))
        expectError(.valueTooLarge) { try cache.setMany((150..<197).map { ($0, $0) }) }
        #expect(try keys() == Array(14..<20) + Array(100..<140))
        #expect(try cache.check().isEmpty)
    }

    @Test func writeWithoutCull_isOneRecord() throws {
        try cache.set(0, 0)
        #expect(try appended { try cache.set(1, 1) } == 40)
        #expect(try appended { try cache.set(1, 1, expire: .after(.seconds(9))) } == 48)
        // One victim: its tombstone ends the transaction.
        for key in 0..<60 { try cache.set(key, key) }
        #expect(try appended { try cache.set(60, 60) } == 40 + 32)
    }

    @Test func expire_saysHowManyAndAsOfWhen() throws {
        try cache.configure { $0.cullLimit = 0 }
        for key in 0..<2500 { try cache.set(key, key, expire: .after(.seconds(Int64(1 + key % 5)))) }
        try cache.set(5000, 1)
        #expect(try cache.expire() == 0)
        #expect(try cache.expire(asOf: Double(world.now) / 1_000_000 + 1) == 500)
        world.now += 3_000_000
        #expect(try cache.expire() == 1000)
        try cache.close()
        world.restart()
        world.now += 7_000_000
        #expect(try cache.expire() == 1000)
        #expect(try cache.count == 1)
        let tombstones = try cache.handle.withStore { $0.metrics.expired }
        #expect(tombstones == 2500)
    }

    @Test func earliestExpiry_isLookedForOnlyWhenItHasPassed() throws {
        for key in 0..<20 { try cache.set(key, key, expire: .after(.seconds(Int64(10 + key)))) }
        world.now += 10_000_000
        try cache.set(30, 0)
        let earliest = try cache.handle.withStore { $0.block.read().counters.earliestExpiry }
        #expect(earliest == UInt64(world.now + 1_000_000))
        #expect(try keys() == Array(1..<20) + [30])
    }

    @Test func policyChange_ranksWhatIsThere() throws {
        for key in 0..<20 {
            try cache.set(key, key)
            world.now += 1000
        }
        _ = try cache.get(0, as: Int.self)
        try cache.configure { $0.evictionPolicy = .leastRecentlyUsed }
        #expect(namesIn(world.path).contains { $0.hasPrefix("stamps.") })
        world.now += 1000
        _ = try cache.get(1, as: Int.self)
        world.now += 1000
        for key in 100..<119 { try cache.set(key, key) }
        // What was read before stamps were kept counts as of when it was stored.
        #expect(try keys() == [1] + Array(3..<20) + Array(100..<119))
        try cache.configure { $0.evictionPolicy = .leastRecentlyStored }
        #expect(!namesIn(world.path).contains { $0.hasPrefix("stamps.") })
        try cache.configure { $0.evictionPolicy = .leastFrequentlyUsed }
        _ = try cache.get(3, as: Int.self)
        try cache.set(120, 1)
        #expect(try !cache.holds(1) && cache.holds(3))
        #expect(try cache.check().isEmpty)
    }

    @Test func damagedStamps_neverHarm() throws {
        try cache.configure { $0.evictionPolicy = .leastFrequentlyUsed }
        for round in 0..<6 {
            for key in 0..<100 { try cache.set(key, "\(round) \(key)") }
            for key in 0..<100 { #expect(try cache.get(key, default: "\(round) \(key)") == "\(round) \(key)") }
            try cache.close()
            let name = try #require(namesIn(world.path).first { $0.hasPrefix("stamps.") })
            let file = try SystemFiles().open(world.path + "/" + name, in: nil, [.write])
            switch round {
            case 0: try SystemFiles().truncate(file, to: 100)
            case 1: try SystemFiles().truncate(file, to: 4096)
            case 2: try SystemFiles().write(file, [UInt8](repeating: 255, count: 16_384), at: 0)
            case 3: try SystemFiles().write(file, [UInt8](repeating: 255, count: 12_288), at: 4096)
            case 4: try SystemFiles().unlink(world.path + "/" + name, in: nil, isDirectory: false)
            default: try SystemFiles().truncate(file, to: 0)
            }
        }
        #expect(try cache.check().isEmpty)
    }

    @Test func clear_leavesStampsThatServe() throws {
        try cache.configure { $0.evictionPolicy = .leastFrequentlyUsed }
        for key in 0..<30 { try cache.set(key, key) }
        _ = try cache.get(0, as: Int.self)
        try cache.clear()
        for key in 0..<37 { try cache.set(key, key) }
        _ = try cache.get(0, as: Int.self)
        for key in 50..<60 { try cache.set(key, key) }
        #expect(try cache.holds(0) && !cache.holds(1))
    }

    @Test func explicitCull_bringsTheVolumeDownAtOnce() throws {
        try cache.configure {
            $0.sizeLimit = 5 << 20
            $0.cullLimit = 0
        }
        for key in 0..<3000 { try cache.set(key, [UInt8](repeating: 1, count: 5000)) }
        for key in 0..<100 { try cache.set(-key, [UInt8](repeating: 1, count: 40_000)) }
        #expect(try cache.volume > 15 << 20)
        let before = try cache.count
        let gone = try cache.cull()
        #expect(try cache.count == before - gone)
        #expect(try cache.volume <= 5 << 20)
        #expect(try cache.check().isEmpty)
        try cache.close()
        #expect(try cache.count == before - gone)
        try cache.close()
        world.restart()
        #expect(try cache.count == before - gone)
        #expect(try cache.recovery?.losses == [])
    }
}

/// The names in a directory.
func namesIn(_ path: String) -> [String] {
    guard let directory = try? SystemFiles().open(path, in: nil, [.directory]) else { return [] }
    return (try? SystemFiles().list(directory)) ?? []
}
