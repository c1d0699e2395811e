@testable import DiskCacheCore
@testable import DiskCacheEngine

/// Orders, queues, removals of many, transactions and snapshots, among all the other operations.
extension ModelRun {
    // MARK: Orders

    /// Class and bytes of a key, as orders compare them.
    private func sortable(_ key: some CacheKey) throws -> [UInt8] {
        try withKeyBytes(key) { keyClass, bytes in [KeyClass.identity(keyClass)] + Array(bytes) }
    }

    private func expect(_ cursor: Cursor<some CacheKey>, _ rows: [Model.Row], _ what: String) throws {
        var found: [[UInt8]] = []
        while let key = try cursor.next() { found.append(try sortable(key)) }
        let wanted = try rows.map { try sortable($0.key.native) }
        try expect(found == wanted, "\(what): \(found.count) keys, not the \(wanted.count) of \(rows.map(\.key))")
    }

    private func sorted(_ rows: some Sequence<Model.Row>, _ isReversed: Bool) -> [Model.Row] {
        let sorted = rows.sorted { $0.order < $1.order }
        return isReversed ? sorted.reversed() : sorted
    }

    private func sortedByKey(_ rows: some Sequence<Model.Row>, _ isReversed: Bool) throws -> [Model.Row] {
        let sorted = try rows.map { (row: $0, key: try sortable($0.key.native)) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.row)
        return isReversed ? sorted.reversed() : sorted
    }

    private func texts(_ isWanted: ([UInt8]) -> Bool) -> [Model.Row] {
        model.rows.values.filter { row in
            if case .text(let text) = row.key { return isWanted(Array(text.utf8)) }
            return false
        }
    }

    func list() throws {
        // Long lists take their time.
        if model.rows.count > 500 && !chance(10) { return }
        let isReversed = chance(2)
        let rows = model.rows.values
        switch Int.random(in: 0..<6, using: &random) {
        case 0: try expect(try cache.keys(reversed: isReversed), sorted(rows, isReversed), "keys")
        case 1: try expect(try cache.sortedKeys(reversed: isReversed), try sortedByKey(rows, isReversed), "sortedKeys")
        case 2:
            guard let tag = tag() else { return }
            let tagged = rows.filter { $0.tag == tag }
            try expect(try cache.keys(tag: tag, reversed: isReversed), sorted(tagged, isReversed), "keys of tag \(tag)")
        case 3:
            let prefix = ["key 1", "k", "", "e"].randomElement(using: &random)!
            let wanted = texts { $0.starts(with: prefix.utf8) }
            try expect(
                try cache.keys(prefix: prefix, reversed: isReversed), try sortedByKey(wanted, isReversed),
                "keys from \(prefix)")
        case 4:
            let (lower, upper) = ("key 2", "key 7")
            let wanted = texts {
                !$0.lexicographicallyPrecedes(lower.utf8) && $0.lexicographicallyPrecedes(upper.utf8)
            }
            try expect(
                try cache.keys(in: lower..<upper, reversed: isReversed), try sortedByKey(wanted, isReversed),
                "keys from \(lower) to \(upper)")
        default:
            let isSorted = chance(2)
            let all = isSorted ? try sortedByKey(rows, false) : sorted(rows, false)
            let first = try cache.first(sorted: isSorted).map { try sortable($0) }
            let last = try cache.last(sorted: isSorted).map { try sortable($0) }
            try expect(first == all.first.map { try sortable($0.key.native) }, "first, sorted \(isSorted)")
            try expect(last == all.last.map { try sortable($0.key.native) }, "last, sorted \(isSorted)")
        }
    }

    // MARK: Many at once

    func removeMany() throws {
        let wanted: [Model.Row]
        let removed: Int
        switch Int.random(in: 0..<8, using: &random) {
        case 0..<4:
            wanted = model.rows.values.filter { $0.expires.map { $0 <= model.now } ?? false }
            note("expire: \(wanted.count)")
            removed = try cache.expire()
        case 4..<7:
            let tag = tag() ?? "red"
            wanted = model.rows.values.filter { $0.tag == tag }
            note("evict \(tag): \(wanted.count)")
            removed = try cache.evict(tag: tag)
        default:
            guard chance(20) else { return }
            wanted = model.rows.values.filter { $0.tag == nil }
            note("evict untagged: \(wanted.count)")
            removed = try cache.evictUntagged()
        }
        for row in wanted { model.rows.removeValue(forKey: row.key.identity) }
        if !wanted.isEmpty { _ = model.stamp() }
        try expect(removed == wanted.count, "\(removed) removed, not \(wanted.count)")
    }

    // MARK: Queues

    private func items(_ prefix: String?) -> [Model.Row] {
        model.rows.values.filter { row in
            if case .queue(let key) = row.key { return key.prefix == prefix }
            return false
        }.sorted { $0.key.number < $1.key.number }
    }

