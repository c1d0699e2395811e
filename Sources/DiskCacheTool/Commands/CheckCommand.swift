import DiskCacheCore

/// `check`: proves the parts of a cache against each other.
enum CheckCommand: Command {
    static let name = "check"
    static let summary = "prove log, index, counters and files of a cache against each other"
    static let help = """
        usage: diskcache check [--fix] DIR

        Reads everything that the cache in DIR holds, verifies every checksum, and proves log, index, counters and value
        files against each other. Prints a line for each finding. Other processes may go on reading; who writes waits.
        Exit status: 0 no findings, 1 findings, 2 it couldn't be opened or read.

          --fix   also puts right what can be: makes index and counters again, removes items whose file is missing or damaged,
                  and unlinks value files that no item names. Without it nothing is changed.
        """

    static func run(_ arguments: [String]) throws -> ExitCode {
        let arguments = try Arguments(arguments, flags: ["--fix"])
        try arguments.expect(1...1, ["DIR"])
        let cache = try openExisting(arguments.positional[0], anyKind: true)
        if let recovery = try cache.recovery {
            for row in StatCommand.describe(recovery) { Output.note("diskcache check: \(row.name): \(row.value)") }
        }
        let findings = try cache.check(fix: arguments.has("--fix"))
        for finding in findings { try Output.line(finding.description) }
        return findings.isEmpty ? .success : .negative
    }
}
