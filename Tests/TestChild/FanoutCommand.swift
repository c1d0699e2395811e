import DiskCache
import TestSupport

/// Processes on one cache of several shards.
enum FanoutCommand {
    /// What operation `number` of a writer does: the key among its own, and its new value; nil: it is deleted.
    static func operation(_ writer: Int, _ number: Int) -> (key: String, value: Int?) {
        ("\(writer).\(number % 20)", number % 7 == 3 ? nil : number)
    }

    /// `fanout`: sets and deletes keys of its own, dropping what doesn't get the lock, and counts in a counter of all, waiting for it.
    /// Says after each number what became of it: `done`, or `dropped`.
    static func write(_ arguments: Arguments) throws {
        let cache = try FanoutCache(directory: arguments.text("directory"), dropAfter: .milliseconds(1))
        let writer = arguments.number("writer")
        var number = arguments.number("first")
        let end = arguments.number("count", default: .max - number) + number
        while number < end, !TestChild.isReleased() {
            let (key, value) = operation(writer, number)
            let before = cache.droppedWrites
            if let value { try cache.set(key, value) } else { try cache.delete(key) }
            let isDropped = cache.droppedWrites != before
            if number % 10 == 0 {
                try cache.transact { transaction in
                    transaction["left", default: 0] += 1
                    transaction["right", default: 0] -= 1
                }
            }
            try cache.incr("sum", retry: true)
            TestChild.say("\(isDropped ? "dropped" : "done") \(number)")
            number += 1
        }
        try cache.close()
    }

    /// `fanoutfill`: stores values of 20 to 40 KB under keys of its own, and says how many.
    static func fill(_ arguments: Arguments) throws {
        let cache = try FanoutCache(directory: arguments.text("directory"))
        let writer = arguments.number("writer")
        var stored = 0
        for number in 0..<arguments.number("count") {
            let value = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 20_000 + number * 37 % 20_000)
            if try cache.set("\(writer) \(number)", value) { stored += 1 }
        }
        TestChild.say("\(stored) \(cache.droppedWrites)")
        try cache.close()
    }
}
