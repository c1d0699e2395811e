internal import DiskCacheEngine
internal import Synchronization

/// A cache that is spread over several shards, so that as many processes and threads can write at the same time.
///
/// ```swift
/// let cache = try FanoutCache(directory: "sessions")
/// try cache.set("answer", 42, expire: .after(.seconds(3600)))      // false: dropped, another writer was in the way
/// let answer = try cache.get("answer", as: Int.self)
/// ```
///
/// It has the verbs of a ``Cache``, and what isn't said here is as there. What differs:
///
/// **Writes may be dropped.** A write of a key that doesn't get its shard's lock within `dropAfter`, 10 milliseconds, doesn't happen,
/// says false or nil, and is counted in `droppedWrites`: for a cache it is better to forget something than to keep a request waiting.
/// With `retry: true` it waits as a `Cache` does, for the configuration's `timeout`, and throws `timeout` then. All other errors are
/// thrown. Reads never wait. Queues never drop: `push` and `pull` wait, since nobody computes a lost job again.
///
/// **A key lies in one shard**, which its hash decides; a queue, as a whole, in that of its prefix. So everything about one key or
/// one queue is as atomic as in a `Cache`. What is about many keys is one commit a shard.
///
/// **Orders.** Insertion order is shard by shard; the order of keys is that of all keys, merged as it is read.
///
/// **Settings** are the same in all shards, but that each has its share of `sizeLimit`, which is the limit of them all. The number of
/// shards is chosen when the cache is made, and stored.
///
/// All methods may be called from any thread.
public final class FanoutCache: Sendable {
    /// The absolute path of the cache's directory.
    public let directory: String
    /// How many shards there are.
    public let shardCount: Int
    /// What makes bytes of values that aren't numbers, text or bytes.
    @usableFromInline let serializer: any Serializer

    /// The shards, in their order; their writes wait.
    package let parts: [Cache]
    /// The same shards, by handles whose writes give up after `dropAfter`.
    private let hasty: [Cache]
    // The same without references that are counted: counting would cost two atomic operations on a line that all threads share.
    private let bareParts: [Unmanaged<Cache>]
    private let bareHasty: [Unmanaged<Cache>]

    private let drops = Atomic<Int>(0)
    /// The caches and collections that were asked for by name, by the UTF-8 of their places: canonical equivalents are different names.
    let named = Guarded<[[UInt8]: Named]>([:])
    let environment: Environment

    /// Opens the cache in a directory, or makes one there.
    ///
    /// - Parameters:
    ///   - directory: A path; `~` and `$NAME` are expanded. nil: a new directory for temporary files, which nobody deletes.
    ///   - shards: How many shards it has, 1 to 1,000; nil: as many as it was made with, 8 if it is new.
    ///   - dropAfter: How long a write waits for its shard's lock before it is dropped. This process's own: it isn't stored.
    ///   - configuration: As for a ``Cache``; `sizeLimit` is that of all shards together. Each shard takes a handful of file descriptors,
    ///     and its volume is never held below 4 MiB.
    ///
    /// Throws `shardCountMismatch` if it was made with another number of shards, `wrongKind` if the directory is a plain cache,
    /// `corrupted` if the file that says how many there are is damaged, and what `Cache` throws.
    public convenience init(
        directory: String? = nil, shards: Int? = nil, dropAfter: Duration = .milliseconds(10),
        configuration: Cache.Configuration = Cache.Configuration()
    ) throws {
        try self.init(
            directory: directory, shards: shards, dropAfter: dropAfter, configuration: configuration,
            environment: .system)
    }

    /// As above, with a wall clock of the caller's: microseconds since 1970.
    package convenience init(
        directory: String?, shards: Int?, dropAfter: Duration, configuration: Cache.Configuration,
        clock: @escaping @Sendable () -> Int64
    ) throws {
        var environment = Environment()
        environment.wallClockOverride = clock
        try self.init(
            directory: directory, shards: shards, dropAfter: dropAfter, configuration: configuration,
            environment: environment)
    }

    init(
        directory: String?, shards: Int?, dropAfter: Duration, configuration: Cache.Configuration,
        environment: Environment
    ) throws {
        let timeout = configuration.timeout.clampedNanoseconds
        let anyFileSystem = configuration.anyFileSystem
        let (path, count) = try rethrowing { () throws(EngineError) in
            try FanoutDirectory.open(
                directory.map(expandPath), count: shards, timeout: timeout, anyFileSystem: anyFileSystem,
                environment: environment)
        }
        var (parts, hasty): ([Cache], [Cache]) = ([], [])
        for shard in 0..<count {
            let first = try parts.first.map { first in
                try first.withStore { (store) throws(EngineError) in try store.currentSettings() }
            }
            let place = path + "/" + FanoutDirectory.name(of: shard)
            func open(_ configuration: Cache.Configuration) throws -> Cache {
                try Cache(directory: place, configuration: configuration, environment: environment) {
                    $0.configure = configuration.configuringShard(shard, of: count, like: first)
                    // The directory may have been removed since: a shard without its file would be nobody's.
                    $0.prepare = { () throws(EngineError) in
                        _ = try FanoutDirectory.open(
                            path, count: count, timeout: timeout, anyFileSystem: anyFileSystem, environment: environment
                        )
                    }
                }
            }
            parts.append(try open(configuration))
            var unchanged = Cache.Configuration()
            unchanged.serializer = configuration.serializer
            unchanged.anySerializer = configuration.anySerializer
            unchanged.timeout = configuration.timeout
            unchanged.keepsWriteLock = configuration.keepsWriteLock
            unchanged.anyFileSystem = anyFileSystem
            hasty.append(try open(unchanged))
            hasty[shard].timeout = dropAfter
        }
        self.directory = path
        shardCount = count
        serializer = configuration.serializer
        self.parts = parts
        self.hasty = hasty
        bareParts = parts.map(Unmanaged.passUnretained)
        bareHasty = hasty.map(Unmanaged.passUnretained)
        self.environment = environment
    }

