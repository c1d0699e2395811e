import Workloads

/// The command line of `bench`.
struct Options {
    var keys = 1_000_000
    var rounds = 4
    var directory = "."
    var json: String?
    var only: [String] = []
    var reference: String?
    var recovery = false
    var verbs = false
    var scans = false
    var fanout = false
    var collections = false
    var growth = false
    var compaction = false
    var help = false

    static let usage = """
        usage: bench [--keys N] [--rounds N] [--only ENGINE,...] [--reference ENGINE] [--directory DIR] [--json FILE]
                     [--collections | --compaction | --fanout | --growth | --recovery | --scans | --verbs] [--smoke]

          --keys N            keys in a store (1000000; at least 1000)
          --rounds N          turns of each engine (4)
          --only ENGINE,...   these engines and no others
          --reference ENGINE  the engine that the others are divided by (the first)
          --directory DIR     where the stores are made and removed (the working directory)
          --json FILE         writes all figures of all rounds
          --fanout            instead: a cache of shards under 1 and 8 processes, beside Python's FanoutCache
          --collections       instead: Deque and Index, beside those of Python's DiskCache
          --recovery          instead: how long opening takes after a close, a kill, and when the index is made again
          --scans             instead: how fast keys and items are listed in their orders, and how fast orders are made
          --verbs             instead: queues, scans, tags and full caches, beside Python's DiskCache
          --growth            instead: the longest pauses while a store grows to --keys (10000000 is what DiskCache promises)
          --compaction        instead: what overwriting costs in bytes, and what writers notice of compaction
          --smoke             20000 keys, 2 rounds: shows that everything runs; the figures mean little

        engines: \(contestants.map(\.name).joined(separator: ", "))

        """

    init(_ arguments: some Sequence<String>) throws(UsageError) {
        var rest = arguments.makeIterator()
        while let argument = rest.next() {
            switch argument {
            case "--keys": keys = try Self.number(rest.next(), after: argument, in: 1000...1_000_000_000)
            case "--rounds": rounds = try Self.number(rest.next(), after: argument, in: 1...1000)
            case "--only": only = try Self.text(rest.next(), after: argument).split(separator: ",").map(String.init)
            case "--reference": reference = try Self.text(rest.next(), after: argument)
            case "--directory": directory = try Self.text(rest.next(), after: argument)
            case "--json": json = try Self.text(rest.next(), after: argument)
            case "--collections": collections = true
            case "--recovery": recovery = true
            case "--verbs": verbs = true
            case "--scans": scans = true
            case "--fanout": fanout = true
            case "--growth": growth = true
            case "--compaction": compaction = true
            case "--smoke": (keys, rounds) = (20_000, 2)
            case "--help", "-h": help = true
            default: throw UsageError("unknown argument \(argument)")
            }
        }
    }

    /// The contestants asked for, and the place of the reference among them.
    func selection() throws(UsageError) -> (contestants: [Contestant], reference: Int) {
        for name in only + [reference].compactMap(\.self) where !contestants.contains(where: { $0.name == name }) {
            throw UsageError("no engine is named \(name)")
        }
        let chosen = only.isEmpty ? contestants : contestants.filter { only.contains($0.name) }
        guard let reference else { return (chosen, 0) }
        guard let index = chosen.firstIndex(where: { $0.name == reference }) else {
            throw UsageError("--reference \(reference) isn't among the engines of --only")
        }
        return (chosen, index)
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
