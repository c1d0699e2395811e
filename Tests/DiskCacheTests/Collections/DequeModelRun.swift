import DiskCacheEngine
import Testing

@testable import DiskCacheCore

/// A run of random operations on a deque and on an array.
final class DequeModelRun {
    struct Configuration: Sendable, CustomTestStringConvertible {
        var name: String
        var operations = 20_000
        /// About how long the deque gets.
        var length = 60
        /// One of so many elements lies in a file.
        var files = 25

        var testDescription: String { name }
    }

    private struct Abandon: Error {}

    let configuration: Configuration
    let world: ModelWorld
    private(set) var log: CollectionRun
    private var deques: [Deque<String>] = []
    private var model: [String] = []
    private var limit: Int?

    init(_ configuration: Configuration, seed: UInt64) throws {
        self.configuration = configuration
        world = try ModelWorld()
        log = CollectionRun(seed: seed)
        try open(nil, [])
    }

    private func open(_ maxLength: Int?, _ contents: [String]) throws {
        var settings = Cache.Configuration()
        settings.minFileSize = 200
        let first = try Deque(world.path, maxLength, contents, settings, world.environment)
        deques = [first, try Deque(world.path, nil, [], settings, world.environment)]
    }

    private var deque: Deque<String> { deques[pick(2)] }
    private func oneIn(_ count: Int) -> Bool { log.oneIn(count) }
    private func pick(_ count: Int) -> Int { log.pick(count) }
    private func note(_ text: String) { log.note(text) }

    func run() throws {
        while log.done < configuration.operations {
            if oneIn(40) { try transaction() } else { try one() }
            try expectSame(try deque.count, model.count, "count")
            if oneIn(300) { try restart() }
            if oneIn(100) { try compareAll() }
        }
        try compareAll()
        try restart()
        try compareAll()
    }

    /// Few enough that many are equal.
    private func element() -> String {
        let number = pick(40)
        let isLong = number % configuration.files == 0
        return "element \(number)" + (isLong ? String(repeating: " and so on", count: 30) : "")
    }

    private func elements() -> [String] { (0..<pick(6)).map { _ in element() } }

    /// Most of them there, some beyond.
    private func index() -> Int { Int.random(in: -(model.count + 1)...(model.count + 1), using: &log.random) }

    private func place(_ index: Int) -> Int? {
        let place = index < 0 ? index + model.count : index
        return model.indices.contains(place) ? place : nil
    }

    // MARK: The model

    private func append(_ element: String) {
        model.append(element)
        if let limit, model.count > limit { model.removeFirst() }
    }

    private func prepend(_ element: String) {
        model.insert(element, at: 0)
        if let limit, model.count > limit { model.removeLast() }
    }

    // MARK: Operations

    private func one() throws {
        // Grow or shrink, about a length.
        let grows = pick(2 * configuration.length) > model.count
        switch pick(100) {
        case 0..<30: if grows { try add() } else { try take() }
        case 30..<40: try add()
        case 40..<50: try take()
        case 50..<58: try get()
        case 58..<64: try set()
        case 64..<70: try remove()
        case 70..<73: try removeEqual()
        case 73..<80: try rotate()
        case 80..<82: try reverse()
        case 82..<88: try extend()
        case 88..<90: try search()
        case 90..<92: try insert()
        case 92..<94: try setLimit()
        case 94: if oneIn(8) { try clear() }
        case 95: try iterateMeanwhile()
        default: try ends()
        }
    }

    private func insert() throws {
        let (element, index) = (element(), index())
        note("insert \(element.prefix(12)) at \(index)")
        let place = index < 0 ? index + model.count : index
        if !(0...model.count).contains(place) {
            expectError(.keyNotFound) { try deque.insert(element, at: index) }
        } else if let limit, model.count >= limit {
            expectError(.queueFull) { try deque.insert(element, at: index) }
        } else {
            try deque.insert(element, at: index)
            model.insert(element, at: place)
        }
    }

    private func add() throws {
        let element = element()
        if oneIn(2) {
            note("append \(element.prefix(12))")
            try deque.append(element)
            append(element)
        } else {
            note("prepend \(element.prefix(12))")
            try deque.prepend(element)
            prepend(element)
        }
    }

    private func take() throws {
        if oneIn(2) {
            note("popFirst")
            try expectSame(try deque.popFirst(), model.isEmpty ? nil : model.removeFirst(), "popFirst")
        } else {
            note("popLast")
            try expectSame(try deque.popLast(), model.popLast(), "popLast")
        }
    }

    private func ends() throws {
        note("ends")
        try expectSame(try deque.first, model.first, "first")
        try expectSame(try deque.last, model.last, "last")
        try expectSame(try deque.isEmpty, model.isEmpty, "isEmpty")
        try expectSame(try deque.maxLength, limit, "maxLength")
    }

    private func get() throws {
        let index = index()
        note("get \(index)")
        guard let place = place(index) else { return expectError(.keyNotFound) { try deque[index] } }
        try expectSame(try deque[index], model[place], "element \(index)")
    }

    private func set() throws {
        let (index, element) = (index(), element())
        note("set \(index) \(element.prefix(12))")
        guard let place = place(index) else {
            return expectError(.keyNotFound) { try deque.set(element, at: index) }
        }
        try deque.set(element, at: index)
        model[place] = element
    }

