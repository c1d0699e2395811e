/// Which entries a full store gives up first. Stored by name.
public enum Eviction: UInt8, Sendable, CaseIterable {
    case leastRecentlyStored = 0
    case leastRecentlyUsed = 1
    case leastFrequentlyUsed = 2
    /// None: the store grows.
    case none = 3
}

/// What a power failure may cost. Stored by name.
public enum Durability: UInt8, Sendable, CaseIterable {
    /// Whatever the system hasn't written by itself.
    case none = 0
    /// What was written since the last tick of `syncInterval`.
    case normal = 1
    /// Nothing that a call has returned from.
    case full = 2
}

/// What a directory is used as. Stored by name.
public enum StoreKind: String, Sendable, CaseIterable {
    case cache, deque, index

    /// Whether rows may go by themselves.
    var forgets: Bool { self == .cache }

    var words: String {
        switch self {
        case .cache: "a cache"
        case .deque: "a deque"
        case .index: "an index"
        }
    }
}

/// How a store behaves, whoever opens it: kept in the store, as one system record (for its form see `encoded`).
///
/// A store opened without arguments has the settings that it was made with. Names that this version doesn't know are
/// kept and written back, so an older program doesn't take away what a newer one has set.
///
/// A process may work for a moment with settings that another has just changed: harmless, because none of them decides
/// how bytes are read; who writes compares the settings' position under the lock first.
public struct Settings: Sendable, Equatable {
    /// How many bytes the store may take, about, before entries are culled.
    public var sizeLimit: Int64 = 1 << 30
    /// How many entries one write removes at most when there are too many; 0: none.
    public var cullLimit = 10
    /// Which entries go first.
    public var evictionPolicy = Eviction.leastRecentlyStored
    /// Whether hits and misses are counted.
    public var statistics = false
    /// Whether entries are indexed by tag.
    public var tagIndex = false
    /// From how many bytes on a value has a file of its own.
    public var minFileSize = 32768
    /// What a power failure may cost.
    public var durability = Durability.normal
    /// How often `Durability.normal` makes writes durable, in microseconds.
    public var syncInterval = 1_000_000
    /// What values are encoded with.
    public var serializer = "cbor"
    /// After how many microseconds entries expire that don't say so themselves; nil: never.
    public var defaultExpire: Int64?
    /// Of how many percent of what the store takes, dead, compaction begins by itself; 0: never.
    public var compaction = Self.defaultCompaction
    /// What the directory is used as.
    public var kind = StoreKind.cache

    /// Settings of a later version: name to value, the value as it is encoded.
    var unknown: [String: [UInt8]] = [:]

    /// The largest `minFileSize`.
    public static let largestMinFileSize = 1 << 24
    /// Less would copy much for little, more would break the bound of twice the live bytes.
    public static let defaultCompaction = 40
    private static let largestCompaction = 90

    /// The settings of a store that was made without any.
    public init() {}

    /// Throws for settings that no store can work with.
    public func validate() throws(SettingsError) {
        if sizeLimit < 0 { throw .outOfRange("sizeLimit") }
        if cullLimit < 0 { throw .outOfRange("cullLimit") }
        if minFileSize < 0 || minFileSize > Self.largestMinFileSize { throw .outOfRange("minFileSize") }
        if compaction < 0 || compaction > Self.largestCompaction { throw .outOfRange("compaction") }
        if syncInterval <= 0 { throw .outOfRange("syncInterval") }
        if serializer.isEmpty { throw .outOfRange("serializer") }
        if let defaultExpire, defaultExpire < 0 { throw .outOfRange("defaultExpire") }
        if kind.forgets { return }
        if evictionPolicy != .none { throw .outOfRange("evictionPolicy") }
        if cullLimit != 0 { throw .outOfRange("cullLimit") }
        if defaultExpire != nil { throw .outOfRange("defaultExpire") }
    }

    /// Why `validate` refuses these, in words: the setting, what it is, what it may be.
    func reason(_ error: SettingsError) -> String {
        guard case .outOfRange(let name) = error else { return "\(error)" }
        let owner = "\(kind.words) gives up nothing by itself"
        switch name {
        case "sizeLimit": return "sizeLimit is \(sizeLimit) bytes; it can't be negative"
        case "cullLimit":
            return cullLimit < 0
                ? "cullLimit is \(cullLimit); it can't be negative"
                : "cullLimit is \(cullLimit); \(owner), so it must be 0"
        case "minFileSize":
            return "minFileSize is \(minFileSize) bytes; it must be from 0 to \(Self.largestMinFileSize)"
        case "compaction":
            return "compaction is \(compaction) percent; it must be from 1 to \(Self.largestCompaction), or 0 for never"
        case "syncInterval": return "syncInterval is \(syncInterval) microseconds; it must be 1 at least"
        case "serializer": return "the serialiser has no name; it needs one, by which the store is bound to it"
        case "defaultExpire":
            guard let defaultExpire else { return "defaultExpire is out of range" }
            return defaultExpire < 0
                ? "defaultExpire is \(defaultExpire) microseconds; it can't be negative"
                : "defaultExpire is \(defaultExpire) microseconds; \(owner), so there can't be one"
        case "evictionPolicy": return "evictionPolicy is \(evictionPolicy); \(owner), so it must be none"
        default: return "\(name) is out of range"
        }
    }

    /// Brings what was stored into the ranges that `validate` asks for.
    mutating func clamp() {
        sizeLimit = max(sizeLimit, 0)
        cullLimit = max(cullLimit, 0)
        minFileSize = min(max(minFileSize, 0), Self.largestMinFileSize)
        compaction = min(max(compaction, 0), Self.largestCompaction)
        syncInterval = max(syncInterval, 1)
        if serializer.isEmpty { serializer = Settings().serializer }
        defaultExpire = defaultExpire.map { max($0, 0) }
        become(kind)
    }

    /// Makes these the settings of a new store of a kind.
    mutating func become(_ kind: StoreKind) {
        self.kind = kind
        if kind.forgets { return }
        evictionPolicy = .none
        cullLimit = 0
        defaultExpire = nil
    }

    /// Throws unless they are those of a kind of store.
    func require(_ wanted: StoreKind, _ path: String) throws(EngineError) {
        if kind == wanted { return }
        throw EngineError(
            .wrongKind, "the directory is \(kind.words), not \(wanted.words); open it as what it is", path: path)
    }
}

/// Settings that can't be had, or can't be read.
public enum SettingsError: Error, Sendable, Equatable {
    /// A value that makes no sense; the setting.
    case outOfRange(String)
    /// A known setting with a value of another type, or a name that this version doesn't know; the setting as stored.
    case unknownValue(String)
    /// Not the encoding of settings; where that was found, in bytes.
    case malformed(offset: Int)
}
