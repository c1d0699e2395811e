internal import DiskCacheEngine

/// Runs what blocks for tasks, on threads of its own: a task is suspended meanwhile, and no thread of the cooperative pool, of which
/// there are as few as processors, ever waits for a disk or a lock.
///
/// ```swift
/// let executor = BlockingExecutor()
/// let value = try await executor.run(on: .reading) { try cache.get("key", as: Int.self) }
/// ```
///
/// **Lanes.** Each has threads of its own, so that what takes its time in one never holds up another: `reading` for what never waits for
/// a lock, `writing` for what may wait for the write lock, and `lasting` for what takes long. The threads of the first two are few. Those
/// of `lasting` grow with the work, for work there may depend on other work that comes later. What ends another's waiting, a release or
/// a push, never goes there. Tasks that wait for an item, a commit or a lock have no thread at all (`WaitingTasks`, `LeaseWait`).
///
/// **Cancellation.** A task that is cancelled before its work began gets `CacheError.Code.cancelled` at once, and the work never begins.
/// After that it isn't interrupted, and its outcome is reported.
///
/// In a child of a fork the executor begins anew, without threads and without its parent's work.
package final class BlockingExecutor: Sendable {
    /// Which threads.
    package enum Lane: Sendable {
        /// For what never waits for a lock, though perhaps for the disk.
        case reading
        /// For what may wait for the write lock of a store.
        case writing
        /// For what takes long: whole passes over a store, and the watchers of `WaitingTasks`.
        case lasting
    }

    private let reading: PerProcess<ThreadPool>
    private let writing: PerProcess<ThreadPool>
    private let lasting: PerProcess<ThreadPool>

    /// An executor without a thread yet, how many it may have, and after how many nanoseconds idle ones go. Writers of a store take
    /// turns anyhow; more of them than one are of use where they wait for a sync together.
    package init(reading: Int = 8, writing: Int = 8, lasting: Int = 1024, idleTime: UInt64 = 2_000_000_000) {
        self.reading = PerProcess { ThreadPool(limit: reading, idleTime: idleTime) }
        self.writing = PerProcess { ThreadPool(limit: writing, idleTime: idleTime) }
        self.lasting = PerProcess { ThreadPool(limit: lasting, idleTime: idleTime) }
    }

    deinit {
        for lane in [reading, writing, lasting] { lane.existing?.close() }
    }

    /// Runs `body` on a thread of a lane. Throws what it throws; `cancelled` if the task is cancelled before it began; `limitReached`
    /// if the system gives no thread.
    package func run<R: Sendable>(
        on lane: Lane = .writing, _ body: @escaping @Sendable () throws -> R
    ) async throws -> R {
        let work = Work(body)
        let pool = pool(lane)
        return try await withTaskCancellationHandler {
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

    /// The threads of a lane, in this process.
    func pool(_ lane: Lane) -> ThreadPool {
        switch lane {
        case .reading: reading.current
        case .writing: writing.current
        case .lasting: lasting.current
        }
    }
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
    private let body: @Sendable () throws -> R

    init(_ body: @escaping @Sendable () throws -> R) { self.body = body }

    /// The task is suspended now. False: it was cancelled already, and goes on.
    func enter(_ continuation: UnsafeContinuation<R, any Error>) -> Bool {
        let isNew = phase.withLock { phase in
            guard case .new = phase else { return false }
            phase = .inLine(continuation)
            return true
        }
        if !isNew { continuation.resume(throwing: CacheError.taskCancelled) }
        return isNew
    }

    /// Does the work, unless the task went on without it.
    func run() {
        guard let continuation = leaveLine(for: .begun) else { return }
        continuation.resume(with: Result { try body() })
    }

    /// Gives up what hasn't begun.
    func fail(_ error: CacheError) { leaveLine(for: .over)?.resume(throwing: error) }

    /// Ends what hasn't begun.
    func cancel() {
        let continuation = phase.withLock { phase -> UnsafeContinuation<R, any Error>? in
            switch phase {
            case .new:
                phase = .over
                return nil
            case .inLine(let continuation):
                phase = .over
                return continuation
            case .begun, .over: return nil
            }
        }
        continuation?.resume(throwing: CacheError.taskCancelled)
    }

    private func leaveLine(for next: Phase) -> UnsafeContinuation<R, any Error>? {
        phase.withLock { phase in
            guard case .inLine(let continuation) = phase else { return nil }
            phase = next
            return continuation
        }
    }
}

extension CacheError {
    /// What a task that was cancelled throws while it waits.
    static var taskCancelled: CacheError { CacheError(.cancelled, "the task was cancelled") }
}
