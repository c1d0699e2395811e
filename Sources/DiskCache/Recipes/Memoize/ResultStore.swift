import DiskCacheCore
import DiskCacheEngine

/// Where the results of one memoised function lie: looks them up, judges their age, stores them.
struct ResultStore<Output: Codable & Sendable>: Sendable {
    /// A result with the seconds that it took.
    private struct Timed: Codable {
        let value: Output
        let seconds: Double
    }

    enum Found {
        case missing
        case fresh(Output)
        /// To be given to whoever asks, and computed again.
        case stale(Output, storedAt: Double)
    }

    let cache: any CacheProtocol
    let expire: Expiration?
    let tag: Tag?
    let recomputation: Recomputation
    /// Seconds since 1970, and numbers in (0, 1].
    var clock: @Sendable () -> Double = { Double(Cache.systemClock()) / 1e6 }
    var random: @Sendable () -> Double = { 1 - Double.random(in: 0..<1) }

    /// The result of a call. One that can't be read as an `Output`, as after a change of the type, is missing.
    func find(_ key: AnyCacheKey) throws -> Found {
        do {
            let cache = try cache.shard(for: key)
            switch recomputation.kind {
            case .whenMissing:
                return try cache.get(key, as: Output.self).map { .fresh($0) } ?? .missing
            case .ahead(let age):
                guard let entry = try cache.entry(key, as: Output.self) else { return .missing }
                let isOld = clock() - entry.storedAt >= age / .seconds(1)
                return isOld ? .stale(entry.value, storedAt: entry.storedAt) : .fresh(entry.value)
            case .early(let beta):
                guard let entry = try cache.entry(key, as: Timed.self) else { return .missing }
                guard let expires = entry.expires else { return .fresh(entry.value.value) }
                let early = -entry.value.seconds * beta * logarithm(random())
                if early < expires - clock() { return .fresh(entry.value.value) }
                return .stale(entry.value.value, storedAt: entry.storedAt)
            }
        } catch CacheError.Code.typeMismatch {
            return .missing
        } catch CacheError.Code.undecodable {
            return .missing
        }
    }

    /// Whether a result that was to be computed again is still what it was then.
    func isUnchanged(_ key: AnyCacheKey, since storedAt: Double) throws -> Bool {
        do {
            let cache = try cache.shard(for: key)
            if case .early = recomputation.kind { return try cache.entry(key, as: Timed.self)?.storedAt == storedAt }
            return try cache.entry(key, as: Output.self)?.storedAt == storedAt
        } catch CacheError.Code.typeMismatch {
            return false
        }
    }

    /// Stores a result that took so many seconds if `isWanted` still says so when nobody can come between; not at all if it would
    /// be expired at once.
    func store(_ key: AnyCacheKey, _ result: Output, seconds: Double, isWanted: () -> Bool) throws {
        if expire?.isOver(at: Int64(clock() * 1e6)) == true { return }
        let cache = try cache.shard(for: key)
        try cache.transact {
            guard isWanted() else { return }
            if case .early = recomputation.kind {
                try cache.set(key, Timed(value: result, seconds: seconds), expire: expire, tag: tag)
            } else {
                try cache.set(key, result, expire: expire, tag: tag)
            }
        }
    }
}
