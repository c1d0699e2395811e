import Synchronization

/// The right to write: first among the threads of this process, then, by `flock` on the file `lock`, among processes.
///
/// **Keeping.** A `flock` pair costs as much as the rest of a small write, so a process that writes again and again, alone, keeps the lock
/// between its writes (DESIGN 7.1): after `leastStreak` of them with less than a millisecond between, and if nobody has knocked for
/// 10 ms. It lets go at the first write that finds a knock, after a tenth of a second for `pauseLength` in any case (an opener that can't
/// map `meta` can't knock), and a thread of its own lets go when a millisecond passed without a write, four where nobody has knocked for a
/// second. `isKept` belongs to who holds `queue`; for all others nothing changes: who keeps the lock holds it, and dies with it.
///
/// **Turns.** To hand the lock to another process costs as much as fifty small writes. So of several that do nothing but write, each has it
/// for `turnLength` at a time: who writes back to back keeps it so long though others knock. A little before that is over he wakes the
/// first of those who sleep, who looks again and again from then on: so the lock isn't idle for as long as waking takes. That a write
/// waited for its turn, or made room, doesn't end the run of writes: else each turn were a single one.
///
/// The kernel lets go of a dead process's lock, so nothing here can go stale. Nobody blocks inside `flock`: a waiter asks again
/// after three yields, then after sleeps on `knocks` that grow from 20 to 200 µs, until its deadline, and counts each try up in `knocks`;
/// who lets go while somebody knocks ends those sleeps.
/// Whoever let go of the lock while somebody knocked doesn't ask again until `owner` has changed, at most 2 ms: without that,
/// polling starves (PERFORMANCE 3 and 8).
///
/// The file is made once and never unlinked, renamed or truncated; its content is never read (P24, P25).
final class WriteLock: @unchecked Sendable {
    private let files: any FileSystem
    private let file: FileDescriptor
    private let block: CommitBlock?
    /// Threads have it for a tenth of a millisecond each where several wait.
    private let queue = ThreadQueue(turnLength: 100_000)
    /// Random 32 bits | process id: who holds the lock, in `meta`. New at each open.
    let identity: UInt64

    /// What `knocks` was when the kernel was last asked. Read by any thread.
    private let knocksAtAcquisition = Atomic<UInt64>(0)
    /// Whether the file is locked though nobody here is writing. *Queue*, as all that follows but what is marked.
    private var isKept = false
    /// How many writes came less than `shortPause` after the one before.
    private var streak = 0
    /// Microseconds of the callers' clock: of the last acquisition, of the last one that asked the kernel, and of when somebody
    /// knocked last.
    private var lastUse: Int64 = 0
    private var keptSince: Int64 = 0
    private var lastKnock: Int64 = .min / 2
    /// When the lock was let go after `longestKept`.
    private var pausedAt: Int64 = .min / 2
    /// *Any thread.* Whether there was a write since the keeper's thread looked last.
    private let isUsed = Atomic<Bool>(false)
    /// *Any thread.* Whether the lock may be kept.
    private let keeps: Atomic<Bool>
    /// *Any thread.* The task that lets go of a kept lock.
    private let keeper = Guarded<Worker.Token?>(nil)
    /// *Keeper's thread.* `knocks` when it looked last, and when it saw a new one, nanoseconds.
    private var knocksWatched: UInt64 = 0
    private var knockWatchedAt: UInt64 = 0
    /// How many writes came back to back; a gap halves it: a write that makes room, or that the kernel interrupts, takes longer as well.
    private var run = 0
    private static let longestRun = 32
    private static let leastStreak = 8
    /// Between writes that are back to back, microseconds: who does anything else between them isn't to keep others waiting for that.
    private static let gap: Int64 = 10
    private static let turnLength: Int64 = 400
    /// So long before the end of a turn whoever waits is woken, microseconds, and looks for so long again, nanoseconds, without going
    /// to sleep: else nobody had use of the lock while the kernel wakes him.
    private static let callAhead: Int64 = 100
    private static let longestWatch: UInt64 = 250_000
    private var hasCalled = false
    private static let shortPause: Int64 = 1000
    private static let quietAfterKnock: Int64 = 10_000
    private static let longestKept: Int64 = 100_000
    private static let pauseLength: Int64 = 400
    /// How often the keeper looks after a lock that is kept, nanoseconds: where others asked for it within `company`, and where they
    /// didn't. The machine gives the keeper the processor of a thread that writes, or compacts with the lock in its hands.
    private static let keeperInterval: UInt64 = 1_000_000
    private static let keeperIntervalAlone: UInt64 = 4_000_000
    private static let company: UInt64 = 1_000_000_000

