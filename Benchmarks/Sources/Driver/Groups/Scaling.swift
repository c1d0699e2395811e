import Harness
import Synchronization

/// The same work by several threads, and by several processes.
struct Scaling: Group {
    let name = "scaling"
    let title = "Threads and processes"
    let about = """
        1, 2, 4 and 8 threads of one process, and as many processes with a thread each, on one store: only `get` of any key, only \
        `overwrite`, and 95 % `get` with 5 % `overwrite`. All operations a second together. More than there are cores shows only that \
        nothing collapses.
        """
    let keys = 200_000

    private static let works: [(name: String, shares: [(Verb, Double)])] = [
        ("get", [(.get, 100)]), ("overwrite", [(.overwrite, 100)]), ("95 % get", [(.get, 95), (.overwrite, 5)]),
    ]

    func run(_ run: Run) throws {
        let rounds = min(run.rounds, 3)
        for kind in ["threads", "processes"] {
            try run.turns(
                run.contestants(with: kind == "threads" ? .threads : .processes), rounds: rounds, kind
            ) { contestant, round, path in
                let conditions = Conditions(keys: run.keys)
                for count in run.isSmoke ? [1, 2] : [1, 2, 4, 8] {
                    let store = "\(path)/\(count)"
                    try Files.makeDirectory(store)
                    let body = kind == "threads" ? threads : processes
                    try body(run, contestant, conditions, store, count) { workload, rate, histogram in
                        run.note(
                            Sample(
                                engine: contestant.name, workload: "\(workload), \(kind)", x: Double(count),
                                round: round,
                                figures: [Figure.rate: rate], histogram: histogram))
                    }
                }
            }
        }
    }

    private func plans(_ run: Run, _ contestant: Contestant, _ count: Int) -> [(String, [Plan])] {
        Self.works.map { work in
            // Together about as much whatever the number of threads.
            let steps = max(50, (run.isSmoke ? 20_000 : 400_000) / contestant.share / count)
            return (
                work.name,
                (0..<count).map {
                    Plan(work.shares, .uniform, count: steps, keys: run.keys, seed: UInt64($0 + 1))
                }
            )
        }
    }

    private func threads(
        _ run: Run, _ contestant: Contestant, _ conditions: Conditions, _ path: String, _ count: Int,
        _ done: (String, Double, Histogram) -> Void
    ) throws {
        struct Lane: @unchecked Sendable {
            let engine: any Engine
            let buffers: Buffers
            let script: [UInt32]
        }
        final class Outcome: Sendable {
            let times = Mutex<(begin: UInt64, end: UInt64, histogram: Histogram)>((.max, 0, Histogram()))
        }
        let engine = try contestant.open(path, conditions)
        try Run.load(engine, Plan(.set, count: run.keys, keys: run.keys).script()[...], Buffers(valueSize: 100))
        let sessions = try (0..<count).map { $0 == 0 ? engine : try engine.session() }
        for (name, plans) in plans(run, contestant, count) {
            let lanes = zip(sessions, plans).map {
                Lane(engine: $0, buffers: Buffers(valueSize: 100), script: $1.script())
            }
            let outcome = Outcome()
            let start = monotonicNanoseconds() + 20_000_000
            try withThreads(count) { number in
                let lane = lanes[number]
                while monotonicNanoseconds() < start {}
                let begin = monotonicNanoseconds()
                let measured = try Run.measure(lane.engine, lane.script[...], lane.buffers)
                outcome.times.withLock { times in
                    times.begin = min(times.begin, begin)
                    times.end = max(times.end, begin + measured.nanoseconds)
                    for histogram in measured.histograms.values { times.histogram.add(histogram) }
                }
            }
            let (begin, end, histogram) = outcome.times.withLock { $0 }
            done(name, Double(histogram.count) / Double(end - begin) * 1e9, histogram)
        }
        for session in sessions.dropFirst() where session !== engine { withExtendedLifetime(session) {} }
        try engine.close()
    }

    private func processes(
        _ run: Run, _ contestant: Contestant, _ conditions: Conditions, _ path: String, _ count: Int,
        _ done: (String, Double, Histogram) -> Void
    ) throws {
        let workers = try (0..<count).map { _ in try Worker(contestant, path, conditions) }
        try workers[0].ask(.load(Plan(.set, count: run.keys, keys: run.keys)))
        for (name, plans) in plans(run, contestant, count) {
            let start = monotonicNanoseconds() + 200_000_000
            for (worker, plan) in zip(workers, plans) { try worker.send(.run(plan, start: start, rangeLength: 100)) }
            let answers = try workers.map { try $0.receive() }
            var all = Histogram()
            for answer in answers { for histogram in answer.histograms.values { all.add(histogram) } }
            let time = answers.map(\.end).max()! - answers.map(\.begin).min()!
            done(name, Double(all.count) / Double(time) * 1e9, all)
        }
        for worker in workers { try worker.close() }
    }

    func render(_ result: GroupResult, into section: inout Section) {
        for workload in result.workloads {
            section.add(
                "`\(workload)`, thousand operations a second, all together:",
                result.table(Figure.rate, .thousands, columns: result.columns(workload)))
        }
        for kind in ["threads", "processes"] {
            for work in Self.works.prefix(2) {
                let workload = "\(work.name), \(kind)"
                section.add(
                    "scaling-\(kind)-\(work.name)",
                    result.plot(
                        "\(work.name) by several \(kind)", workload, x: kind, .logarithmic, Figure.rate,
                        y: "thousand operations a second", .logarithmic, divisor: 1000))
            }
        }
        section.add(
            "`95 % get`: 99 % don't exceed, µs, by threads:",
            result.table(Figure.percentile99, .micros, columns: result.columns("95 % get, threads")))
    }
}
