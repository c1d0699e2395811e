import DiskCacheCore

/// Verbs about the cache as a whole, and about this process.
extension ShellVerb {
    static let maintenance: [ShellVerb] = [
        ShellVerb("count") { session, _ in
            .integer(Int64(try session.inSnapshots { $0.count }?.reduce(0, +) ?? session.cache.count))
        },
        ShellVerb("volume") { session, _ in .integer(Int64(try session.cache.volume)) },
        ShellVerb("clear") { session, _ in .integer(Int64(try session.cache.clear())) },
        ShellVerb("compact") { session, _ in
            try session.cache.compact()
            return .bool(true)
        },
        ShellVerb("check", [], ["fix"]) { session, request in
            .array(
                try session.cache.check(fix: try request.bool("fix", default: false)).map {
                    .object(["kind": .text($0.kind.rawValue), "message": .text($0.message)])
                })
        },
        ShellVerb("settings", [], ["set"]) { session, request in
            let cache = session.cache
            switch request["set"] {
            case nil, .null: break
            case .object(let members):
                try cache.configure { settings in
                    for member in members { try ShellSettings.set(member.name, member.value, on: &settings) }
                }
                if let timeout = request["set"]?["timeout"] {
                    cache.lockTimeout = try ShellSettings.duration(timeout, "timeout")
                }
            default: throw BadRequest("set is an object of settings")
            }
            return ShellSettings.json(try cache.settings, timeout: cache.lockTimeout)
        },
        ShellVerb("stats", [], ["enable", "reset"]) { session, request in
            let cache = session.cache
            let (enable, reset) = (try request.optionalBool("enable"), try request.bool("reset", default: false))
            let statistics = try cache.statistics
            if let enable { try cache.configure { $0.statistics = enable } }
            if reset { try cache.resetStatistics() }
            return .object(["hits": .integer(Int64(statistics.hits)), "misses": .integer(Int64(statistics.misses))])
        },
        ShellVerb("metrics") { session, _ in JSON(try session.cache.metrics) },
        ShellVerb("sync") { session, _ in
            try session.cache.sync()
            return .bool(true)
        },
        ShellVerb("backup", ["to"], ["shares"]) { session, request in
            guard let path = try request.text("to") else { throw BadRequest("to is a path") }
            let shares = try request.bool("shares", default: true)
            guard let fanout = session.cache as? FanoutCache else {
                return JSON(try session.single.backup(to: path, shares: shares))
            }
            return JSON(try fanout.backup(to: path, shares: shares))
        },
        ShellVerb("merge", ["from"], ["policy"]) { session, request in
            guard let path = try request.text("from") else { throw BadRequest("from is a path") }
            let name = try request.text("policy") ?? MergePolicy.newer.rawValue
            guard let policy = MergePolicy(rawValue: name) else {
                throw BadRequest("policy is \"newer\", \"keep\" or \"replace\"")
            }
            guard let fanout = session.cache as? FanoutCache else {
                return JSON(try session.single.merge(from: path, policy: policy))
            }
            return JSON(try fanout.merge(from: path, policy: policy))
        },
        ShellVerb("close") { session, _ in
            if session.isInSnapshot {
                throw CacheError(
                    .inTransaction, "a cache can't be closed inside a snapshot", path: session.cache.directory)
            }
            try session.cache.close()
            return .bool(true)
        },
        ShellVerb("now", ["set"]) { session, request in
            try session.clock.set(request["set"] ?? .null)
            return .bool(true)
        },
        ShellVerb("pause", ["seconds"]) { _, request in
            let duration = try request.duration("seconds") ?? .zero
            Platform.pause(nanoseconds: UInt64(min(max(duration.seconds, 0), 1e9) * 1e9))
            return .bool(true)
        },
    ]

    static let transactions: [ShellVerb] = [
        ShellVerb("begin") { session, _ in try session.begin() },
        ShellVerb("commit") { session, _ in try session.commit() },
        ShellVerb("rollback") { session, _ in try session.rollBack() },
    ]

    static let snapshots: [ShellVerb] = [
        ShellVerb("snapshot") { session, _ in try session.beginSnapshot() },
        ShellVerb("end") { session, _ in try session.endSnapshot() },
    ]
}

extension JSON {
    fileprivate init(_ metrics: Cache.Metrics) {
        self = .object([
            "commits": .integer(Int64(metrics.commits)), "evicted": .integer(Int64(metrics.evicted)),
            "expired": .integer(Int64(metrics.expired)), "bytesWritten": .integer(Int64(metrics.bytesWritten)),
            "compactedBytes": .integer(Int64(metrics.compactedBytes)), "syncs": .integer(Int64(metrics.syncs)),
            "lockWaits": .integer(Int64(metrics.lockWaits)), "lockWaitTime": .float(metrics.lockWaitTime.seconds),
            "liveBytes": .integer(Int64(metrics.liveBytes)),
        ])
    }

    fileprivate init(_ backup: Cache.Backup) {
        self = .object([
            "position": .integer(Int64(clamping: backup.position)), "count": .integer(Int64(backup.count)),
            "files": .integer(Int64(backup.files)), "sharedBytes": .integer(Int64(backup.sharedBytes)),
            "copiedBytes": .integer(Int64(backup.copiedBytes)), "losses": .array(backup.losses.map { .text($0) }),
        ])
    }

    fileprivate init(_ backup: FanoutCache.Backup) {
        self = .object([
            "positions": .array(backup.shards.map { .integer(Int64(clamping: $0.position)) }),
            "count": .integer(Int64(backup.count)), "files": .integer(Int64(backup.files)),
            "sharedBytes": .integer(Int64(backup.sharedBytes)), "copiedBytes": .integer(Int64(backup.copiedBytes)),
            "losses": .array(backup.losses.map { .text($0) }),
        ])
    }

    fileprivate init(_ result: Cache.MergeResult) {
        self = .object([
            "taken": .integer(Int64(result.taken)), "kept": .integer(Int64(result.kept)),
            "expired": .integer(Int64(result.expired)), "queued": .integer(Int64(result.queued)),
            "tooLarge": .integer(Int64(result.tooLarge)), "unreadable": .integer(Int64(result.unreadable)),
        ])
    }
}

extension ShellSession {
    /// The cache that isn't spread over shards.
    fileprivate var single: Cache {
        get throws {
            guard let cache = cache as? Cache else {
                throw BadRequest("not for a fanout cache; each of its shards is a cache of its own")
            }
            return cache
        }
    }
}