    /// Lets go of all shards and of the caches that were asked for by name, as ``Cache/close()``. Idempotent; any later call opens
    /// again what it needs. Throws `inTransaction` inside of a transaction; the first error of a sync, when all are let go of.
    public func close() throws {
        if (parts + hasty).contains(where: \.handle.isInTransaction) {
            throw CacheError(.inTransaction, "a cache can't be closed inside a transaction", path: directory)
        }
        var failure: (any Error)?
        for cache in parts + hasty {
            if let error = cache.handle.close() { failure = failure ?? CacheError(error) }
        }
        for object in named.withLock({ Array($0.values) }) {
            do {
                try object.close()
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }

    /// How many writes of this object were dropped, because their shard's lock couldn't be had in time.
    public var droppedWrites: Int { drops.load(ordering: .relaxed) }

    /// How long a write waits for its shard's lock before it is dropped. Not stored.
    public var dropAfter: Duration {
        get { hasty[0].timeout }
        set { for shard in hasty { shard.timeout = newValue } }
    }

    /// How long what isn't dropped waits for the lock of a shard: writes with `retry: true`, queues, transactions, and what is done to
    /// the cache as a whole. Not stored.
    public var timeout: Duration {
        get { parts[0].timeout }
        set { for shard in parts { shard.timeout = newValue } }
    }
}

// MARK: Shards

extension FanoutCache: PartedCache {
    /// The number of the shard that has a key.
    public func shard(of key: some CacheKey) throws -> Int {
        try withKeyBytes(key) { keyClass, bytes in FanoutDirectory.shard(of: keyClass, bytes, among: shardCount) }
    }

    /// The shard that has a key, as a cache whose writes wait and are never dropped.
    public func shard(for key: some CacheKey) throws -> Cache { parts[try shard(of: key)] }

    /// The locks that lie in the directory of the first shard.
    public var locks: NamedLocks { parts[0].locks }

    /// The shard of a queue.
    func shard(forQueue prefix: String?) throws -> Cache { try shard(for: QueueKey(prefix: prefix, number: 0)) }

    package func write<R>(
        _ key: some CacheKey, count: Int, retry: Bool, _ body: (Cache) throws -> R
    ) throws -> R? {
        let shard = try shard(of: key)
        return try dropping(retry, count: count) { try body(retry ? parts[shard] : hasty[shard]) }
    }

    /// Lends the shard of a key whose bytes are known, without counting references.
    @inline(__always)
    func withShard<R>(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, isHasty: Bool = false, _ body: (Cache) throws -> R
    ) rethrows -> R {
        let shard = FanoutDirectory.shard(of: keyClass, key, among: shardCount)
        return try (isHasty ? bareHasty : bareParts)[shard]._withUnsafeGuaranteedRef(body)
    }

    /// Runs a write; nil: it was dropped. `count`: how many writes it is.
    @inline(__always)
    func dropping<R>(_ retry: Bool, count: Int = 1, _ write: () throws -> R) throws -> R? {
        do {
            return try write()
        } catch CacheError.Code.timeout where !retry {
            drops.add(count, ordering: .relaxed)
            return nil
        }
    }

    /// Removes what `body` removes from each shard; how many items that were. Goes on where a shard's lock couldn't be had in time,
    /// until all is done; only if nothing could be removed for a minute it throws `timeout`, with what was removed in all shards.
    func removingFromAll(_ body: (Cache) throws -> Int) throws -> Int {
        var removed = 0
        for part in parts {
            var lastStep = monotonicNanoseconds()
            while true {
                do {
                    removed += try body(part)
                    break
                } catch let error as CacheError {
                    let step = error.removed ?? 0
                    removed += step
                    if step > 0 { lastStep = monotonicNanoseconds() }
                    guard error.code == .timeout, monotonicNanoseconds() &- lastStep < 60_000_000_000 else {
                        throw CacheError(
                            error.code, error.message, path: error.path, errno: error.errno, removed: removed)
                    }
                    // With a timeout of zero nothing has waited.
                    if step == 0 { sleepThread(nanoseconds: 1_000_000) }
                }
            }
        }
        return removed
    }
}
