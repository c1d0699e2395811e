import DiskCacheEngine
import Testing

@testable import DiskCacheCore

/// A run of random operations on an index and on a list of pairs.
final class IndexModelRun<Key: CacheKey & Codable> {
    struct Configuration: Sendable, CustomTestStringConvertible {
        var name: String
        var operations = 20_000
        /// Keys by number; and the key that an item of a queue has, if it has one.
        var key: @Sendable (Int) -> Key
        var queueKey: @Sendable (QueueKey) -> Key?
        var keys = 60

        var testDescription: String { name }
    }

    private struct Abandon: Error {}
    private struct Model {
        var items: [(key: Key, value: String)] = []
        /// Items of the queue, which `items` has too where they are keys.
        var queue: [(key: QueueKey, value: String)] = []

        func place(_ key: Key) -> Int? { items.firstIndex { $0.key == key } }
        subscript(key: Key) -> String? { place(key).map { items[$0].value } }

        mutating func set(_ key: Key, _ value: String) {
            if let place = place(key) { items[place].value = value } else { items.append((key, value)) }
        }

        @discardableResult mutating func remove(_ key: Key) -> String? {
            guard let place = place(key) else { return nil }
            return items.remove(at: place).value
        }
    }

    let configuration: Configuration
    let world: ModelWorld
    private(set) var log: CollectionRun
    private var indexes: [Index<Key, String>] = []
    private var model = Model()
    private var values = 0

    init(_ configuration: Configuration, seed: UInt64) throws {
        self.configuration = configuration
        world = try ModelWorld()
        log = CollectionRun(seed: seed)
        try open()
    }

    private func open() throws {
        var settings = Cache.Configuration()
        settings.minFileSize = 200
        indexes = try (0..<2).map { _ in try Index(world.path, settings, world.environment) }
    }

    private var index: Index<Key, String> { indexes[pick(2)] }
    private func oneIn(_ count: Int) -> Bool { log.oneIn(count) }
    private func pick(_ count: Int) -> Int { log.pick(count) }
    private func note(_ text: String) { log.note(text) }

    func run() throws {
        while log.done < configuration.operations {
            if oneIn(40) { try transaction() } else { try one() }
            try expectCount()
            if oneIn(300) { try restart() }
            if oneIn(150) { try compareAll() }
        }
        try compareAll()
        try restart()
        try compareAll()
    }

    private func expectCount() throws {
        let hidden = model.queue.count { configuration.queueKey($0.key) == nil }
        try expectSame(try index.count, model.items.count + hidden, "count")
    }

    private func expectItem(_ found: (key: Key, value: String)?, _ expected: (key: Key, value: String)?, _ what: String)
        throws
    {
        try expectSame(found?.key, expected?.key, what + ", key")
        try expectSame(found?.value, expected?.value, what + ", value")
    }

    private func key() -> Key { configuration.key(pick(configuration.keys)) }

    private func value() -> String {
        values += 1
        return "\(values) " + String(repeating: "x", count: oneIn(20) ? 300 : pick(30))
    }

    // MARK: Operations

    private func one() throws {
        switch pick(100) {
        case 0..<25: try set()
        case 25..<33: try remove()
        case 33..<43: try get()
        case 43..<49: try setDefault()
        case 49..<54: try update()
        case 54..<58: try merge()
        case 58..<68: try pop()
        case 68..<74: try peek()
        case 74..<84: try queue()
        case 84..<87: try burst()
        case 87: if oneIn(8) { try clear() }
        case 88..<93: try compareEqual()
        case 93..<95: try iterateMeanwhile()
        default: try compareOrder()
        }
    }

    private func set() throws {
        let (key, value) = (key(), value())
        note("set \(key)")
        if oneIn(3) {
            try expectSame(try index.updateValue(value, forKey: key), model[key], "updateValue")
        } else {
            try index.set(key, value)
        }
        model.set(key, value)
    }

