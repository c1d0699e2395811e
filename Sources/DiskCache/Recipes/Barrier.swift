public import DiskCacheCore

/// A function of which one call runs at a time, or as many as the bound of a semaphore says, of all threads and processes that use the
/// lock.
///
/// ```swift
/// let report = barrier(Lock(cache, "report")) { (year: Int) in try makeReport(year) }
/// try report(2026)
/// ```
///
/// All calls share the lock, whatever their arguments. The function throws what `body` throws, and as `lock(timeout:)`. A function that
/// calls itself waits for itself: a ``RecursiveLock`` belongs to one thread or task, so it can't be the lock of all calls.
public func barrier<each Argument, Result>(
    _ lock: some CacheLock & Sendable, timeout: Duration? = nil,
    _ body: @escaping @Sendable (repeat each Argument) throws -> Result
) -> @Sendable (repeat each Argument) throws -> Result {
    { (arguments: repeat each Argument) in
        try lock.withLock(timeout: timeout) { try body(repeat each arguments) }
    }
}

/// As the other `barrier`, for a function of tasks: they are suspended while they wait.
///
/// ```swift
/// let report = barrier(Lock(cache, "report").async) { (year: Int) in try await makeReport(year) }
/// try await report(2026)
/// ```
public func barrier<each Argument, Result>(
    _ lock: AsyncLock, timeout: Duration? = nil,
    _ body: @escaping @concurrent @Sendable (repeat each Argument) async throws -> Result
) -> @concurrent @Sendable (repeat each Argument) async throws -> Result {
    { (arguments: repeat each Argument) in
        try await lock.withLock(timeout: timeout) { try await body(repeat each arguments) }
    }
}
