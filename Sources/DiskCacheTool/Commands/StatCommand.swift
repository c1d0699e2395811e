import DiskCacheCore

/// `stat`: what a cache holds and how it is set.
enum StatCommand: Command {
    static let name = "stat"
    static let summary = "print what a cache holds, its size and its settings"
    static let help = """
        usage: diskcache stat DIR

        Prints how many items the cache in DIR holds, the bytes that it takes on disk, its settings, and what had to be
        done to open it, if anything.
        """

    static func run(_ arguments: [String]) throws -> ExitCode {
        let arguments = try Arguments(arguments)
        try arguments.expect(1...1, ["DIR"])
        let cache = try openExisting(arguments.positional[0], anyKind: true)
        let settings = try cache.settings
        var rows = [
            (name: "directory", value: cache.directory), ("items", grouped(try cache.count)),
            ("bytes on disk", grouped(try cache.volume)), ("size limit", grouped(settings.sizeLimit)),
            ("eviction policy", settings.evictionPolicy.rawValue), ("cull limit", grouped(settings.cullLimit)),
            ("durability", settings.durability.rawValue), ("sync interval", "\(settings.syncInterval)"),
            ("minimum file size", grouped(settings.minFileSize)),
            ("default expiry", settings.defaultExpire.map { "\($0)" } ?? "never"),
            ("statistics", settings.statistics ? "on" : "off"), ("tag index", settings.tagIndex ? "on" : "off"),
            ("serialiser", settings.serializer),
        ]
        if let recovery = try cache.recovery { rows += describe(recovery) }
        try Output.table(rows)
        return .success
    }

    /// What opening the cache found, a row a fact.
    static func describe(_ recovery: Cache.Recovery) -> [(name: String, value: String)] {
        var rows = [(name: "index made again", value: "\(recovery.reason); \(grouped(recovery.count)) items")]
        if recovery.wasTorn { rows.append(("torn end", "cut back to a whole transaction")) }
        return rows + recovery.losses.map { ("lost", $0) }
    }
}
