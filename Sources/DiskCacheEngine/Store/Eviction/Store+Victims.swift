import Synchronization

/// Finding the next row to go. All of it belongs to the holder of the write lock, but for `scan`.
extension Store {
    /// A row that goes next, where it lies.
    struct Victim {
        let record: Record
        let rank: UInt64
    }

    /// The row of least rank, if that is `most` at most; `sparesOwn`: not one that the open transaction wrote.
    func nextVictim(
        _ ranking: Ranking, atMost most: UInt64 = .max, sparesOwn: Bool
    ) throws(EngineError) -> Victim? {
        victims.restoreSpared(before: transaction.first)
        var pool = try currentPool(ranking)
        defer { victims.put(pool, ranking) }
        // Each stale entry moves once; reads go on meanwhile, and a row that is read faster than it is looked at goes all the same.
        var moves = pool.count + 64
        while true {
            // What goes next is in no cache: records are asked for whose slots came with the batch before.
            if let (soon, later) = pool.nextBatch() {
                for entry in soon { indexView.askForRecord(entry.hash, anchor: log.tail, log) }
                for entry in later { indexView.ask(for: entry.hash) }
            }
            guard let entry = pool.popLeast() else {
                if pool.isComplete { return nil }
                pool = try freshPool(ranking)
                if pool.isEmpty { return nil }
                moves = pool.count + 64
                continue
            }
            if entry.rank > most {
                pool.join(entry)
                return nil
            }
            guard let (record, rank) = try row(entry, ranking) else { continue }
            if rank != entry.rank && moves > 0 {
                moves -= 1
                if pool.reach.covers(rank, entry.rowid) {
                    pool.join(Ranked(rank: rank, rowid: entry.rowid, hash: entry.hash))
                }
                continue
            }
            if sparesOwn && transaction.operations != 0 && record.position >= transaction.first {
                victims.spare(entry, ranking, in: transaction.first)
                continue
            }
            if pool.isMostlyUsed { wantPool(ranking) }
            return Victim(record: record, rank: rank)
        }
    }

    /// The least rank that there may be: no row ranks below.
    func leastRank(_ ranking: Ranking) throws(EngineError) -> UInt64? {
        var pool = try currentPool(ranking)
        if pool.isEmpty && !pool.isComplete { pool = try freshPool(ranking) }
        defer { victims.put(pool, ranking) }
        let spared = victims.spared.filter { $0.ranking == ranking }.map(\.entry.rank).min()
        guard let least = pool.least?.rank else { return spared }
        return min(least, spared ?? .max)
    }

    /// Forgets all pools.
    func forgetVictims() {
        victims.forget()
        eviction.forgetPrepared()
    }

    /// *Writer.* This record of a key with this hash was appended at `position`.
    @inline(__always)
    func followVictims(_ draft: borrowing RecordDraft, _ hash: UInt64, at position: Position) {
        guard victims.isKept else { return }
        let (kind, keyClass, rowid) = (draft.kind, draft.keyClass, draft.rowid)
        let (storedTime, expiry) = (draft.storedTime, draft.expiry)
        victims.follow(from: position, to: log.tail) { ranking in
            guard kind == .put, keyClass != KeyClass.system else { return nil }
            return ranking.rank(storedTime: storedTime, expiry: expiry, count: 0).map {
                Ranked(rank: $0, rowid: rowid, hash: hash)
            }
        }
    }

    /// The row that an entry stands for, with its rank as of now; nil: it is gone.
    private func row(_ entry: Ranked, _ ranking: Ranking) throws(EngineError) -> (Record, UInt64)? {
        let found = try indexView.findForWriting(entry.hash, anchor: log.tail, from: transaction.headBefore, log: log) {
            $0.rowid == entry.rowid
        }
        guard case .present(let place, let record) = found, record.position >= head else { return nil }
        let stamp = ranking.usesStamps ? indexView.stamp(of: place.slot) : 0
        transaction.found = (record.position, entry.hash, place)
        return ranking.rank(record, stamp: stamp).map { (record, $0) }
    }

    // MARK: Pools

    /// The pool of an order, joined up to the end of the log. One that the maintenance thread has made takes the other's place at once, as
    /// long as little was written since.
    private func currentPool(_ ranking: Ranking) throws(EngineError) -> VictimPool {
        if var pool = takePrepared(ranking), try catchUp(&pool, ranking) { return pool }
        if var pool = victims.take(ranking), try catchUp(&pool, ranking) { return pool }
        return try freshPool(ranking)
    }

    /// One that the maintenance thread has made, or one made here and now.
    private func freshPool(_ ranking: Ranking) throws(EngineError) -> VictimPool {
        if var prepared = takePrepared(ranking), try catchUp(&prepared, ranking), !prepared.isEmpty { return prepared }
        return try scan(ranking, position: log.tail, head: head, count: counters.count)
    }

    private func takePrepared(_ ranking: Ranking) -> VictimPool? {
        let bit = UInt32(1) << UInt32(ranking.rawValue)
        guard eviction.ready.load(ordering: .relaxed) & bit != 0 else { return nil }
        return eviction.prepared.withLock { prepared in
            eviction.ready.bitwiseAnd(~bit, ordering: .relaxed)
            return prepared[ranking.rawValue].take()
        }
    }

