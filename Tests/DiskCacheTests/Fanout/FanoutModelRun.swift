import DiskCacheEngine
import TestSupport

@testable import DiskCacheCore

/// Does random things to a cache of several shards and to a model of it, a dictionary and an array a queue, and compares.
final class FanoutModelRun {
    var random: ReplayableRandom
    let world: ModelWorld
    var model: Model
    /// Values of each queue, the front first.
    private var queues: [String?: [Int64]] = [:]
    private var caches: [FanoutCache] = []
    private var pool = ModelKey.traps
    private(set) var done: [String] = []
    private(set) var count = 0
    private var depth = 0
    struct Abandoned: Error {}

    init(seed: UInt64, shards: Int, handles: Int) throws {
        random = ReplayableRandom(seed: seed)
        world = try ModelWorld()
        model = Model(now: world.now, minFileSize: 300)
        for _ in 0..<handles {
            caches.append(
                try world.openFanout(shards: shards) {
                    // What expires by itself is the matter of EvictionModelTests.
                    $0.cullLimit = 0
                    $0.minFileSize = 300
                    $0.tagIndex = true
                })
        }
        for number in 0..<80 { pool.append(.text("key \(number)")) }
    }

    var history: String { done.suffix(30).joined(separator: "\n") }
    private var cache: FanoutCache { caches[Int.random(in: 0..<caches.count, using: &random)] }
    private func chance(_ n: Int) -> Bool { Int.random(in: 0..<n, using: &random) == 0 }
    private func key() -> ModelKey { pool[Int.random(in: 0..<pool.count, using: &random)] }
    private func note(_ text: String) { done.append(String(repeating: "  ", count: depth) + "\(count) " + text) }

    private func expect(_ condition: Bool, _ message: @autoclosure () throws -> String) throws {
        if !condition { throw ModelFailure(description: try message()) }
    }

