/// Removing what has expired and what is too much (DESIGN 6.3).
extension Store {
    // MARK: After a write

    /// Whether a row of so many bytes makes work: it is too much, something may have expired, or the volume is to be looked at.
    @inline(__always)
    func needsCull(adding size: UInt64) -> Bool {
        let isFull = accountedBytes &+ size > eviction.capacity
        return isFull || counters.earliestExpiry <= UInt64(bitPattern: now) || log.tail >= eviction.checkpoint
    }

    /// Looks at the volume if it is time to; whether a cull is due.
    @inline(never)
    func preparesCull(adding size: UInt64) -> Bool {
        if log.tail >= eviction.checkpoint { watchVolume() }
        return accountedBytes &+ size > eviction.capacity
            || (counters.earliestExpiry <= UInt64(bitPattern: now) && settings.cullLimit > 0)
    }

    /// *Writer.* Bytes that the rows are accounted with, their stamps and the tombstones to come included.
    @inline(__always)
    var accountedBytes: UInt64 { counters.live &+ counters.count &* eviction.rowBytes }

    /// Bytes that a row of this record is accounted with.
    @inline(__always)
    func accountedBytes(_ size: Int, form: UInt16, value: UnsafeRawBufferPointer) -> UInt64 {
        CommitBlock.Counters.accounted(size) &+ eviction.rowBytes
            &+ (ValueFormCode.isFile(form) ? CommitBlock.Counters.fileBytes(value) : 0)
    }

    /// Refuses a row that can't be kept: with those of its transaction it is more than the store may hold.
    @inline(never)
    func refuseTooLarge(_ size: UInt64, replacing row: Record? = nil) throws(EngineError) {
        var own = transaction.ownBytes &+ size
        if let row, row.position >= transaction.first {
            own &-= accountedBytes(row.size, form: row.form, value: row.value)
        }
        guard own > eviction.capacity else { return }
        throw EngineError(
            .valueTooLarge,
            "what is stored takes \(own) bytes, and the store holds \(eviction.capacity) at most, three quarters of its size limit",
            path: path)
    }

    /// `closes`: the last record may end the transaction, if the cull knows it.
    @inline(never)
    func cull(closes: Bool) throws(EngineError) {
        guard settings.cullLimit > 0 else { return }
        FaultPoint.reach(.cullBegun)
        if counters.earliestExpiry <= UInt64(bitPattern: now) {
            _ = try removeExpired(at: now, atMost: settings.cullLimit, until: .max, sparesOwn: true)
        }
        guard let ranking = Ranking(settings.evictionPolicy), accountedBytes > eviction.capacity else { return }
        while accountedBytes > eviction.capacity, let victim = try nextVictim(ranking, sparesOwn: true) {
            let record = victim.record
            let freed = accountedBytes(record.size, form: record.form, value: record.value)
            let isLast = closes && accountedBytes &- freed <= eviction.capacity
            try remove(victim, cause: .evicted, isLast: isLast)
            FaultPoint.reach(.victimRemoved)
        }
    }

    /// Removes a victim. One that stays, for the disk is full, is missing in its pool, so the pools go.
    private func remove(_ victim: Victim, cause: TombstoneCause, isLast: Bool) throws(EngineError) {
        do throws(EngineError) {
            try remove(victim.record, cause: cause, isLast: isLast)
        } catch {
            forgetVictims()
            throw error
        }
    }

    /// Removes rows that have expired at an instant, earliest first; how many. `until`: of the monotonic clock.
    func removeExpired(
        at instant: Int64, atMost limit: Int, until: UInt64, sparesOwn: Bool
    ) throws(EngineError) -> Int {
        let instant = UInt64(max(instant, 0))
        var removed = 0
        while removed < limit, let victim = try nextVictim(.expiry, atMost: instant, sparesOwn: sparesOwn) {
            try remove(victim, cause: .expired, isLast: false)
            FaultPoint.reach(.victimRemoved)
            removed += 1
            if removed & 15 == 0, until != .max, SystemCalls.monotonicClock() >= until { return removed }
        }
        // Below this nothing expires: the next look is due then.
        if removed < limit {
            counters.earliestExpiry = max(counters.earliestExpiry, try leastRank(.expiry) ?? UInt64(Int64.max))
        }
        return removed
    }

