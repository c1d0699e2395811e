import Harness

/// The cost as a store grows.
struct Keys: Group {
    let name = "keys"
    let title = "From ten thousand keys to ten million"
    let about = """
        `get`, `get-miss` and `overwrite` of random keys in stores of more and more keys, what the stores take, and what opening one and \
        the first `get` takes when nothing of it is in memory. Loaded in bulk. The slower peers are left out of the largest store.
        """
    let keys = 10_000_000

    func run(_ run: Run) throws {
        var keys = min(10_000, run.keys)
        while keys <= run.keys {
            let contestants = run.contestants(with: []).filter { keys <= 1_000_000 || Growth.fastest.contains($0.name) }
            try run.turns(contestants, rounds: keys <= 1_000_000 ? min(run.rounds, 2) : 1, "\(grouped(keys)) keys") {
                contestant, round, path in
                let engine = try contestant.open(path, Conditions(keys: keys))
                let buffers = Buffers(valueSize: 100)
                try Run.load(engine, Plan(.set, count: keys, keys: keys).script()[...], buffers)
                for verb in [Verb.get, .miss, .overwrite] {
                    let plan = Plan(
                        verb, .uniform, count: run.part(min(keys, 300_000), of: contestant), keys: keys, seed: 4)
                    try run.measure(plan, engine, buffers, contestant, round: round, x: Double(keys))
                }
                try engine.close()
                guard contestant.traits.contains(.files) else { return }
                let space = try Files.space(path)
                try Files.forget(path)
                let begin = monotonicNanoseconds()
                let again = try contestant.open(path, Conditions(keys: keys))
                _ = try Run.measure(again, [Verb.get.step(keys / 2)], buffers)
                let time = monotonicNanoseconds() - begin
                try again.close()
                run.note(
                    Sample(
                        engine: contestant.name, workload: "store", x: Double(keys), round: round,
                        figures: ["opening": Double(time), Figure.space: Double(space) / Double(keys)]))
            }
            keys *= 10
        }
    }

    func render(_ result: GroupResult, into section: inout Section) {
        for verb in [Verb.get, .miss, .overwrite] {
            section.add(
                "`\(verb.name)`, mean, µs, by the number of keys:",
                result.table(Figure.mean, .micros, columns: result.columns(verb.name)))
            section.add(
                "keys-\(verb.name)",
                result.plot(
                    "\(verb.name), by the number of keys", verb.name, x: "keys", .logarithmic, Figure.mean,
                    y: "mean, µs",
                    .logarithmic, divisor: 1000))
        }
        section.add(
            "Bytes on the disk a key of 16 bytes with a value of 100, after the overwrites (of 3 % at ten million, of 30 % at one "
                + "million, of all below):",
            result.table(Figure.space, .plain, columns: result.columns("store")))
        section.add(
            "Opening with nothing in memory, and the first `get`, ms:",
            result.table("opening", .millis, columns: result.columns("store")))
    }
}
