import DiskCache
import Harness

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// What only DiskCache and its model have: tags, orders that are made when they are first asked for, `Deque`, `Index`.
///
/// These aren't steps on keys, so each side times its own loops; `Peers/Python/beyond.py` has Python's.
struct Beyond: Group {
    let name = "beyond"
    let title = "Tags, orders, `Deque` and `Index`"
    let about = """
        The same operations with this library and with Python's DiskCache, which does fewer of each, since it is so much slower. A \
        scan's operation is one key; places and rotation are those of a deque of 3000 elements. The first scan of a cache makes the order.
        """
    let keys = 200_000

    private static let value = [UInt8](repeating: UInt8(ascii: "x"), count: 100)
    /// As long as a deque is whose places are asked for.
    private static let length = 3000

    func run(_ run: Run) throws {
        let python = run.contestants.first { $0.name == "python-diskcache" }
        for round in 0..<min(run.rounds, 3) {
            run.progress("round \(round + 1), diskcache")
            let path = "\(run.directory)/beyond"
            try Files.makeDirectory(path)
            func note(_ engine: String, _ name: String, _ nanoseconds: Double) {
                run.note(Sample(engine: engine, workload: name, round: round, figures: [Figure.mean: nanoseconds]))
            }
            try orders("\(path)/orders", keys: run.keys) { note("diskcache", $0, $1) }
            try tags("\(path)/tags", keys: run.keys) { note("diskcache", $0, $1) }
            try deque("\(path)/deque", keys: run.keys) { note("diskcache", $0, $1) }
            try index("\(path)/index", keys: run.keys) { note("diskcache", $0, $1) }
            if python != nil {
                run.progress("round \(round + 1), python-diskcache")
                let output = "\(path)/python.txt"
                try Files.makeDirectory("\(path)/python")
                setenv("PYTHONPATH", Driver.pythonPath, 1)
                let script = "\(Driver.benchmarks)/Peers/Python/beyond.py"
                guard try Child.run(["python3", script, "\(path)/python", "\(min(run.keys, 20_000))", output]) == 0
                else {
                    throw EngineError("beyond.py failed")
                }
                for line in try Files.read(output).split(separator: "\n") {
                    let words = line.split(separator: " ")
                    if words.count == 2, let figure = Double(words[1]) {
                        note("python-diskcache", String(words[0]), figure * 1000)
                    }
                }
            }
            try Files.remove(path)
        }
    }

    private func timed(_ count: Int, _ body: () throws -> Void) rethrows -> Double {
        let start = monotonicNanoseconds()
        try body()
        return Double(monotonicNanoseconds() - start) / Double(count)
    }

    private func open(_ path: String, _ change: (inout Cache.Configuration) -> Void = { _ in }) throws -> Cache {
        var configuration = DiskCacheEngine.configuration(Conditions(keys: 0))
        change(&configuration)
        return try Cache(directory: path, configuration: configuration)
    }

    private func count<E>(_ cursor: Cursor<E>, _ wanted: Int) throws {
        var count = 0
        while try cursor.next() != nil { count += 1 }
        guard count == wanted else { throw EngineError("a scan met \(count) of \(wanted)") }
    }

    private func orders(_ path: String, keys: Int, _ say: (String, Double) -> Void) throws {
        let cache = try open(path)
        var key = [UInt8](repeating: 0, count: KeyFormat.size)
        func fill(_ numbers: Range<Int>) throws {
            for number in numbers {
                key.withUnsafeMutableBytes { bytes in
                    bytes.copyBytes(from: "key-".utf8)
                    KeyFormat.write(UInt64(number &* 7_368_787 % 1_000_000_007), to: bytes.baseAddress!)
                }
                try cache.set(key, Self.value)
            }
        }
        try fill(0..<keys)
        say("first-scan-insertion", try timed(keys) { try count(cache.keys(), keys) })
        say("keys-insertion", try timed(keys) { try count(cache.keys(), keys) })
        say("first-scan-sorted", try timed(keys) { try count(cache.sortedKeys(), keys) })
        say("keys-sorted", try timed(keys) { try count(cache.sortedKeys(), keys) })
        say("keys-sorted-backward", try timed(keys) { try count(cache.sortedKeys(reversed: true), keys) })
        say("items-sorted", try timed(keys) { try count(cache.sortedItems(as: [UInt8].self), keys) })
        say("items-insertion", try timed(keys) { try count(cache.items(as: [UInt8].self), keys) })
        try fill(keys..<2 * keys)
        say("sorted-order-caught-up", try timed(keys) { _ = try cache.first(sorted: true) })
        try cache.close()
    }

