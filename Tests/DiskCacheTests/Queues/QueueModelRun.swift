import DiskCacheEngine
import TestSupport
import Testing

@testable import DiskCacheCore

struct QueueMismatch: Error, CustomStringConvertible {
    let description: String
}

/// A run of random operations on a cache's queues and on the model of them.
final class QueueModelRun {
    struct Configuration: Sendable, CustomTestStringConvertible {
        var name: String
        var operations: Int
        var prefixes: [String?] = [nil, "", "a", "a-5", "a\u{0}b", String(repeating: "long", count: 90)]
        var minFileSize = 200
        var forcesWriting = false
        var isShort = false

        var testDescription: String { name }
    }

    private struct Abandon: Error {}

    let configuration: Configuration
    let world: ModelWorld
    var random: ReplayableRandom
    var caches: [Cache] = []
    var model = QueueModel()
    var done = 0
    var history: [String] = []
    private var values = 0

    init(_ configuration: Configuration, seed: UInt64) throws {
        self.configuration = configuration
        world = try ModelWorld()
        random = ReplayableRandom(seed: seed)
        try open()
    }

    private func open() throws {
        var settings = Cache.Configuration()
        // The model's expired items go when they are met, not with the next write.
        settings.cullLimit = 0
        settings.minFileSize = configuration.minFileSize
        caches = try (0..<2).map { _ in
            try world.open(settings) { [configuration] in $0.forcesWriting = configuration.forcesWriting }
        }
    }

