/// An order in which rows go. The least goes first; ties in insertion order.
enum Ranking: Int, CaseIterable, Sendable {
    /// By expiry; rows without one have no rank.
    case expiry
    /// By store time.
    case stored
    /// By the last access: the stamp, in milliseconds since the store's epoch, or the store time if that is later. A row
    /// whose stamp is lost counts as not read since it was stored.
    case used
    /// By the number of accesses since it was stored: the upper bits of the stamp, if its lower ones are the row's rowid.
    case frequency

    /// nil: nothing goes but what has expired.
    init?(_ policy: Eviction) {
        switch policy {
        case .leastRecentlyStored: self = .stored
        case .leastRecentlyUsed: self = .used
        case .leastFrequentlyUsed: self = .frequency
        case .none: return nil
        }
    }

    /// The rank of a row; nil: it is none of these.
    @inline(__always)
    func rank(_ record: Record, stamp: UInt64) -> UInt64? {
        guard record.kind == RecordKind.put.rawValue, record.keyClass != KeyClass.system else { return nil }
        let storedTime = self == .used ? max(stamp, record.storedTime) : record.storedTime
        return rank(storedTime: storedTime, expiry: record.expiry, count: Stamp.count(stamp, rowid: record.rowid))
    }

    /// The rank of a row that was last stored, or under `used` read, at a time, and read so often since it was stored.
    @inline(__always)
    func rank(storedTime: UInt64, expiry: Int64?, count: UInt64) -> UInt64? {
        switch self {
        case .expiry: return expiry.map { UInt64(max($0, 0)) }
        case .stored, .used: return storedTime
        case .frequency: return count
        }
    }

    /// Whether ranks are in the stamps too.
    @inline(__always) var usesStamps: Bool { self == .used || self == .frequency }

    /// No row with this stamp ranks lower.
    @inline(__always)
    func leastRank(stamp: UInt64) -> UInt64 { self == .used ? stamp : 0 }
}
