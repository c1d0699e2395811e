import DiskCache
import Workloads

/// What a cache does beyond get and set, beside Python's DiskCache at the same work (`Peers/diskcache_peer.py`, which does fewer
/// operations of each, since it is so much slower). The two take turns.
enum Verbs {
    private static let value = [UInt8](repeating: UInt8(ascii: "x"), count: 100)

    static func run(keys: Int, rounds: Int, directory: String) throws -> String {
        try PeerRace(name: "verbs", script: "diskcache_peer.py", note: "a scan's operation is one key")
            .run(keys: keys, rounds: rounds, directory: directory, measure)
    }

    private static func timed(_ count: Int, _ body: () throws -> Void) rethrows -> Double {
        try PeerRace.timed(count, body)
    }

    private static func open(_ path: String, _ change: (inout Cache.Configuration) -> Void = { _ in }) throws -> Cache {
        var configuration = Cache.Configuration()
        configuration.durability = Durability.none
        change(&configuration)
        return try Cache(directory: path, configuration: configuration)
    }

    private static func measure(in directory: String, keys: Int, _ say: (String, Double) -> Void) throws {
        try queues("\(directory)/queue", keys: min(keys, 100_000), say)
        try orders("\(directory)/order", keys: keys, say)
        try tags("\(directory)/tag", keys: min(keys, 100_000), say)
        for policy in [EvictionPolicy.leastRecentlyStored, .leastRecentlyUsed, .leastFrequentlyUsed] {
            try full("\(directory)/\(policy.rawValue)", policy, keys: min(keys, 200_000), say)
        }
    }

    private static func queues(_ path: String, keys: Int, _ say: (String, Double) -> Void) throws {
        let cache = try open(path)
        say("push", try timed(keys) { for _ in 0..<keys { try cache.push(value) } })
        say("pull", try timed(keys) { for _ in 0..<keys { _ = try cache.pull(as: [UInt8].self) } })
        try cache.close()
    }

    private static func orders(_ path: String, keys: Int, _ say: (String, Double) -> Void) throws {
        let cache = try open(path) { $0.cullLimit = 0 }
        for number in 0..<keys { try cache.set(key(number &* 7919 % keys), value) }
        func scan(_ cursor: Cursor<AnyCacheKey>) throws {
            var count = 0
            while try cursor.next() != nil { count += 1 }
            precondition(count == keys, "a scan met \(count) of \(keys) keys")
        }
        say("first-scan-insertion", try timed(keys) { try scan(cache.keys()) })
        say("keys-insertion", try timed(keys) { try scan(cache.keys()) })
        say("first-scan-sorted", try timed(keys) { try scan(cache.sortedKeys()) })
        say("keys-sorted", try timed(keys) { try scan(cache.sortedKeys()) })
        try cache.close()
    }

    private static func tags(_ path: String, keys: Int, _ say: (String, Double) -> Void) throws {
        let cache = try open(path) {
            $0.cullLimit = 0
            $0.tagIndex = true
        }
        for number in 0..<keys { try cache.set(number, value, tag: number % 2 == 0 ? "even" : "odd") }
        var removed = 0
        say("evict-tag", try timed(keys / 2) { removed = try cache.evict(tag: "even") })
        precondition(removed == keys / 2, "\(removed) of \(keys / 2) were evicted")
        try cache.close()
    }

    private static func full(
        _ path: String, _ policy: EvictionPolicy, keys: Int, _ say: (String, Double) -> Void
    ) throws {
        let limit = keys < 50_000 ? 4 << 20 : 32 << 20
        let cache = try open(path) {
            $0.evictionPolicy = policy
            $0.sizeLimit = Int64(limit)
        }
        var number = 0
        while try cache.metrics.evicted == 0 {
            try cache.set(number, value)
            number += 1
        }
        let first = number
        say("set-full-\(policy.rawValue)", try timed(keys) { for i in 0..<keys { try cache.set(first + i, value) } })
        try cache.close()
    }

    private static func key(_ number: Int) -> [UInt8] {
        var key = [UInt8](repeating: UInt8(ascii: "0"), count: KeyFormat.size)
        var (rest, place) = (number, KeyFormat.size - 1)
        while rest > 0 {
            key[place] = UInt8(ascii: "0") + UInt8(rest % 10)
            (rest, place) = (rest / 10, place - 1)
        }
        return key
    }
}
