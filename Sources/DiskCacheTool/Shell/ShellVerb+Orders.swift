import DiskCacheCore

/// Verbs about keys and items in an order.
extension ShellVerb {
    private static let query = ["order", "reversed", "from", "to", "prefix", "tag", "after", "limit"]

    static let orders: [ShellVerb] = [
        ShellVerb("keys", [], query) { session, request in
            .array(try ShellQuery(request).keys(of: session).map { try JSON($0) })
        },
        ShellVerb("items", [], query) { session, request in
            .array(try ShellQuery(request).items(of: session).map { .array([try JSON($0.key), try JSON($0.value)]) })
        },
        ShellVerb("peekItem", [], ["last", "entry"]) { session, request in
            let last = try request.bool("last", default: true)
            let wantsEntry = try request.bool("entry", default: false)
            if session.isInSnapshot { return try session.peekItemInSnapshot(last: last, wantsEntry: wantsEntry) }
            while let item = try session.cache.peekItem(last: last, as: AnyValue.self) {
                if !wantsEntry { return .array([try JSON(item.key), try JSON(item.value)]) }
                // Gone since: the next one is at the end now.
                guard let (form, found) = try session.cache.shard(for: item.key).inspect(item.key) else { continue }
                let value = AnyValue(form: form, bytes: try found.value.readAll())
                return try JSON(
                    item.key,
                    Entry(
                        value: value, storedAt: found.storedAt, expires: found.expires, tag: found.tag,
                        byteCount: found.byteCount, path: found.path))
            }
            return .absent
        },
    ]

    /// What removes items by what they are.
    static let clearance: [ShellVerb] = [
        ShellVerb("evict", ["tag"]) { session, request in
            guard let tag = try request.tag() else { throw BadRequest("evict needs a tag; see evictUntagged") }
            return .integer(Int64(try session.cache.evict(tag: tag)))
        },
        ShellVerb("expire", [], ["now"]) { session, request in
            switch request["now"] {
            case nil, .null: return .integer(Int64(try session.cache.expire()))
            case .integer(let now): return .integer(Int64(try session.cache.expire(asOf: Double(now))))
            case .float(let now): return .integer(Int64(try session.cache.expire(asOf: now)))
            default: throw BadRequest("now is a number of seconds since 1970")
            }
        },
        ShellVerb("cull") { session, _ in .integer(Int64(try session.cache.cull())) },
        ShellVerb("evictUntagged") { session, _ in .integer(Int64(try session.cache.evictUntagged())) },
    ]
}

extension ShellSession {
    /// The first or the last item of the open snapshot that hadn't expired.
    fileprivate func peekItemInSnapshot(last: Bool, wantsEntry: Bool) throws -> JSON {
        let parts = try inSnapshots { try $0.keys(reversed: last) } ?? []
        for key in (last ? parts.reversed() : parts).joined() {
            guard let found = try inSnapshot(key, { try $0.entry(key, as: AnyValue.self) }) ?? nil else { continue }
            return wantsEntry ? try JSON(key, found) : .array([try JSON(key), try JSON(found.value)])
        }
        return .absent
    }
}