    /// Joins what was written since; false: a scan costs less, or what is behind can't be told any more.
    private func catchUp(_ pool: inout VictimPool, _ ranking: Ranking) throws(EngineError) -> Bool {
        let tail = log.tail
        if pool.reach.position == tail { return true }
        let start = pool.reach.position
        guard start >= head, start <= tail, !pool.isCrowded,
            tail &- start <= max(64 << 10, counters.live / 4)
        else { return false }
        var isWhole = true
        _ = try log.scanTail(from: start) { (record) throws(EngineError) in
            guard record.position < tail else { return }
            switch record.kind {
            case RecordKind.put.rawValue:
                if record.bits.has(RecordBits.copy), pool.reach.knowsCopies(from: record.position) { return }
                // No row ranks lower than its record alone says, but under `used`, where it may only rank higher.
                guard let rank = ranking.rank(record, stamp: 0), pool.reach.covers(rank, record.rowid) else { return }
                try join(record, &pool, ranking)
            case RecordKind.void.rawValue:
                // The versions before come back, whatever they rank.
                if isWhole { isWhole = try joinVoided(from: record.valueWord, to: record.position, &pool, ranking) }
            default: break
            }
        }
        pool.reach.position = tail
        return isWhole
    }

    /// Puts the row of a record's key into the pool, if its rank is within the bound.
    private func join(_ record: Record, _ pool: inout VictimPool, _ ranking: Ranking) throws(EngineError) {
        let hash = self.hash(KeyClass.identity(record.keyClass), record.key)
        let entry = Ranked(rank: 0, rowid: record.rowid, hash: hash)
        guard let (_, rank) = try row(entry, ranking), pool.reach.covers(rank, record.rowid) else { return }
        pool.join(Ranked(rank: rank, rowid: record.rowid, hash: hash))
    }

    /// The rows as they are after a range of the log was taken back. False: a `clear` was among it.
    private func joinVoided(
        from start: Position, to end: Position, _ pool: inout VictimPool, _ ranking: Ranking
    ) throws(EngineError) -> Bool {
        guard start >= head, start < end else { return false }
        var isWhole = true
        _ = try log.scanTail(from: start) { (record) throws(EngineError) in
            guard record.position < end else { return }
            switch record.kind {
            case RecordKind.put.rawValue, RecordKind.tombstone.rawValue:
                try join(record, &pool, ranking)
            case RecordKind.head.rawValue: isWhole = false
            default: break
            }
        }
        return isWhole
    }

    // MARK: Scans

    /// A pool of the least rows, by one scan of what is live. Without the write lock too: what is written meanwhile lies behind
    /// `position`, from where the pool is joined before it is used, the copies included that are made before it ends.
    func scan(
        _ ranking: Ranking, position: Position, head: Position, count: UInt64
    ) throws(EngineError) -> VictimPool {
        var selection = VictimSelection(
            limit: VictimSelection.size(of: count, atLeast: eviction.smallestPool.load(ordering: .relaxed)))
        let index = self.index
        let log = self.log
        let hash = self.hash
        try index.forEachSlotNow(
            ahead: { log.touchHeader(at: PackedPosition.complete($0.low, around: position)) }
        ) { (slot, stamp) throws(EngineError) in
            guard selection.wants(ranking.leastRank(stamp: stamp)) else { return }
            let at = PackedPosition.complete(slot.low, around: position)
            // Another process may have put a copy into a segment that isn't mapped here yet.
            if at >= log.window.end { try log.mapNewSegments(upTo: at) }
            // Verified when it is used.
            guard at >= head, let record = log.unverifiedRecord(at: at),
                let rank = ranking.rank(record, stamp: stamp), selection.wants(rank)
            else { return }
            selection.add(
                Ranked(
                    rank: rank, rowid: record.rowid, hash: hash(KeyClass.identity(record.keyClass), record.key)))
        }
        return selection.pool(position: position, scanEnd: max(position, CommitBlock.tail(block.word.acquire())))
    }

    /// Has the maintenance thread make the next pool.
    private func wantPool(_ ranking: Ranking) {
        let bit = UInt32(1) << UInt32(ranking.rawValue)
        if (eviction.wanted.load(ordering: .relaxed) | eviction.ready.load(ordering: .relaxed)) & bit != 0 { return }
        eviction.wanted.bitwiseOr(bit, ordering: .relaxed)
        signalEviction()
    }

    /// Has the eviction's task run on the maintenance thread.
    func signalEviction() {
        eviction.task.withLock { token in
            if isClosing { return }
            if let token {
                Worker.shared.signal(token)
            } else {
                token = Worker.shared.add { [weak self] _ in
                    self?.prepareEviction()
                    return nil
                }
            }
        }
    }

    /// *Maintenance thread.* Makes the pools that writers will need, and room.
    private func prepareEviction() {
        for ranking in Ranking.allCases {
            let bit = UInt32(1) << UInt32(ranking.rawValue)
            guard eviction.wanted.load(ordering: .relaxed) & bit != 0 else { continue }
            let pin = ReaderPins.enter(ReaderPins.base)
            defer { ReaderPins.leave(pin) }
            do throws(EngineError) {
                let state = block.read()
                let tail = CommitBlock.tail(state.word)
                try log.mapNewSegments(upTo: tail)
                _ = try currentIndex()
                let pool = try scan(ranking, position: tail, head: state.head, count: state.counters.count)
                eviction.prepared.withLock { prepared in
                    prepared[ranking.rawValue] = pool
                    eviction.ready.bitwiseOr(bit, ordering: .relaxed)
                }
            } catch {
                // The writer that runs dry scans for itself, and tells what is wrong.
                _ = takePrepared(ranking)
            }
            eviction.wanted.bitwiseAnd(~bit, ordering: .relaxed)
        }
        try? keepNext()
        if eviction.wantsReclaiming.exchange(false, ordering: .relaxed) { try? reclaim() }
    }
}
