import Harness

/// The command line of the driver.
struct Options {
    var groups: [any Group] = []
    var keys: Int?
    var rounds: Int?
    var directory = "."
    var results: String?
    var report: String?
    var only: [String] = []
    var checksThresholds = false
    var isSmoke = false
    var help = false

    static func usage(_ contestants: [Contestant]) -> String {
        let groups = allGroups.map { "  \(pad($0.name, 10)) \($0.title)" }.joined(separator: "\n")
        return """
            usage: bench [GROUP ...] [--keys N] [--rounds N] [--only ENGINE,...] [--directory DIR] [--results DIR] [--smoke]
                   bench costs --check
                   bench --report DIR --results DIR

              GROUP ...           groups of workloads (all of them)
              --keys N            keys in a store (each group has its own number; at least 1000)
              --rounds N          turns of each engine (3; some groups take fewer)
              --only ENGINE,...   these engines and no others
              --directory DIR     where the stores are made and removed (the working directory)
              --results DIR       writes what was found into DIR, a JSON file a group
              --check             after the group `costs`: fails if this engine costs more than Thresholds/costs.txt allows
              --report DIR        runs nothing: makes REPORT.md and the plots in DIR from the files in --results
              --smoke             few keys, one round: shows that everything runs, and fails if anything fails

            groups:
            \(groups)

            engines: \(contestants.map(\.name).joined(separator: ", "))

            """
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    init(_ arguments: some Sequence<String>, _ contestants: [Contestant]) throws(UsageError) {
        var rest = arguments.makeIterator()
        while let argument = rest.next() {
            switch argument {
            case "--keys": keys = try Self.number(rest.next(), after: argument, in: 1000...60_000_000)
            case "--rounds": rounds = try Self.number(rest.next(), after: argument, in: 1...1000)
            case "--only": only = try Self.text(rest.next(), after: argument).split(separator: ",").map(String.init)
            case "--directory": directory = try Self.text(rest.next(), after: argument)
            case "--results": results = try Self.text(rest.next(), after: argument)
            case "--report": report = try Self.text(rest.next(), after: argument)
            case "--check": checksThresholds = true
            case "--smoke": isSmoke = true
            case "--help", "-h": help = true
            default:
                guard let group = allGroups.first(where: { $0.name == argument }) else {
                    throw UsageError("no group or option is named \(argument)")
                }
                groups.append(group)
            }
        }
        for name in only where !contestants.contains(where: { $0.name == name }) {
            throw UsageError("no engine is named \(name)")
        }
        if report != nil, results == nil { throw UsageError("--report needs --results") }
        if groups.isEmpty { groups = allGroups }
    }

    private static func text(_ text: String?, after option: String) throws(UsageError) -> String {
        guard let text, !text.isEmpty else { throw UsageError("\(option) needs a value") }
        return text
    }

    private static func number(
        _ text: String?, after option: String, in range: ClosedRange<Int>
    ) throws(UsageError) -> Int {
        guard let number = Int(try Self.text(text, after: option)), range.contains(number) else {
            throw UsageError("\(option) needs a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
}

/// A command line that can't be followed.
struct UsageError: Error {
    let message: String

    init(_ message: String) { self.message = message }
}