    /// Set when the lock was let go while others knocked.
    private var stepsBack = false
    /// Nanoseconds of the monotonic clock.
    private var steppedBackAt: UInt64 = 0
    private var lastLinkCheck: Int64 = .min / 2
    /// Nanoseconds that the holder waited, until they are counted.
    private var waited: UInt64 = 0

    init(files: any FileSystem, file: FileDescriptor, block: CommitBlock?, identity: UInt64, keeps: Bool = false) {
        self.keeps = Atomic(keeps && block != nil)
        self.files = files
        self.file = file
        self.block = block
        self.identity = identity
        ForkGuard.register(file)
    }

    deinit {
        if let token = keeper.withLock({ $0.take() }) { token.worker.remove(token) }
        ForkGuard.unregister(file)
    }

    /// Whether the calling thread holds it.
    var isHeldByThisThread: Bool { queue.isHeldByThisThread }

    /// Takes the lock within `timeout` nanoseconds, or throws `timeout` with the owner's process id.
    ///
    /// `now`: microseconds of any clock that the caller has read anyhow, for things that are done once in a while. `inGap`: whoever asks
    /// has time, and others that write shall wait for him as seldom as can be.
    @inline(__always)
    func acquire(timeout: UInt64, now: Int64, inGap: Bool = false) throws(EngineError) {
        // The clock is read only by who has to wait. What others wrote meanwhile was before him.
        var now = now
        if !queue.tryAcquire() { now &+= try waitInQueue(Self.deadline(timeout), inGap) }
        do throws(EngineError) {
            let pause = now &- lastUse
            let before = run
            streak = pause >= 0 && pause < Self.shortPause ? streak &+ 1 : 0
            run = pause >= 0 && pause < Self.gap ? min(run &+ 1, Self.longestRun) : run / 2
            lastUse = now
            if !isKept { try lockFile(timeout, now, run: before) }
            if now &- lastLinkCheck >= 1000 || now < lastLinkCheck { try checkLinks(now) }
        } catch {
            isKept = false
            _ = try? files.lock(file, .unlock)
            queue.release()
            throw error
        }
        if waited != 0 { noteWait() }
        FaultPoint.reach(.lockTaken)
    }

    /// Waits, for a moment at most, until no thread of this process has the lock.
    ///
    /// Who joins the line is handed the lock, awake or not: who isn't keeps the writers waiting as long as the kernel takes to wake him.
    /// So who has time looks for a gap between their writes first. Where others wait already there is none.
    func awaitGap() {
        if !queue.isHeld { return }
        let until = SystemCalls.monotonicClock() &+ Self.longestLook
        repeat {
            for _ in 0..<64 where !queue.isHeld || queue.hasWaiters { return }
        } while SystemCalls.monotonicClock() < until
    }

    /// Nanoseconds.
    private static let longestLook: UInt64 = 100_000
    private static let longestSpin: UInt64 = 50_000

    /// Takes the lock if nobody has it, for who opens a store and hasn't shared it with a thread.
    func acquireAtOnce() throws(EngineError) -> Bool {
        guard try files.lockOrThrow(file, .exclusive) else { return false }
        try checkLinks(SystemCalls.wallClock())
        FaultPoint.reach(.lockTaken)
        return true
    }

    /// Asks the kernel.
    @inline(__always)
    private func lockFile(_ timeout: UInt64, _ now: Int64, run before: Int) throws(EngineError) {
        let steppedBack = stepsBack ? stepBack(run: before) : 0
        if now &- pausedAt < Self.pauseLength { pause(now) }
        var waited = steppedBack
        if try !files.lockOrThrow(file, .exclusive), !Mutant.isPlanted(.shared) {
            waited &+= try wait(Self.deadline(timeout))
        }
        // The time that it took is nobody's turn, and no pause.
        if waited != 0 { lastUse = now &+ Int64(clamping: waited / 1000) }
        hasCalled = false
        if let block { knocksAtAcquisition.store(block.knocks.relaxed(), ordering: .relaxed) }
        keptSince = lastUse
    }

    /// As above, for callers that have read no clock.
    func acquire(timeout: UInt64, inGap: Bool = false) throws(EngineError) {
        try acquire(timeout: timeout, now: SystemCalls.wallClock(), inGap: inGap)
    }

    @inline(never)
    private static func deadline(_ timeout: UInt64) -> UInt64 {
        let sum = SystemCalls.monotonicClock().addingReportingOverflow(timeout)
        return sum.overflow ? .max : sum.partialValue
    }

