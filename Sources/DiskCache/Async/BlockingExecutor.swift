internal import DiskCacheEngine

/// Runs what blocks for tasks, on threads of its own: a task is suspended meanwhile, and no thread of the cooperative pool, of which
/// there are as few as processors, ever waits for a disk or a lock.
///
/// ```swift
/// let executor = BlockingExecutor()
/// let value = try await executor.run(on: .reading) { try cache.get("key", as: Int.self) }
/// try await executor.wait { cancellation in
///     while try !lock.tryAcquire() {
///         try cancellation.check()
///         cancellation.sleep(nanoseconds: 1_000_000)
///     }
/// }
/// ```
///
/// **Lanes.** Each has threads of its own, so that what waits in one never holds up another: `reading` for what never waits for a lock,
/// `writing` for what may wait for the write lock, and `waiting` for what may wait for somebody else's doing, as long as that takes.
/// The threads of the first two are few. Those of `waiting` grow with the work, for work there may depend on other work that comes
/// later: a holder of one lock that waits for another. So whoever can first tries without waiting, in `run`, and goes to `wait` only
/// if that got nothing; and what ends another's waiting, a release or a push, never goes to `wait`.
///
/// **Cancellation.** A task that is cancelled before its work began gets `CacheError.Code.cancelled` at once, and the work never begins.
/// After that `run` isn't interrupted, and its outcome is reported. `wait` tells its work, which is to come back soon: what it then
/// throws becomes `cancelled`; what it returns, having got it at that very moment, is returned.
///
/// In a child of a fork the executor begins anew, without threads and without its parent's work.
package final class BlockingExecutor: Sendable {
    /// Which threads.
    package enum Lane: Sendable {
        /// For what never waits for a lock, though perhaps for the disk.
        case reading
        /// For what may wait for the write lock of a store.
        case writing
        /// For what may wait long.
        case waiting
    }

    private let reading: PerProcess<ThreadPool>
    private let writing: PerProcess<ThreadPool>
    private let waiting: PerProcess<ThreadPool>

    /// An executor without a thread yet, how many it may have, and after how many nanoseconds idle ones go. Writers of a store take
    /// turns anyhow; more of them than one are of use where they wait for a sync together.
    package init(reading: Int = 8, writing: Int = 8, waiting: Int = 1024, idleTime: UInt64 = 2_000_000_000) {
        self.reading = PerProcess { ThreadPool(limit: reading, idleTime: idleTime) }
        self.writing = PerProcess { ThreadPool(limit: writing, idleTime: idleTime) }
        self.waiting = PerProcess { ThreadPool(limit: waiting, idleTime: idleTime) }
    }

    deinit {
        for lane in [reading, writing, waiting] { lane.existing?.close() }
    }

    /// Runs `body` on a thread of a lane. Throws what it throws; `cancelled` if the task is cancelled before it began; `limitReached`
    /// if the system gives no thread.
    package func run<R: Sendable>(
        on lane: Lane = .writing, _ body: @escaping @Sendable () throws -> R
    ) async throws -> R {
        try await perform(Work(Cancellation()) { _ in try body() }, on: pool(lane))
    }

    /// Runs `body`, which may wait long, on a thread of the lane `waiting`; as `run`, but `body` is told when the task is cancelled, and
    /// what it throws after that becomes `cancelled`.
    package func wait<R: Sendable>(_ body: @escaping @Sendable (Cancellation) throws -> R) async throws -> R {
        let work = Work(Cancellation()) { cancellation in
            do {
                return try body(cancellation)
            } catch {
                try cancellation.check()
                throw error
            }
        }
        return try await perform(work, on: pool(.waiting))
    }

    /// The threads of a lane, in this process.
    func pool(_ lane: Lane) -> ThreadPool {
        switch lane {
        case .reading: reading.current
        case .writing: writing.current
        case .waiting: waiting.current
        }
    }

    private func perform<R>(_ work: Work<R>, on pool: ThreadPool) async throws -> R {
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                guard work.enter(continuation) else { return }
                do throws(SystemError) {
                    try pool.submit { work.run() }
                } catch {
                    work.fail(CacheError(.limitReached, "the system gives no thread", errno: error.errno))
                }
            }
        } onCancel: {
            work.cancel()
        }
    }
}

