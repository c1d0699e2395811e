public import DiskCacheCore
import DiskCacheEngine

/// A function of which one call runs at a time, or as many as the bound of a semaphore says, of all threads and processes that use the
/// lock.
///
/// ```swift
/// let report = barrier(Lock(cache, "report")) { (year: Int) in try makeReport(year) }
/// try report(2026)
/// ```
///
/// All calls share the lock, whatever their arguments. The function throws what `body` throws, and as `lock(timeout:)`. A function that
/// calls itself waits for itself, unless the lock is a ``RecursiveLock``.
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

/// As the other `barrier`, for a function that may call itself: a call inside of one, in the same thread, is a part of that and takes no
/// lock.
///
/// ```swift
/// let visit = barrier(RecursiveLock(cache, "tree")) { (node: Node) in try walk(node) }      // which visits children
/// ```
///
/// The function keeps the lock, which has to be free.
public func barrier<each Argument, Result>(
    _ lock: sending RecursiveLock, timeout: Duration? = nil,
    _ body: @escaping @Sendable (repeat each Argument) throws -> Result
) -> @Sendable (repeat each Argument) throws -> Result {
    let entry = RecursiveEntry(lock.leases)
    return { (arguments: repeat each Argument) in
        let thread = Int(bitPattern: threadIdentity())
        if entry.isHeld(by: thread) { return try body(repeat each arguments) }
        try entry.leases.take(timeout: timeout)
        entry.begin(thread)
        let result: Result
        do {
            result = try body(repeat each arguments)
        } catch {
            try? entry.end()
            throw error
        }
        try entry.end()
        return result
    }
}

/// As the other `barrier`, for a function of tasks that may call itself in the same task. Tasks that it makes, children too, are others,
/// and wait for its end: don't wait for them inside.
public func barrier<each Argument, Result>(
    _ lock: sending AsyncRecursiveLock, timeout: Duration? = nil,
    _ body: @escaping @concurrent @Sendable (repeat each Argument) async throws -> Result
) -> @concurrent @Sendable (repeat each Argument) async throws -> Result {
    let entry = RecursiveEntry(lock.lock.leases)
    return { (arguments: repeat each Argument) in
        let task = withUnsafeCurrentTask { $0.hashValue }
        if entry.isHeld(by: task) { return try await body(repeat each arguments) }
        try await entry.leases.take(timeout: timeout)
        entry.begin(task)
        return try await holding({ try await body(repeat each arguments) }) { try entry.end() }
    }
}

/// The one way into a function that may call itself: who is inside, a thread or a task, by a number that no other one has.
private final class RecursiveEntry: Sendable {
    let leases: Leases
    private let holder = Guarded<Int?>(nil)

    init(_ leases: Leases) { self.leases = leases }

    /// Whether the caller is inside. In a child of a fork nobody is: its parent has the lock.
    func isHeld(by caller: Int) -> Bool { holder.withLock { $0 == caller } && leases.isHeld }

    /// The caller has the lock.
    func begin(_ caller: Int) { holder.withLock { $0 = caller } }

    /// Gives the lock back.
    func end() throws {
        holder.withLock { $0 = nil }
        try leases.giveBack()
    }
}
