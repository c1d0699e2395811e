import Synchronization
import TestSupport
import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// Eight threads on one cache, shared keys.
@Suite struct ThreadTests {
    static let threads = 8

    /// Runs `body` on all threads at once; what they throw is an issue.
    static func run(_ body: @escaping @Sendable (Int) throws -> Void) { TestThreads.run(threads, body) }

    private func world() throws -> (world: ModelWorld, cache: Cache) {
        let world = try ModelWorld()
        var configuration = Cache.Configuration()
        configuration.minFileSize = 2000
        configuration.syncInterval = .milliseconds(5)
        return (world, try world.open(configuration))
    }

    struct Versioned: Codable, Sendable {
        var key: Int
        var version: Int
        var filler: [UInt8]
    }

    /// Each key has one writer; whoever reads it meets no older version than it met before, and never another key's.
    @Test func versionsNeverGoBackForAReader() throws {
        let (world, cache) = try world()
        let keys = 32
        Self.run { thread in
            var random = ReplayableRandom(seed: UInt64(thread))
            var met = [Int](repeating: 0, count: keys)
            for step in 1...3000 {
                if step % 3 == 0 {
                    let key = Int.random(in: 0..<keys / Self.threads, using: &random) * Self.threads + thread
                    let count = Int.random(in: 0..<40, using: &random) == 0 ? 3000 : 20
                    met[key] += 1
                    let filler = [UInt8](repeating: UInt8(key), count: count)
                    try cache.set(key, Versioned(key: key, version: met[key], filler: filler))
                } else {
                    let key = Int.random(in: 0..<keys, using: &random)
                    guard let found = try cache.get(key, as: Versioned.self) else {
                        if met[key] != 0 { Issue.record("key \(key) is gone") }
                        continue
                    }
                    if found.key != key || found.version < met[key] || !found.filler.allSatisfy({ $0 == UInt8(key) }) {
                        Issue.record("key \(key) version \(met[key]): \(found.key) version \(found.version)")
                    }
                    met[key] = found.version
                }
            }
        }
        #expect(try cache.count == keys)
        try cache.sync()
        #expect(try cache.check().isEmpty)
        withExtendedLifetime(world) {}
    }

    /// `incr`, `decr` and `update` all count, each once.
    @Test func incrementsAreExact() throws {
        let (world, cache) = try world()
        Self.run { thread in
            var random = ReplayableRandom(seed: UInt64(100 + thread))
            for _ in 0..<1000 {
                let key = Int.random(in: 0..<5, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: try cache.incr(key, by: 3)
                case 1: try cache.decr(key, by: -3)
                default: try cache.update(key, default: 0) { $0 += 3 }
                }
            }
        }
        var sum = 0
        for key in 0..<5 { sum += try cache.get(key, default: 0) }
        #expect(sum == Self.threads * 3000)
        withExtendedLifetime(world) {}
    }

    /// What several keys add up to never changes for who looks inside of a transaction.
    @Test func transfersKeepTheSum() throws {
        let (world, cache) = try world()
        try cache.setMany((0..<10).map { ("account \($0)", 100) })
        Self.run { thread in
            var random = ReplayableRandom(seed: UInt64(200 + thread))
            for step in 0..<400 {
                let (from, to) = (Int.random(in: 0..<10, using: &random), Int.random(in: 0..<10, using: &random))
                do {
                    try cache.update("account \(from)", default: 0) { (balance: inout Int) in
                        balance -= 1
                        if from != to { try cache.incr("account \(to)") } else { balance += 1 }
                        if step % 4 == 0 { throw CacheError(.cancelled) }
                    }
                } catch CacheError.Code.cancelled {}
                if step % 10 == 0 {
                    let sum = try cache.update("looks \(thread)", default: 0) { looks in
                        looks += 1
                        return try Self.balance(cache)
                    }
                    if sum != 1000 { Issue.record("the sum is \(sum)") }
                }
            }
        }
        #expect(try Self.balance(cache) == 1000)
        #expect(try cache.check().isEmpty)
        withExtendedLifetime(world) {}
    }

    private static func balance(_ cache: Cache) throws -> Int {
        var sum = 0
        for account in 0..<10 { sum += try cache.get("account \(account)", default: 0) }
        return sum
    }

    @Test func addHasExactlyOneWinner() throws {
        let (world, cache) = try world()
        let wins = (0..<400).map { _ in Counter() }
        Self.run { thread in
            for key in wins.indices where try cache.add("key \(key)", thread) {
                wins[key].value.add(1, ordering: .relaxed)
            }
        }
        #expect(wins.allSatisfy { $0.value.load(ordering: .relaxed) == 1 })
        #expect(try cache.count == wins.count)
        withExtendedLifetime(world) {}
    }

    @Test func popDeliversOnce() throws {
        let (world, cache) = try world()
        let got = (0..<400).map { _ in Counter() }
        for key in got.indices {
            try cache.set("key \(key)", [UInt8](repeating: UInt8(key & 255), count: key % 20 == 0 ? 3000 : 10))
        }
        Self.run { _ in
            for key in got.indices {
                guard let value = try cache.pop("key \(key)", as: [UInt8].self) else { continue }
                if value.first != UInt8(key & 255) { Issue.record("key \(key) popped as \(value.prefix(1))") }
                got[key].value.add(1, ordering: .relaxed)
            }
        }
        #expect(got.allSatisfy { $0.value.load(ordering: .relaxed) == 1 })
        #expect(try cache.count == 0)
        withExtendedLifetime(world) {}
    }

    /// Settings that different threads change at the same time are all changed.
    @Test func settingsOfAllThreadsAreKept() throws {
        let (world, cache) = try world()
        Self.run { thread in
            for step in 1...20 {
                if thread % 2 == 0 {
                    try cache.configure { $0.sizeLimit += 1 }
                } else {
                    try cache.configure { $0.cullLimit += 1 }
                }
                try cache.set(thread, step)
            }
        }
        #expect(try cache.settings.sizeLimit == (1 << 30) + 80)
        #expect(try cache.settings.cullLimit == 90)
        withExtendedLifetime(world) {}
    }

    /// Closing under the feet of others is harmless.
    @Test func closingWhileOthersUseIt() throws {
        let (world, cache) = try world()
        try cache.set("counter", 0)
        Self.run { thread in
            for step in 0..<300 {
                if thread == 0 && step % 10 == 0 { try cache.close() }
                try cache.incr("counter")
                if try cache.get("counter", as: Int.self) == nil { Issue.record("the counter is gone") }
            }
        }
        #expect(try cache.get("counter", as: Int.self) == Self.threads * 300)
        withExtendedLifetime(world) {}
    }

    final class Counter: Sendable {
        let value = Atomic<Int>(0)
    }
}