    private func value() -> ModelValue {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: .text("é\r\n\(Int.random(in: 0..<1000, using: &random))")
        case 1: .bytes([UInt8](repeating: UInt8.random(in: 0...255, using: &random), count: chance(3) ? 500 : 20))
        default: .int(Int64.random(in: -1000...1000, using: &random))
        }
    }

    private func expiry() -> Model.Expiry {
        chance(4) ? .after(Int64.random(in: 1..<20_000_000, using: &random)) : .byDefault
    }

    private func tag() -> DiskCacheCore.Tag? { ["red", 1, nil, nil].randomElement(using: &random)! }

    // MARK: Running

    func run(_ operations: Int) throws {
        while count < operations {
            try step()
            if chance(300) {
                note("close")
                try cache.close()
                if chance(2) { caches[0] = try world.openFanout() }
            }
            if chance(800) { try compare() }
        }
        try compare()
    }

    private func step() throws {
        count += 1
        switch Int.random(in: 0..<24, using: &random) {
        case 0..<4: try store(add: false)
        case 4: try store(add: true)
        case 5..<8: try read()
        case 8, 9: try remove()
        case 10: try touch()
        case 11, 12: try increment()
        case 13: try update()
        case 14: try many()
        case 15, 16: try queue()
        case 17: try bulk()
        case 18: try list()
        case 19: if depth == 0 { try transact() }
        case 20: try transactForKey()
        case 21 where depth == 0:
            model.now += Int64.random(in: 0..<4_000_000, using: &random)
            world.now = model.now
        default: try read()
        }
    }

    // MARK: Operations

    private func put(
        _ key: some CacheKey, _ value: ModelValue, _ expiry: Model.Expiry, _ tag: DiskCacheCore.Tag?, add: Bool
    ) throws -> Bool {
        func put(_ value: some Encodable) throws -> Bool {
            add
                ? try cache.add(key, value, expire: expiry.expiration, tag: tag, retry: true)
                : try cache.set(key, value, expire: expiry.expiration, tag: tag)
        }
        switch value {
        case .int(let value): return try put(value)
        case .text(let value): return try put(value)
        case .bytes(let value): return try put(value)
        default: return false
        }
    }

    private func store(add: Bool) throws {
        let (key, value, expiry, tag) = (key(), value(), expiry(), tag())
        let wanted = try model.put(key, value, expiry, tag, add: add)
        note("\(add ? "add" : "set") \(key) = \(value), \(expiry): \(wanted)")
        try expect(try put(key.native, value, expiry, tag, add: add) == wanted, "set \(key): not \(wanted)")
    }

    private func entry(_ key: some CacheKey, like value: ModelValue?, pop: Bool = false) throws -> Entry<ModelValue>? {
        func take<V: Decodable>(_ type: V.Type, _ make: (V) -> ModelValue) throws -> Entry<ModelValue>? {
            try (pop ? cache.popEntry(key, as: V.self) : cache.entry(key, as: V.self))?.map { make($0) }
        }
        return switch value {
        case .text: try take(String.self) { .text($0) }
        case .bytes: try take([UInt8].self) { .bytes($0) }
        case .double: try take(Double.self) { .double($0) }
        default: try take(Int64.self) { .int($0) }
        }
    }

    private func compare(_ key: ModelKey, _ row: Model.Row?, _ found: Entry<ModelValue>?) throws {
        guard let row, let found else {
            return try expect(
                row == nil && found == nil, "\(key): \(String(describing: found)), not \(String(describing: row))")
        }
        try expect(
            ModelValue.same(found.value, row.value) && found.tag == row.tag
                && abs((found.expires ?? 0) * 1e6 - Double(row.expires ?? 0)) <= 1,
            "\(key): \(found), not \(row)")
    }

    private func read() throws {
        let key = key()
        let row = model.live(key)
        try compare(key, row, try entry(key.native, like: row?.value))
        try expect(try cache.contains(key.native) == (row != nil), "contains \(key)")
        let bytes = try cache.withValue(key.native) { span in span.withUnsafeBytes { Array($0) } }
        try expect(bytes == (try row?.value.raw()), "withValue \(key)")
        if case .int(let wanted) = row?.value {
            try expect(try cache.get(key.native, as: Int64.self) == wanted, "get \(key)")
        }
    }

    private func remove() throws {
        let key = key()
        let row = model.live(key)
        let wanted = model.delete(key)
        note("remove \(key): \(wanted)")
        if chance(2) {
            try expect(try cache.delete(key.native) == wanted, "delete \(key): not \(wanted)")
        } else {
            try compare(key, row, try entry(key.native, like: row?.value, pop: true))
        }
    }

    private func touch() throws {
        let key = key()
        let expiry: Model.Expiry = chance(2) ? .never : .after(Int64.random(in: 1..<20_000_000, using: &random))
        let wanted = model.touch(key, expiry)
        note("touch \(key), \(expiry): \(wanted)")
        try expect(try cache.touch(key.native, expire: expiry.expiration ?? .never) == wanted, "touch \(key)")
    }

    private func increment() throws {
        let key = chance(2) ? key() : .int(Int64.random(in: 5000..<5010, using: &random))
        let delta = Int64.random(in: -5...5, using: &random)
        let start: Int64? = chance(3) ? nil : 7
        let wanted = try model.increment(key, by: .int(delta), start: start.map { .int($0) })
        note("incr \(key) by \(delta) from \(String(describing: start)): \(wanted)")
        do {
            let sum = try cache.incr(key.native, by: delta, default: start)
            guard case .success(.int(sum)) = wanted else {
                throw ModelFailure(description: "incr \(key): \(String(describing: sum)), not \(wanted)")
            }
        } catch let error as CacheError {
            guard case .failure(let code) = wanted, code.code == error.code else {
                throw ModelFailure(description: "incr \(key): \(error), not \(wanted)")
            }
        }
    }

    private func update() throws {
        let key = ModelKey.int(Int64.random(in: 6000..<6010, using: &random))
        let row = model.live(key)
        var old: Int64 = 3
        if case .int(let value) = row?.value { old = value }
        note("update \(key)")
        if chance(3) {
            do {
                try cache.update(key.native, default: Int64(3)) { (_: inout Int64) in throw Abandoned() }
                throw ModelFailure(description: "an error was lost")
            } catch is Abandoned {
                return
            }
        }
        try model.replace(key, .int(old + 1), row?.expires, row?.tag)
        try expect(
            try cache.update(key.native, default: Int64(3)) {
                $0 += 1; return $0
            } == old + 1, "update \(key)")
    }

    private func many() throws {
        let keys = (0..<Int.random(in: 0..<20, using: &random)).map { _ in
            Int64.random(in: 0..<60, using: &random) + 7000
        }
        note("many \(keys)")
        if chance(3) {
            let wanted = keys.reduce(0) { $0 + (model.delete(.int($1)) ? 1 : 0) }
            try expect(try cache.deleteMany(keys) == wanted, "deleteMany \(keys): not \(wanted)")
        } else {
            for key in keys { _ = try model.put(.int(key), .int(key * 2), .byDefault, "many") }
            try expect(try cache.setMany(keys.map { ($0, $0 * 2) }, tag: "many").isEmpty, "setMany dropped")
            let wanted = keys.map { key in model.live(.int(key)).map { _ in key * 2 } }
            try expect(try cache.getMany(keys, as: Int64.self) == wanted, "getMany")
        }
    }

    private func queue() throws {
        let prefix = [nil, "a", "b", "jobs"].randomElement(using: &random)!
        let side: Side = chance(3) ? .front : .back
        switch Int.random(in: 0..<4, using: &random) {
        case 0, 1:
            let value = Int64.random(in: 0..<1000, using: &random)
            note("push \(value) \(side) \(prefix ?? "-")")
            try cache.push(value, side: side, prefix: prefix)
            queues[prefix, default: []].insert(value, at: side == .front ? 0 : queues[prefix]?.count ?? 0)
        case 2:
            let found = try cache.peek(as: Int64.self, side: side, prefix: prefix)?.value
            let wanted = side == .front ? queues[prefix]?.first : queues[prefix]?.last
            try expect(found == wanted, "peek \(prefix ?? "-")")
        default:
            note("pull \(side) \(prefix ?? "-")")
            var wanted: Int64?
            if queues[prefix]?.isEmpty == false {
                wanted = side == .front ? queues[prefix]?.removeFirst() : queues[prefix]?.removeLast()
            }
            let found = try cache.pull(as: Int64.self, side: side, prefix: prefix)?.value
            try expect(
                found == wanted,
                "pull \(prefix ?? "-"): \(String(describing: found)), not \(String(describing: wanted))")
        }
    }

    private var queued: Int { queues.values.reduce(0) { $0 + $1.count } }

    private func bulk() throws {
        let (removed, wanted): (Int, Int)
        switch Int.random(in: 0..<12, using: &random) {
        case 0:
            wanted = model.rows.count + queued
            _ = model.clear()
            queues = [:]
            removed = try cache.clear()
        case 1:
            let gone = model.rows.filter { $0.value.tag == nil }
            wanted = gone.count + queued
            for key in gone.keys { model.rows[key] = nil }
            queues = [:]
            removed = try cache.evictUntagged()
        case 2..<6:
            let gone = model.rows.filter { $0.value.tag == "red" }
            wanted = gone.count
            for key in gone.keys { model.rows[key] = nil }
            removed = try cache.evict(tag: "red")
        default:
            let gone = model.rows.filter { $0.value.expires.map { $0 <= model.now } ?? false }
            wanted = gone.count
            for key in gone.keys { model.rows[key] = nil }
            removed = try cache.expire()
        }
        _ = model.stamp()
        note("bulk: \(wanted)")
        try expect(removed == wanted, "removed \(removed), not \(wanted)")
        try expect(try cache.count == model.rows.count + queued, "count")
    }

    // MARK: Orders

    private func place(_ key: some CacheKey) throws -> [UInt8] {
        try withKeyBytes(key) { keyClass, bytes in [KeyClass.identity(of: keyClass)] + Array(bytes) }
    }

    private func isQueued(_ key: AnyCacheKey) -> Bool { if case .queue = key { true } else { false } }

    private func list() throws {
        let reversed = chance(2)
        let found: [AnyCacheKey]
        var wanted: [[UInt8]]
        let rows = try model.rows.values.map { (row: $0, place: try place($0.key.native), shard: try shard($0.key)) }
        switch Int.random(in: 0..<4, using: &random) {
        case 0:
            found = try Array(cache.keys(reversed: reversed))
            wanted = rows.sorted { ($0.shard, $0.row.order) < ($1.shard, $1.row.order) }.map(\.place)
        case 1:
            found = try Array(cache.keys(tag: "red", reversed: reversed))
            wanted = rows.filter { $0.row.tag == "red" }
                .sorted { ($0.shard, $0.row.order) < ($1.shard, $1.row.order) }.map(\.place)
        case 2:
            found = try Array(cache.keys(prefix: "key 1", reversed: reversed)).map { .string($0) }
            let prefix = try place("key 1")
            wanted = rows.map(\.place).filter { $0.starts(with: prefix) }.sorted { $0.lexicographicallyPrecedes($1) }
        default:
            found = try Array(cache.sortedKeys(reversed: reversed))
            wanted = rows.map(\.place).sorted { $0.lexicographicallyPrecedes($1) }
        }
        if reversed { wanted.reverse() }
        let places = try found.filter { !isQueued($0) }.map { try place($0) }
        try expect(places == wanted, "\(places.count) keys, not the \(wanted.count)")
    }

    private func shard(_ key: ModelKey) throws -> Int { try cache.shard(of: key.native) }

    // MARK: Transactions

    private func transact() throws {
        let (before, queuesBefore) = (model, queues)
        let fails = chance(2)
        note("transact, \(fails ? "undone" : "kept")")
        do {
            try caches[0].transact {
                depth += 1
                defer { depth -= 1 }
                for _ in 0..<Int.random(in: 0..<8, using: &random) { try step() }
                if fails { throw Abandoned() }
            }
        } catch is Abandoned {
            model.restore(before)
            queues = queuesBefore
        }
    }

    private func transactForKey() throws {
        let key = Int64.random(in: 8000..<8010, using: &random)
        let before = model
        note("transact for \(key)")
        do {
            try cache.transact(for: key) { transaction in
                transaction[key, default: Int64(0)] += 1
                let row = model.live(.int(key))
                var old: Int64 = 0
                if case .int(let value) = row?.value { old = value }
                try model.replace(.int(key), .int(old + 1), row?.expires, row?.tag)
                if chance(3) { throw Abandoned() }
            }
        } catch is Abandoned {
            model.restore(before)
        }
    }

    /// Everything that is there, and the shards with themselves.
    func compare() throws {
        note("compare")
        for row in model.rows.values {
            try compare(row.key, model.live(row.key), try entry(row.key.native, like: row.value))
        }
        for key in pool where model.rows[key.identity] == nil {
            try compare(key, nil, try entry(key.native, like: nil))
        }
        try expect(try cache.count == model.rows.count + queued, "count \(try cache.count)")
        for cache in caches { try expect(cache.droppedWrites == 0, "dropped") }
        try caches[0].sync()
        let findings = try cache.check()
        try expect(findings.isEmpty, "check: \(findings)")
    }
}