    /// The thread that has it doesn't write again at once: the next release lets others have it.
    func endRun() {
        run = 0
        streak = 0
    }

    /// Lets go of it.
    @inline(__always)
    func release() {
        let isKnocked = self.isKnocked
        if streak >= Self.leastStreak && keep(isKnocked) {
            queue.release()
            return
        }
        letGo(isKnocked)
        queue.release()
    }

    /// Whether somebody asked in vain since the kernel gave the lock to this process.
    @inline(__always) private var isKnocked: Bool {
        guard let block else { return false }
        return block.knocks.relaxed() != knocksAtAcquisition.load(ordering: .relaxed)
    }

    @inline(__always)
    private func letGo(_ isKnocked: Bool) {
        if isKnocked {
            stepsBack = true
            lastKnock = lastUse
            steppedBackAt = SystemCalls.monotonicClock()
        }
        isKept = false
        _ = try? files.lock(file, .unlock)
        // Who was called ahead is awake.
        if isKnocked, !hasCalled, let block { SystemCalls.wake(block.knocks.address, count: 1, shared: true) }
    }

    /// Keeps the lock between two writes, if that is allowed now.
    @inline(__always)
    private func keep(_ isKnocked: Bool) -> Bool {
        guard keeps.load(ordering: .relaxed) else { return false }
        let isAlone = !isKnocked && lastUse &- lastKnock >= Self.quietAfterKnock
        if !isAlone && run < Self.leastStreak { return false }
        let kept = lastUse &- keptSince
        if !isAlone, !hasCalled, kept >= Self.turnLength &- Self.callAhead, let block {
            hasCalled = true
            SystemCalls.wake(block.knocks.address, count: 1, shared: true)
        }
        if kept < 0 || kept >= (isAlone ? Self.longestKept : Self.turnLength) {
            if isAlone { pausedAt = lastUse }
            return false
        }
        #if FAILPOINTS
            // Who waits for whom, a step machine decides.
            if StepPoint.isScheduled() { return false }
        #endif
        if !isUsed.load(ordering: .relaxed) { isUsed.store(true, ordering: .relaxed) }
        if !isKept {
            // Without a thread that lets go of it, it would be kept for ever.
            guard wakeKeeper() else { return false }
            isKept = true
        }
        return true
    }

    /// Has the keeper's thread look after the lock; false: it couldn't be started.
    @inline(never)
    private func wakeKeeper() -> Bool {
        keeper.withLock { token in
            if let token {
                token.worker.signal(token)
                return token.worker.isRunning
            }
            let added = Worker.keeper.add { [weak self] now in self?.watch(now) }
            token = added
            return added.worker.isRunning
        }
    }

    /// *Keeper's thread.* Lets go of a lock that is kept for nothing; when to look again.
    private func watch(_ now: UInt64) -> UInt64? {
        let isKnocked = self.isKnocked
        if let knocks = block?.knocks.relaxed(), knocks != knocksWatched {
            knocksWatched = knocks
            knockWatchedAt = now
        }
        let interval = now &- knockWatchedAt < Self.company ? Self.keeperInterval : Self.keeperIntervalAlone
        if isUsed.exchange(false, ordering: .relaxed) {
            // Who writes ends his turn himself.
            return now &+ (isKnocked ? UInt64(Self.turnLength) * 1000 : interval)
        }
        // Who has the queue is writing, and decides itself.
        guard queue.tryAcquire() else { return now &+ interval }
        defer { queue.release() }
        if isKept { letGo(isKnocked) }
        return nil
    }

    /// Lets go of the lock if it is kept, and keeps it no more. Waits two seconds at most for a thread that is writing: who writes longer
    /// lets go at its end.
    func stopKeeping() {
        keeps.store(false, ordering: .relaxed)
        if !queue.isHeldByThisThread, queue.acquire(deadline: Self.deadline(2_000_000_000)) {
            if isKept { letGo(false) }
            queue.release()
        }
        // Behind that nobody asks for the keeper any more.
        if let token = keeper.withLock({ $0.take() }) { token.worker.remove(token) }
    }

    /// So that who can't knock has a chance.
    @inline(never)
    private func pause(_ now: Int64) {
        pausedAt = .min / 2
        SystemCalls.sleep(
            nanoseconds: UInt64(min(max(Self.pauseLength &- (now &- lastUse), 0), Self.pauseLength)) * 1000)
    }

