import Harness

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Every operation by itself: one process, one thread, one transaction an operation.
struct Basic: Group {
    let name = "basic"
    let title = "Each operation by itself"
    let about = """
        One process and one thread, one transaction an operation, nothing synced. `get-hit` copies into a buffer that is used \
        again, `get-borrowed` reads the value where it lies (the first eight bytes and the size), `get-array` and `get-string` \
        make a new one. Keys are asked for in random order. A scan's and a range's figure is the time of one key.
        """

    func run(_ run: Run) throws {
        let keys = run.keys
        let order = Plan(.set, count: keys, keys: keys).script()
        run.note(
            Sample(engine: "(loop, keys and clock)", workload: Verb.set.name, round: 0, histogram: try Run.baseline()))
        try run.turns(run.contestants(with: [], special: ["diskcache-normal", "diskcache-string"])) {
            contestant, round, path in
            let engine = try contestant.open(path, Conditions(keys: keys))
            let buffers = Buffers(valueSize: 100)
            try warmUp(contestant, path + "-warm")
            let timed = run.part(keys, of: contestant)
            try Run.load(engine, order[..<(keys - timed)], buffers)
            try run.measure(
                order[(keys - timed)...], engine, buffers, contestant, round: round, workload: Verb.set.name)
            func measure(_ verb: Verb, _ count: Int) throws {
                guard contestant.verbs.contains(verb) else { return }
                let count = run.part(min(count, keys), of: contestant)
                try run.measure(
                    Plan(verb, count: count, keys: keys, seed: UInt64(verb.rawValue)), engine, buffers, contestant,
                    round: round)
            }
            for verb in [Verb.get, .borrow, .array, .string, .miss] { try measure(verb, 1_000_000) }
            try measure(.overwrite, 300_000)
            for verb in [Verb.scanSorted, .scanInsertion] where contestant.verbs.contains(verb) {
                // Python's sorts what is left for every hundred keys, five minutes for a million; `beyond` has it for fewer.
                if contestant.share >= 40, verb == .scanSorted, keys > 100_000 { continue }
                // Once before, untimed: what an engine makes when it is first asked is in another group.
                if contestant.share < 40 { _ = try Run.measure(engine, [verb.step(0)], buffers) }
                let time = try Run.measure(engine, [verb.step(0)], buffers).nanoseconds
                run.note(
                    Sample(
                        engine: contestant.name, workload: verb.name, round: round,
                        figures: [Figure.mean: Double(time) / Double(keys)]))
            }
            if contestant.verbs.contains(.range) {
                let count = run.part(20_000, of: contestant)
                let script = Plan(.range, count: count, keys: keys, seed: 3).script()
                let time = try Run.measure(engine, script[...], buffers).nanoseconds
                run.note(
                    Sample(
                        engine: contestant.name, workload: Verb.range.name, round: round,
                        figures: [Figure.mean: Double(time) / Double(count) / 100]))
            }
            try measure(.incr, 200_000)
            try measure(.push, 200_000)
            try measure(.pull, 200_000)
            let deleted = run.part(min(keys / 10, 100_000), of: contestant)
            try run.measure(
                Plan(.delete, count: deleted, keys: keys), engine, buffers, contestant, round: round)
            try engine.close()
        }
    }

    /// A hundredth of the work in a store of its own, so that code and libraries are in memory.
    private func warmUp(_ contestant: Contestant, _ path: String) throws {
        try Files.makeDirectory(path)
        let keys = 2000
        defer { try? Files.remove(path) }
        let engine = try contestant.open(path, Conditions(keys: keys))
        let buffers = Buffers(valueSize: 100)
        for verb in [Verb.set, .get, .miss, .overwrite, .delete] {
            let count = min(keys, max(20, 10_000 / contestant.share))
            let steps = Plan(.set, count: keys, keys: keys).script()
            if verb == .set {
                try Run.load(engine, steps[...], buffers)
            } else {
                _ = try Run.measure(engine, Plan(verb, count: count, keys: keys).script()[...], buffers)
            }
        }
        try engine.close()
    }

    func render(_ result: GroupResult, into section: inout Section) {
        let columns = result.columns()
        section.add("Median, µs:", result.table(Figure.median, .micros, columns: columns))
        section.add("Mean, µs:", result.table(Figure.mean, .micros, columns: columns))
        section.add("99.9 % don't exceed, µs:", result.table(Figure.percentile999, .micros, columns: columns))
        section.add(
            "The longest of all rounds, ms (median of the rounds' longest):",
            result.table(Figure.maximum, .millis, columns: columns))
        section.add(
            "Mean time divided by that of `diskcache` in the same round: median (least to greatest). Above 1: slower than `diskcache`.",
            result.ratioTable(Figure.mean, to: "diskcache", columns: columns))
        for verb in [Verb.get, .set] {
            var plot = Plot(
                "How long \(verb.name) takes: \(grouped(result.keys)) keys of 16 bytes, values of 100",
                x: "share of the operations that don't take longer", .nines, y: "µs", .logarithmic)
            for engine in result.engines {
                guard let histogram = result.histogram(engine, verb.name) else { continue }
                plot.add(engine, histogram.curve.map { ($0.fraction, $0.nanoseconds / 1000) })
            }
            section.add("latency-\(verb.name)", plot)
        }
    }
}

extension Histogram {
    /// The times that given fractions don't exceed, close enough together for a line.
    var curve: [(fraction: Double, nanoseconds: Double)] {
        guard count >= 100 else { return [] }
        let fractions = (0...160).map { 1 - pow(10, -Double($0) / 40) }
        return fractions.filter { (1 - $0) * Double(count) >= 5 }.map { (max($0, 0.001), percentile(max($0, 0.001))) }
    }
}