    private func remove() throws {
        let index = index()
        note("remove at \(index)")
        guard let place = place(index) else { return expectError(.keyNotFound) { try deque.remove(at: index) } }
        try expectSame(try deque.remove(at: index), model.remove(at: place), "removed \(index)")
    }

    private func removeEqual() throws {
        let element = element()
        note("remove \(element.prefix(12))")
        let place = model.firstIndex(of: element)
        try expectSame(try deque.removeFirst(equalTo: element), place != nil, "removeFirst(equalTo:)")
        if let place { model.remove(at: place) }
    }

    private func rotate() throws {
        let count = oneIn(4) ? Int.random(in: -10_000...10_000, using: &log.random) : pick(7) - 3
        note("rotate \(count)")
        try deque.rotate(by: count)
        guard !model.isEmpty else { return }
        let steps = ((count % model.count) + model.count) % model.count
        model = Array(model.suffix(steps) + model.dropLast(steps))
    }

    private func reverse() throws {
        note("reverse")
        try deque.reverse()
        model.reverse()
    }

    private func extend() throws {
        let elements = elements()
        switch pick(6) {
        case 0, 1:
            note("append \(elements.map { $0.prefix(12) })")
            try deque.append(contentsOf: elements)
            elements.forEach(append)
        case 2, 3:
            note("prepend \(elements.map { $0.prefix(12) })")
            try deque.prepend(contentsOf: elements)
            elements.reversed().forEach(prepend)
        default:
            guard model.count < configuration.length else { return }
            let copy = model
            if oneIn(2) {
                note("append itself")
                try deque.append(contentsOf: deque)
                copy.forEach(append)
            } else {
                note("prepend itself")
                try deque.prepend(contentsOf: deque)
                copy.reversed().forEach(prepend)
            }
        }
    }

    private func search() throws {
        let element = element()
        note("search \(element.prefix(12))")
        try expectSame(try deque.count(of: element), model.count { $0 == element }, "count(of:)")
        try expectSame(try deque.firstIndex(of: element), model.firstIndex(of: element), "firstIndex(of:)")
        try expectSame(try deque.contains(element), model.contains(element), "contains")
        var other = model
        if oneIn(2), !other.isEmpty { other[pick(other.count)] = element }
        if oneIn(4) { other.append(element) }
        if oneIn(4) { other = other.dropLast() }
        try expectSame(try deque.elementsEqual(other), model == other, "elementsEqual")
        try expectSame(
            try deque.lexicographicallyPrecedes(other), model.lexicographicallyPrecedes(other),
            "lexicographicallyPrecedes")
    }

    private func setLimit() throws {
        limit = oneIn(3) ? nil : oneIn(10) ? pick(2) : pick(2 * configuration.length)
        note("maxLength \(limit.map { "\($0)" } ?? "nil")")
        try deque.setMaxLength(limit)
        if let limit { model = Array(model.suffix(limit)) }
    }

    private func clear() throws {
        note("clear")
        try expectSame(try deque.clear(), model.count, "cleared")
        model = []
        try expectSame(try deque.maxLength, limit, "maxLength after clear")
    }

    /// What was there when a cursor began and is still there is met once, in its order; what came since isn't.
    private func iterateMeanwhile() throws {
        note("iterate")
        let cursor = try deque.elements()
        let before = model
        var taken = 0
        for _ in 0..<pick(4) where !model.isEmpty {
            try expectSame(try deque.popFirst(), model.removeFirst(), "popFirst")
            taken += 1
        }
        for _ in 0..<pick(4) { try add() }
        guard limit == nil else { return }
        try expectSame(try Array(cursor), Array(before.dropFirst(taken)), "elements meanwhile")
    }

    private func transaction() throws {
        let (before, limitBefore) = (model, limit)
        note("transact")
        do {
            try deque.transact {
                for _ in 0..<(1 + pick(8)) {
                    try one()
                    try expectSame(try deque.count, model.count, "count")
                    if oneIn(6) { try level() }
                    if oneIn(4) { try compareAll() }
                }
                if oneIn(2) { throw Abandon() }
            }
            note("commit")
        } catch is Abandon {
            note("roll back")
            (model, limit) = (before, limitBefore)
        }
    }

    /// A level of its own, undone alone.
    private func level() throws {
        let (before, limitBefore) = (model, limit)
        note("level")
        do {
            try deque.transact {
                for _ in 0..<(1 + pick(4)) { try one() }
                if oneIn(2) { throw Abandon() }
            }
            note("level ends")
        } catch is Abandon {
            note("undo level")
            (model, limit) = (before, limitBefore)
        }
    }

    private func restart() throws {
        note("restart")
        for deque in deques { try deque.close() }
        if oneIn(2) { world.restart() }
        if oneIn(2) {
            let contents = elements()
            if oneIn(3) {
                limit = pick(2 * configuration.length)
                model = Array(model.suffix(limit ?? 0))
                try open(limit, contents)
            } else {
                try open(nil, contents)
            }
            contents.forEach(append)
        }
    }

    private func compareAll() throws {
        try expectSame(try Array(deque.elements()), model, "elements")
        try expectSame(try Array(deque.elements(reversed: true)), model.reversed(), "reversed")
        for (place, element) in model.enumerated() {
            try expectSame(try deque[place], element, "element \(place)")
            try expectSame(try deque[place - model.count], element, "element \(place - model.count)")
        }
        guard oneIn(4), !deques[0].store.cache.handle.isInTransaction else { return }
        try expectSame(try deque.check().map(\.description), [], "check")
    }
}
