import DiskCacheCore

/// `tail`: what is written to a cache, as it is committed.
enum TailCommand: Command {
    static let name = "tail"
    static let summary = "print changes as they are committed"
    static let help = """
        usage: diskcache tail [--from POSITION] [--until-now] [--json] DIR
               diskcache tail --position DIR

        Prints a line for each write to the cache in DIR, of any process, as it is committed: a position, what happened
        (set, touched, deleted, evicted, expired, cleared) and the key as JSON. Runs until it is interrupted.

          --from POSITION  begin behind a position that was printed before, instead of with what comes next
          --until-now      end when all that is there now was printed
          --json           print objects: {"position": TEXT, "change": WORD, "key": KEY}
          --position       print the position of what comes next, and end

        A position counts until the log behind it is compacted away; then this ends with the error positionGone.
        """

    static func run(_ arguments: [String]) throws -> ExitCode {
        let arguments = try Arguments(
            arguments, options: ["--from"], flags: ["--until-now", "--json", "--position"])
        try arguments.expect(1...1, ["DIR"])
        let start = try arguments.value("--from").map { text in
            guard let position = Change.Position(text) else { throw UsageError("--from: \(text) is no position") }
            return position
        }
        let cache = try openExisting(arguments.positional[0])
        let reader = try cache.readChanges(from: start)
        if arguments.has("--position") {
            try Output.line(reader.position.description)
            return .success
        }
        let timeout: Duration? = arguments.has("--until-now") ? nil : .seconds(3600)
        while true {
            if let change = try reader.next(timeout: timeout) {
                try Output.line(arguments.has("--json") ? json(change) : text(change))
            } else if timeout == nil {
                return .success
            }
        }
    }

    private static func text(_ change: Change) throws -> String {
        let text = change.position.description + "  " + change.kind.rawValue
        guard let key = change.key else { return text }
        return text + "  " + (try JSON(key).line)
    }

    private static func json(_ change: Change) throws -> String {
        var members = [
            JSON.Member(name: "position", value: .text(change.position.description)),
            JSON.Member(name: "change", value: .text(change.kind.rawValue)),
        ]
        if let key = change.key { members.append(JSON.Member(name: "key", value: try JSON(key))) }
        return JSON.object(members).line
    }
}