/// Whether the task that work is done for was cancelled.
package final class Cancellation: Sendable {
    private enum State {
        case waiting(handler: (@Sendable () -> Void)?)
        case cancelled
    }

    private let state = Guarded(State.waiting(handler: nil))
    private let word = ParkingWord(0)

    /// Whether it was cancelled.
    package var isCancelled: Bool { word.load() != 0 }

    /// Throws `cancelled` if it was.
    package func check() throws {
        if isCancelled { throw Self.error }
    }

    /// Calls `handler` when it is cancelled, at once if it was already. Once, and on any thread, so it only wakes somebody. It takes
    /// the place of the handler before; nil: none any more.
    package func onCancel(_ handler: (@Sendable () -> Void)?) {
        let isLate = state.withLock { state in
            if case .cancelled = state { return true }
            state = .waiting(handler: handler)
            return false
        }
        if isLate { handler?() }
    }

    /// Sleeps until it is cancelled, at most so long. May return early.
    package func sleep(nanoseconds: UInt64) {
        word.wait(while: 0, nanoseconds: nanoseconds)
    }

    /// Tells the work.
    package func cancel() {
        let handler = state.withLock { state -> (@Sendable () -> Void)? in
            guard case .waiting(let handler) = state else { return nil }
            state = .cancelled
            return handler
        }
        word.store(1)
        word.wake()
        handler?()
    }

    static var error: CacheError { CacheError(.cancelled, "the task was cancelled") }
}

/// Work that a task waits for.
///
/// Its phases are new, in line, begun, over; the one who moves it on holds the continuation, so it is resumed once.
private final class Work<R: Sendable>: Sendable {
    private enum Phase {
        case new
        case inLine(UnsafeContinuation<R, any Error>)
        case begun
        case over
    }

    private let phase = Guarded(Phase.new)
    private let cancellation: Cancellation
    private let body: @Sendable (Cancellation) throws -> R

    init(_ cancellation: Cancellation, _ body: @escaping @Sendable (Cancellation) throws -> R) {
        self.cancellation = cancellation
        self.body = body
    }

    /// The task is suspended now. False: it was cancelled already, and goes on.
    func enter(_ continuation: UnsafeContinuation<R, any Error>) -> Bool {
        let isNew = phase.withLock { phase in
            guard case .new = phase else { return false }
            phase = .inLine(continuation)
            return true
        }
        if !isNew { continuation.resume(throwing: Cancellation.error) }
        return isNew
    }

    /// Does the work, unless the task went on without it.
    func run() {
        guard let continuation = leaveLine(for: .begun) else { return }
        continuation.resume(with: Result { try body(cancellation) })
    }

    /// Gives up what hasn't begun.
    func fail(_ error: CacheError) { leaveLine(for: .over)?.resume(throwing: error) }

    /// Ends what hasn't begun, and tells what has.
    func cancel() {
        let (continuation, hasBegun) = phase.withLock { phase -> (UnsafeContinuation<R, any Error>?, Bool) in
            switch phase {
            case .new:
                phase = .over
                return (nil, false)
            case .inLine(let continuation):
                phase = .over
                return (continuation, false)
            case .begun: return (nil, true)
            case .over: return (nil, false)
            }
        }
        continuation?.resume(throwing: Cancellation.error)
        if hasBegun { cancellation.cancel() }
    }

    private func leaveLine(for next: Phase) -> UnsafeContinuation<R, any Error>? {
        phase.withLock { phase in
            guard case .inLine(let continuation) = phase else { return nil }
            phase = next
            return continuation
        }
    }
}