    private var cache: Cache { caches[Int.random(in: 0..<2, using: &random)] }
    private func oneIn(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &random) == 0 }
    private func pick(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }

    func run() throws {
        while done < configuration.operations {
            if oneIn(40) { try transaction() } else { try one(nested: false) }
            if try caches[0].count != model.count {
                throw QueueMismatch(description: "count \(try caches[0].count), expected \(model.count)")
            }
            if oneIn(400) { try restart() }
            if oneIn(300) { try compareAll() }
        }
        try compareAll()
        try restart()
        try compareAll()
    }

    private func note(_ text: String) {
        history.append(text)
        if history.count > 25 { history.removeFirst() }
        done += 1
    }

    private func expect<T: Equatable>(_ found: T, _ expected: T, _ what: String) throws {
        if found != expected { throw QueueMismatch(description: "\(what): \(found), expected \(expected)") }
    }

    // MARK: Operations

    private func one(nested: Bool) throws {
        let prefix = configuration.prefixes[pick(configuration.prefixes.count)]
        let side: Side = oneIn(2) ? .front : .back
        switch pick(100) {
        case 0..<36: try push(side, prefix)
        case 36..<60: try pull(side, prefix)
        case 60..<70: try peek(side, prefix, nested)
        case 70..<77: try delete(prefix)
        case 77..<83: try rewrite(prefix)
        // A transaction goes by the time at which it began.
        case 83..<86: if !nested { world.now += Int64(pick(3_000_000)) }
        case 86..<90: try readBack(prefix)
        case 90..<92: try other()
        case 92: if oneIn(5) && !nested { try burst(side, prefix) }
        case 93: if oneIn(12) { try clear() }
        case 94..<97: try pull(side, prefix)
        default: try wrongType(side, prefix)
        }
    }

    private func newValue() -> String {
        values += 1
        return "\(values) " + String(repeating: "x", count: oneIn(10) ? 300 : pick(40))
    }

    private func expiry() -> (Expiration?, Int64?) {
        if oneIn(3) {
            let length = Int64(1 + pick(2_000_000))
            return (.after(.microseconds(length)), world.now + length)
        }
        if oneIn(30) { return (.after(.zero), world.now) }
        return (nil, nil)
    }

    private func push(_ side: Side, _ prefix: String?) throws {
        let value = newValue()
        let (expire, expiry) = expiry()
        note("push \(side) \(prefix ?? "nil") \(value.prefix(6))")
        let key: QueueKey
        if oneIn(20), value.utf8.count > 250 {
            key = try cache.push(
                reading: BytesSource(value), side: side, prefix: prefix, expire: expire, tag: "streamed")
            let expected = model.push(.init(value: value, expiry: expiry), side, prefix)
            try expect(key, expected, "key")
            // Bytes aren't text: as text it is what the model says.
            let bytes = try cache.get(key, as: [UInt8].self)
            try expect(bytes.map { String(decoding: $0, as: UTF8.self) }, model.live(key, world.now)?.value, "stream")
            if try cache.delete(key) { model.queues[prefix]?[key.number] = nil }
            return
        }
        key = try cache.push(value, side: side, prefix: prefix, expire: expire, tag: "queued")
        try expect(key, model.push(.init(value: value, expiry: expiry), side, prefix), "key")
    }

    private func pull(_ side: Side, _ prefix: String?) throws {
        note("pull \(side) \(prefix ?? "nil")")
        let expected = model.pull(side, prefix, world.now)
        if oneIn(4) {
            let found = try cache.pullEntry(as: String.self, side: side, prefix: prefix)
            try expect(found?.key, expected?.0, "pulled key")
            try expect(found?.entry.value, expected?.1.value, "pulled value")
            try expect(
                found?.entry.expires.map { ($0 * 1e6).rounded() }, expected?.1.expiry.map { Double($0) }, "expiry")
            try expect(found?.entry.path, nil, "path")
        } else {
            let timeout: Duration? = oneIn(20) ? .microseconds(200) : nil
            let found = try cache.pull(as: String.self, side: side, prefix: prefix, timeout: timeout)
            try expect(found?.key, expected?.0, "pulled key")
            try expect(found?.value, expected?.1.value, "pulled value")
        }
    }

    private func peek(_ side: Side, _ prefix: String?, _ nested: Bool) throws {
        note("peek \(side) \(prefix ?? "nil")")
        let expected = model.peek(side, prefix, world.now)
        if oneIn(3) {
            let found = try cache.peekEntry(as: String.self, side: side, prefix: prefix)
            try expect(found?.key, expected?.0, "seen key")
            try expect(found?.entry.value, expected?.1.value, "seen value")
        } else {
            let found = try cache.peek(as: String.self, side: side, prefix: prefix)
            try expect(found?.key, expected?.0, "seen key")
            try expect(found?.value, expected?.1.value, "seen value")
        }
        // With the lock it has removed expired items, without it hasn't.
        let count = try cache.count
        if nested || count != model.count { model.removeExpired(side, prefix, world.now) }
    }

    private func anyKey(_ prefix: String?) -> QueueKey? {
        guard let numbers = model.queues[prefix]?.keys.sorted(), !numbers.isEmpty else { return nil }
        let number: Int64
        switch pick(6) {
        case 0: number = numbers[0]
        case 1: number = numbers[numbers.count - 1]
        case 2: number = numbers[0] + Int64(pick(Int(numbers[numbers.count - 1] - numbers[0]) + 3)) - 1
        default: number = numbers[pick(numbers.count)]
        }
        return QueueKey(prefix: prefix, number: number)
    }

    private func delete(_ prefix: String?) throws {
        guard let key = anyKey(prefix) else { return }
        note("delete \(key.number)")
        let isThere = model.live(key, world.now) != nil
        if oneIn(2) {
            try expect(try cache.delete(key), isThere, "deleted")
        } else {
            try expect(try cache.pop(key, as: String.self), model.live(key, world.now)?.value, "popped")
        }
        if isThere { model.queues[prefix]?[key.number] = nil }
    }

    /// `set`, `add`, `touch` and `update` of keys that are there, and of keys that are gone.
    private func rewrite(_ prefix: String?) throws {
        guard let key = anyKey(prefix) else { return }
        note("rewrite \(key.number)")
        let value = newValue()
        let (expire, expiry) = (Expiration.after(.seconds(1)), world.now + 1_000_000)
        guard let item = model.queues[prefix]?[key.number] else {
            expectThrown(.keyNotFound) { try cache.set(key, value) }
            expectThrown(.keyNotFound) { try cache.incr(key) }
            try expect(try cache.touch(key, expire: .never), false, "touched")
            return
        }
        let isLive = !item.isExpired(world.now)
        switch pick(3) {
        case 0:
            try cache.set(key, value, expire: expire)
            model.queues[prefix]?[key.number] = .init(value: value, expiry: expiry)
        case 1:
            try expect(try cache.add(key, value, expire: expire), !isLive, "added")
            if !isLive { model.queues[prefix]?[key.number] = .init(value: value, expiry: expiry) }
        default:
            try expect(try cache.touch(key, expire: expire), isLive, "touched")
            if isLive { model.queues[prefix]?[key.number]?.expiry = expiry }
        }
    }

    private func expectThrown<R>(_ code: CacheError.Code, _ body: () throws -> R) { expectError(code, body) }

    private func readBack(_ prefix: String?) throws {
        guard let key = anyKey(prefix) else { return }
        note("get \(key.number)")
        try expect(try cache.get(key, as: String.self), model.live(key, world.now)?.value, "value")
    }

    /// Other keys, among them the numbers and texts that DiskCache would mistake for a queue's.
    private func other() throws {
        let number = 499_999_999_999_990 + pick(20)
        let value = newValue()
        note("set \(number)")
        try cache.set(number, value)
        model.others[number] = .init(value: value)
        try cache.set("a-\(number)", value)
        try expect(try cache.delete("a-\(number)"), true, "deleted")
    }

    /// Many items, of which few stay: gaps that are longer than a removal looks, or than a transaction does.
    private func burst(_ side: Side, _ prefix: String?) throws {
        let count = configuration.isShort ? 150 : [150, 1500, 4000][pick(3)]
        note("burst \(side) \(prefix ?? "nil") of \(count)")
        let expires = oneIn(2)
        for _ in 0..<count {
            let value = "\(done)"
            let key = try caches[0].push(
                value, side: side, prefix: prefix, expire: expires ? .after(.milliseconds(5)) : nil)
            let item = QueueModel.Item(value: value, expiry: expires ? world.now + 5000 : nil)
            try expect(key, model.push(item, side, prefix), "key")
        }
        if expires {
            world.now += 10_000
            return
        }
        let kept = 1 + pick(4)
        let numbers = (model.queues[prefix] ?? [:]).keys.shuffled(using: &random)
        for number in numbers.dropFirst(kept) {
            let key = QueueKey(prefix: prefix, number: number)
            let isThere = model.live(key, world.now) != nil
            try expect(try caches[0].delete(key), isThere, "deleted")
            if isThere { model.queues[prefix]?[number] = nil }
        }
    }

    private func clear() throws {
        note("clear")
        try expect(try cache.clear(), model.count, "cleared")
        model = QueueModel()
    }

    /// A value that can't be read as what was asked for stays where it is.
    private func wrongType(_ side: Side, _ prefix: String?) throws {
        model.removeExpired(side, prefix, world.now)
        note("pull of a wrong type \(side) \(prefix ?? "nil")")
        if model.peek(side, prefix, world.now) == nil {
            try expect(try cache.pull(as: Int.self, side: side, prefix: prefix)?.value, nil, "nothing")
        } else {
            expectThrown(.typeMismatch) { try cache.pull(as: Int.self, side: side, prefix: prefix) }
        }
    }

    // MARK: Transactions

    private func transaction() throws {
        let before = model
        let fails = oneIn(3)
        note("begin")
        do {
            try caches[0].transact {
                for _ in 0..<pick(12) {
                    if oneIn(4) { try inner() } else { try one(nested: true) }
                    try expect(try caches[0].count, model.count, "count inside")
                }
                if fails { throw Abandon() }
            }
            note("commit")
        } catch is Abandon {
            note("roll back")
            model = before
        }
    }

    private func inner() throws {
        let before = model
        let fails = oneIn(2)
        note("begin inner")
        do {
            try caches[0].transact {
                for _ in 0..<pick(5) { try one(nested: true) }
                if fails { throw Abandon() }
            }
        } catch is Abandon {
            note("roll back inner")
            model = before
        }
    }

    // MARK: Reopening and comparing

    private func restart() throws {
        note("reopen")
        for cache in caches { try cache.close() }
        if oneIn(2) {
            world.restart()
            history.append("(in another boot)")
        }
        try open()
    }

    private func compareAll() throws {
        note("compare")
        try expect(try caches[0].check().map(\.description), [], "findings")
        for (prefix, items) in model.queues {
            for (number, item) in items {
                let found = try cache.get(QueueKey(prefix: prefix, number: number), as: String.self)
                try expect(found, item.isExpired(world.now) ? nil : item.value, "item \(number)")
            }
        }
        for prefix in configuration.prefixes {
            for side in Side.allCases { try peek(side, prefix, false) }
        }
        for (number, item) in model.others { try expect(try cache.get(number, as: String.self), item.value, "other") }
    }
}

/// A text's bytes, in pieces.
private struct BytesSource: ByteSource {
    private var rest: ArraySlice<UInt8>

    init(_ text: String) { rest = Array(text.utf8)[...] }

    mutating func next(maximum: Int) throws -> [UInt8]? {
        if rest.isEmpty { return nil }
        let piece = rest.prefix(min(maximum, 100))
        rest = rest.dropFirst(piece.count)
        return Array(piece)
    }
}
