import DiskCacheEngine
import TestSupport
import Testing

@testable import DiskCacheCore

/// Random operations on a cache that is always full, and on an exact model of who goes when.
///
/// `EVICTION_SEED` replays the runs of a seed, `EVICTION_OPERATIONS` sets how many operations each does.
@Suite struct EvictionModelTests {
    struct Setup: CustomTestStringConvertible, Sendable {
        var name: String
        var policy: EvictionPolicy
        var operations: Int
        var keys: Int
        var sizeLimit: Int64
        var longest: Int
        var minFileSize = 32_768
        /// Whether the policy changes on the way.
        var changes = false
        var compareEvery = 10
        /// Whether rows expire. Where they do nothing is compacted but for the size limit, and where that is so none expires: the
        /// maintenance thread removes what has expired when it comes to it, and no model knows when that is.
        var expires = true
        var testDescription: String { name }
    }

    static let setups: [Setup] =
        setups(few: EvictionPolicy.allCases) + [
            Setup(
                name: "changing policies", policy: .leastFrequentlyUsed, operations: 5000, keys: 300, sizeLimit: 30_000,
                longest: 200, changes: true),
            Setup(
                name: "value files", policy: .leastRecentlyUsed, operations: 1500, keys: 60, sizeLimit: 200_000,
                longest: 9000, minFileSize: 3000, changes: true),
        ]

    static func setups(few policies: [EvictionPolicy]) -> [Setup] {
        var setups = policies.map { policy in
            Setup(
                name: "\(policy.rawValue), few rows", policy: policy, operations: 3000, keys: 120, sizeLimit: 12_000,
                longest: 200)
        }
        for policy in policies where policy != .none {
            setups.append(
                Setup(
                    name: "\(policy.rawValue), more rows than a pool holds", policy: policy, operations: 8000,
                    keys: 3000,
                    sizeLimit: 200_000, longest: 60, compareEvery: 200))
            setups.append(
                Setup(
                    name: "\(policy.rawValue), with compaction", policy: policy, operations: 2500, keys: 900,
                    sizeLimit: 4 << 20, longest: 16_000, compareEvery: 50, expires: false))
            setups.append(
                Setup(
                    name: "\(policy.rawValue), compacted all the time", policy: policy, operations: 4000, keys: 400,
                    sizeLimit: 400_000, longest: 2000, minFileSize: 1900, compareEvery: 50, expires: false))
        }
        return setups
    }

    static let seed =
        environmentVariable("EVICTION_SEED").flatMap { UInt64($0) } ?? UInt64.random(in: 0..<1 << 48)

    @Test(arguments: setups) func victimsAreTheModels(_ setup: Setup) throws {
        print("eviction, \(setup.name): EVICTION_SEED=\(Self.seed)")
        var setup = setup
        // To find the operation after which they differ.
        if environmentVariable("EVICTION_COMPARE") != nil { setup.compareEvery = 1 }
        if let count = environmentVariable("EVICTION_OPERATIONS").flatMap({ Int($0) }) { setup.operations = count }
        let run = try EvictionRun(setup, seed: Self.seed)
        do {
            try run.run()
        } catch {
            Issue.record(
                "EVICTION_SEED=\(Self.seed), operation \(run.number): \(error)\nafter: \(run.history.suffix(40))")
        }
    }
}

/// One run.
final class EvictionRun {
    struct Difference: Error, CustomStringConvertible { let description: String }

    let setup: EvictionModelTests.Setup
    let world: ModelWorld
    let cache: Cache
    var model: EvictionModel
    var random: ReplayableRandom
    var number = 0
    var history: [String] = []
    var last = "" {
        didSet { history.append("\(world.now / 1000 - model.epoch): \(last)") }
    }

