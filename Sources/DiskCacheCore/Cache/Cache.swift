package import DiskCacheEngine

/// A persistent cache in a directory: values of any `Codable` type under keys of any `CacheKey` type, shared by all threads and
/// processes that open the same directory.
///
/// ```swift
/// let cache = try Cache(directory: "thumbnails")
/// try cache.set("answer", 42, expire: .after(.seconds(3600)))
/// let answer = try cache.get("answer", as: Int.self)      // 42, here and in every other process
/// ```
///
/// **Reading** takes no lock and makes no system call: it never waits for a writer. **Writing** takes the directory's write lock for
/// about a microsecond, and waits for it `timeout` at most. What a call returned for is there for everybody at once, and is not
/// lost when any process dies; what a power loss may cost, `Durability` says.
///
/// **Errors.** Everything throws `CacheError` and nothing else, except what a closure or a `ByteSource` of yours throws.
///
/// All methods may be called from any thread. Two caches on one directory in one process share one engine.
public final class Cache: Sendable {
    let handle: StoreHandle
    /// What makes bytes of values that aren't numbers, text or bytes.
    @usableFromInline let serializer: any Serializer
    /// What the module `DiskCache` keeps beside a cache: threads for the tasks that use it.
    package let companion = Guarded<(any AnyObject & Sendable)?>(nil)

    /// Opens the cache in a directory, or makes one there.
    ///
    /// - Parameters:
    ///   - directory: A path, not an empty one; `~` and `$NAME` are expanded. It is made if need be, for this user alone. nil: a new directory under the
    ///     system's place for temporary files, which nobody deletes.
    ///   - configuration: What is given here is stored and holds for all processes; what is nil stays as it is stored.
    ///
    /// Takes the write lock for a moment, and rebuilds the index from the log if the machine went down while the cache was open (less than
    /// a second for a million keys). Opening an existing cache with the settings that it has writes nothing.
    ///
    /// Throws `foreignDirectory` where anything else lies and no cache, `insecureDirectory`, `networkFileSystem`, `unsupportedFormat`,
    /// `serializerMismatch`, `wrongKind`, `nameInvalid` for a path that is empty or has a zero byte in it, `invalidSetting`, `timeout`,
    /// `corrupted`, `diskFull`, `io`.
    public init(directory: String? = nil, configuration: Configuration = Configuration()) throws {
        serializer = configuration.serializer
        handle = try rethrowing { () throws(EngineError) in
            try StoreHandle(directory: directory.map(expandPath), options: configuration.options())
        }
    }

    /// As above, in an environment of the caller's and with engine options changed; nothing in the path is expanded.
    init(
        directory: String?, configuration: Configuration, environment: Environment,
        _ adjust: (inout StoreOptions) -> Void = { _ in }
    ) throws {
        serializer = configuration.serializer
        var options = configuration.options()
        adjust(&options)
        let adjusted = options
        handle = try rethrowing { () throws(EngineError) in
            try StoreHandle(directory: directory, options: adjusted, environment: environment)
        }
    }

    /// Runs `body` with the open store; what the engine throws becomes a `CacheError`, what anybody else throws stays as it is.
    func inStore<R>(_ body: (Store) throws -> R) throws -> R {
        do {
            let access = try handle.open()
            defer { handle.end(access) }
            return try handle.withStoreOf(access, body)
        } catch let error as EngineError {
            throw CacheError(error)
        }
    }

    /// As `inStore`, where only the engine throws.
    func withStore<R>(_ body: (Store) throws(EngineError) -> R) throws -> R {
        do {
            return try handle.withStore(body)
        } catch {
            throw CacheError(error)
        }
    }

    /// The absolute path of the cache's directory.
    public var directory: String { handle.path }

    /// Whether the calling thread has a transaction of several verbs open here.
    package var isInTransaction: Bool { handle.isInTransaction }

    /// Lets go of the directory: locks, descriptors, mappings. Idempotent. Any later call opens it again by itself.
    ///
    /// Returns when what was written is durable (unless durability is `none`), also where another `Cache` on the directory stays open.
    /// Waits two seconds at most for others' syncs, and as long for the write lock. A cache that nothing refers to any more closes
    /// itself, and then the last one on a directory syncs.
    ///
    /// Throws `inTransaction` inside a transaction of this thread: close the cache before or after. Throws `io`, `diskFull`, `poisoned` if
    /// the sync failed, and `timeout` if it came too late: the cache is closed all the same, and all that was written is visible, but a
    /// power loss may cost it.
    public func close() throws {
        if handle.isInTransaction {
            throw CacheError(.inTransaction, "a cache can't be closed inside a transaction", path: directory)
        }
        if let failure = handle.close() { throw CacheError(failure) }
    }
}
