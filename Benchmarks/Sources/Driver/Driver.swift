public import Harness

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The one driver of all workloads: programs give it their engines.
public enum Driver {
    /// This project's engine in its forms, and the floor.
    public static let own = Contestant.diskCache + Contestant.floors

    /// The folder of this package.
    public static let benchmarks: String = {
        "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    }()

    /// Where `setup` puts Python's DiskCache.
    public static var pythonPath: String { "\(benchmarks)/.build/python" }

    /// Follows the command line with these engines.
    public static func main(contestants: [Contestant]) -> Never {
        if CommandLine.arguments.count == 2, CommandLine.arguments[1] == Worker.argument { Worker.main(contestants) }
        do {
            let options = try Options(CommandLine.arguments.dropFirst(), contestants)
            if options.help {
                print(Options.usage(contestants), terminator: "")
            } else if let report = options.report, let results = options.results {
                try Report.make(in: report, from: results)
            } else if try !run(options, contestants) {
                exit(1)
            }
            exit(0)
        } catch let error as UsageError {
            Files.log("bench: \(error.message)\n\n\(Options.usage(contestants))")
            exit(2)
        } catch {
            Files.log("bench: \(error)\n")
            exit(1)
        }
    }

    /// Runs the groups; whether nothing failed.
    private static func run(_ options: Options, _ contestants: [Contestant]) throws -> Bool {
        try Child.refuseChildren()
        let chosen = options.only.isEmpty ? contestants : contestants.filter { options.only.contains($0.name) }
        let directory = try Files.makeTemporaryDirectory(in: options.directory)
        defer { try? Files.remove(directory) }
        var isGood = true
        for group in options.groups {
            let run = Run(
                group: group.name, contestants: chosen, keys: options.keys ?? (options.isSmoke ? 4000 : group.keys),
                rounds: options.rounds ?? (options.isSmoke ? 1 : 3), isSmoke: options.isSmoke, directory: directory)
            try group.run(run)
            if isatty(STDERR_FILENO) == 1 { Files.log("\r\u{1B}[K") }
            let result = run.result
            print(Report.section(group, result).text, terminator: "")
            if let results = options.results {
                try Files.write(JSON.line(result) + "\n", to: "\(results)/\(group.name).json")
            }
            if !result.failures.isEmpty { isGood = false }
            if options.checksThresholds, group.name == "costs" {
                let excesses = Costs.excesses(result, thresholds: try Files.read("\(benchmarks)/Thresholds/costs.txt"))
                for excess in excesses { Files.log("costs: \(excess)\n") }
                if excesses.isEmpty { print("costs: all are within Thresholds/costs.txt") } else { isGood = false }
            }
        }
        return isGood
    }
}
