import DiskCacheCore

/// `compact`: gives back what is dead in a cache.
enum CompactCommand: Command {
    static let name = "compact"
    static let summary = "give back what is dead in a cache"
    static let help = """
        usage: diskcache compact DIR

        Copies what is alive in the old part of the log to its end and unlinks the rest: what was overwritten, deleted, evicted
        or has expired. Prints how many bytes the cache in DIR took before and takes now. Other processes may go on reading and
        writing. A cache does the same by itself, in the background, when enough of it is dead.
        Exit status: 0 done, 2 not.
        """

    static func run(_ arguments: [String]) throws -> ExitCode {
        let arguments = try Arguments(arguments)
        try arguments.expect(1...1, ["DIR"])
        let cache = try openExisting(arguments.positional[0])
        let before = try cache.volume
        try cache.compact()
        try Output.line("\(before) bytes before, \(try cache.volume) bytes now")
        return .success
    }
}
