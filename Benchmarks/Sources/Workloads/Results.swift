/// What a race found.
public struct Results: Sendable {
    /// The engines, in the order of the report.
    public let contestants: [Contestant]
    /// Per contestant, per round.
    public let measurements: [[[Operation: Measurement]]]
    /// What the loop, the keys and the clock take by themselves.
    public let harness: Measurement
    /// Keys a store.
    public let keyCount: Int
    /// Bytes a value.
    public let valueSize: Int
    /// Turns of each contestant.
    public let rounds: Int

    /// A figure of one operation in one round, in nanoseconds.
    public enum Figure: String, CaseIterable, Sendable {
        /// The median of the calls.
        case median = "p50"
        /// The mean of the calls.
        case mean
        /// What 99 % of the calls don't exceed.
        case percentile99 = "p99"
        /// What 99.9 % of the calls don't exceed.
        case percentile999 = "p99.9"
        /// The longest call.
        case maximum = "max"
        /// The loop without a clock read a call, divided by its operations.
        case loop

        func value(of measurement: Measurement) -> Double {
            switch self {
            case .median: measurement.latencies.percentile(0.5)
            case .mean: measurement.latencies.mean
            case .percentile99: measurement.latencies.percentile(0.99)
            case .percentile999: measurement.latencies.percentile(0.999)
            case .maximum: Double(measurement.latencies.maximum)
            case .loop: measurement.loop
            }
        }
    }

    /// A median over the rounds, and the least and greatest round.
    public struct Spread: Sendable {
        /// The middle of the rounds; of an even number, the mean of the two in the middle.
        public let median: Double
        /// The least round.
        public let least: Double
        /// The greatest round.
        public let greatest: Double

        /// The spread of `values`, of which there is at least one.
        public init(_ values: [Double]) {
            let sorted = values.sorted()
            least = sorted[0]
            greatest = sorted[sorted.count - 1]
            median = (sorted[sorted.count / 2] + sorted[(sorted.count - 1) / 2]) / 2
        }
    }

    /// A figure of a contestant over the rounds.
    public func spread(_ figure: Figure, _ operation: Operation, of contestant: Int) -> Spread {
        Spread(measurements[contestant].map { figure.value(of: $0[operation]!) })
    }

    /// A figure of a contestant divided by the same round's figure of `reference`, over the rounds.
    public func ratio(
        _ figure: Figure, _ operation: Operation, of contestant: Int, to reference: Int
    ) -> Spread {
        Spread(
            zip(measurements[contestant], measurements[reference]).map { round, other in
                figure.value(of: round[operation]!) / max(figure.value(of: other[operation]!), 1)
            })
    }
}
