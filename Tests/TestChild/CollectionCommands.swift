import DiskCache
import DiskCacheEngine
import TestSupport

/// Processes that change a deque or an index.
enum CollectionCommands {
    private struct Abandon: Error {}

    private static var configuration: Cache.Configuration {
        var configuration = Cache.Configuration()
        configuration.minFileSize = CollectionScript.minFileSize
        return configuration
    }

    private static func prepare(_ arguments: Arguments) {
        guard let point = FaultPoint(rawValue: arguments.text("point")) else { return }
        _ = FaultPoint.killAt(point, hit: arguments.number("hit", default: 1))
    }

    /// `deque`: makes changes of a script, and says the number of each that is done.
    static func deque(_ arguments: Arguments) throws {
        prepare(arguments)
        let script = CollectionScript(seed: UInt64(arguments.number("seed")))
        let deque = try Deque<String>(directory: arguments.text("directory"), configuration: configuration)
        var model = CollectionScript.DequeModel(try Array(deque.elements()), limit: try deque.maxLength)
        let first = arguments.number("first")
        for number in first..<(first + arguments.number("count")) {
            let change = script.change(number, of: model)
            switch change {
            case .append(let elements): try deque.append(contentsOf: elements)
            case .prepend(let elements): try deque.prepend(contentsOf: elements)
            case .popFirst: _ = try deque.popFirst()
            case .popLast: _ = try deque.popLast()
            case .rotate(let count): try deque.rotate(by: count)
            case .reverse: try deque.reverse()
            case .set(let element, let index): try deque.set(element, at: index)
            case .remove(let index): try deque.remove(at: index)
            case .limit(let limit): try deque.setMaxLength(limit)
            case .abandoned(let elements):
                do {
                    try deque.transact {
                        try deque.append(contentsOf: elements)
                        try deque.rotate(by: 2)
                        throw Abandon()
                    }
                } catch is Abandon {}
            }
            model.apply(change)
            TestChild.say("\(number)")
        }
        try deque.close()
    }

    /// `index`: the same.
    static func index(_ arguments: Arguments) throws {
        prepare(arguments)
        let script = CollectionScript(seed: UInt64(arguments.number("seed")))
        let index = try Index<String, String>(directory: arguments.text("directory"), configuration: configuration)
        var model = CollectionScript.IndexModel()
        model.items = try Array(index.items())
        let first = arguments.number("first")
        for number in first..<(first + arguments.number("count")) {
            let change = script.change(number, of: model)
            switch change {
            case .set(let key, let value): try index.set(key, value)
            case .merge(let items): try index.merge(items)
            case .remove(let key): try index.removeValue(forKey: key)
            case .popFirst: _ = try index.popFirst()
            case .popLast: _ = try index.popLast()
            case .update(let key): try index.update(key, default: "") { $0 += "+" }
            case .clear: try index.clear()
            case .abandoned(let items):
                do {
                    try index.transact {
                        try index.merge(items)
                        _ = try index.popFirst()
                        throw Abandon()
                    }
                } catch is Abandon {}
            }
            model.apply(change)
            TestChild.say("\(number)")
        }
        try index.close()
    }

    /// `take`: takes what it can get from the ends of a deque or an index, and says it; ends when standard input has ended and nothing
    /// comes any more.
    static func take(_ arguments: Arguments) throws {
        let isIndex = arguments.text("kind") == "index"
        let deque = isIndex ? nil : try Deque<String>(directory: arguments.text("directory"))
        let index = isIndex ? try Index<Int, String>(directory: arguments.text("directory")) : nil
        TestChild.say("ready")
        var number = 0
        while true {
            let isLast = TestChild.isReleased()
            number += 1
            let taken: String?
            if let deque {
                let timeout: Duration = .milliseconds(isLast ? 0 : 50)
                taken = try number % 2 == 0 ? deque.popFirst(timeout: timeout) : deque.popLast(timeout: timeout)
            } else {
                taken = try (number % 2 == 0 ? index?.popFirst() : index?.popLast())?.value
            }
            if let taken { TestChild.say(taken) } else if isLast { break }
        }
    }

    /// `holdcache`: opens a directory as a cache to which nothing was written yet, waits, and then writes.
    static func holdAsCache(_ arguments: Arguments) throws {
        let cache = try Cache(directory: arguments.text("directory"))
        TestChild.say("ready")
        TestChild.waitForParent()
        do {
            try cache.set("key", 1)
            TestChild.say("written")
        } catch let error as CacheError {
            TestChild.say("\(error.code)")
        }
    }
}
