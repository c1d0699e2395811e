import Harness

/// Values from 10 bytes to a megabyte.
struct Sizes: Group {
    let name = "sizes"
    let title = "Sizes of values"
    let about = """
        As above, with values of other sizes; of the larger ones fewer, so that a store holds about 100 MB. DiskCache keeps values \
        of 32 KiB and more in files of their own.
        """
    let keys = 200_000

    func run(_ run: Run) throws {
        for size in [10, 100, 1000, 10_000, 100_000, 1_000_000] {
            let keys = min(run.keys, max(20, run.keys * 500 / size))
            try run.turns(
                run.contestants.filter { !$0.traits.contains(.special) }, rounds: min(run.rounds, 2), "\(size) bytes"
            ) {
                contestant, round, path in
                let engine = try contestant.open(path, Conditions(keys: keys, valueSize: size))
                let buffers = Buffers(valueSize: size)
                let order = Plan(.set, count: keys, keys: keys).script()
                let timed = run.part(keys, of: contestant)
                try Run.load(engine, order[..<(keys - timed)], buffers)
                try run.measure(
                    order[(keys - timed)...], engine, buffers, contestant, round: round, x: Double(size),
                    workload: Verb.set.name)
                for verb in [Verb.get, .borrow, .overwrite] where contestant.verbs.contains(verb) {
                    let plan = Plan(verb, count: run.part(keys, of: contestant), keys: keys, seed: 1)
                    try run.measure(plan, engine, buffers, contestant, round: round, x: Double(size))
                }
                try engine.close()
            }
        }
    }

    func render(_ result: GroupResult, into section: inout Section) {
        for workload in result.workloads {
            section.add(
                "`\(workload)`, mean, µs, by the bytes of a value:",
                result.table(Figure.mean, .micros, columns: result.columns(workload)))
        }
        for workload in [Verb.get.name, Verb.set.name] {
            section.add(
                "sizes-\(workload)",
                result.plot(
                    "\(workload), by the size of the value", workload, x: "bytes a value", .logarithmic,
                    Figure.mean, y: "mean, µs", .logarithmic, divisor: 1000))
        }
    }
}

extension GroupResult {
    /// A line an engine: a figure by x, medians over the rounds.
    func plot(
        _ title: String, _ workload: String, x: String, _ xScale: Plot.Scale, _ figure: String, y: String,
        _ yScale: Plot.Scale, divisor: Double = 1, only: (String) -> Bool = { _ in true }
    ) -> Plot {
        var plot = Plot(title, x: x, xScale, y: y, yScale)
        for engine in engines where only(engine) {
            plot.add(
                engine,
                xs(workload).compactMap { x in
                    spread(figure, engine, workload, x: x).map { (x, $0.median / divisor) }
                })
        }
        return plot
    }
}
