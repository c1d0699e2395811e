/// What one engine did in one workload of one round.
public struct Sample: Codable, Sendable {
    /// The contestant's name.
    public var engine: String
    /// What was done.
    public var workload: String
    /// The value of what the group varies: keys, threads, bytes.
    public var x: Double
    /// The round, from 0.
    public var round: Int
    /// Figures by name; those in nanoseconds are named in `Figure`.
    public var figures: [String: Double]
    /// How long each operation took.
    public var histogram: Histogram?

    /// A sample.
    public init(
        engine: String, workload: String, x: Double = 0, round: Int, figures: [String: Double] = [:],
        histogram: Histogram? = nil
    ) {
        (self.engine, self.workload, self.x, self.round) = (engine, workload, x, round)
        (self.figures, self.histogram) = (figures, histogram)
    }

    /// A figure by its name; nil if the sample has none of it.
    public func figure(_ name: String) -> Double? {
        if let value = figures[name] { return value }
        guard let histogram else { return nil }
        return switch name {
        case Figure.median: histogram.percentile(0.5)
        case Figure.mean: histogram.mean
        case Figure.percentile99: histogram.percentile(0.99)
        case Figure.percentile999: histogram.percentile(0.999)
        case Figure.maximum: Double(histogram.maximum)
        default: nil
        }
    }
}

/// The names of figures, as they stand in files and tables.
public enum Figure {
    /// The middle of the operations' times, in nanoseconds, as all of the next four.
    public static let median = "p50"
    /// The mean.
    public static let mean = "mean"
    /// What 99 % don't exceed.
    public static let percentile99 = "p99"
    /// What 99.9 % don't exceed.
    public static let percentile999 = "p99.9"
    /// The longest.
    public static let maximum = "max"
    /// Operations a second, of all threads and processes together.
    public static let rate = "rate"
    /// Bytes that the store takes on the disk.
    public static let space = "space"
    /// Bytes that the process caused to be written.
    public static let written = "written"
}

/// A median over rounds, and the least and greatest of them.
public struct Spread: Sendable {
    /// The middle; of an even number, the mean of the two in the middle.
    public let median: Double
    /// The least.
    public let least: Double
    /// The greatest.
    public let greatest: Double

    /// The spread of `values`; nil of none.
    public init?(_ values: [Double]) {
        let sorted = values.sorted()
        guard let first = sorted.first, let last = sorted.last else { return nil }
        (least, greatest) = (first, last)
        median = (sorted[sorted.count / 2] + sorted[(sorted.count - 1) / 2]) / 2
    }
}

/// What a group of workloads found, with all that is needed to read it.
public struct GroupResult: Codable, Sendable {
    /// The group's name.
    public var group: String
    /// The machine.
    public var machine: Machine
    /// Keys of a store.
    public var keys: Int
    /// Turns of each engine.
    public var rounds: Int
    /// The contestants in the order of the report: name, version, configuration.
    public var contestants: [[String]]
    /// Why engines have no figures, where they failed.
    public var failures: [String]
    /// All samples.
    public var samples: [Sample]

    /// A result.
    public init(
        group: String, machine: Machine, keys: Int, rounds: Int, contestants: [[String]], failures: [String],
        samples: [Sample]
    ) {
        (self.group, self.machine, self.keys, self.rounds) = (group, machine, keys, rounds)
        (self.contestants, self.failures, self.samples) = (contestants, failures, samples)
    }

    /// The engines that have samples, in the order of the report; others by the order of their samples.
    public var engines: [String] { distinct(samples.map(\.engine), first: contestants.map { $0[0] }) }

    /// The workloads, in the order of their first samples.
    public var workloads: [String] { distinct(samples.map(\.workload), first: []) }

    /// The values of x of a workload, ascending.
    public func xs(_ workload: String) -> [Double] {
        Set(samples.lazy.filter { $0.workload == workload }.map(\.x)).sorted()
    }

    private func distinct(_ names: [String], first: [String]) -> [String] {
        var seen: Set<String> = []
        let all = Set(names)
        return (first.filter { all.contains($0) } + names).filter { seen.insert($0).inserted }
    }

    private func samples(_ engine: String, _ workload: String, _ x: Double?) -> [Sample] {
        samples.filter { $0.engine == engine && $0.workload == workload && (x == nil || $0.x == x) }
    }

    /// A figure of an engine over the rounds; nil if it has none.
    public func spread(_ figure: String, _ engine: String, _ workload: String, x: Double? = nil) -> Spread? {
        Spread(samples(engine, workload, x).compactMap { $0.figure(figure) })
    }

    /// A figure of an engine divided by that of `reference` in the same round.
    public func ratio(
        _ figure: String, _ engine: String, to reference: String, _ workload: String, x: Double? = nil
    ) -> Spread? {
        let others = samples(reference, workload, x)
        return Spread(
            samples(engine, workload, x).compactMap { sample in
                guard let value = sample.figure(figure),
                    let other = others.first(where: { $0.round == sample.round && $0.x == sample.x })?.figure(figure)
                else { return nil }
                return value / max(other, 1e-9)
            })
    }

    /// The times of all rounds together.
    public func histogram(_ engine: String, _ workload: String, x: Double? = nil) -> Histogram? {
        let histograms = samples(engine, workload, x).compactMap(\.histogram)
        guard var all = histograms.first else { return nil }
        for histogram in histograms.dropFirst() { all.add(histogram) }
        return all
    }
}
