import Harness
import Synchronization

/// Commits that are on the disk when they return.
struct Durable: Group {
    let name = "durable"
    let title = "Durable commits"
    let about = """
        `set` of new keys with every commit synced, by 1, 4 and 16 threads: durable commits a second, all together. `floor-sync` writes a \
        page of a file again and again and syncs it: what one flush costs.
        """
    let keys = 100_000

    func run(_ run: Run) throws {
        let milliseconds = run.isSmoke ? 200 : 1500
        var conditions = Conditions(keys: run.keys)
        conditions.isDurable = true
        for count in [1, 4, 16] {
            let contestants = run.contestants(with: .durable).filter { count == 1 || $0.traits.contains(.threads) }
            try run.turns(
                contestants + (count == 1 ? [.syncFloor] : []), rounds: min(2, run.rounds), "\(count) threads"
            ) {
                contestant, round, path in
                struct Lane: @unchecked Sendable {
                    let engine: any Engine
                    let buffers = Buffers(valueSize: 100)
                }
                let engine = try contestant.open(path, conditions)
                let lanes = try (0..<count).map { Lane(engine: $0 == 0 ? engine : try engine.session()) }
                let all = Mutex(Histogram())
                let end = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
                let begin = monotonicNanoseconds()
                try withThreads(count) { number in
                    var histogram = Histogram()
                    var key = number * 1_000_000
                    while monotonicNanoseconds() < end {
                        let script = [Verb.set.step(key)]
                        histogram.add(
                            UInt32(
                                clamping: try Run.measure(lanes[number].engine, script[...], lanes[number].buffers)
                                    .nanoseconds))
                        key += 1
                    }
                    all.withLock { $0.add(histogram) }
                }
                let seconds = Double(monotonicNanoseconds() - begin) / 1e9
                let histogram = all.withLock { $0 }
                run.note(
                    Sample(
                        engine: contestant.name, workload: "set", x: Double(count), round: round,
                        figures: [Figure.rate: Double(histogram.count) / seconds], histogram: histogram))
                try engine.close()
            }
        }
    }

    func render(_ result: GroupResult, into section: inout Section) {
        let columns = result.columns("set") { "\(Int($0)) thread\($0 == 1 ? "" : "s")" }
        section.add("Durable commits a second:", result.table(Figure.rate, .plain, columns: columns))
        section.add("One commit, median, µs:", result.table(Figure.median, .micros, columns: columns))
        section.add("99 % don't exceed, µs:", result.table(Figure.percentile99, .micros, columns: columns))
    }
}
