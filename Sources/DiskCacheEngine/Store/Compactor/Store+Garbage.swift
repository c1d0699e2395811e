import Synchronization

/// When compaction begins by itself (DESIGN 9): by bytes, not by time.
///
/// A store with a size limit that binds stays within that. Every store stays below twice its live bytes plus three segments: the
/// maintenance thread begins when a share of what the store takes is dead (a setting), and a writer that comes near the bound all the
/// same compacts itself before it returns, so that no writer outruns it.
///
/// ```
///   live            live / (1 - share) + 1.25 S         2 live + S / 2     2 live + 3 S
///    |                       |                                 |               |
///    |     nothing to do     |   the maintenance thread does   |  writers too  |
///    |                       |            writers pause a little               |
/// ```
extension Store {
    /// What a store may take before something is done about it. Bytes.
    struct SpaceLimits {
        /// From here on the maintenance thread gives back what is dead.
        var background: Int
        /// From here on a writer does it.
        var urgent: Int
        /// How far down the maintenance thread goes, and how far a writer.
        var backgroundGoal: Int
        var urgentGoal: Int
        /// Whether it is the size limit that binds: to keep that, snapshots lose.
        var isSizeLimit = false
    }

    /// *Writer.* The limits as of now; nil: it may grow as it likes.
    func spaceLimits() -> SpaceLimits? {
        var limits: SpaceLimits?
        if settings.compaction > 0 {
            let live = counters.liveBytes
            let segment = segmentLength
            let share = live / (100 - settings.compaction) * 100
            // Before the bound is left what copies take until their segment goes, and what several writers may add at once.
            let ends = max(live * 2, share + live / 4) + segment * 3 / 2 - min(segment, live / 2)
            let begins = min(share + segment * 5 / 4, ends - segment * 3 / 4)
            limits = SpaceLimits(
                background: begins, urgent: ends,
                backgroundGoal: begins - max(segment, (begins - live) / 6), urgentGoal: ends - segment)
        }
        guard Self.isBound(settings) else { return limits }
        let bound = Self.bound(settings)
        if let limits, limits.background <= bound - bound / 8 { return limits }
        return SpaceLimits(
            background: bound - bound / 8, urgent: bound - bound / 16, backgroundGoal: bound - bound / 8 - bound / 32,
            urgentGoal: bound - bound / 16 - bound / 32, isSizeLimit: true)
    }

    /// *Writer.* Bytes of the newest segment.
    var segmentLength: Int { log.active.map { Int($0.header.length) } ?? SegmentHeader.granule }

    /// *Writer.* Bytes between head and tail that no row needs.
    var logGarbage: Int {
        let rows = counters.live &- counters.count &* CommitBlock.Counters.accounted(0) &- counters.fileBytes
        return Int(clamping: log.tail &- min(log.tail, max(head, log.window.start))) - Int(clamping: rows)
    }

    /// *Writer.* Whether compacting the log would give back anything worth the copying.
    var hasGarbage: Bool { logGarbage > segmentLength / 2 }

    /// *Writer, at a commit.* Something has died: looks whether it is too much.
    @inline(__always)
    func noteGarbage() {
        if counters.dead >= eviction.deadCheckpoint { watchGarbage() }
    }

    @inline(never)
    func watchGarbage() {
        // Copies are garbage in the making, and who makes them knows.
        if eviction.reclaiming.isHeldByThisThread { return }
        guard let limits = spaceLimits(), !limits.isSizeLimit else {
            // The log is looked at as it grows (`watchVolume`); here again when half as much has died.
            eviction.deadCheckpoint = counters.dead &+ max(counters.live / 2, UInt64(segmentLength))
            return
        }
        // The newest segment can't go.
        guard (hasGarbage && log.window.start < log.activeFirst) || block.deadBytes > segmentLength else {
            eviction.deadCheckpoint = counters.dead &+ UInt64(segmentLength / 8)
            return
        }
        let volume = estimatedVolume()
        // Several processes may come as far beyond the last look at once.
        let step = max(min((limits.background - volume) / 4, 4 << 20), min(segmentLength / 16, 256 << 10))
        eviction.deadCheckpoint = counters.dead &+ UInt64(step)
        if volume <= limits.background || isHeldUp { return }
        if volume > limits.urgent {
            eviction.toll = EvictionState.makesRoom
            return
        }
        if !eviction.wantsReclaiming.exchange(true, ordering: .relaxed) { signalEviction() }
        let promised = min(eviction.promised.load(ordering: .relaxed), (limits.urgent - limits.background) / 3)
        eviction.debt &+= pause(volume - promised, limits, step)
        if eviction.debt < Self.leastPause { return }
        eviction.toll = min(eviction.debt, Self.longestPause)
        eviction.debt = 0
    }

    /// Whether a snapshot was in the way a moment ago.
    private var isHeldUp: Bool {
        let until = eviction.heldUpUntil.load(ordering: .relaxed)
        return until != 0 && SystemCalls.monotonicClock() < until
    }

    /// How long a writer waits that is this far beyond the first limit, for each `step` bytes of garbage: nothing in the first quarter of
    /// the way to the second, then more and more, up to as long as compaction takes for as much. So writers come to meet it on the
    /// way, not at a wall, and where it keeps up they pay nothing.
    private func pause(_ volume: Int, _ limits: SpaceLimits, _ step: Int) -> UInt64 {
        let way = Double(limits.urgent - limits.background)
        let part = (Double(volume - limits.background) / way - 0.25) * 2
        if part <= 0 { return 0 }
        let known = block.compactionSpeed.relaxed()
        let speed = known == 0 ? Self.firstSpeed : min(max(Double(known), Self.leastSpeed), 1e12)
        return UInt64(min(part * part, 4) * Double(step) / speed * 1e9)
    }

    /// Nanoseconds.
    private static let leastPause: UInt64 = 2_000_000
    private static let longestPause: UInt64 = 16_000_000
    /// Bytes a second: before compaction has shown what it does, and what is believed at least.
    private static let firstSpeed = Double(64 << 20)
    private static let leastSpeed = Double(1 << 20)

    /// *Compactor.* A round has given back so many bytes since `begun`, on the monotonic clock.
    func noteRound(_ gained: Int, begun: UInt64) {
        eviction.promised.store(0, ordering: .relaxed)
        let time = max(SystemCalls.monotonicClock() &- begun, 1)
        let speed = UInt64(Double(max(gained, 0)) / Double(time) * 1e9)
        let known = block.compactionSpeed.relaxed()
        block.compactionSpeed.store(known == 0 ? speed : known / 4 * 3 &+ speed / 4)
    }
}
