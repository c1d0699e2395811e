import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// Writes that don't get the lock: dropped, counted, or waited for. And transactions, which are what holds it.
@Suite struct FanoutDropTests {
    let world: ModelWorld
    let cache: FanoutCache

    init() throws {
        world = try ModelWorld()
        cache = try world.openFanout(dropAfter: .milliseconds(2))
    }

    @Test func whatDoesntGetTheLockIsDropped() throws {
        try cache.set("key", 1, tag: "t")
        let holder = try LockHolder(cache.shard(for: "key"))
        defer { holder.release() }
        #expect(try !cache.set("key", 2))
        #expect(try !cache.set("key", reading: FanoutTests.Pieces(count: 1)))
        #expect(try !cache.add("key", 2) && !cache.add("key", reading: FanoutTests.Pieces(count: 1)))
        #expect(try !cache.delete("key") && !cache.touch("key", expire: .never))
        #expect(try cache.incr("key") == nil && cache.decr("key", by: 0.5) == nil)
        #expect(try cache.pop("key", as: Int.self) == nil && cache.popEntry("key", as: Int.self) == nil)
        #expect(
            try cache.update("key", default: 0) { (_: inout Int) in Issue.record("called without the lock") } == nil)
        #expect(cache.droppedWrites == 11)
        // Reads go on, and nothing has happened.
        #expect(try cache.get("key", as: Int.self) == 1 && cache.contains("key"))
        #expect(try cache.entry("key", as: Int.self)?.tag == "t" && cache.count == 1)
        // Other errors are thrown.
        expectError(.keyInvalid) { try cache.set(Double.nan, 1) }
        #expect(cache.droppedWrites == 11)
    }

    @Test func manyAreDroppedByShards() throws {
        let keys = (0..<100).map { "key \($0)" }
        let shard = try cache.shard(of: keys[0])
        let holder = try LockHolder(cache.parts[shard])
        defer { holder.release() }
        let there = try keys.filter { try cache.shard(of: $0) == shard }
        #expect(try Set(cache.setMany(keys.map { ($0, 1) })) == Set(there))
        #expect(cache.droppedWrites == there.count)
        #expect(try cache.count == 100 - there.count)
        #expect(try cache.deleteMany(keys) == 100 - there.count)
        #expect(cache.droppedWrites == 2 * there.count)
    }

    /// With `retry` a write waits until the lock is free, however short `dropAfter` is.
    @Test func retryWaits() throws {
        let holder = try LockHolder(cache.shard(for: "key"))
        let waiters = ParkingWord(0)
        let started = ParkingWord(0)
        for number in 0..<4 {
            try SystemCalls.startThread { [cache] in
                started.add(1)
                started.wake()
                do {
                    switch number {
                    case 0: #expect(try cache.incr("key", retry: true) != nil)
                    case 1: #expect(try cache.set("key", 10, retry: true))
                    case 2: #expect(try cache.update("key", default: 0, retry: true) { $0 += 1 } != nil)
                    default: #expect(try cache.setMany([("key", 5)], retry: true).isEmpty)
                    }
                } catch {
                    Issue.record("\(error)")
                }
                waiters.add(1)
                waiters.wake()
            }
        }
        while case let count = started.load(), count < 4 { started.wait(while: count, nanoseconds: 100_000_000) }
        // Longer than `dropAfter`: one that gave up by then would have been dropped.
        var dropped = 0
        while dropped < 3 { if try !cache.set("key", 0) { dropped += 1 } }
        holder.release()
        while case let count = waiters.load(), count < 4 { waiters.wait(while: count, nanoseconds: 100_000_000) }
        #expect(cache.droppedWrites == 3)
        #expect(try cache.contains("key"))
    }

    @Test func retryEndsWithAnError() throws {
        let patient = try world.openFanout(dropAfter: .milliseconds(1), timeout: .milliseconds(20))
        let holder = try LockHolder(cache.shard(for: "key"))
        defer { holder.release() }
        expectError(.timeout) { try patient.set("key", 1, retry: true) }
        let shard = try cache.shard(of: "key")
        let prefix = try #require(
            try (0..<100).map { "\($0)" }.first { try cache.shard(of: QueueKey(prefix: $0, number: 1)) == shard })
        expectError(.timeout) { try patient.push(1, prefix: prefix) }
        expectError(.timeout) { try patient.transact {} }
        expectError(.timeout) { try patient.configure { $0.cullLimit = 3 } }
        expectError(.timeout) { try patient.check() }
        #expect(patient.droppedWrites == 0)
        // Nothing is left of the transaction that didn't begin.
        for part in patient.parts { #expect(!part.handle.isInTransaction) }
    }

    /// Bulk removals go on after a timeout, until all is done.
    @Test func removalsGoOn() throws {
        let hasty = try world.openFanout(dropAfter: .milliseconds(1), timeout: .milliseconds(1))
        let verbs: [(expire: Expiration, tag: DiskCacheCore.Tag?, remove: @Sendable (FanoutCache) throws -> Int)] = [
            (.after(.seconds(1)), nil, { try $0.expire() }), (.after(.seconds(1)), nil, { try $0.cull() }),
            (.never, "t", { try $0.evict(tag: "t") }), (.never, nil, { try $0.evictUntagged() }),
            (.never, nil, { try $0.clear() }),
        ]
        for verb in verbs {
            for number in 0..<100 { try cache.set(number, number, expire: verb.expire, tag: verb.tag, retry: true) }
            world.now += 2_000_000
            let holder = try LockHolder(cache.parts[3])
            let removed = ParkingWord(.max)
            try SystemCalls.startThread {
                do { removed.add(UInt32(try verb.remove(hasty)) &+ 1) } catch { Issue.record("\(error)") }
                removed.wake()
            }
            // Long enough for the lock to be asked for in vain.
            removed.wait(while: .max, nanoseconds: 20_000_000)
            #expect(removed.load() == .max)
            holder.release()
            while removed.load() == .max { removed.wait(while: .max, nanoseconds: 100_000_000) }
            #expect(removed.load() == 100)
        }
        #expect(try cache.count == 0 && hasty.droppedWrites == 0)
    }

    // MARK: Transactions

    @Test func aTransactionIsOfAllShards() throws {
        let keys = (0..<40).map { "key \($0)" }
        try cache.transact { transaction in
            for key in keys { transaction[key, default: 0] += 1 }
            #expect(try cache.get(keys[0], as: Int.self) == 1)
            let holds = Set(try keys.map { try cache.shard(of: $0) })
            #expect(holds.count == cache.shardCount)
        }
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            try cache.transact {
                for key in keys { try cache.incr(key) }
                try cache.setMany(keys.map { ($0 + " too", 1) })
                try cache.push(1, prefix: "q")
                try cache.configure { $0.cullLimit = 1 }
                throw Stop()
            }
        }
        #expect(try keys.allSatisfy { try cache.get($0, as: Int.self) == 1 } && cache.count == 40)
        #expect(try cache.settings.cullLimit == 10)
        // A level inside is undone alone.
        try cache.transact {
            try cache.incr(keys[0])
            #expect(throws: Stop.self) {
                try cache.transact {
                    for key in keys { try cache.delete(key) }
                    throw Stop()
                }
            }
            try cache.transact { try cache.incr(keys[1]) }
        }
        #expect(try keys.map { try cache.get($0, as: Int.self) ?? 0 }.reduce(0, +) == 42)
        #expect(cache.droppedWrites == 0)
    }

    @Test func aTransactionForAKeyIsOfItsShard() throws {
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            try cache.transact(for: "key") { transaction in
                transaction["key"] = 1
                throw Stop()
            }
        }
        #expect(try cache.transact(for: "key") { try cache.incr("key") } == 1)
        // Who wants all locks would take them in the wrong order.
        try cache.transact(for: "key") {
            expectError(.inTransaction) { try cache.transact {} }
            expectError(.inTransaction) { try cache.configure { $0.cullLimit = 1 } }
        }
        try cache.transact { try cache.transact(for: "key") { try cache.incr("key") } }
        #expect(try cache.get("key", as: Int.self) == 2)
        // The other shards aren't held.
        let shard = try cache.shard(of: "key")
        let other = try #require(try (0..<100).first { try cache.shard(of: $0) != shard })
        let holder = try LockHolder(cache.parts[shard])
        defer { holder.release() }
        #expect(try cache.set(other, 1) && !cache.set("key", 1))
    }

    /// What is assigned in a transaction of one shard can't get into a shard that isn't its key's.
    @Test func aTransactionForAKeyRefusesKeysOfOtherShards() throws {
        let shard = try cache.shard(of: "a")
        let keys = (0..<100).map { "k\($0)" }
        let other = try #require(try keys.first { try cache.shard(of: $0) != shard })
        let neighbour = try #require(try keys.first { try cache.shard(of: $0) == shard })
        try cache.set(other, 1, retry: true)
        let message = "the key lies in another shard than the one that the transaction is of"
        func expectRefused(_ body: (inout Transaction) throws -> Void) {
            let error = #expect(throws: CacheError.self) { try cache.transact(for: "a", body) }
            #expect(error?.code == .inTransaction && error?.message == message)
        }
        expectRefused {
            $0["a"] = 1
            $0[other] = 2
        }
        expectRefused {
            $0["a"] = 1
            $0[other] = Int?.none
        }
        expectRefused {
            $0["a"] = 1
            $0[other, default: 0] += 1
        }
        expectRefused {
            $0["a"] = 1
            #expect($0[other, as: Int.self] == nil)
        }
        expectRefused {
            $0["a"] = 1
            _ = try $0.value(forKey: other, as: Int.self)
        }
        // Inside one of all shards as well: it is the same whoever calls.
        try cache.transact { expectRefused { $0[other] = 2 } }
        #expect(try cache.get(other, as: Int.self) == 1 && cache.count == 1)
        try cache.transact(for: "a") { transaction in
            transaction["a"] = 1
            transaction[neighbour] = 2
        }
        #expect(try cache.getMany(["a", neighbour, other], as: Int.self) == [1, 2, 1])
    }

    /// Eight threads take all locks at once, through two caches: nobody waits for ever, and every sum is right.
    @Test func transactionsOfAllShardsDontWaitForEachOther() throws {
        let second = try world.openFanout()
        ThreadTests.run { [cache] thread in
            let own = thread % 2 == 0 ? cache : second
            for step in 0..<40 {
                try own.transact { transaction in
                    transaction["a", default: 0] += 1
                    transaction["b", default: 0] -= 1
                    #expect(transaction["a", default: 0] + transaction["b", default: 0] == 0)
                }
                if step % 4 == 0 { try own.transact(for: "c") { try own.incr("c") } }
            }
        }
        #expect(try cache.getMany(["a", "b", "c"], as: Int.self) == [320, -320, 80])
    }

    /// What a closure throws is its caller's, even a timeout; it isn't taken for a drop.
    @Test func anErrorOfABodyIsThrown() throws {
        expectError(.timeout) {
            try cache.update("key", default: 0) { (_: inout Int) in throw CacheError(.timeout, "of another lock") }
        }
        func fail() throws -> Int { throw CacheError(.timeout, "of another lock") }
        struct Failing: ByteSource {
            func next(maximum: Int) throws -> [UInt8]? { throw CacheError(.timeout, "of another lock") }
        }
        expectError(.timeout) { try cache.update("key", default: fail()) { $0 += 1 } }
        expectError(.timeout) { try cache.set("key", reading: Failing()) }
        expectError(.timeout) { try cache.add("key", reading: Failing()) }
        let pages = NamespacedCache(cache, retry: false)
        expectError(.timeout) { try pages.update("key", default: fail()) { $0 += 1 } }
        expectError(.timeout) { try pages.update("key", default: 0) { (_: inout Int) in _ = try fail() } }
        #expect(try cache.droppedWrites == 0 && cache.count == 0)
    }
}
