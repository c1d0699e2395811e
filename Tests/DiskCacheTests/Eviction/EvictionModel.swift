@testable import DiskCacheCore
@testable import DiskCacheEngine

/// Who goes first, in the plainest form: all rows in a dictionary, the least sought each time.
struct EvictionModel {
    struct Row {
        var rowid: Int
        /// Milliseconds since the store's epoch, never going back.
        var storedAt: Int64
        /// Microseconds since 1970.
        var expires: Int64?
        /// Bytes of the value.
        var count: Int
        var isFile: Bool
        /// Milliseconds since the epoch; 0: not read since the stamps were made.
        var readAt: Int64 = 0
        var reads = 0

        /// What it is accounted with, but for its stamp and the tombstone to come: header, expiry, a number's 8 bytes as the key, and value or reference.
        var bytes: Int {
            let record = (24 + (expires == nil ? 0 : 8) + 8 + (isFile ? 32 : count) + 3) / 4 * 4
            return record + 24 + (isFile ? (max(count, 1) + 4095) / 4096 * 4096 : 0)
        }
    }

    var rows: [Int: Row] = [:]
    var policy = EvictionPolicy.leastRecentlyStored
    var cullLimit = 10
    var sizeLimit = 0
    var nextRowid = 0
    var lastStored: Int64 = 0
    let epoch: Int64

    init(epoch: Int64) { self.epoch = epoch }

    var hasStamps: Bool { policy == .leastRecentlyUsed || policy == .leastFrequentlyUsed }
    var capacity: Int { sizeLimit / 4 * 3 }
    var live: Int { rows.values.reduce(0) { $0 + $1.bytes + (hasStamps ? 64 : 40) } }
    var binds: Bool { policy != .none && cullLimit > 0 }

    func milliseconds(_ now: Int64) -> Int64 { max(now / 1000 - epoch, 0) }

    func isExpired(_ key: Int, _ now: Int64) -> Bool { rows[key]?.expires.map { $0 <= now } ?? false }

    func isLive(_ key: Int, _ now: Int64) -> Bool { rows[key] != nil && !isExpired(key, now) }

    mutating func storedTime(_ now: Int64) -> Int64 {
        lastStored = max(lastStored, milliseconds(now))
        return lastStored
    }

    /// A row is written.
    mutating func put(_ key: Int, count: Int, isFile: Bool = false, expires: Int64?, now: Int64) {
        let stored = storedTime(now)
        if rows[key] == nil {
            nextRowid += 1
            rows[key] = Row(rowid: nextRowid, storedAt: stored, expires: expires, count: count, isFile: isFile)
        }
        rows[key]?.storedAt = stored
        rows[key]?.expires = expires
        rows[key]?.count = count
        rows[key]?.isFile = isFile
        rows[key]?.reads = 0
    }

    mutating func read(_ key: Int, now: Int64) {
        let tick = milliseconds(now)
        switch policy {
        case .leastRecentlyUsed: if let row = rows[key], row.readAt < tick { rows[key]?.readAt = tick }
        case .leastFrequentlyUsed: rows[key]?.reads += 1
        default: break
        }
    }

    mutating func forgetReads() {
        for key in rows.keys {
            rows[key]?.readAt = 0
            rows[key]?.reads = 0
        }
    }

    func rank(_ row: Row) -> Int64? {
        switch policy {
        case .leastRecentlyStored: row.storedAt
        case .leastRecentlyUsed: max(row.storedAt, row.readAt)
        case .leastFrequentlyUsed: Int64(row.reads)
        case .none: nil
        }
    }

    private func least(_ own: Set<Int>, _ rank: (Row) -> Int64?) -> Int? {
        rows.filter { !own.contains($0.key) && rank($0.value) != nil }.min {
            let (a, b) = (rank($0.value)!, rank($1.value)!)
            return a != b ? a < b : $0.value.rowid < $1.value.rowid
        }?.key
    }

    /// What goes after a write of the keys in `own`.
    mutating func cullAfterWrite(_ own: Set<Int>, now: Int64) {
        guard cullLimit > 0 else { return }
        var left = cullLimit
        while left > 0, let key = least(own, { row in row.expires.flatMap { $0 <= now ? $0 : nil } }) {
            rows[key] = nil
            left -= 1
        }
        guard binds else { return }
        while live > capacity, let key = least(own, rank) { rows[key] = nil }
    }

    /// All that has expired; how many.
    mutating func expire(now: Int64) -> Int {
        let gone = rows.filter { $0.value.expires.map { $0 <= now } ?? false }
        for key in gone.keys { rows[key] = nil }
        return gone.count
    }

    mutating func cull(now: Int64) -> Int {
        var removed = expire(now: now)
        guard policy != .none else { return removed }
        while live > capacity, let key = least([], rank) {
            rows[key] = nil
            removed += 1
        }
        return removed
    }
}
