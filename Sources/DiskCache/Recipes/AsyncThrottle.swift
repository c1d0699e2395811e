public import DiskCacheCore

/// A throttle as tasks wait for it: suspended, not in a thread.
///
/// ```swift
/// try await throttle.async.wait()
/// ```
public struct AsyncThrottle: Sendable {
    let throttle: Throttle

    /// Waits for its turn. A task that is cancelled gives its token back and gets `cancelled`. Throws otherwise as
    /// ``Throttle/wait(timeout:)``. The throttle's `sleeper` isn't used.
    public func wait(timeout: Duration? = nil) async throws {
        let throttle = throttle
        let pause = try await RecipeThreads.executor.run { try throttle.take(timeout: timeout) }
        if pause == .zero { return }
        do {
            try await Task.sleep(for: pause)
        } catch {
            // Not of the cancelled task, which would not let it begin.
            _ = Task { try? await RecipeThreads.executor.run { try throttle.giveBack() } }
            throw CacheError.taskCancelled
        }
    }
}

extension Throttle {
    /// The form for tasks.
    public var async: AsyncThrottle { AsyncThrottle(throttle: self) }
}

extension CacheProtocol {
    /// As the other `throttle`, for a function of tasks: they are suspended while they wait.
    public func throttle<each Argument, Result>(
        _ name: String, count: Int, per: Duration, expire: Expiration? = nil, tag: Tag? = nil,
        _ body: @escaping @concurrent @Sendable (repeat each Argument) async throws -> Result
    ) throws -> @concurrent @Sendable (repeat each Argument) async throws -> Result {
        let throttle = try Throttle(self, name, count: count, per: per, expire: expire, tag: tag).async
        return { (arguments: repeat each Argument) in
            try await throttle.wait()
            return try await body(repeat each arguments)
        }
    }
}
