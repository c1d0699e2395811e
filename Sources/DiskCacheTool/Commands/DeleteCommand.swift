import DiskCacheCore

/// `delete`: removes keys.
enum DeleteCommand: Command {
    static let name = "delete"
    static let summary = "remove keys"
    static let help = """
        usage: diskcache delete [--int-key] DIR KEY...

        Removes each KEY. Exit status 1: one of them was missing; the others are removed all the same.

          --int-key  the keys are integers
        """

    static func run(_ arguments: [String]) throws -> ExitCode {
        let arguments = try Arguments(arguments, flags: ["--int-key"])
        try arguments.expect(2...Int.max, ["DIR", "KEY"])
        let keys = try arguments.positional.dropFirst().map { (text: $0, key: try parseKey($0, arguments)) }
        let cache = try openExisting(arguments.positional[0])
        var result = ExitCode.success
        for (text, key) in keys where try !cache.delete(key) {
            Output.note("diskcache delete: there is no key \(text)")
            result = .negative
        }
        return result
    }
}