    /// Lets others have it first, for a moment at most. Nanoseconds that it took.
    @inline(never)
    private func stepBack(run before: Int) -> UInt64 {
        stepsBack = false
        let begun = SystemCalls.monotonicClock()
        // A write that waited for its turn isn't a gap.
        if begun &- steppedBackAt < UInt64(Self.gap) * 1000 { run = min(before + 1, Self.longestRun) }
        #if FAILPOINTS
            // Whose turn it is, a step machine decides, not the clock.
            if StepPoint.isScheduled() { return 0 }
        #endif
        guard let block else { return 0 }
        while true {
            for _ in 0..<64 where block.owner.relaxed() != identity { break }
            let time = SystemCalls.monotonicClock() - begun
            if block.owner.relaxed() != identity || time >= 2_000_000 { return time }
            if time > 20_000 { SystemCalls.sleep(nanoseconds: 20_000) }
        }
    }

    /// For this process's other threads. Microseconds that it took.
    @inline(never)
    private func waitInQueue(_ deadline: UInt64, _ inGap: Bool) throws(EngineError) -> Int64 {
        let begun = SystemCalls.monotonicClock()
        if inGap { awaitGap() }
        guard queue.acquire(deadline: deadline, spinning: inGap ? Self.longestSpin : ThreadQueue.usualSpin) else {
            throw timeoutError()
        }
        waited = SystemCalls.monotonicClock() - begun
        return Int64(clamping: waited / 1000)
    }

    @inline(never)
    private func noteWait() {
        block?.note(.lockWaits)
        block?.note(.lockWaitNanoseconds, waited)
        waited = 0
    }

    /// For other processes. Nanoseconds that it took.
    @inline(never)
    private func wait(_ deadline: UInt64) throws(EngineError) -> UInt64 {
        let begun = SystemCalls.monotonicClock()
        var tries = 0
        var pause: UInt64 = 20_000
        while true {
            block?.knocks.add(1)
            if tries < 3 {
                tries += 1
                SystemCalls.yieldThread()
            } else {
                let now = SystemCalls.monotonicClock()
                if now >= deadline { throw timeoutError() }
                if sleep(min(pause, deadline - now)), try watchForRelease() { break }
                pause = min(pause * 3 / 2, 200_000)
            }
            if try files.lockOrThrow(file, .exclusive) { break }
        }
        let time = SystemCalls.monotonicClock() - begun
        waited += time
        return time
    }

    /// Sleeps so many nanoseconds, or until whoever has the lock calls; whether that was so.
    private func sleep(_ nanoseconds: UInt64) -> Bool {
        guard let block else {
            SystemCalls.sleep(nanoseconds: nanoseconds)
            return false
        }
        // Others that knock in between end it at once, and then it is begun again.
        let knocks = UInt32(truncatingIfNeeded: block.knocks.relaxed())
        return SystemCalls.wait(on: block.knocks.address, while: knocks, nanoseconds: nanoseconds, shared: true)
    }

    /// The holder is about to let go of the lock: asks again and again for a moment. Whether it is had.
    private func watchForRelease() throws(EngineError) -> Bool {
        let until = SystemCalls.monotonicClock() &+ Self.longestWatch
        repeat {
            if try files.lockOrThrow(file, .exclusive) { return true }
            block?.knocks.add(1)
        } while SystemCalls.monotonicClock() < until
        return false
    }

    /// A lock on a file that has no name any more excludes nobody: the directory was removed (P25). Whoever removes a directory
    /// while others write there can't tell a write before from one a millisecond after, so that is how often it is looked at.
    @inline(never)
    private func checkLinks(_ now: Int64) throws(EngineError) {
        do throws(SystemError) {
            if try files.status(file).links == 0 {
                _ = try? files.lock(file, .unlock)
                throw SystemError(errno: ErrorNumber.notFound, call: "fstat", path: file.path)
            }
        } catch {
            if error.errno == ErrorNumber.notFound {
                throw EngineError(
                    .directoryRemoved, "the directory of the store was removed; open another store", path: file.path)
            }
            throw EngineError(error)
        }
        lastLinkCheck = now
    }

    private func timeoutError() -> EngineError {
        let owner = block.map { UInt32(truncatingIfNeeded: $0.owner.relaxed()) } ?? 0
        return EngineError(
            .timeout,
            owner == 0
                ? "the write lock was not to be had in time"
                : "the write lock was not to be had in time; process \(owner) took it last", path: file.path)
    }
}

extension FileSystem {
    /// `lock`, with the engine's error.
    @inline(__always)
    func lockOrThrow(_ file: FileDescriptor, _ operation: LockOperation) throws(EngineError) -> Bool {
        do throws(SystemError) {
            return try lock(file, operation)
        } catch {
            throw EngineError(error)
        }
    }
}
