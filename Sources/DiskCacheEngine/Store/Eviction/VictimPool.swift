/// A row as eviction sees it: its rank under some order, and what finds it again.
struct Ranked: Comparable, Sendable {
    var rank: UInt64
    var rowid: UInt64
    /// The hash of its key.
    var hash: UInt64

    /// By rank; ties in insertion order.
    @inline(__always) static func < (a: Ranked, b: Ranked) -> Bool {
        a.rank != b.rank ? a.rank < b.rank : a.rowid < b.rowid
    }
}

/// The rows of least rank, as of one scan of what is live, and their bound.
///
/// **Exact.** Whatever was outside at the scan ranks above `bound`; ranks only grow, but for rows that are written, and those join
/// from the log. So the least entry whose rank is still its row's is the least of all (DESIGN 6.3). An entry whose row has
/// another rank by now is stale: it is dropped, or comes back with the new rank if that is within the bound.
struct VictimPool: Sendable {
    /// What it holds.
    struct Reach: Sendable {
        /// Every row of at most this rank is in the pool.
        let bound: Ranked
        /// Where the log ended when the scan did. Copies from there on are of rows that it saw, and rank as those do.
        let scanEnd: Position
        /// The log is joined up to here.
        var position: Position

        /// Whether a row of this rank must be in the pool.
        @inline(__always) func covers(_ rank: UInt64, _ rowid: UInt64) -> Bool {
            rank != bound.rank ? rank < bound.rank : rowid <= bound.rowid
        }

        /// Whether a copy at this position tells nothing new.
        @inline(__always) func knowsCopies(from position: Position) -> Bool { position >= scanEnd }
    }

    var reach: Reach
    /// What the scan found, ascending; those before `next` are used.
    private let sorted: [Ranked]
    private var next = 0
    /// Those before it were asked for.
    private var asked = 0
    /// What joined since: a binary heap, the least first.
    private var joined: [Ranked] = []

    init(_ sorted: [Ranked], bound: Ranked?, position: Position, scanEnd: Position) {
        self.sorted = sorted
        reach = Reach(
            bound: bound ?? Ranked(rank: .max, rowid: .max, hash: .max), scanEnd: scanEnd, position: position)
    }

    /// Whether the scan found no more rows than are here: then nothing is outside, and none but what joins comes later.
    var isComplete: Bool { reach.bound.rank == .max && reach.bound.rowid == .max }

    /// Whether three quarters of the scan's entries are used: the next scan takes less time than the rest lasts.
    var isMostlyUsed: Bool { next > sorted.count / 4 * 3 && !isComplete }

    /// Whether so many joined that another scan costs less than going on.
    var isCrowded: Bool { joined.count > 2 * sorted.count + 4096 }

    var count: Int { sorted.count - next + joined.count }

    var isEmpty: Bool { next == sorted.count && joined.isEmpty }

    /// The least entry.
    var least: Ranked? {
        guard next < sorted.count else { return joined.first }
        return joined.first.map { min($0, sorted[next]) } ?? sorted[next]
    }

    /// So many are asked for at once: takes little longer than one.
    private static var batch: Int { 16 }

    /// Once for each batch of what the scan found: those that come next, and those behind them.
    mutating func nextBatch() -> (soon: ArraySlice<Ranked>, later: ArraySlice<Ranked>)? {
        guard next >= asked, next < sorted.count else { return nil }
        asked = min(next + Self.batch, sorted.count)
        return (sorted[next..<asked], sorted[asked..<min(asked + Self.batch, sorted.count)])
    }

    /// Takes out the least entry.
    mutating func popLeast() -> Ranked? {
        if next < sorted.count, joined.isEmpty || sorted[next] < joined[0] {
            next += 1
            return sorted[next - 1]
        }
        return popJoined()
    }

    mutating func join(_ entry: Ranked) {
        var at = joined.count
        joined.append(entry)
        while at > 0 {
            let parent = (at - 1) / 2
            if !(entry < joined[parent]) { break }
            joined[at] = joined[parent]
            at = parent
        }
        joined[at] = entry
    }

    private mutating func popJoined() -> Ranked? {
        guard let least = joined.first, let moved = joined.popLast() else { return nil }
        if joined.isEmpty { return least }
        var at = 0
        while true {
            var child = 2 * at + 1
            guard child < joined.count else { break }
            if child + 1 < joined.count, joined[child + 1] < joined[child] { child += 1 }
            if !(joined[child] < moved) { break }
            joined[at] = joined[child]
            at = child
        }
        joined[at] = moved
        return least
    }
}

/// Chooses the least of many: at most `limit` are kept, with what the others rank above.
struct VictimSelection {
    private let limit: Int
    private var entries: [Ranked] = []
    private(set) var bound: Ranked?

    init(limit: Int) {
        self.limit = limit
        entries.reserveCapacity(2 * limit)
    }

    /// How many a pool of a store with so many rows holds.
    static func size(of count: UInt64, atLeast least: Int) -> Int {
        max(least, Int(clamping: min(count / 2, 262_144)))
    }

    /// Whether a row of this rank could still be among the least.
    @inline(__always) func wants(_ rank: UInt64) -> Bool {
        guard let bound else { return true }
        return rank <= bound.rank
    }

    mutating func add(_ entry: Ranked) {
        if let bound, !(entry < bound) { return }
        entries.append(entry)
        if entries.count == 2 * limit { shrink() }
    }

    /// Leaves the least `limit` of more entries than that.
    private mutating func shrink() {
        bound = Self.moveLeast(limit, of: &entries)
        entries.removeLast(entries.count - limit)
    }

    /// The pool, joined up to where the log ended before the scan began.
    mutating func pool(position: Position, scanEnd: Position) -> VictimPool {
        if entries.count > limit { shrink() }
        entries.sort()
        return VictimPool(entries, bound: bound, position: position, scanEnd: scanEnd)
    }

    /// Moves the least `count` entries to the front, in any order; the greatest of them. Hoare's selection, "Algorithm 65: Find"
    /// (1961), with the median of three as pivot. O(n), O(n²) for an order made to hurt, which ranks beside hashes don't give.
    static func moveLeast(_ count: Int, of entries: inout [Ranked]) -> Ranked {
        var low = 0
        var high = entries.count - 1
        let wanted = count - 1
        while low < high {
            let (a, b, c) = (entries[low], entries[low + (high - low) / 2], entries[high])
            let pivot = max(min(a, b), min(max(a, b), c))
            var left = low
            var right = high
            while left <= right {
                while entries[left] < pivot { left += 1 }
                while pivot < entries[right] { right -= 1 }
                if left > right { break }
                entries.swapAt(left, right)
                left += 1
                right -= 1
            }
            if wanted <= right { high = right } else if wanted >= left { low = left } else { break }
        }
        return entries[wanted]
    }
}
