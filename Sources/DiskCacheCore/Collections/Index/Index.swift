internal import DiskCacheEngine

/// A dictionary in a directory, shared by all threads and processes that open it, whose items stand in the order in which their keys
/// came.
///
/// ```swift
/// let users = try Index<Int, User>(directory: "users", contents: [1: ada, 2: grace])
/// try users.update(1, default: ada) { $0.logins += 1 }
/// let names = try Array(users.values().map(\.name))
/// ```
///
/// A key keeps its place when it gets another value; removed and set again it stands at the end. Reading takes no lock. Nothing is evicted
/// and nothing expires.
///
/// The words are those of `Dictionary`, but this isn't a `Collection` and not `Equatable`, whose functions can't throw: see
/// ``items(reversed:)``, `elementsEqual` and `equals`. A setter can't throw either: there is ``set(_:_:)``.
///
/// **Queues.** An index holds queues too, whose keys `push` makes. Their items are values of it like all others where `Key` is
/// ``AnyCacheKey``. Where it is another type they stand beside its keys: `count` counts them, and nothing else sees them.
///
/// A directory is for keys of one type and values of one type: reading others throws `typeMismatch`.
public final class Index<Key: CacheKey & Codable, Value: Codable & Sendable>: PersistentCollection {
    /// What the items lie in.
    public let store: CollectionStore

    /// Opens the index in a directory, or makes one there.
    ///
    /// - Parameters:
    ///   - directory: As for a `Cache`. nil: a new directory under the system's place for temporary files, which nobody deletes.
    ///   - contents: What is merged into what is there, in one transaction.
    ///   - configuration: As for a `Cache`; what lets items go throws `invalidSetting`.
    ///
    /// Throws `wrongKind` for a directory that is something else, and as `Cache.init`.
    public convenience init(
        directory: String? = nil, contents: KeyValuePairs<Key, Value> = [:],
        configuration: Cache.Configuration = Cache.Configuration()
    ) throws {
        try self.init(directory.map(expandPath), configuration, .system)
        if !contents.isEmpty { try merge(contents) }
    }

    /// Makes an index of the items of a cache that is open; `close` closes the cache.
    ///
    /// ```swift
    /// var lasting = Cache.Configuration()
    /// lasting.evictionPolicy = EvictionPolicy.none
    /// let users = try Index<Int, User>(cache: Cache(directory: "users", configuration: lasting))
    /// ```
    ///
    /// All items of the cache are the index's, and its serialiser and `timeout` too.
    ///
    /// Throws `invalidSetting` if the cache may let items go, so that its `evictionPolicy` isn't `none`, or `defaultExpire` isn't nil; what
    /// the settings become later, and items that somebody gives an expiry of their own, are for their owner to mind. Otherwise as `merge`.
    public init(cache: Cache, contents: KeyValuePairs<Key, Value> = [:]) throws {
        store = try CollectionStore(cache)
        if !contents.isEmpty { try merge(contents) }
    }

    /// In a directory, with a wall clock of the caller's: microseconds since 1970.
    package convenience init(
        directory: String?, configuration: Cache.Configuration, clock: @escaping @Sendable () -> Int64
    ) throws {
        var environment = Environment()
        environment.wallClockOverride = clock
        try self.init(directory.map(expandPath), configuration, environment)
    }

    /// In an environment of the caller's; nothing in the path is expanded.
    init(
        _ directory: String?, _ configuration: Cache.Configuration, _ environment: Environment,
        allowsOthers: Bool = false
    ) throws {
        store = try CollectionStore(
            .index, directory: directory, configuration: configuration, environment: environment,
            allowsOthers: allowsOthers)
    }

    /// Whether items of queues are none of its own.
    @usableFromInline static var skipsQueues: Bool { Key.self != AnyCacheKey.self && Key.self != QueueKey.self }
}
