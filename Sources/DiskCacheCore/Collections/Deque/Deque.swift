internal import DiskCacheEngine

/// A double-ended queue in a directory, shared by all threads and processes that open it: elements come and go at both ends, and can
/// be reached by their index.
///
/// ```swift
/// let jobs = try Deque<Job>(directory: "jobs")
/// try jobs.append(job)
/// while let job = try jobs.popFirst(timeout: .seconds(10)) { run(job) }      // each job in exactly one process
/// ```
///
/// Both ends cost O(1). An index costs O(1) too, as long as nothing was removed from the middle: that leaves a gap, and where there are
/// gaps elements are counted from the nearer end. Negative indexes count from the back: `try deque[-1]` is the last element.
///
/// The words are those of swift-collections' `Deque`, but this isn't a `Sequence` and not `Equatable`, whose functions can't
/// throw: see ``elements(reversed:)`` and `elementsEqual`. Nothing is evicted and nothing expires.
///
/// Elements are numbers, texts and bytes as they are, and everything else as the serialiser makes it; a directory is for elements of one
/// type. Reading elements of another throws `typeMismatch`.
public final class Deque<Element: Codable & Sendable>: PersistentCollection {
    /// What the elements lie in.
    public let store: CollectionStore

    /// Opens the deque in a directory, or makes one there.
    ///
    /// - Parameters:
    ///   - directory: As for a `Cache`. nil: a new directory under the system's place for temporary files, which nobody deletes.
    ///   - maxLength: How many elements there are at most, for everybody who opens it from here on: first ones that are too many go at
    ///     once. nil: as it is stored; for a new one any number.
    ///   - contents: What is appended to what is there, in the same transaction.
    ///   - configuration: As for a `Cache`; what lets elements go throws `invalidSetting`.
    ///
    /// Throws `wrongKind` for a directory that is something else, and as `Cache.init`.
    public convenience init(
        directory: String? = nil, maxLength: Int? = nil, contents: some Sequence<Element>,
        configuration: Cache.Configuration = Cache.Configuration()
    ) throws {
        try self.init(directory.map(expandPath), maxLength, Array(contents), configuration, .system)
    }

    /// Opens the deque in a directory, or makes one there; as above.
    public convenience init(
        directory: String? = nil, maxLength: Int? = nil, configuration: Cache.Configuration = Cache.Configuration()
    ) throws {
        try self.init(directory.map(expandPath), maxLength, [], configuration, .system)
    }

    /// As above, with a wall clock of the caller's: microseconds since 1970.
    package convenience init(
        directory: String?, maxLength: Int? = nil, configuration: Cache.Configuration,
        clock: @escaping @Sendable () -> Int64
    ) throws {
        var environment = Environment()
        environment.wallClockOverride = clock
        try self.init(directory.map(expandPath), maxLength, [], configuration, environment)
    }

    /// In an environment of the caller's; nothing in the path is expanded.
    init(
        _ directory: String?, _ maxLength: Int?, _ contents: [Element], _ configuration: Cache.Configuration,
        _ environment: Environment, allowsOthers: Bool = false
    ) throws {
        store = try CollectionStore(
            .deque, directory: directory, configuration: configuration, environment: environment,
            allowsOthers: allowsOthers)
        try begin(maxLength, contents)
    }

    /// Makes a deque of the queue without a prefix of a cache that is open, which is to hold nothing else: `count` and `clear` are those of
    /// the cache, and so is `close`.
    ///
    /// ```swift
    /// var lasting = Cache.Configuration()
    /// lasting.evictionPolicy = EvictionPolicy.none
    /// let jobs = try Deque<Job>(cache: Cache(directory: "jobs", configuration: lasting))
    /// ```
    ///
    /// - Parameters:
    ///   - cache: Its serialiser and its `timeout` are the deque's. Other caches of the same directory see the elements as what
    ///     they push and pull.
    ///   - maxLength: As for a deque in a directory of its own; it holds for who pushes in the cache, too.
    ///   - contents: What is appended to what is there.
    ///
    /// Throws `invalidSetting` if the cache may let elements go, so that its `evictionPolicy` isn't `none`, or `defaultExpire` isn't nil;
    /// what the settings become later is for their owner to mind. Throws `foreignDirectory` if it holds anything else, and as `append`.
    public init(cache: Cache, maxLength: Int? = nil, contents: [Element] = []) throws {
        store = try CollectionStore(cache)
        // Others may push between the two numbers, but for those who have the lock.
        guard try store.elementCount == cache.count || cache.transact({ try store.elementCount == cache.count }) else {
            throw CacheError(
                .foreignDirectory, "the cache holds items that aren't the deque's; give it one of its own",
                path: cache.directory)
        }
        try begin(maxLength, contents)
    }

    private func begin(_ maxLength: Int?, _ contents: [Element]) throws {
        // One that is opened as it is stored isn't written to.
        if contents.isEmpty, try maxLength == nil || maxLength == self.maxLength { return }
        try transact {
            if let maxLength { try setMaxLength(maxLength) }
            try append(contentsOf: contents)
        }
    }

    /// How many elements there are at most; nil: any number. Stored. O(1), no lock.
    public var maxLength: Int? {
        get throws { try store.maxLength }
    }

    /// Stores how many elements there are at most, nil for any number; first ones that are too many go in the same transaction. From then
    /// on whatever is added over it, by any process, drops an element at the other end. With 0 the deque stays empty.
    ///
    /// Throws `invalidSetting` for a negative number, and as `append`.
    public func setMaxLength(_ maxLength: Int?) throws { try store.setMaxLength(maxLength) }
}
