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

    /// Takes the lock; suspends until it is to be had. Throws `timeout` if that takes longer than `timeout` (nil: as long as it takes), `cancelled`,
    /// `directoryRemoved`, `io`.
    public func lock(timeout: Duration? = nil) async throws { try await leases.take(timeout: timeout) }

    /// Gives the lock back. Throws `lockNotHeld` if the object that this is of doesn't hold it.
    public func unlock() throws { try leases.giveBack() }

    /// Runs `body` with the lock. Throws as `lock(timeout:)`, and what `body` throws.
    public func withLock<R>(
        timeout: Duration? = nil, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
    ) async throws -> R {
        try await lock(timeout: timeout)
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
        let result: R
        do {
            result = try await body()
        } catch {
            try? lock.unlock()
            throw error
        }
        try lock.unlock()
        return result
    }
}

extension RecursiveLock {
    /// The forms for a task; `unlock` is the lock's own.
    public var async: AsyncRecursiveLock { AsyncRecursiveLock(lock: self) }
}

extension Leases {
    /// Suspends until a lease is had.
    func take(timeout: Duration?) async throws {
        let wait = LeaseWait()
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                do {
                    let place = try place(timeout: timeout) { continuation.resume(with: $0) }
                    if wait.begin(place, continuation) { place.take() }
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        } onCancel: {
            wait.cancel()
        }
    }
}

/// A task's place in the line, which its cancellation gives up. Whoever is told first resumes the task: the line, or this.
private final class LeaseWait: Sendable {
    private enum State {
        case new
        case waiting(NamedLockHandle.Place, UnsafeContinuation<Void, any Error>)
        case cancelled
    }

    private let state = Guarded(State.new)

    /// False: the task was cancelled, and goes on.
    func begin(_ place: NamedLockHandle.Place, _ continuation: UnsafeContinuation<Void, any Error>) -> Bool {
        let isNew = state.withLock { state in
            guard case .new = state else { return false }
            state = .waiting(place, continuation)
            return true
        }
        if !isNew { continuation.resume(throwing: Self.error) }
        return isNew
    }

    func cancel() {
        let last = state.withLock { state in
            defer { state = .cancelled }
            return state
        }
        if case .waiting(let place, let continuation) = last, place.cancel() {
            continuation.resume(throwing: Self.error)
        }
    }

    private static var error: CacheError { CacheError(.cancelled, "the task was cancelled") }
}
