import DiskCacheCore

/// `merge`: takes over what another cache holds.
enum MergeCommand: Command {
    static let name = "merge"
    static let summary = "take over the items of another cache"
    static let help = """
        usage: diskcache merge [--policy POLICY] DIR FROM

        Takes the items of the cache in FROM over into the one in DIR, with expiry, tag and store date. FROM stays as it
        is. Both may be in use. Cut short, it can be begun again. Expired items and items of queues aren't taken.

          --policy newer     of two items with one key the one that was stored later stays (default)
          --policy keep      the one in DIR stays
          --policy replace   the one of FROM comes in its place
        """

    static func run(_ arguments: [String]) throws -> ExitCode {
        let arguments = try Arguments(arguments, options: ["--policy"])
        try arguments.expect(2...2, ["DIR", "FROM"])
        let name = arguments.value("--policy") ?? MergePolicy.newer.rawValue
        guard let policy = MergePolicy(rawValue: name) else {
            throw UsageError("--policy: \(name) is none of newer, keep, replace")
        }
        let cache = try openExisting(arguments.positional[0])
        let result = try cache.merge(from: arguments.positional[1], policy: policy)
        let rows = [
            (name: "taken", value: grouped(result.taken)), ("kept as they were", grouped(result.kept)),
            ("expired", grouped(result.expired)), ("in queues", grouped(result.queued)),
            ("too large", grouped(result.tooLarge)), ("unreadable", grouped(result.unreadable)),
        ]
        try Output.table(rows)
        return result.tooLarge + result.unreadable == 0 ? .success : .negative
    }
}
