/// One engine in one configuration.
public struct Contestant: Sendable {
    /// A short name, for tables and the command line.
    public let name: String
    /// How the engine is configured, in a sentence.
    public let configuration: String
    /// Opens a new store in an empty folder, sized for a workload.
    let open: @Sendable (_ directory: String, _ workload: Workload) throws -> any Engine

    /// A contestant that `open` opens.
    public init(
        _ name: String, _ configuration: String,
        open: @escaping @Sendable (_ directory: String, _ workload: Workload) throws -> any Engine
    ) {
        self.name = name
        self.configuration = configuration
        self.open = open
    }
}

/// What one operation cost in one round of one contestant.
public struct Measurement: Sendable {
    /// Each call timed by itself.
    public let latencies: Histogram
    /// The whole loop timed, without a clock read a call: nanoseconds an operation.
    public let loop: Double
}

/// The workload run by several contestants that take turns.
///
/// A turn is one contestant's whole life of a store, twice: once with each call timed, once with the loops timed as a
/// whole. The next round begins with the next contestant, so none is always first. One store is open at a time, and it
/// is removed before the next turn. Before the first round every contestant runs a tenth of the keys, untimed.
public struct Race {
    /// The engines, in the order of the report.
    public let contestants: [Contestant]
    /// Keys a store.
    public let keyCount: Int
    /// Turns of each contestant.
    public let rounds: Int
    /// The folder for the stores.
    public let directory: String

    /// A race of `contestants`.
    public init(_ contestants: [Contestant], keyCount: Int, rounds: Int, directory: String) {
        self.contestants = contestants
        self.keyCount = keyCount
        self.rounds = rounds
        self.directory = directory
    }

    /// Runs all turns; `progress` is told what begins.
    public func run(progress: (String) -> Void) throws -> Results {
        let warmUp = Workload(keyCount: max(20, keyCount / 10))
        for contestant in contestants {
            progress("warm-up: \(contestant.name)")
            _ = try turn(of: contestant, on: warmUp)
        }
        let workload = Workload(keyCount: keyCount)
        var measurements = [[[Operation: Measurement]]](repeating: [], count: contestants.count)
        for round in 0..<rounds {
            for place in contestants.indices {
                let index = (place + round) % contestants.count
                let turns = "\(round * contestants.count + place + 1) of \(rounds * contestants.count)"
                progress("round \(round + 1) of \(rounds), turn \(turns): \(contestants[index].name)")
                measurements[index].append(try turn(of: contestants[index], on: workload))
            }
        }
        return Results(
            contestants: contestants, measurements: measurements, harness: try harness(workload),
            keyCount: keyCount, valueSize: workload.valueSize, rounds: rounds)
    }

    private func turn(of contestant: Contestant, on workload: Workload) throws -> [Operation: Measurement] {
        var latencies: [Operation: Histogram] = [:]
        try life(of: contestant, on: workload, timingCalls: true) { operation, _ in
            let count = operation.count(keyCount: workload.keyCount)
            latencies[operation] = Histogram(UnsafeBufferPointer(start: workload.latencies, count: count))
        }
        var measurements: [Operation: Measurement] = [:]
        try life(of: contestant, on: workload, timingCalls: false) { operation, nanoseconds in
            let loop = Double(nanoseconds) / Double(operation.count(keyCount: workload.keyCount))
            measurements[operation] = Measurement(latencies: latencies[operation]!, loop: loop)
        }
        return measurements
    }

    /// One store from its creation to its removal, through all operations.
    private func life(
        of contestant: Contestant, on workload: Workload, timingCalls: Bool, done: (Operation, UInt64) -> Void
    ) throws {
        let store = "\(directory)/store"
        try Files.makeDirectory(store)
        let engine = try contestant.open(store, workload)
        for operation in Operation.allCases {
            workload.prepare(operation)
            let nanoseconds = try engine.run(
                operation, on: workload, latencies: timingCalls ? workload.latencies : nil)
            done(operation, nanoseconds)
            try engine.verify(operation, on: workload)
        }
        try engine.close()
        try Files.remove(store)
    }

    /// The loop, the keys and the clock by themselves: the best of five.
    private func harness(_ workload: Workload) throws -> Measurement {
        let engine: any Engine = NoEngine()
        workload.prepare(.setNew)
        var best: Measurement?
        for _ in 0..<5 {
            _ = try engine.run(.setNew, on: workload, latencies: workload.latencies)
            let latencies = Histogram(UnsafeBufferPointer(start: workload.latencies, count: workload.keyCount))
            let loop = Double(try engine.run(.setNew, on: workload, latencies: nil)) / Double(workload.keyCount)
            if loop < best?.loop ?? .infinity { best = Measurement(latencies: latencies, loop: loop) }
        }
        return best!
    }
}
