import DiskCacheCore

/// Which keys or items are asked for, and in which order.
///
/// A range or a prefix of keys is in the order of keys, unless `order` says otherwise; everything else in insertion order.
struct ShellQuery {
    private let isSorted: Bool
    private let reversed: Bool
    private let from: AnyCacheKey?
    private let to: AnyCacheKey?
    /// A text or bytes.
    private let prefix: AnyCacheKey?
    private let tag: Tag?
    private let after: AnyCacheKey?
    private let limit: Int?

    init(_ request: ShellRequest) throws {
        func key(_ name: String) throws -> AnyCacheKey? {
            guard let json = request[name], json != .null else { return nil }
            return try ShellValue.key(json)
        }
        (from, to, after) = (try key("from"), try key("to"), try key("after"))
        prefix = try key("prefix")
        switch prefix {
        case nil, .string, .bytes: break
        default: throw BadRequest("prefix is a text or bytes")
        }
        tag = try request.tag()
        reversed = try request.bool("reversed", default: false)
        limit = try request.integer("limit")
        if let limit, limit < 0 { throw BadRequest("limit isn't negative") }
        switch try request.text("order") {
        case nil: isSorted = from != nil || to != nil || prefix != nil
        case "sorted": isSorted = true
        case "insertion": isSorted = false
        default: throw BadRequest("order is \"insertion\" or \"sorted\"")
        }
    }

    /// The keys, expired ones that nothing has removed included.
    func keys(of session: ShellSession) throws -> [AnyCacheKey] {
        if let keys = try snapshotKeys(of: session) { return Array(keys.prefix(limit ?? .max)) }
        let cache = session.cache
        let cursor: Cursor<AnyCacheKey> =
            if isSorted, case .string(let prefix) = prefix {
                try cache.keys(prefix: prefix, reversed: reversed).map { .string($0) }
            } else if isSorted, case .bytes(let prefix) = prefix {
                try cache.keys(prefix: prefix, reversed: reversed).map { .bytes($0) }
            } else if isSorted {
                try cache.keys(in: range, reversed: reversed)
            } else if let tag {
                try cache.keys(tag: tag, reversed: reversed)
            } else {
                try cache.keys(reversed: reversed)
            }
        return try page(cursor, cache) { $0 }
    }

    /// The items, expired ones left out.
    func items(of session: ShellSession) throws -> [(key: AnyCacheKey, value: AnyValue)] {
        if let keys = try snapshotKeys(of: session) { return try items(keys, session) }
        let cache = session.cache
        let cursor: Cursor<(key: AnyCacheKey, value: AnyValue)> =
            if isSorted, case .string(let prefix) = prefix {
                try cache.items(prefix: prefix, as: AnyValue.self, reversed: reversed).map {
                    (.string($0.key), $0.value)
                }
            } else if isSorted, case .bytes(let prefix) = prefix {
                try cache.items(prefix: prefix, as: AnyValue.self, reversed: reversed).map {
                    (.bytes($0.key), $0.value)
                }
            } else if isSorted {
                try cache.items(in: range, as: AnyValue.self, reversed: reversed)
            } else if let tag {
                try cache.items(tag: tag, as: AnyValue.self, reversed: reversed)
            } else {
                try cache.items(as: AnyValue.self, reversed: reversed)
            }
        return try page(cursor, cache) { $0.key }
    }

    /// The first of them that hadn't expired, with their values.
    private func items(
        _ keys: [AnyCacheKey], _ session: ShellSession
    ) throws -> [(key: AnyCacheKey, value: AnyValue)] {
        var items: [(key: AnyCacheKey, value: AnyValue)] = []
        for key in keys {
            if items.count == limit ?? .max { break }
            let value = try session.inSnapshot(key) { try $0.get(key, as: AnyValue.self) } ?? nil
            if let value { items.append((key, value)) }
        }
        return items
    }

    /// All keys of the open snapshot that are asked for; nil: there is none.
    private func snapshotKeys(of session: ShellSession) throws -> [AnyCacheKey]? {
        let parts = try session.inSnapshots {
            try isSorted ? $0.sortedKeys(reversed: reversed) : $0.keys(reversed: reversed)
        }
        guard let parts else { return nil }
        var keys = reversed ? Array(parts.reversed().joined()) : Array(parts.joined())
        if isSorted, parts.count > 1 { keys.sort { reversed ? $1.precedes($0) : $0.precedes($1) } }
        if !isSorted, let after {
            guard let place = keys.firstIndex(of: after) else { throw Self.isGone(session.cache.directory) }
            keys.removeSubrange(...place)
        }
        let tagged = try tag.map { tag in
            Set(try session.inSnapshots { try $0.keys(tag: tag) }?.joined().map(\.self) ?? [])
        }
        return keys.filter { admits($0) && tagged?.contains($0) ?? true }
    }

    private static func isGone(_ directory: String) -> CacheError {
        CacheError(.keyNotFound, "the key to go on after isn't there any more", path: directory)
    }

    /// The keys that a cursor in key order has to go over.
    private var range: KeyRange<AnyCacheKey> {
        // What comes before the bounds in the cursor's direction isn't read; the rest of the conditions is `admits`.
        var range = KeyRange(from: from, upTo: to)
        if let after, !reversed, from.map({ $0.precedes(after) }) ?? true { range.lower = after }
        if let after, reversed, to.map({ after.precedes($0) }) ?? true { range.upper = after }
        return range
    }

    private func page<Element>(
        _ cursor: Cursor<Element>, _ cache: any ShellStore, _ key: (Element) -> AnyCacheKey
    ) throws -> [Element] {
        let tagged = try isSorted ? tag.map { Set(try Array(cache.keys(tag: $0, reversed: false))) } : nil
        let later = try isSorted ? nil : after.map { try keys(behind: $0, cache) }
        var found: [Element] = []
        while found.count < limit ?? .max, let element = try cursor.next() {
            let key = key(element)
            if admits(key), tagged?.contains(key) ?? true, later?.contains(key) ?? true { found.append(element) }
        }
        return found
    }

    /// Whether a key lies within the bounds.
    private func admits(_ key: AnyCacheKey) -> Bool {
        if let from, key.precedes(from) { return false }
        if let to, !key.precedes(to) { return false }
        if isSorted, let after, reversed ? !key.precedes(after) : !after.precedes(key) { return false }
        switch (prefix, key) {
        case (nil, _): return true
        case (.string(let prefix), .string(let text)): return text.utf8.starts(with: prefix.utf8)
        case (.bytes(let prefix), .bytes(let bytes)): return bytes.starts(with: prefix)
        default: return false
        }
    }

    /// The keys that come behind one in insertion order. Throws `keyNotFound` if that isn't there: its place isn't known any more.
    private func keys(behind key: AnyCacheKey, _ cache: any ShellStore) throws -> Set<AnyCacheKey> {
        let cursor = try cache.keys(reversed: reversed)
        while let next = try cursor.next() {
            if next == key { return Set(try Array(cursor)) }
        }
        throw Self.isGone(cache.directory)
    }
}
