@testable import DiskCacheCore

/// What DiskCache does with queues, exactly and slowly: items by prefix and number.
struct QueueModel: Equatable {
    struct Item: Equatable {
        var value: String
        var expiry: Int64?

        func isExpired(_ now: Int64) -> Bool { expiry.map { $0 <= now } ?? false }
    }

    var queues: [String?: [Int64: Item]] = [:]
    /// Keys that aren't of queues.
    var others: [Int: Item] = [:]

    var count: Int { queues.values.reduce(others.count) { $0 + $1.count } }

    func end(_ side: Side, _ prefix: String?) -> Int64? {
        let numbers = (queues[prefix] ?? [:]).keys
        return side == .front ? numbers.min() : numbers.max()
    }

    mutating func push(_ item: Item, _ side: Side, _ prefix: String?) -> QueueKey {
        let number = end(side, prefix).map { side == .front ? $0 - 1 : $0 + 1 } ?? 500_000_000_000_000
        queues[prefix, default: [:]][number] = item
        return QueueKey(prefix: prefix, number: number)
    }

    mutating func removeExpired(_ side: Side, _ prefix: String?, _ now: Int64) {
        while let number = end(side, prefix), let item = queues[prefix]?[number], item.isExpired(now) {
            queues[prefix]?[number] = nil
        }
    }

    mutating func pull(_ side: Side, _ prefix: String?, _ now: Int64) -> (QueueKey, Item)? {
        removeExpired(side, prefix, now)
        guard let number = end(side, prefix), let item = queues[prefix]?[number] else { return nil }
        queues[prefix]?[number] = nil
        return (QueueKey(prefix: prefix, number: number), item)
    }

    func peek(_ side: Side, _ prefix: String?, _ now: Int64) -> (QueueKey, Item)? {
        var copy = self
        return copy.pull(side, prefix, now)
    }

    func live(_ key: QueueKey, _ now: Int64) -> Item? {
        queues[key.prefix]?[key.number].flatMap { $0.isExpired(now) ? nil : $0 }
    }
}
