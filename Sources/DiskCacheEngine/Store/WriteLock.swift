/// The right to write: first among the threads of this process, then, by `flock` on the file `lock`, among processes.
///
/// The kernel lets go of a dead process's lock, so nothing here can go stale. Nobody blocks inside `flock`: a waiter asks again
/// after three yields, then after sleeps that grow from 20 to 200 µs, until its deadline, and counts each try up in `knocks`.
/// Whoever let go of the lock while somebody knocked doesn't ask again until `owner` has changed, at most 2 ms: without that,
/// polling starves (PERFORMANCE 3 and 8).
///
/// The file is made once and never unlinked, renamed or truncated; its content is never read (P24, P25).
final class WriteLock: @unchecked Sendable {
    private let files: any FileSystem
    private let file: FileDescriptor
    private let block: CommitBlock?
    private let queue = ThreadQueue()
    /// Random 32 bits | process id: who holds the lock, in `meta`. New at each open.
    let identity: UInt64

    private var knocksAtAcquisition: UInt64 = 0
    /// Set when the lock was let go while others knocked.
    private var stepsBack = false
    private var lastLinkCheck: Int64 = .min / 2
    /// Nanoseconds that the holder waited, until they are counted.
    private var waited: UInt64 = 0

    init(files: any FileSystem, file: FileDescriptor, block: CommitBlock?, identity: UInt64) {
        self.files = files
        self.file = file
        self.block = block
        self.identity = identity
        ForkGuard.register(file)
    }

    deinit { ForkGuard.unregister(file) }

    /// Whether the calling thread holds it.
    var isHeldByThisThread: Bool { queue.isHeldByThisThread }

    /// Takes the lock within `timeout` nanoseconds, or throws `timeout` with the owner's process id.
    ///
    /// `now`: microseconds of any clock that the caller has read anyhow, for things that are done once in a while.
    @inline(__always)
    func acquire(timeout: UInt64, now: Int64) throws(EngineError) {
        // The clock is read only by who has to wait.
        if !queue.tryAcquire() { try waitInQueue(Self.deadline(timeout)) }
        do throws(EngineError) {
            if stepsBack { stepBack() }
            if try !files.lockOrThrow(file, .exclusive), !Mutant.isPlanted(.shared) { try wait(Self.deadline(timeout)) }
            if now &- lastLinkCheck >= 1000 || now < lastLinkCheck { try checkLinks(now) }
        } catch {
            _ = try? files.lock(file, .unlock)
            queue.release()
            throw error
        }
        if waited != 0 { noteWait() }
        if let block { knocksAtAcquisition = block.knocks.relaxed() }
        FaultPoint.reach(.lockTaken)
    }

    /// As above, for callers that have read no clock.
    func acquire(timeout: UInt64) throws(EngineError) {
        try acquire(timeout: timeout, now: SystemCalls.wallClock())
    }

    @inline(never)
    private static func deadline(_ timeout: UInt64) -> UInt64 {
        let sum = SystemCalls.monotonicClock().addingReportingOverflow(timeout)
        return sum.overflow ? .max : sum.partialValue
    }

    /// Lets go of it.
    @inline(__always)
    func release() {
        if let block, block.knocks.relaxed() != knocksAtAcquisition { stepsBack = true }
        _ = try? files.lock(file, .unlock)
        queue.release()
    }

    @inline(never)
    private func stepBack() {
        stepsBack = false
        #if FAILPOINTS
            // Whose turn it is, a step machine decides, not the clock.
            if StepPoint.isScheduled() { return }
        #endif
        guard let block else { return }
        let until = SystemCalls.monotonicClock() + 2_000_000
        while block.owner.relaxed() == identity && SystemCalls.monotonicClock() < until {
            SystemCalls.sleep(nanoseconds: 20_000)
        }
    }

    /// For this process's other threads.
    @inline(never)
    private func waitInQueue(_ deadline: UInt64) throws(EngineError) {
        let begun = SystemCalls.monotonicClock()
        guard queue.acquire(deadline: deadline) else { throw timeoutError() }
        waited = SystemCalls.monotonicClock() - begun
    }

    @inline(never)
    private func noteWait() {
        block?.note(.lockWaits)
        block?.note(.lockWaitNanoseconds, waited)
        waited = 0
    }

    /// For other processes.
    @inline(never)
    private func wait(_ deadline: UInt64) throws(EngineError) {
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
                SystemCalls.sleep(nanoseconds: min(pause, deadline - now))
                pause = min(pause * 3 / 2, 200_000)
            }
            if try files.lockOrThrow(file, .exclusive) {
                waited += SystemCalls.monotonicClock() - begun
                return
            }
        }
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
