import DiskCache
import Workloads

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// What a cache does beyond get and set, beside Python's DiskCache at the same work (`Peers/diskcache_peer.py`, which does fewer
/// operations of each, since it is so much slower). The two take turns.
enum Verbs {
    private static let value = [UInt8](repeating: UInt8(ascii: "x"), count: 100)

    static func run(keys: Int, rounds: Int, directory: String) throws -> String {
        var order: [String] = []
        var ours: [String: [Double]] = [:]
        var peers: [String: [Double]] = [:]
        for round in 0..<rounds {
            Files.log("verbs: round \(round + 1) of \(rounds), diskcache\n")
            let path = "\(directory)/verbs-\(round)"
            try Files.makeDirectory(path)
            try measure(in: path, keys: keys) { name, figure in
                if ours[name] == nil { order.append(name) }
                ours[name, default: []].append(figure)
            }
            Files.log("verbs: round \(round + 1) of \(rounds), python-diskcache\n")
            for (name, figure) in try peer(in: path, keys: keys) { peers[name, default: []].append(figure) }
            try Files.remove(path)
        }
        var text = """
            Microseconds an operation, medians over \(rounds) rounds; a scan's operation is one key.

            | operation | diskcache | python-diskcache | times as fast |
            |---|--:|--:|--:|

            """
        for name in order {
            let mine = median(ours[name] ?? [])
            let peer = peers[name].map(median)
            let ratio = peer.map { "\(Int(($0 / mine).rounded()))" } ?? "-"
            text += "| \(name) | \(rounded(mine)) | \(peer.map(rounded) ?? "-") | \(ratio) |\n"
        }
        return text
    }

    private static func median(_ figures: [Double]) -> Double { figures.sorted()[figures.count / 2] }

    private static func rounded(_ figure: Double) -> String { "\((figure * 1000).rounded() / 1000)" }

    /// Microseconds of each of `count` operations.
    private static func timed(_ count: Int, _ body: () throws -> Void) rethrows -> Double {
        let start = monotonicNanoseconds()
        try body()
        return Double(monotonicNanoseconds() - start) / 1000 / Double(count)
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

    /// The peer's figures by name; none where Python or its DiskCache isn't installed.
    private static func peer(in directory: String, keys: Int) throws -> [(String, Double)] {
        let source = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let output = "\(directory)/peer.txt"
        let store = "\(directory)/peer"
        try Files.makeDirectory(store)
        setenv("PYTHONPATH", "/\(source)/.build/python", 1)
        let script = "/\(source)/Peers/diskcache_peer.py"
        guard try Child.run("python3", ["python3", script, store, String(keys), output]) == 0 else {
            Files.log("verbs: python-diskcache isn't there; Benchmarks/setup installs it\n")
            return []
        }
        return try Files.read(output).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 2, let figure = Double(words[1]) else { return nil }
            return (String(words[0]), figure)
        }
    }
}
