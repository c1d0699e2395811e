internal import DiskCacheEngine
internal import Synchronization

/// Caches and collections of their own in the directory of a `FanoutCache`, by name.
extension FanoutCache {
    /// The plain cache of a name: a ``Cache`` in `cache/<name>`, made if need be, that has nothing to do with the shards but the place.
    ///
    /// Asked again for the same name it is the same object, which `close` of this cache closes.
    ///
    /// - Parameters:
    ///   - name: One or several parts with `/` between them, none of which is empty, `.` or `..`; none of them but the first may be the
    ///     name of a file of a store, as `log` and `files` are. Throws `nameInvalid` otherwise.
    ///   - configuration: As for `Cache`; nil: as it is stored, or was opened with, with the serialiser of this cache. Throws
    ///     `invalidSetting` if the cache is open already, with another one.
    public func cache(_ name: String, configuration: Cache.Configuration? = nil) throws -> Cache {
        try object("cache", name, arguments: configuration?.summary) { path, environment in
            var own = configuration ?? Cache.Configuration()
            if configuration == nil { own.serializer = serializer }
            return try Cache(directory: path, configuration: own, environment: environment) { $0.allowsOthers = true }
        }
    }

    /// The deque of a name, in `deque/<name>`; as `cache(_:configuration:)`.
    ///
    /// Throws `typeMismatch` if it is open with elements of another type, `invalidSetting` if it is open already and
    /// another `maxLength` is stored.
    public func deque<Element: Codable & Sendable>(
        _ name: String, of type: Element.Type = Element.self, maxLength: Int? = nil
    ) throws -> Deque<Element> {
        try object("deque", name, arguments: nil) { path, environment in
            try Deque(path, maxLength, [], collectionConfiguration, environment, allowsOthers: true)
        } isAsAsked: { deque in
            try maxLength == nil || maxLength == deque.maxLength
        }
    }

    /// The index of a name, in `index/<name>`; as `cache(_:configuration:)`.
    ///
    /// Throws `typeMismatch` if it is open with keys or values of another type.
    public func index<Key: CacheKey & Codable, Value: Codable & Sendable>(
        _ name: String, keys: Key.Type = Key.self, values: Value.Type = Value.self
    ) throws -> Index<Key, Value> {
        try object("index", name, arguments: nil) { path, environment in
            try Index(path, collectionConfiguration, environment, allowsOthers: true)
        }
    }

    private var collectionConfiguration: Cache.Configuration {
        var configuration = Cache.Configuration()
        configuration.serializer = serializer
        return configuration
    }

    /// Something that was asked for by name.
    final class Named: Sendable {
        /// The cache or collection.
        let object: any Sendable & AnyObject
        /// What it was opened with, in words; nil: without arguments.
        let arguments: String?
        private let closing: @Sendable () throws -> Void

        init(_ object: some ClosableStore, _ arguments: String?) {
            self.object = object
            self.arguments = arguments
            closing = { try object.close() }
        }

        func close() throws { try closing() }
    }

    /// The object of a kind and a name; opened by `open`, which is given its path, if it isn't.
    ///
    /// `arguments`: what it is opened with, in words; nil: whatever it has. `isAsAsked`: whether one that is open is what is asked for.
    func object<Object: ClosableStore>(
        _ kind: String, _ name: String, arguments: String?, _ open: (String, Environment) throws -> Object,
        isAsAsked: (Object) throws -> Bool = { _ in true }
    ) throws -> Object {
        let place = try kind + "/" + Self.checked(name)
        return try named.withLock { table in
            if let known = table[Array(place.utf8)] {
                guard let object = known.object as? Object else {
                    throw CacheError(
                        .typeMismatch, "the \(kind) \(name) is open with other types", path: directory)
                }
                let isSame = arguments == nil || arguments == known.arguments
                guard try isSame && isAsAsked(object) else {
                    throw CacheError(
                        .invalidSetting,
                        "the \(kind) \(name) is open already, with other arguments; ask for it with the same, or without any",
                        path: directory)
                }
                return object
            }
            let object = try open(directory + "/" + place, environment)
            table[Array(place.utf8)] = Named(object, arguments)
            return object
        }
    }

    /// A name that may be part of a path, or an error.
    private static func checked(_ name: String) throws -> String {
        let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        for (place, part) in parts.enumerated() {
            let text = String(Substring(part))
            guard !text.isEmpty, text != ".", text != "..", !part.contains(0), part.count <= 255,
                place == 0 || !FanoutDirectory.isStoreName(text)
            else {
                throw CacheError(
                    .nameInvalid,
                    "\"\(name)\" can't be a name: parts with / between them, none of them empty, . or .., or what a store's files are called"
                )
            }
        }
        return name
    }
}

/// What can be asked for by name.
protocol ClosableStore: AnyObject, Sendable {
    func close() throws
}

extension Cache: ClosableStore {}
extension Deque: ClosableStore {}
extension Index: ClosableStore {}

extension Cache.Configuration {
    /// All that can be said of it, in words, to be compared.
    fileprivate var summary: String {
        var words = [
            "serializer=\(serializer.name)", "timeout=\(timeout)", "keepsWriteLock=\(keepsWriteLock)",
            "anyFileSystem=\(anyFileSystem)",
        ]
        func add(_ name: String, _ value: (some Any)?) { if let value { words.append("\(name)=\(value)") } }
        add("sizeLimit", sizeLimit)
        add("evictionPolicy", evictionPolicy)
        add("cullLimit", cullLimit)
        add("durability", durability)
        add("syncInterval", syncInterval)
        add("minFileSize", minFileSize)
        add("statistics", statistics)
        add("tagIndex", tagIndex)
        add("defaultExpire", defaultExpire)
        add("compaction", compaction?.percent)
        return words.joined(separator: " ")
    }
}
