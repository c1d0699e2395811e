import Harness

/// Workloads that answer one question, with the tables and plots that show the answer.
protocol Group: Sendable {
    /// The name on the command line and in files.
    var name: String { get }
    /// The heading in the report.
    var title: String { get }
    /// What is done, for the reader of the tables.
    var about: String { get }
    /// Keys of a store, unless the command line says otherwise.
    var keys: Int { get }
    /// Runs it.
    func run(_ run: Run) throws
    /// Its tables and plots.
    func render(_ result: GroupResult, into section: inout Section)
}

extension Group {
    var keys: Int { 1_000_000 }
}

/// A part of the report.
struct Section {
    var text = ""
    /// Plots by the names of their files, without `.svg`.
    var plots: [(name: String, plot: Plot)] = []

    /// A paragraph.
    mutating func say(_ paragraph: String) { text += paragraph + "\n\n" }

    /// A table, if it isn't empty, under a line that says what it shows.
    mutating func add(_ caption: String, _ table: String) {
        if !table.isEmpty { text += "\(caption)\n\n\(table)" }
    }

    /// A plot, if it isn't empty.
    mutating func add(_ name: String, _ plot: Plot) {
        guard !plot.isEmpty else { return }
        plots.append((name, plot))
        text += "![\(name)](plots/\(name).svg)\n\n"
    }
}

/// All groups, in the order of the report.
let allGroups: [any Group] = [
    Basic(), Sizes(), Mixes(), Shared(), Full(), Scaling(), Keys(), Opening(), Space(), Durable(), Writers(), Growth(),
    Beyond(),
    Costs(),
]

extension Run {
    /// Runs a plan of one verb on one of `share` of its steps, and notes its times.
    func measure(
        _ plan: Plan, _ engine: any Engine, _ buffers: Buffers, _ contestant: Contestant, round: Int, x: Double = 0,
        workload: String? = nil
    ) throws {
        let script = plan.script()
        try measure(
            script[...], engine, buffers, contestant, round: round, x: x, workload: workload ?? plan.firstVerb.name)
    }

    /// Runs steps, and notes the times of all together.
    func measure(
        _ script: ArraySlice<UInt32>, _ engine: any Engine, _ buffers: Buffers, _ contestant: Contestant, round: Int,
        x: Double = 0, workload: String
    ) throws {
        let measured = try Run.measure(engine, script, buffers)
        var all = Histogram()
        for histogram in measured.histograms.values { all.add(histogram) }
        let rate = Double(script.count) / Double(max(1, measured.nanoseconds)) * 1e9
        note(
            Sample(
                engine: contestant.name, workload: workload, x: x, round: round, figures: [Figure.rate: rate],
                histogram: all))
    }

    /// How many of `count` steps this contestant is given.
    func part(_ count: Int, of contestant: Contestant, atLeast: Int = 20) -> Int {
        min(count, max(atLeast, count / contestant.share))
    }

    /// The contestants that have all these traits, and none that is a mere variant.
    func contestants(with traits: Contestant.Traits, special: [String] = []) -> [Contestant] {
        contestants.filter {
            $0.traits.isSuperset(of: traits) && (!$0.traits.contains(.special) || special.contains($0.name))
        }
    }
}

extension Plan {
    /// The verb of a plan of one.
    var firstVerb: Verb { shares[0].verb }
}
