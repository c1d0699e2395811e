import Harness

/// The longest pauses while a store grows.
struct Growth: Group {
    let name = "growth"
    let title = "Pauses while a store grows"
    let about = """
        Each single `set` while a store grows from nothing to its last key, and, as long, a loop that only reads the clock, which shows \
        what the machine does by itself. The floor allocates and maps everything beforehand and meets page faults alone.
        """
    let keys = 10_000_000

    /// Those that ten million keys are stored with.
    static let fastest: Set = ["diskcache", "floor", "lmdb-writemap", "tkrzw-hash"]

    func run(_ run: Run) throws {
        let script = Plan(.set, count: run.keys, keys: run.keys).script()
        var longest: UInt64 = 0
        try run.turns(run.contestants.filter { Self.fastest.contains($0.name) }, rounds: 1) { contestant, round, path in
            let engine = try contestant.open(path, Conditions(keys: run.keys))
            let begin = monotonicNanoseconds()
            try run.measure(
                script[...], engine, Buffers(valueSize: 100), contestant, round: round, workload: Verb.set.name)
            if contestant.name == "diskcache" { longest = monotonicNanoseconds() - begin }
            try engine.close()
        }
        run.progress("a bare clock loop")
        var bare = Histogram()
        let begin = monotonicNanoseconds()
        var last = begin
        while last - begin < max(longest, 100_000_000) {
            let now = monotonicNanoseconds()
            bare.add(UInt32(clamping: now - last))
            last = now
        }
        run.note(Sample(engine: "(clock loop)", workload: Verb.set.name, round: 0, histogram: bare))
    }

    func render(_ result: GroupResult, into section: inout Section) {
        var table = Table([
            "engine", "p50, µs", "mean, µs", "p99.9, µs", "p99.999, µs", "longest, ms", "over 1 ms", "over 5 ms",
        ])
        for engine in result.engines {
            guard let histogram = result.histogram(engine, Verb.set.name) else { continue }
            table.add([
                engine, Format.micros.text(histogram.percentile(0.5)), Format.micros.text(histogram.mean),
                Format.micros.text(histogram.percentile(0.999)), Format.micros.text(histogram.percentile(0.99999)),
                Format.millis.text(Double(histogram.maximum)), "\(histogram.count(over: 1_000_000))",
                "\(histogram.count(over: 5_000_000))",
            ])
        }
        section.add("\(grouped(result.keys)) keys of 16 bytes, values of 100:", table.text)
    }
}