    /// Removes rows in the order of a policy until the rest is within `bytes`; how many.
    private func removeVictims(
        _ ranking: Ranking, downTo bytes: UInt64, atMost limit: Int, until: UInt64
    ) throws(EngineError) -> Int {
        var removed = 0
        while removed < limit, accountedBytes > bytes, let victim = try nextVictim(ranking, sparesOwn: false) {
            try remove(victim, cause: .evicted, isLast: false)
            FaultPoint.reach(.victimRemoved)
            removed += 1
            if removed & 15 == 0, SystemCalls.monotonicClock() >= until { break }
        }
        return removed
    }

    // MARK: Asked for

    private static var batchRows: Int { 1000 }
    private static var batchNanoseconds: UInt64 { 1_000_000 }

    /// Calls `body` with the end of a batch, each in a transaction of its own, until it says that there is no more; the sum. An
    /// error says how many rows were removed before it.
    private func inBatches(
        timeout: UInt64, _ body: (_ until: UInt64) throws(EngineError) -> (removed: Int, isDone: Bool)
    ) throws(EngineError) -> Int {
        var sum = 0
        while true {
            do throws(EngineError) {
                let batch = try write(timeout: timeout) { () throws(EngineError) in
                    try body(SystemCalls.monotonicClock() &+ Self.batchNanoseconds)
                }
                sum += batch.removed
                if batch.isDone { return sum }
            } catch {
                throw error.after(removing: sum)
            }
        }
    }

    /// Removes every row that has expired at `instant` (nil: now), in transactions of at most 1,000 rows or a millisecond; how many.
    ///
    /// A `timeout` says in `removed` how many went before it.
    public func expire(timeout: UInt64, at instant: Int64? = nil) throws(EngineError) -> Int {
        let instant = instant ?? environment.wallClock()
        return try inBatches(timeout: timeout) { (until) throws(EngineError) in
            guard counters.earliestExpiry <= UInt64(max(instant, 0)) else { return (0, true) }
            let removed = try removeExpired(at: instant, atMost: Self.batchRows, until: until, sparesOwn: false)
            return (removed, removed == 0 || counters.earliestExpiry > UInt64(max(instant, 0)))
        }
    }

    /// Removes what has expired, then rows in the order of the policy until the rows are within the capacity, and gives back what the
    /// store takes on disk beyond its limit, whatever `cullLimit` says; how many rows went.
    ///
    /// With the policy *none* only what has expired goes. A `timeout` says in `removed` how many went before it.
    public func cull(timeout: UInt64) throws(EngineError) -> Int {
        let expired = try expire(timeout: timeout)
        do throws(EngineError) {
            let evicted = try inBatches(timeout: timeout) { (until) throws(EngineError) in
                guard let ranking = Ranking(settings.evictionPolicy) else { return (0, true) }
                let capacity = Self.capacity(settings)
                let removed = try removeVictims(
                    ranking, downTo: capacity, atMost: Self.batchRows, until: until)
                return (removed, removed == 0 || accountedBytes <= capacity)
            }
            if !lock.isHeldByThisThread { try reclaimAll(timeout: timeout) }
            return expired + evicted
        } catch {
            throw error.after(removing: expired + (error.removed ?? 0))
        }
    }

    /// Bytes of rows that a store with these settings may hold: three quarters of its limit, for garbage takes room too.
    static func capacity(_ settings: Settings) -> UInt64 { UInt64(max(settings.sizeLimit, 0)) / 4 * 3 }

    /// Whether the limit binds writers.
    static func isBound(_ settings: Settings) -> Bool { settings.cullLimit > 0 && settings.evictionPolicy != .none }
}