    private func tags(_ path: String, keys: Int, _ say: (String, Double) -> Void) throws {
        let cache = try open(path) { $0.tagIndex = true }
        for number in 0..<keys { try cache.set(number, Self.value, tag: number % 2 == 0 ? "even" : "odd") }
        var removed = 0
        say("evict-tag", try timed(keys / 2) { removed = try cache.evict(tag: "even") })
        guard removed == keys / 2 else { throw EngineError("\(removed) of \(keys / 2) were evicted") }
        let begin = monotonicNanoseconds()
        try cache.clear()
        say("clear, as a whole", Double(monotonicNanoseconds() - begin))
        try cache.close()
    }

    private func deque(_ path: String, keys: Int, _ say: (String, Double) -> Void) throws {
        let deque = try Deque<[UInt8]>(
            directory: path, configuration: DiskCacheEngine.configuration(Conditions(keys: 0)))
        say("append", try timed(keys) { for _ in 0..<keys { try deque.append(Self.value) } })
        say("iterate", try timed(keys) { try count(deque.elements(), keys) })
        say("popleft", try timed(keys) { for _ in 0..<keys { _ = try deque.popFirst() } })
        try deque.append(contentsOf: repeatElement(Self.value, count: Self.length))
        say("at", try timed(keys) { for i in 0..<keys { _ = try deque[i &* 7919 % Self.length] } })
        say("rotate-1", try timed(keys / 10) { for _ in 0..<(keys / 10) { try deque.rotate(by: 1) } })
        for _ in 0..<10 { try deque.remove(at: Self.length / 3) }
        let left = Self.length - 10
        say("at-with-gaps", try timed(2000) { for i in 0..<2000 { _ = try deque[i &* 7919 % left] } })
        say("reverse", try timed(left) { try deque.reverse() })
        try deque.close()
    }

    private func index(_ path: String, keys: Int, _ say: (String, Double) -> Void) throws {
        let index = try Index<Int, [UInt8]>(
            directory: path, configuration: DiskCacheEngine.configuration(Conditions(keys: 0)))
        say("index-set", try timed(keys) { for i in 0..<keys { try index.set(i, Self.value) } })
        say("index-get", try timed(keys) { for i in 0..<keys { _ = try index[i &* 7919 % keys] } })
        say("index-iterate", try timed(keys) { try count(index.items(), keys) })
        say("popitem-first", try timed(keys / 2) { for _ in 0..<(keys / 2) { _ = try index.popFirst() } })
        say("popitem-last", try timed(keys / 2) { for _ in 0..<(keys / 2) { _ = try index.popLast() } })
        try index.close()
    }

    func render(_ result: GroupResult, into section: inout Section) {
        var table = Table(["operation", "diskcache, µs", "python-diskcache, µs", "times as fast"])
        for workload in result.workloads {
            guard let mine = result.spread(Figure.mean, "diskcache", workload) else { continue }
            let peer = result.spread(Figure.mean, "python-diskcache", workload)
            let ratio = result.ratio(Figure.mean, "python-diskcache", to: "diskcache", workload)
            table.add([
                workload, Format.micros.text(mine.median), peer.map { Format.micros.text($0.median) } ?? "",
                ratio.map { significant($0.median) } ?? "",
            ])
        }
        section.add("Mean, µs an operation:", table.text)
    }
}
