import DiskCacheCore

/// `incr`: adds to a number.
enum IncrCommand: Command {
    static let name = "incr"
    static let summary = "add to a number, and print the sum"
    static let help = """
        usage: diskcache incr [--default N] [--int-key] DIR KEY [BY]

        Adds BY (1 if it isn't given; negative and fractional numbers too) to the number that KEY holds, as one step
        that no other process can come between, and prints the sum. The cache must exist; a missing key counts as 0.

          --default N  what a missing key counts as
          --int-key    KEY is an integer
        """

    static func run(_ arguments: [String]) throws -> ExitCode {
        let arguments = try Arguments(arguments, options: ["--default"], flags: ["--int-key"])
        try arguments.expect(2...3, ["DIR", "KEY"])
        let key = try parseKey(arguments.positional[1], arguments)
        let by = arguments.positional.count == 3 ? arguments.positional[2] : "1"
        let start = arguments.value("--default") ?? "0"
        if let by = Int64(by), let start = Int64(start) {
            try Output.line("\(try openExisting(arguments.positional[0]).incr(key, by: by, default: start))")
        } else {
            let by = try parseNumber(by, "BY", as: Double.self)
            let start = try parseNumber(start, "--default", as: Double.self)
            try Output.line("\(try openExisting(arguments.positional[0]).incr(key, by: by, default: start))")
        }
        return .success
    }
}
