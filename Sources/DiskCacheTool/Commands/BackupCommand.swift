import DiskCacheCore

/// `backup`: copies a cache that is in use.
enum BackupCommand: Command {
    static let name = "backup"
    static let summary = "copy a cache, as of one instant, while it is in use"
    static let help = """
        usage: diskcache backup [--copy] DIR TO

        Copies the cache in DIR to TO, where nothing may stand but an empty directory. The copy is a cache: to restore it,
        open it, or move it to where the old one was. Nobody who uses DIR waits. It is verified and durable before it gets
        its name; one that was cut short leaves nothing at TO.
        On one file system, files that never change any more are shared with the original by hard link.
        Prints what it came to, and a line for each thing that DIR has lost. Exit status: 0 done, 1 done but something is
        lost, 2 not done.

          --copy   share nothing, so that a damaged sector of the disk doesn't meet both
        """

    static func run(_ arguments: [String]) throws -> ExitCode {
        let arguments = try Arguments(arguments, flags: ["--copy"])
        try arguments.expect(2...2, ["DIR", "TO"])
        let cache = try openExisting(arguments.positional[0])
        let backup = try cache.backup(to: arguments.positional[1], shares: !arguments.has("--copy"))
        var rows = [
            (name: "items", value: grouped(backup.count)), ("files", grouped(backup.files)),
            ("bytes shared", grouped(backup.sharedBytes)), ("bytes copied", grouped(backup.copiedBytes)),
            ("log position", grouped(backup.position)),
        ]
        rows += backup.losses.map { ("lost", $0) }
        try Output.table(rows)
        return backup.losses.isEmpty ? .success : .negative
    }
}
