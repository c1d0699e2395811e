import Harness

/// What other processes cost a writer.
struct Writers: Group {
    let name = "writers"
    let title = "Writers and other processes"
    let about = """
        `set` of new keys by one process: alone; while another has the store open and does nothing; and by two processes at once, back \
        to back. `share` is what the slower of the two did a second beside the faster.
        """
    let keys = 500_000

    func run(_ run: Run) throws {
        let contestants =
            run.contestants(with: [.processes, .files]) + Contestant.floors.filter { $0.name == "floor-flock" }
        try run.turns(contestants) { contestant, round, path in
            let conditions = Conditions(keys: 2 * run.keys)
            let count = run.part(run.keys, of: contestant)
            func note(_ workload: String, _ answer: WorkerAnswer, _ figures: [String: Double] = [:]) {
                let histogram = answer.histograms[Verb.set.name] ?? Histogram()
                let rate = Double(histogram.count) / Double(answer.end - answer.begin) * 1e9
                run.note(
                    Sample(
                        engine: contestant.name, workload: workload, round: round,
                        figures: figures.merging([Figure.rate: rate]) { $1 }, histogram: histogram))
            }
            for hasOther in [false, true] where !hasOther || contestant.traits.contains(.processes) {
                let store = "\(path)/\(hasOther)"
                try Files.makeDirectory(store)
                let writer = try Worker(contestant, store, conditions)
                let other = try hasOther ? Worker(contestant, store, conditions) : nil
                note(
                    hasOther ? "another has it open" : "alone", try writer.run(Plan(.set, count: count, keys: run.keys))
                )
                try writer.close()
                try other?.close()
            }
            guard contestant.traits.contains(.processes) else { return }
            let store = "\(path)/two"
            try Files.makeDirectory(store)
            let workers = try (0..<2).map { _ in try Worker(contestant, store, conditions) }
            let start = monotonicNanoseconds() + 300_000_000
            for (number, worker) in workers.enumerated() {
                // Inserts of a mix have keys of their own by the seed.
                let plan = Plan(
                    [(.set, 100), (.get, 0)], .uniform, count: count, keys: run.keys / 2, seed: UInt64(number))
                try worker.send(.run(plan, start: start, rangeLength: 100))
            }
            let answers = try workers.map { try $0.receive() }
            let times = answers.map { Double($0.end - $0.begin) }
            for answer in answers { note("one of two", answer, ["share": times.min()! / times.max()!]) }
            for worker in workers { try worker.close() }
        }
    }

    func render(_ result: GroupResult, into section: inout Section) {
        section.add("Mean, µs:", result.table(Figure.mean, .micros, columns: result.columns()))
        section.add("99.9 % don't exceed, µs:", result.table(Figure.percentile999, .micros, columns: result.columns()))
        section.add(
            "Two at once: `share`:",
            result.table("share", Format { fixed($0, 2) }, columns: [("share", "one of two", nil)]))
    }
}
