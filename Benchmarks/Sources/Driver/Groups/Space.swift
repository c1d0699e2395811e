import Harness

/// What overwriting costs in bytes.
struct Space: Group {
    let name = "space"
    let title = "Space against overwrites"
    let about = """
        All keys are stored, then overwritten again and again, one transaction each: a quarter of them, drawn at random without repetition, then \
        another; or as many by Zipf's law. What the store then takes on the disk, times the payload of keys and values, and what was written. `compact` at the end is what the engine has for it: `compact()`, \
        `VACUUM`, a full manual compaction, a rebuild; LMDB has none but a copy.
        """
    let keys = 500_000
    static let orders: [(choice: Plan.Choice, label: String)] = [
        (.shuffled, "at random"), (.zipf, "by Zipf's law"),
    ]
    /// The same overwrites again, as often as it takes to tell compaction from the machine's mood.
    static let besideCompaction = "beside compaction"

    func run(_ run: Run) throws {
        let passes = 4
        let contestants = run.contestants(with: .files, special: ["diskcache-uncompacted"]).filter { $0.share <= 20 }
        for (choice, label) in Self.orders {
            try run.turns(contestants, rounds: 1, label) { contestant, round, path in
                let keys = max(20_000, run.keys / max(1, contestant.share / 2))
                let payload = Double(keys * (KeyFormat.size + 100))
                let worker = try Worker(contestant, path, Conditions(keys: keys))
                try worker.ask(.load(Plan(.set, count: keys, keys: keys)))
                var all = Histogram()
                var written = 0
                func note(_ workload: String, _ x: Double, _ histogram: Histogram? = nil) throws {
                    run.note(
                        Sample(
                            engine: contestant.name, workload: workload, x: x, round: round,
                            figures: [
                                Figure.space: Double(try Files.space(path)) / payload,
                                Figure.written: x == 0 ? 0 : Double(written) / (x * payload),
                            ], histogram: histogram))
                }
                try note(label, 0)
                for quarter in 1...(4 * passes) {
                    let plan = Plan(.overwrite, choice, count: keys / 4, keys: keys, seed: UInt64(quarter))
                    let answer = try worker.run(plan)
                    written += answer.written
                    for histogram in answer.histograms.values { all.add(histogram) }
                    try note(label, Double(quarter) / 4)
                }
                try note("\(label), overwrites", Double(passes), all)
                try worker.ask(.compact)
                try note("\(label), after compact", Double(passes))
                try worker.close()
                try note("\(label), closed", Double(passes))
            }
            let own = contestants.filter { $0.name.hasPrefix("diskcache") }
            try run.turns(own, rounds: run.isSmoke ? 1 : 5, "\(label), \(Self.besideCompaction)") {
                contestant, round, path in
                let worker = try Worker(contestant, path, Conditions(keys: run.keys))
                try worker.ask(.load(Plan(.set, count: run.keys, keys: run.keys)))
                var all = Histogram()
                for quarter in 1...(4 * passes) {
                    let answer = try worker.run(
                        Plan(.overwrite, choice, count: run.keys / 4, keys: run.keys, seed: UInt64(quarter)))
                    for histogram in answer.histograms.values { all.add(histogram) }
                }
                run.note(
                    Sample(
                        engine: contestant.name, workload: "\(label), \(Self.besideCompaction)", round: round,
                        histogram: all))
                try worker.close()
            }
        }
    }

    func render(_ result: GroupResult, into section: inout Section) {
        for (choice, label) in Self.orders {
            let last = result.xs(label).last ?? 0
            section.add(
                "Overwritten \(label): space on the disk, times the payload, after so many overwrites a key; after `compact`; and closed:",
                result.table(
                    Figure.space, .plain,
                    columns: [0, 0.5, 1, 2, 3, 4].map { (significant($0), label, $0) } + [
                        ("after compact", "\(label), after compact", last), ("closed", "\(label), closed", last),
                    ]))
            section.add(
                "space-\(choice == .zipf ? "zipf" : "uniform")",
                result.plot(
                    "Space while overwriting, \(label)", label, x: "overwrites a key", .linear, Figure.space,
                    y: "bytes on disk / bytes of keys and values", .linear))
        }
        section.add(
            "Bytes written a byte of payload overwritten (as the system counts what a process makes dirty, pages once between two writebacks):",
            result.table(
                Figure.written, .plain,
                columns: Self.orders.map { ($0.label, "\($0.label), overwrites", nil) }))
        let columns = Self.orders.map { (heading: $0.label, workload: "\($0.label), overwrites", x: Double?.none) }
        section.add("One overwrite, mean, µs:", result.table(Figure.mean, .micros, columns: columns))
        section.add("99.9 % don't exceed, µs:", result.table(Figure.percentile999, .micros, columns: columns))
        section.add("The longest, ms:", result.table(Figure.maximum, .millis, columns: columns))
        section.add(
            "The same overwrites with compaction and without, five rounds in turns: 99.9 % don't exceed, µs:",
            result.table(
                Figure.percentile999, .micros,
                columns: Self.orders.map { ($0.label, "\($0.label), \(Self.besideCompaction)", nil) }))
    }
}