    init(_ setup: EvictionModelTests.Setup, seed: UInt64) throws {
        self.setup = setup
        world = try ModelWorld()
        world.now = 1_750_000_000_000_000
        model = EvictionModel(epoch: world.now / 1000)
        random = ReplayableRandom(seed: seed)
        var configuration = Cache.Configuration()
        configuration.sizeLimit = setup.sizeLimit
        configuration.evictionPolicy = setup.policy
        configuration.minFileSize = setup.minFileSize
        if setup.expires { configuration.compaction = .off }
        configuration.durability = DiskCacheCore.Durability.none
        cache = try world.open(configuration) { $0.smallestPool = 64 }
        model.policy = setup.policy
        model.sizeLimit = Int(setup.sizeLimit)
        _ = model.storedTime(world.now)
    }

    func run() throws {
        while number < setup.operations {
            number += 1
            try step()
            if number % setup.compareEvery == 0 { try compare() }
        }
        try compare()
        try cache.sync()
        let findings = try cache.check()
        if !findings.isEmpty { throw Difference(description: "\(findings)") }
    }

    private func pick(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }

    private func someKey() -> Int {
        // Mostly among the rows that are there, some of them far more often than others.
        if pick(3) != 0, !model.rows.isEmpty {
            let keys = model.rows.keys.sorted()
            return keys[pick(2) == 0 ? pick(keys.count) : pick(max(keys.count / 8, 1))]
        }
        return pick(setup.keys)
    }

    private func expiry() -> (Expiration, Int64?) {
        if pick(4) != 0 || !setup.expires { return (.never, nil) }
        let microseconds = Int64(1 + pick(40_000))
        return (.after(.microseconds(microseconds)), world.now + microseconds)
    }

    private func value() -> [UInt8] {
        [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: pick(setup.longest))
    }

    private func step() throws {
        if pick(3) == 0 { world.now += Int64(pick(4000)) }
        let now = world.now
        switch pick(100) {
        case 0..<45: try set(max(someKey(), 0), now)
        case 45..<65: try get(someKey(), now)
        case 65..<70: try touch(someKey(), now)
        case 70..<75: try add(max(someKey(), 0), now)
        case 75..<80: try count(-1 - pick(20), now)
        case 80..<83: try delete(someKey(), now)
        case 83..<86:
            let key = someKey()
            last = "contains \(key)"
            try same(cache.contains(key), model.isLive(key, now))
        case 86: try several(now)
        case 87: try failed(now)
        case 88:
            last = "expire"
            try same(cache.expire(), model.expire(now: now))
        case 89:
            if pick(4) == 0 {
                last = "cull"
                try same(cache.cull(), model.cull(now: now))
            }
        case 90..<92:
            last = "close"
            try cache.close()
        case 92:
            if pick(4) == 0 { try restart() }
        case 93:
            if setup.changes { try change() }
        case 94:
            if pick(10) == 0 {
                last = "clear"
                try same(cache.clear(), model.rows.count)
                model.rows.removeAll()
            }
        case 95:
            if pick(5) == 0 { world.now += 100_000 }
        default:
            let key = pick(setup.keys)
            last = "set new \(key)"
            try set(key, now)
        }
    }

    private func set(_ key: Int, _ now: Int64) throws {
        let (expire, expires) = expiry()
        let value = value()
        last = "set \(key), \(value.count) bytes"
        try cache.set(key, value, expire: expire)
        put(key, value.count, expires, [key], now)
    }

    private func put(_ key: Int, _ count: Int, _ expires: Int64?, _ own: Set<Int>, _ now: Int64) {
        model.put(key, count: count, isFile: count >= setup.minFileSize, expires: expires, now: now)
        model.cullAfterWrite(own, now: now)
    }

    private func add(_ key: Int, _ now: Int64) throws {
        last = "add \(key)"
        let isNew = !model.isLive(key, now)
        let value = value()
        try same(cache.add(key, value), isNew)
        if isNew { put(key, value.count, nil, [key], now) }
    }

    private func get(_ key: Int, _ now: Int64) throws {
        last = "get \(key)"
        let isThere = model.isLive(key, now)
        // Counters are negative keys; everything else is bytes.
        switch pick(3) {
        case 0: try same(cache.withValue(key) { _ in true } ?? false, isThere)
        case 1: try same(cache.open(key) != nil, isThere)
        default:
            try same(key < 0 ? cache.get(key, as: Int.self) != nil : cache.get(key, as: [UInt8].self) != nil, isThere)
        }
        // An expired row is stamped too, which nobody can tell.
        if model.rows[key] != nil { model.read(key, now: now) }
    }

