internal import DiskCacheEngine

/// What `Deque` and `Index` have in common: a directory of their own, shared by all threads and processes that open it, in which nothing
/// is evicted and nothing expires.
///
/// A directory is one kind of thing for good: opening a deque as an index, or a cache as either, throws `wrongKind` and changes nothing. A
/// cache that lets nothing go can be used as either all the same, by `init(cache:)`, and stays a cache. What is told of a ``Cache`` about
/// reading, writing, errors, threads and closing holds here too.
public protocol PersistentCollection: AnyObject, Sendable, CustomStringConvertible {
    /// What the elements lie in.
    var store: CollectionStore { get }
}

/// Where a collection's elements lie: made by the collections themselves.
public struct CollectionStore: Sendable {
    @usableFromInline package let cache: Cache

    init(
        _ kind: StoreKind, directory: String?, configuration: Cache.Configuration, environment: Environment,
        allowsOthers: Bool = false
    ) throws {
        cache = try Cache(directory: directory, configuration: configuration, environment: environment) {
            $0.kind = kind
            $0.allowsOthers = allowsOthers
        }
    }

    /// In a cache that is open. Throws `invalidSetting` if that lets items go.
    init(_ cache: Cache) throws {
        let settings = try cache.settings
        guard settings.evictionPolicy == .none, settings.defaultExpire == nil else {
            throw CacheError(
                .invalidSetting,
                "a collection needs a cache that lets nothing go: evictionPolicy none, and no defaultExpire",
                path: cache.directory)
        }
        self.cache = cache
    }
}

extension PersistentCollection {
    /// The absolute path of the collection's directory.
    public var directory: String { store.cache.directory }

    /// How many elements there are; in an index those of its queues too. O(1), no lock.
    public var count: Int { get throws { try store.cache.count } }

    /// Whether there are no elements. O(1), no lock.
    public var isEmpty: Bool { get throws { try count == 0 } }

    /// Bytes that the collection takes on disk; as `Cache.volume`.
    public var volume: Int { get throws { try store.cache.volume } }

    /// How long a write of this object may wait for the write lock. Not stored.
    public var timeout: Duration {
        get { store.cache.timeout }
        set { store.cache.timeout = newValue }
    }

    /// Runs `body` as one transaction: everybody sees all that it did to this collection at one instant, or none of it, also after a
    /// kill. If it throws, all is as before. As `Cache.transact`.
    @discardableResult
    public func transact<R>(_ body: () throws -> R) throws -> R { try store.cache.inTransaction(body) }

    /// Removes everything; how many elements there were. O(1), at one instant: the space comes back in the background.
    @discardableResult
    public func clear() throws -> Int { try store.cache.clear() }

    /// Proves everything that is stored against each other; what was found. As `Cache.check`.
    public func check(fix: Bool = false) throws -> [Cache.Finding] { try store.cache.check(fix: fix) }

    /// What was found and done about it when this process opened the directory; nil: everything was as it should be.
    public var recovery: Cache.Recovery? { get throws { try store.cache.recovery } }

    /// Makes everything durable that is stored now; as `Cache.sync`.
    public func sync() throws { try store.cache.sync() }

    /// Gives back now everything that is dead, as ``Cache/compact()``.
    public func compact() throws { try store.cache.compact() }

    /// Lets go of the directory; any later call opens it again by itself. As `Cache.close`.
    public func close() throws { try store.cache.close() }

    /// Type and directory.
    public var description: String { "\(Self.self)(\(directory))" }
}
