public import DiskCacheCore
import DiskCacheEngine

/// A lock as tasks take it: they are suspended while they wait, and no thread waits for them.
///
/// ```swift
/// try await lock.async.withLock { try await upload(report) }
/// ```
///
/// A task that is cancelled while it waits gives up its place in the line and gets `cancelled`.
public struct AsyncLock: Sendable {
    let leases: Leases

    /// Takes the lock; suspends until it is to be had. Throws `timeout` if that takes longer than `timeout` (nil: as long as it takes),
    /// `cancelled`, `directoryRemoved`, `io`.
    public func lock(timeout: Duration? = nil) async throws { try await leases.take(timeout: timeout) }

    /// Gives the lock back. Throws `lockNotHeld` if the object that this is of doesn't hold it.
    public func unlock() throws { try leases.giveBack() }

    /// Runs `body` with the lock. Throws as `lock(timeout:)`, and what `body` throws.
    public func withLock<R>(
        timeout: Duration? = nil, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
    ) async throws -> R {
        try await lock(timeout: timeout)
        return try await holding(body) { try unlock() }
    }
}

extension Lock {
    /// The forms for tasks.
    public var async: AsyncLock { AsyncLock(leases: leases) }
}

extension BoundedSemaphore {
    /// The forms for tasks.
    public var async: AsyncLock { AsyncLock(leases: leases) }
}

/// A recursive lock as a task takes it; see ``AsyncLock``.
public struct AsyncRecursiveLock {
    let lock: RecursiveLock

    /// Takes the lock, or takes it again; suspends until it is to be had. Throws as ``AsyncLock/lock(timeout:)``.
    public func lock(timeout: Duration? = nil, isolation: isolated (any Actor)? = #isolation) async throws {
        let before = lock.depth
        if before == 0 { try await lock.leases.take(timeout: timeout) }
        lock.depth = before + 1
    }

    /// Runs `body` with the lock. Throws as `lock(timeout:)`, and what `body` throws.
    public func withLock<R>(
        timeout: Duration? = nil, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
    ) async throws -> R {
        try await lock(timeout: timeout)
        return try await holding(body) { try lock.unlock() }
    }
}

extension RecursiveLock {
    /// The forms for a task; `unlock` is the lock's own.
    public var async: AsyncRecursiveLock { AsyncRecursiveLock(lock: self) }
}

/// Runs `body` and then `unlock`, whose error counts for nothing if `body` throws one.
func holding<R>(
    isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R, _ unlock: () throws -> Void
) async throws -> R {
    let result: R
    do {
        result = try await body()
    } catch {
        try? unlock()
        throw error
    }
    try unlock()
    return result
}

extension Leases {
    /// Suspends until a lease is had. What needs the disk, such as opening the lock's files for the first time, is done on another thread.
    func take(timeout: Duration?) async throws {
        let wait = LeaseWait()
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                guard wait.enter(continuation) else { return }
                if isAtHand { return begin(wait, timeout) }
                RecipeThreads.perform {
                    self.begin(wait, timeout)
                } orFail: {
                    wait.fail($0)
                }
            }
        } onCancel: {
            wait.cancel()
        }
    }

    private func begin(_ wait: LeaseWait, _ timeout: Duration?) {
        do {
            wait.stand(in: try place(timeout: timeout) { wait.finish($0) })
        } catch {
            wait.fail(error)
        }
    }

    /// Gives the newest lease back on another thread, whether the task is cancelled or not: for leases whose files are removed then.
    func giveBackElsewhere() async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            RecipeThreads.perform {
                try? self.giveBack()
                continuation.resume()
            } orFail: { _ in
                try? self.giveBack()
                continuation.resume()
            }
        }
    }
}

/// A task's place in the line, which its cancellation gives up. Who moves it on to `over` resumes the task.
private final class LeaseWait: Sendable {
    private enum State {
        case new
        /// On the way to its place.
        case coming(UnsafeContinuation<Void, any Error>)
        case standing(NamedLockHandle.Place, UnsafeContinuation<Void, any Error>)
        case over
    }

    private let state = Guarded(State.new)

    /// The task is suspended now. False: it was cancelled, and goes on.
    func enter(_ continuation: UnsafeContinuation<Void, any Error>) -> Bool {
        let isNew = state.withLock { state in
            guard case .new = state else { return false }
            state = .coming(continuation)
            return true
        }
        if !isNew { continuation.resume(throwing: CacheError.taskCancelled) }
        return isNew
    }

    /// Takes a place, unless the task went on without it.
    func stand(in place: NamedLockHandle.Place) {
        let isComing = state.withLock { state in
            guard case .coming(let continuation) = state else { return false }
            state = .standing(place, continuation)
            return true
        }
        if isComing { place.take() }
    }

    /// What came of the place.
    func finish(_ result: Result<Void, CacheError>) {
        let last = end()
        if case .standing(_, let continuation) = last { continuation.resume(with: result) }
    }

    /// There is no place.
    func fail(_ error: any Error) {
        let last = end()
        if case .coming(let continuation) = last { continuation.resume(throwing: error) }
    }

    func cancel() {
        let last = state.withLock { state in
            let last = state
            if case .standing = state { return last }
            state = .over
            return last
        }
        switch last {
        case .coming(let continuation): continuation.resume(throwing: CacheError.taskCancelled)
        case .standing(let place, let continuation):
            // One that was told already is about to finish.
            guard place.cancel() else { return }
            _ = end()
            continuation.resume(throwing: CacheError.taskCancelled)
        case .new, .over: break
        }
    }

    private func end() -> State {
        state.withLock { state in
            defer { state = .over }
            return state
        }
    }
}
