import Harness

/// A cache that is full, under each policy that says what goes.
struct Full: Group {
    let name = "full"
    let title = "A full cache"
    let about = """
        A cache of 32 MiB that is full: `set` under new keys, each of which makes something else go, and `get` of keys by Zipf's law, some of \
        which are still there. Memory counts for Redis and memcached, the disk for the others.
        """
    let keys = 400_000

    func run(_ run: Run) throws {
        let limit = run.isSmoke ? 2 << 20 : 32 << 20
        for policy in ["least-recently-stored", "least-recently-used", "least-frequently-used"] {
            try run.turns(run.contestants.filter { $0.policies.contains(policy) }, rounds: min(2, run.rounds), policy) {
                contestant, round, path in
                let keys = max(run.keys, limit / 60)
                var conditions = Conditions(keys: keys)
                (conditions.limit, conditions.policy) = (limit, policy)
                let engine = try contestant.open(path, conditions)
                let buffers = Buffers(valueSize: 100)
                let order = Plan(.set, count: keys, keys: keys).script()
                let timed = run.part(keys / 4, of: contestant)
                // As many as fit one and a half times, and the first evictions, untimed.
                let filled = min(keys - timed, contestant.share > 1 ? limit / 120 : keys)
                try Run.load(engine, order[..<filled], buffers)
                if contestant.share > 1 {
                    _ = try Run.measure(engine, order[(keys - timed)..<(keys - timed + timed / 4)], buffers)
                }
                try run.measure(
                    order[(keys - timed + timed / 4)...], engine, buffers, contestant, round: round,
                    workload: "set, \(policy)")
                let plan = Plan(.probe, .zipf, count: run.part(keys / 4, of: contestant), keys: keys, seed: 9)
                try run.measure(plan, engine, buffers, contestant, round: round, workload: "get, \(policy)")
                try engine.close()
            }
        }
    }

    func render(_ result: GroupResult, into section: inout Section) {
        section.add("Mean, µs:", result.table(Figure.mean, .micros, columns: result.columns()))
        section.add("99.9 % don't exceed, µs:", result.table(Figure.percentile999, .micros, columns: result.columns()))
    }
}
