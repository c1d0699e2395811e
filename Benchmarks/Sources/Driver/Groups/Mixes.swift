import Harness

/// The workloads A to F of YCSB.
struct Mixes: Group {
    let name = "ycsb"
    let title = "YCSB A to F"
    let about = """
        The core workloads of the Yahoo! Cloud Serving Benchmark, one thread: A 50 % reads, 50 % updates; B 95 % reads, 5 % updates; \
        C reads; D 95 % reads of what was stored last, 5 % inserts; E 95 % ranges of 50, 5 % inserts; F 50 % reads, 50 % \
        read-modify-write. Keys by Zipf's law with exponent 0.99; values of 100 bytes (YCSB's own have 1000), so that the figures can be \
        put beside the others here.
        """

    static let mixes: [(name: String, shares: [(Verb, Double)], choice: Plan.Choice)] = [
        ("A", [(.get, 50), (.overwrite, 50)], .zipf),
        ("B", [(.get, 95), (.overwrite, 5)], .zipf),
        ("C", [(.get, 100)], .zipf),
        ("D", [(.get, 95), (.set, 5)], .latest),
        ("E", [(.range, 95), (.set, 5)], .zipf),
        ("F", [(.get, 50), (.modify, 50)], .zipf),
    ]

    func run(_ run: Run) throws {
        let keys = run.keys
        let scripts = Self.mixes.map { mix in
            let count = min(keys, mix.name == "E" ? 20_000 : 300_000)
            return Plan(mix.shares, mix.choice, count: count, keys: keys, seed: 5).script()
        }
        let order = Plan(.set, count: keys, keys: keys).script()
        try run.turns(run.contestants.filter { !$0.traits.contains(.special) }, rounds: min(run.rounds, 2)) {
            contestant, round, path in
            let engine = try contestant.open(path, Conditions(keys: keys))
            let buffers = Buffers(valueSize: 100)
            buffers.rangeLength = 50
            try Run.load(engine, order[...], buffers)
            for (mix, script) in zip(Self.mixes, scripts)
            where mix.shares.allSatisfy({ contestant.verbs.contains($0.0) }) {
                // D goes before E, whose inserts it doesn't know; each leaves the keys that the next one needs.
                let count = run.part(script.count, of: contestant)
                try run.measure(script[..<count], engine, buffers, contestant, round: round, workload: mix.name)
            }
            try engine.close()
        }
    }

    func render(_ result: GroupResult, into section: inout Section) {
        section.add("Thousand operations a second:", result.table(Figure.rate, .thousands, columns: result.columns()))
        section.add("99 % don't exceed, µs:", result.table(Figure.percentile99, .micros, columns: result.columns()))
    }
}