    func queue() throws {
        let prefix = ["q", "", "é", nil].randomElement(using: &random)!
        let side: Side = chance(2) ? .front : .back
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<4: try push(prefix, side)
        case 4..<7: try pull(prefix, side)
        case 7: try peek(prefix, side)
        default:
            let items = items(prefix)
            guard let key = items.randomElement(using: &random)?.key else { return }
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                let wanted = model.delete(key)
                note("delete \(key): \(wanted)")
                try expect(try cache.delete(key.native) == wanted, "delete \(key)")
            case 1:
                let expiry = expiry()
                let moved: Model.Expiry = expiry.expiration == nil ? .never : expiry
                let wanted = model.touch(key, moved)
                note("touch \(key), \(moved): \(wanted)")
                try expect(try cache.touch(key.native, expire: moved.expiration ?? .never) == wanted, "touch \(key)")
            default:
                try get(key)
                try entry(key)
            }
        }
    }

    private func push(_ prefix: String?, _ side: Side) throws {
        let (text, expiry, tag, items) = (text(), expiry(), tag(), items(prefix))
        let end = side == .front ? items.first : items.last
        let number = end.map { $0.key.number + (side == .front ? -1 : 1) } ?? 500_000_000_000_000
        let key = ModelKey.queue(QueueKey(prefix: prefix, number: number))
        note("push \(key), \(side), \(expiry)")
        try model.replace(key, .text(text), model.microseconds(expiry), tag)
        let found = try cache.push(text, side: side, prefix: prefix, expire: expiry.expiration, tag: tag)
        try expect(found == QueueKey(prefix: prefix, number: number), "push \(key): \(found)")
    }

    private func pull(_ prefix: String?, _ side: Side) throws {
        var items = items(prefix)
        if side == .back { items.reverse() }
        let gone = items.prefix { model.live($0.key) == nil }
        let row = items.dropFirst(gone.count).first
        for row in gone + (row.map { [$0] } ?? []) { model.rows.removeValue(forKey: row.key.identity) }
        if !items.isEmpty { _ = model.stamp() }
        note("pull \(prefix.debugDescription), \(side): \(row.map { "\($0.key)" } ?? "none")")
        try expect(row, try cache.pull(as: String.self, side: side, prefix: prefix), "pull")
    }

    private func peek(_ prefix: String?, _ side: Side) throws {
        let items = items(prefix)
        let row = side == .front ? items.first : items.last
        // What has expired is removed by some looks, and left by others.
        if let row, model.live(row.key) == nil { return }
        try expect(row, try cache.peek(as: String.self, side: side, prefix: prefix), "peek")
    }

    private func expect(_ row: Model.Row?, _ found: (key: QueueKey, value: String)?, _ what: String) throws {
        guard let row, case .queue(let key) = row.key else {
            return try expect(found == nil, "\(what): \(String(describing: found)), though there is none")
        }
        try expect(found?.key == key, "\(what): \(String(describing: found?.key)), not \(key)")
        try expect(found.map { ModelValue.same(.text($0.value), row.value) } ?? false, "\(what) \(key): another value")
    }

    // MARK: Transactions and snapshots

    /// Other operations in between, all of them or none.
    func transact() throws {
        guard depth < 3 else { return }
        let (fails, inner, before, cache) = (chance(3), Int.random(in: 0...8, using: &random), model, cache)
        note("transact, \(inner) inside, fails \(fails)")
        depth += 1
        defer { depth -= 1 }
        do {
            try cache.transact {
                for _ in 0..<inner { try step() }
                if fails { throw Abandoned() }
            }
        } catch is Abandoned {
            model.restore(before)
            note("abandoned")
        }
    }

    /// Reads agree with what was there at its beginning, whatever is written meanwhile.
    func snapshot() throws {
        guard depth == 0 else { return }
        let (old, cache) = (model, cache)
        let keys = (0..<6).map { _ in key() }
        note("snapshot")
        var runs = 0
        try cache.snapshot { snapshot in
            runs += 1
            for _ in 0..<3 {
                for key in keys {
                    let (row, native) = (old.live(key), key.native)
                    let bytes = try snapshot.withValue(native) { span in span.withUnsafeBytes { Array($0) } }
                    let wanted = try row?.value.raw()
                    try expect(bytes == wanted, "snapshot \(key): \(String(describing: bytes?.count)) bytes")
                }
                let count = snapshot.count
                try expect(count == old.rows.count, "snapshot: \(count) rows, not \(old.rows.count)")
                if old.rows.count < 500 {
                    let (listed, inOrder) = (try snapshot.keys(), try snapshot.sortedKeys(reversed: true))
                    try expect(
                        try listed.map { try sortable($0) }
                            == sorted(old.rows.values, false).map { try sortable($0.key.native) },
                        "snapshot: other keys")
                    try expect(
                        try inOrder.map { try sortable($0) }
                            == sortedByKey(old.rows.values, true).map { try sortable($0.key.native) },
                        "snapshot: other keys in order")
                }
                for _ in 0..<2 {
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: try set()
                    case 1: try delete()
                    case 2: try pop()
                    default: try touch()
                    }
                }
            }
        }
        try expect(runs == 1, "the snapshot expired at once")
    }
}

extension ModelKey {
    /// An item's number.
    fileprivate var number: Int64 {
        if case .queue(let key) = self { return key.number }
        return 0
    }
}