    private func remove() throws {
        let key = key()
        note("remove \(key)")
        try expectSame(try index.removeValue(forKey: key), model.remove(key), "removeValue")
    }

    private func get() throws {
        let key = key()
        note("get \(key)")
        try expectSame(try index[key], model[key], "value")
        try expectSame(try index[key, default: "none"], model[key] ?? "none", "value or default")
        try expectSame(try index.contains(key), model[key] != nil, "contains")
    }

    private func setDefault() throws {
        let (key, value) = (key(), value())
        note("setDefault \(key)")
        try expectSame(try index.setDefault(value, forKey: key), model[key] ?? value, "setDefault")
        if model[key] == nil { model.set(key, value) }
    }

    private func update() throws {
        let key = key()
        note("update \(key)")
        let new = (model[key] ?? "start") + "+"
        if oneIn(4) {
            do {
                try index.update(key, default: "start") { _ in throw Abandon() }
            } catch is Abandon {}
            return
        }
        try expectSame(
            try index.update(key, default: "start") {
                $0 += "+"
                return $0
            }, new, "update")
        model.set(key, String(new))
    }

    private func merge() throws {
        let items = (0..<pick(8)).map { _ in (key: key(), value: value()) }
        note("merge \(items.map(\.key))")
        if oneIn(2) {
            try index.merge(items)
        } else {
            try index.merge(items.map { ($0.key, $0.value) })
        }
        for item in items { model.set(item.key, item.value) }
    }

    private func pop() throws {
        for _ in 0..<(1 + pick(4)) {
            if oneIn(2) {
                note("popFirst")
                try expectItem(try index.popFirst(), model.items.first, "popFirst")
                if !model.items.isEmpty { taken(model.items.removeFirst().key) }
            } else {
                note("popLast")
                try expectItem(try index.popLast(), model.items.last, "popLast")
                if let last = model.items.popLast() { taken(last.key) }
            }
        }
    }

    /// It may have been an item of the queue.
    private func taken(_ key: Key) { model.queue.removeAll { configuration.queueKey($0.key) == key } }

    private func peek() throws {
        note("peek")
        try expectItem(try index.first, model.items.first, "first")
        try expectItem(try index.last, model.items.last, "last")
    }

    private func queue() throws {
        let side: Side = oneIn(2) ? .front : .back
        if oneIn(2) {
            let value = value()
            note("push \(side)")
            let key = try index.push(value, side: side)
            if side == .front { model.queue.insert((key, value), at: 0) } else { model.queue.append((key, value)) }
            if let key = configuration.queueKey(key) { model.items.append((key, value)) }
        } else {
            note("pull \(side)")
            let expected = side == .front ? model.queue.first : model.queue.last
            let found = try index.pull(side: side)
            try expectSame(found?.key, expected?.key, "pulled key")
            try expectSame(found?.value, expected?.value, "pulled value")
            guard let expected else { return }
            model.queue.removeAll { $0.key == expected.key }
            if let key = configuration.queueKey(expected.key) { model.remove(key) }
        }
    }

    /// More than a batch of the orders holds.
    private func burst() throws {
        guard oneIn(6) else { return }
        let count = pick(200)
        note("burst \(count)")
        let items = (0..<count).map { (key: configuration.key(1000 + $0), value: value()) }
        try index.merge(items)
        for item in items { model.set(item.key, item.value) }
        let first = oneIn(2)
        for _ in 0..<pick(count + 1) where !model.items.isEmpty {
            if first {
                try expectItem(try index.popFirst(), model.items.first, "popFirst")
                taken(model.items.removeFirst().key)
            } else {
                try expectItem(try index.popLast(), model.items.last, "popLast")
                taken(model.items.removeLast().key)
            }
        }
    }

    private func clear() throws {
        note("clear")
        try index.clear()
        model = Model()
    }

