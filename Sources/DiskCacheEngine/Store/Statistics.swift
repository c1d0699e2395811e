/// Hits and misses, counted in 16 stripes so that threads rarely share a cache line.
///
/// ```
/// 1024 + 128 i  hits 8, misses 8      stripe i, 0 to 15; a thread always counts in the same one
/// ```
///
/// They aren't covered by a check, and nothing goes by them: a flipped bit, or a power loss, changes what they say.
public struct Statistics: Sendable, Hashable {
    /// Reads that found what they asked for.
    public var hits: UInt64 = 0
    /// Reads that found nothing, or something expired.
    public var misses: UInt64 = 0

    static let stripes = 16
    static let stripeSize = 128
}

extension CommitBlock {
    @inline(__always) private func hits(_ stripe: Int) -> SharedWord {
        SharedWord(base, Self.statisticsOffset &+ stripe &* Statistics.stripeSize)
    }
    @inline(__always) private func misses(_ stripe: Int) -> SharedWord {
        SharedWord(base, Self.statisticsOffset &+ stripe &* Statistics.stripeSize &+ 8)
    }

    /// Counts one read.
    @inline(never)
    func count(isHit: Bool) {
        let thread = SystemCalls.threadID()
        let stripe = Int(truncatingIfNeeded: (thread &>> 12) ^ (thread &>> 20)) & (Statistics.stripes &- 1)
        (isHit ? hits(stripe) : misses(stripe)).add(1)
    }

    func statistics() -> Statistics {
        var sum = Statistics()
        for stripe in 0..<Statistics.stripes {
            sum.hits &+= hits(stripe).relaxed()
            sum.misses &+= misses(stripe).relaxed()
        }
        return sum
    }

    func resetStatistics() {
        for stripe in 0..<Statistics.stripes {
            hits(stripe).store(0)
            misses(stripe).store(0)
        }
    }
}

extension Store {
    /// Hits and misses of all processes since they were reset. No lock.
    public var statistics: Statistics { block.statistics() }

    /// Sets hits and misses to 0. Reads that are being counted at the same time may be lost. No lock.
    public func resetStatistics() { block.resetStatistics() }
}
