import DiskCache
import Synchronization
import TestSupport
import Testing

@Suite struct ThrottleTests {
    private let scratch: TestDirectory
    private let cache: Cache
    private let time = TestTime()

    init() throws {
        scratch = try TestDirectory("throttle")
        cache = try Cache(directory: scratch.path + "/cache")
    }

    private func throttle(_ count: Int, per: Duration) throws -> Throttle {
        try Throttle(
            cache, "t", count: count, per: per, clock: { [time] in time.seconds },
            sleeper: { [time] in time.pass($0 / .seconds(1)) })
    }

    /// When each of so many calls goes, in seconds from the first.
    private func turns(_ throttle: Throttle, _ count: Int) throws -> [Double] {
        let begun = time.seconds
        return try (0..<count).map { _ in
            try throttle.wait()
            return ((time.seconds - begun) * 1000).rounded() / 1000
        }
    }

    @Test func aFullBucketThenOneAtATime() throws {
        let throttle = try throttle(3, per: .seconds(6))
        #expect(try turns(throttle, 6) == [0, 0, 0, 2, 4, 6])
        // It fills up to its count and no more.
        time.pass(4)
        #expect(try turns(throttle, 4) == [0, 0, 2, 4])
        time.pass(1000)
        #expect(try turns(throttle, 5) == [0, 0, 0, 2, 4])
    }

    @Test func objectsOfANameShareABucket() throws {
        let (a, b) = (try throttle(2, per: .seconds(2)), try throttle(2, per: .seconds(2)))
        try a.wait()
        try b.wait()
        #expect(try turns(a, 1) == [1])
        #expect(try turns(b, 1) == [1])
        // One that is made later begins nothing anew.
        #expect(try turns(throttle(2, per: .seconds(2)), 1) == [1])
    }

    @Test func whoWouldWaitTooLongTakesNothing() throws {
        let throttle = try throttle(1, per: .seconds(10))
        try throttle.wait(timeout: .zero)
        for _ in 0..<5 { expectError(.timeout) { try throttle.wait(timeout: .seconds(9)) } }
        #expect(try turns(throttle, 2) == [10, 20])
    }

    @Test func aBucketThatIsGoneIsFull() throws {
        let throttle = try throttle(2, per: .seconds(20))
        #expect(try turns(throttle, 3) == [0, 0, 10])
        try cache.clear()
        #expect(try turns(throttle, 3) == [0, 0, 10])
    }

    /// Only the time since the bucket was used last is lost.
    @Test func aClockThatIsSetBackDelaysNobody() throws {
        let throttle = try throttle(1, per: .seconds(1))
        #expect(try turns(throttle, 2) == [0, 1])
        time.pass(-3600)
        #expect(try turns(throttle, 2) == [2, 3])
        time.pass(3600)
        #expect(try turns(throttle, 2) == [0, 1])
    }

    @Test func expiryAndTagAreKept() throws {
        let throttle = try Throttle(
            cache, "t", count: 1, per: .microseconds(1), expire: .after(.seconds(1000)), tag: "api")
        try throttle.wait()
        try throttle.wait()
        #expect(try cache.evict(tag: "api") == 1)
    }

    @Test func settingsHaveToMakeSense() throws {
        expectError(.invalidSetting) { _ = try Throttle(cache, "t", count: 0, per: .seconds(1)) }
        expectError(.invalidSetting) { _ = try Throttle(cache, "t", count: 1, per: .zero) }
    }

    /// What somebody else stored under the bucket's key, or a wait longer than any clock.
    @Test func nothingOverflows() throws {
        struct Key: CacheKey, Codable { var throttle: String }
        struct Bucket: Codable { var filled, tokens: Double }
        let throttle = try throttle(2, per: .seconds(10))
        try throttle.wait()
        for bucket in [
            Bucket(filled: 0, tokens: -1e300), Bucket(filled: .infinity, tokens: 1), Bucket(filled: 1, tokens: .nan),
        ] {
            #expect(try cache.contains(Key(throttle: "t")))
            try cache.set(Key(throttle: "t"), bucket)
            #expect(try turns(throttle, 3) == [0, 0, 5])
        }
        let rare = try Throttle(
            cache, "rare", count: 1, per: .seconds(Int64.max), clock: { [time] in time.seconds },
            sleeper: { [time] in time.pass($0 / .seconds(1)) })
        #expect(try turns(rare, 2) == [0, 1e9])
    }

    @Test func aFunctionHoldsTheRate() throws {
        let double = try cache.throttle("f", count: 1000, per: .milliseconds(1)) { (a: Int) in a * 2 }
        #expect(try double(4) == 8)
    }
}

@Suite struct AveragerTests {
    @Test func theAverageRuns() throws {
        let scratch = try TestDirectory("averager")
        let time = TestTime()
        let cache = try Cache(directory: scratch.path, configuration: .init(), clock: { time.microseconds })
        let averager = Averager(cache, "latency", expire: .after(.seconds(10)), tag: "t")
        #expect(try averager.average() == nil)
        #expect(try averager.popAverage() == nil)
        for value in [1.0, 2, 6] { try averager.add(value) }
        #expect(try averager.average() == 3)
        #expect(try Averager(cache, "latency").average() == 3)
        // Each value renews the expiry.
        time.pass(9)
        try averager.add(3)
        time.pass(9)
        #expect(try averager.average() == 3)
        #expect(try averager.popAverage() == 3)
        #expect(try averager.average() == nil)
        try averager.add(5)
        time.pass(10)
        #expect(try averager.average() == nil)
        try averager.add(7)
        #expect(try averager.average() == 7)
        #expect(try cache.evict(tag: "t") == 1)
    }

    @Test func nothingIsLostBetweenThreads() throws {
        let scratch = try TestDirectory("averager")
        let cache = try Cache(directory: scratch.path)
        let group = TestThreads()
        for number in 0..<4 {
            group.start {
                let averager = Averager(cache, 7)
                for _ in 0..<100 { try averager.add(Double(number)) }
            }
        }
        group.join()
        #expect(try Averager(cache, 7).popAverage() == 1.5)
    }

    /// Recipes reach the shard of their key, and two caches of a directory share its locks.
    @Test func recipesWorkOverShards() throws {
        let scratch = try TestDirectory("fanoutrecipes")
        let cache = try FanoutCache(directory: scratch.path + "/cache")
        for number in 0..<20 {
            let averager = Averager(cache, number)
            try averager.add(Double(number))
            #expect(try averager.average() == Double(number))
        }
        #expect(try cache.count == 20)
        let calls = Calls()
        let double = cache.memoize("double", singleFlight: .allProcesses) { (a: Int) in calls.next(a * 2) }
        #expect(try double(4) == 8 && double(4) == 8 && calls.count == 1)
        #expect(try cache.get(double.key(for: 4), as: Int.self) == 8)
        let second = try FanoutCache(directory: scratch.path + "/cache")
        try Lock(cache, "x").withLock { #expect((try? Lock(second, "x").tryLock()) == false) }
        #expect(try Lock(second, "x").tryLock())
    }
}