    private func compareEqual() throws {
        note("equal")
        var other = model.items
        if oneIn(2), other.count > 1 { other.swapAt(0, pick(other.count)) }
        if oneIn(4), !other.isEmpty { other[pick(other.count)].value += "?" }
        if oneIn(4) { other = other.dropLast() }
        let isSame = other.count == model.items.count && zip(other, model.items).allSatisfy { $0 == $1 }
        try expectSame(try index.elementsEqual(other), isSame, "elementsEqual")
        let dictionary = Dictionary(uniqueKeysWithValues: other.map { ($0.key, $0.value) })
        let own = Dictionary(uniqueKeysWithValues: model.items.map { ($0.key, $0.value) })
        try expectSame(try index.equals(dictionary), dictionary == own, "equals")
        try expectSame(try indexes[0].elementsEqual(indexes[1]) && indexes[1].equals(indexes[0]), true, "both")
    }

    private func iterateMeanwhile() throws {
        note("iterate")
        let cursor = try index.keys()
        let before = model.items.map(\.key)
        for _ in 0..<pick(6) { try oneIn(2) ? set() : pop() }
        // What was there all the time comes in its order; what was removed and set again is new.
        var left = try Array(cursor)[...]
        for key in before where model.place(key) != nil {
            guard let place = left.firstIndex(of: key) else { continue }
            left = left[(place + 1)...]
        }
        try expectSame(Set(try Array(index.keys())).count, model.items.count, "keys once")
    }

    private func compareOrder() throws {
        let reversed = oneIn(2)
        note("order, reversed \(reversed)")
        let items = reversed ? model.items.reversed() : model.items
        try expectSame(try Array(index.keys(reversed: reversed)), items.map(\.key), "keys")
        try expectSame(try Array(index.values(reversed: reversed)), items.map(\.value), "values")
        try expectSame(try Array(index.items(reversed: reversed)).map(\.value), items.map(\.value), "items")
        func place(_ key: Key) throws -> [UInt8] {
            try withKeyBytes(key) { [KeyClass.identity(of: $0)] + Array($1) }
        }
        var sorted = try items.sorted { try place($0.key).lexicographicallyPrecedes(place($1.key)) }
        if reversed { sorted.reverse() }
        try expectSame(try Array(index.sortedKeys(reversed: reversed)), sorted.map(\.key), "sorted keys")
        try expectSame(
            try Array(index.sortedItems(reversed: reversed)).map(\.value), sorted.map(\.value), "sorted items")
        let range = KeyRange(from: key(), upTo: key())
        let (lower, upper) = (try place(range.lower!), try place(range.upper!))
        let inside = try sorted.filter {
            let own = try place($0.key)
            return !own.lexicographicallyPrecedes(lower) && own.lexicographicallyPrecedes(upper)
        }
        try expectSame(try Array(index.keys(in: range, reversed: reversed)), inside.map(\.key), "keys in a range")
        try expectSame(
            try Array(index.items(in: range, reversed: reversed)).map(\.value), inside.map(\.value), "items in a range")
    }

    private func transaction() throws {
        let before = model
        note("transact")
        do {
            try index.transact {
                for _ in 0..<(1 + pick(8)) {
                    try one()
                    try expectCount()
                    if oneIn(6) { try level() }
                }
                if oneIn(2) { throw Abandon() }
            }
            note("commit")
        } catch is Abandon {
            note("roll back")
            model = before
        }
    }

    private func level() throws {
        let before = model
        note("level")
        do {
            try index.transact {
                for _ in 0..<(1 + pick(4)) { try one() }
                if oneIn(2) { throw Abandon() }
            }
        } catch is Abandon {
            note("undo level")
            model = before
        }
    }

    private func restart() throws {
        note("restart")
        for index in indexes { try index.close() }
        if oneIn(2) { world.restart() }
        if oneIn(2) { try open() }
    }

    private func compareAll() throws {
        try compareOrder()
        try peek()
        for (key, value) in model.items { try expectSame(try index[key], value, "value of \(key)") }
        guard oneIn(3) else { return }
        try expectSame(try index.check().map(\.description), [], "check")
    }
}
