import Harness

/// The mix of DiskCache's own benchmark, by one process and by eight.
struct Shared: Group {
    let name = "shared"
    let title = "DiskCache's own mix, by one process and by eight"
    let about = """
        90 % `get`, 9 % `set`, 1 % `delete` on 100 keys, values of 100 bytes; every process does as much as the one. With eight on the \
        few cores of this machine a time contains waits for the processor; all engines are in the same position.
        """
    let keys = 100_000

    func run(_ run: Run) throws {
        for processes in [1, 8] {
            let contestants = run.contestants(
                with: .processes, special: ["diskcache-fanout", "python-diskcache-fanout"])
            try run.turns(contestants, "\(processes) processes") { contestant, round, path in
                let conditions = Conditions(keys: 100)
                let workers = try (0..<processes).map { _ in try Worker(contestant, path, conditions) }
                try workers[0].ask(.load(Plan(.set, count: 100, keys: 100)))
                // A hundred thousand each of those that are fast; Python's are a tenth of that.
                let count = max(200, run.keys / max(1, contestant.share / 4))
                let start = monotonicNanoseconds() + 300_000_000
                for (number, worker) in workers.enumerated() {
                    let plan = Plan(
                        [(.probe, 90), (.overwrite, 9), (.remove, 1)], .uniform, count: count, keys: 100,
                        seed: UInt64(number))
                    try worker.send(.run(plan, start: start, rangeLength: 100))
                }
                let answers = try workers.map { try $0.receive() }
                let seconds = Double(answers.map(\.end).max()! - answers.map(\.begin).min()!) / 1e9
                for (verb, name) in [(Verb.probe, "get"), (.overwrite, "set"), (.remove, "delete")] {
                    var all = Histogram()
                    for answer in answers { if let part = answer.histograms[verb.name] { all.add(part) } }
                    run.note(
                        Sample(
                            engine: contestant.name, workload: name, x: Double(processes), round: round,
                            figures: [Figure.rate: Double(processes * count) / seconds], histogram: all))
                }
                for worker in workers { try worker.close() }
            }
        }
    }

    func render(_ result: GroupResult, into section: inout Section) {
        for processes in [1.0, 8] {
            let columns = result.workloads.map { (heading: $0, workload: $0, x: Double?.some(processes)) }
            let label = processes == 1 ? "One process" : "Eight processes"
            section.add("\(label), median, µs:", result.table(Figure.median, .micros, columns: columns))
            section.add(
                "\(label), 99 % don't exceed, µs:", result.table(Figure.percentile99, .micros, columns: columns))
            section.add("\(label), the longest, ms:", result.table(Figure.maximum, .millis, columns: columns))
            section.add(
                "\(label), thousand operations a second, all verbs and processes together:",
                result.table(Figure.rate, .thousands, columns: [("rate", "get", processes)]))
        }
    }
}
