internal import DiskCacheEngine

/// The verbs of a cache for tasks: a task is suspended where a thread would wait, for the disk, the write lock or somebody else's
/// doing. No thread of Swift's cooperative pool ever waits.
///
/// ```swift
/// let value = try await cache.async.get("key", as: Int.self)
/// while let (_, job) = try await cache.async.pull(as: Job.self, prefix: "jobs", timeout: .seconds(60)) { await run(job) }
/// for try await piece in try await cache.async.open("video")! { try await response.write(piece) }
/// ```
///
/// Each verb does what the plain one of the same name does, throws the same, and `CacheError.Code.cancelled` too: a task that is
/// cancelled before its work began gets that, and nothing has happened. Work that has begun is done to its end and reported; only
/// waiting, as for a `pull`, ends at once.
///
/// The work is done on threads of the cache's own, few, made when they are needed and let go of when idle. Reads of small values that are
/// in memory are done where the caller is, which costs a fraction of a microsecond more than the plain ones. Where a program is free
/// to wait, in a thread of its own, the plain forms are faster.
public struct AsyncCache<Base: Sendable>: Sendable {
    /// What it is about.
    @usableFromInline let base: Base
    let resources: AsyncResources

    init(_ base: Base, _ resources: AsyncResources) {
        self.base = base
        self.resources = resources
    }

    /// Runs `body` with the cache on one of its threads: several verbs for one way there and back.
    public func run<R: Sendable>(_ body: @escaping @Sendable (Base) throws -> R) async throws -> R {
        try await writing { try body(base) }
    }

    /// Runs what may wait for a lock.
    func writing<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        try await resources.executor.run(on: .writing, body)
    }

    /// Runs what only reads.
    @usableFromInline
    func reading<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        try await resources.executor.run(on: .reading, body)
    }

    /// Runs what takes long, out of the way of what doesn't.
    func lasting<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        try await resources.executor.run(on: .lasting, body)
    }
}

/// What a cache needs for tasks, made when it is first used by one, and anew in a child of a fork.
final class AsyncResources: Sendable {
    let executor = BlockingExecutor()
    /// Those that wait for items of queues.
    let pulls: WaitingTasks
    /// Those that wait for commits.
    let follows: WaitingTasks

    init() {
        pulls = WaitingTasks(executor)
        follows = WaitingTasks(executor)
    }

    /// What is kept in a cache's slot for it.
    static func kept(in slot: borrowing Guarded<(any AnyObject & Sendable)?>) -> AsyncResources {
        slot.withLock { kept in
            if let found = kept { return unsafeDowncast(found, to: PerProcess<AsyncResources>.self).current }
            let made = PerProcess { AsyncResources() }
            kept = made
            return made.current
        }
    }
}

extension Cache {
    /// The verbs of this cache for tasks.
    public var async: AsyncCache<Cache> { AsyncCache(self, AsyncResources.kept(in: companion)) }
}