    private func touch(_ key: Int, _ now: Int64) throws {
        let (expire, expires) = expiry()
        last = "touch \(key)"
        let isThere = model.isLive(key, now)
        try same(cache.touch(key, expire: expire), isThere)
        guard isThere else { return }
        model.rows[key]?.expires = expires
    }

    private func count(_ key: Int, _ now: Int64) throws {
        last = "incr \(key)"
        let isThere = model.isLive(key, now)
        try cache.incr(key)
        if isThere {
            let stored = model.storedTime(now)
            model.rows[key]?.storedAt = stored
            if model.policy == .leastFrequentlyUsed { model.rows[key]?.reads += 1 }
        } else {
            model.put(key, count: 8, expires: nil, now: now)
            model.cullAfterWrite([key], now: now)
        }
    }

    private func delete(_ key: Int, _ now: Int64) throws {
        last = "delete \(key)"
        let isThere = model.isLive(key, now)
        try same(cache.delete(key), isThere)
        guard isThere else { return }
        _ = model.storedTime(now)
        model.rows[key] = nil
    }

    /// Several in one transaction: none of them goes for another.
    private func several(_ now: Int64) throws {
        last = "setMany"
        let items = (0..<1 + pick(6)).map { _ in
            (max(someKey(), 0), [UInt8](repeating: 1, count: pick(setup.longest / 8 + 1)))
        }
        try cache.setMany(items)
        var own: Set<Int> = []
        for (key, value) in items {
            own.insert(key)
            put(key, value.count, nil, own, now)
        }
    }

    /// A transaction that is taken back leaves every row; only that they were written over is remembered.
    private func failed(_ now: Int64) throws {
        last = "rolled back"
        let keys = (0..<1 + pick(6)).map { _ in pick(setup.keys) }
        let there = keys.filter { model.rows[$0] != nil }
        do {
            try cache.update(-100, default: 0) { _ in
                for key in keys { try cache.set(key, [1, 2, 3]) }
                throw CacheError(.cancelled)
            }
        } catch CacheError.Code.cancelled {}
        _ = model.storedTime(now)
        if model.policy == .leastFrequentlyUsed { for key in there { model.rows[key]?.reads = 0 } }
    }

    private func restart() throws {
        last = "restart"
        try cache.close()
        world.restart()
        _ = try cache.count
        model.forgetReads()
    }

    private func change() throws {
        let policy = EvictionPolicy.allCases[pick(4)]
        last = "policy \(policy.rawValue)"
        let cullLimit = [0, 1, 10, 10, 10][pick(5)]
        try cache.configure {
            $0.evictionPolicy = policy
            $0.cullLimit = cullLimit
        }
        if policy != model.policy { model.forgetReads() }
        model.policy = policy
        model.cullLimit = cullLimit
    }

    private func same<V: Equatable>(_ found: @autoclosure () throws -> V, _ expected: V) throws {
        let found = try found()
        if found != expected { throw Difference(description: "\(found), the model says \(expected)") }
    }

    private func compare() throws {
        for key in -21..<setup.keys where try cache.holds(key) != (model.rows[key] != nil) {
            throw Difference(
                description:
                    "key \(key) is \(model.rows[key] == nil ? "there" : "gone"), row \(String(describing: model.rows[key]))"
            )
        }
        try same(cache.count, model.rows.count)
        let live = try cache.handle.withStore { $0.liveBytes }
        try same(live, model.rows.values.reduce(0) { $0 + $1.bytes })
        let volume = try cache.volume
        let bound = max(model.sizeLimit, 4 << 20)
        if model.binds, volume > bound {
            throw Difference(description: "\(volume) bytes on disk, \(bound) are allowed")
        }
    }
}

extension Cache {
    /// Whether a key has a row, expired or not; no access.
    func holds(_ key: Int) throws -> Bool {
        try withKeyBytes(key) { keyClass, bytes in
            let found = try handle.find(keyClass, bytes)
            defer { handle.end(found.access) }
            return found.record != nil
        }
    }
}
