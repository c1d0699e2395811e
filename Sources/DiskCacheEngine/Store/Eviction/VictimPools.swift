/// The pools of the process's writers, one for each order that was asked for.
struct VictimPools {
    private var pools = [VictimPool?](repeating: nil, count: Ranking.allCases.count)
    /// How far each one goes, apart from it: to look at a part of an optional pool would copy the whole.
    private var reaches = [VictimPool.Reach?](repeating: nil, count: Ranking.allCases.count)
    /// Whether there may be any.
    private(set) var isKept = false
    /// Rows that a transaction met as victims and that are its own, with where it began; they come back after it.
    private(set) var spared: [(ranking: Ranking, entry: Ranked)] = []
    private var sparedBy: Position = 0

    /// Takes a pool out, to be put back: it is too large to be copied.
    mutating func take(_ ranking: Ranking) -> VictimPool? {
        guard let reach = reaches[ranking.rawValue].take() else { return nil }
        var pool = pools[ranking.rawValue].take()
        pool?.reach = reach
        return pool
    }

    mutating func put(_ pool: consuming VictimPool, _ ranking: Ranking) {
        reaches[ranking.rawValue] = pool.reach
        pools[ranking.rawValue] = pool
        isKept = true
    }

    /// The next victim is found by a scan.
    mutating func forget() { self = VictimPools() }

    /// A record was appended, of a row if it has an entry: a pool that is joined up to there has it without reading the log.
    @inline(__always)
    mutating func follow(from position: Position, to end: Position, _ entry: (Ranking) -> Ranked?) {
        for ranking in Ranking.allCases {
            guard let reach = reaches[ranking.rawValue], reach.position == position else { continue }
            reaches[ranking.rawValue]?.position = end
            guard let entry = entry(ranking), reach.covers(entry.rank, entry.rowid) else { continue }
            join(entry, ranking)
        }
    }

    /// A copy was appended, which ranks as what it is a copy of.
    mutating func passOverCopy(from position: Position, to end: Position) {
        for ranking in Ranking.allCases {
            guard let reach = reaches[ranking.rawValue], reach.position == position, reach.knowsCopies(from: position)
            else { continue }
            reaches[ranking.rawValue]?.position = end
        }
    }

    @inline(never)
    private mutating func join(_ entry: Ranked, _ ranking: Ranking) {
        guard var pool = take(ranking) else { return }
        pool.join(entry)
        // While nothing goes, nothing else looks at that.
        if !pool.isCrowded { put(pool, ranking) }
    }

    /// Keeps a row from going in the transaction that began at `first`, whose own it is.
    mutating func spare(_ entry: Ranked, _ ranking: Ranking, in first: Position) {
        spared.append((ranking, entry))
        sparedBy = first
    }

    /// Rows that an earlier transaction than the one that began at `first` spared because they were its own are like any other now.
    @inline(__always)
    mutating func restoreSpared(before first: Position) {
        guard !spared.isEmpty, sparedBy != first else { return }
        for (ranking, entry) in spared { pools[ranking.rawValue]?.join(entry) }
        spared.removeAll(keepingCapacity: true)
    }
}
