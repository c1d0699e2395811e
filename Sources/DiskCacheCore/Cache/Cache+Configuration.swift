internal import DiskCacheEngine

/// What a power loss may cost. The death of a process costs nothing at any level: what was acknowledged is there.
public enum Durability: String, Sendable, Hashable, CaseIterable {
    /// Nothing is synced: after a power loss the cache comes back as it was at some earlier moment.
    case none
    /// A sync begins in the background within about a second of a write (`syncInterval`), and at `close`. What was written before one that
    /// is over, that of `sync()` too, survives.
    case normal
    /// A write returns when it is on the disk. Writers that wait at the same time share a sync.
    case full
}

extension Cache {
    /// When a cache gives back by itself what is dead in it: what was overwritten, deleted, evicted.
    ///
    /// It begins by bytes, not by time, in the background, while everybody goes on; `compact()` does it now.
    public struct Compaction: Sendable, Hashable {
        /// Of how many percent of what the cache takes on disk, dead, it begins; 0: never.
        public let percent: Int

        /// From 40 percent on: the directory stays below twice the bytes of the items, plus three segments of its log.
        public static let automatic = Compaction(percent: DiskCacheEngine.Settings.defaultCompaction)
        /// Never, unless `compact()` or a size limit asks for it.
        public static let off = Compaction(percent: 0)
        /// From that many percent on, 1 to 90. Fewer take less space and copy more; beyond 45 the bound of `automatic` doesn't hold.
        public static func whenDead(percent: Int) -> Compaction { Compaction(percent: percent) }
    }

    /// How to open a cache. What is nil stays as it is stored; in a new cache it is the default that is named with it.
    public struct Configuration: Sendable {
        /// Bytes that the cache may take on disk, about. Default 1 GiB.
        ///
        /// Items take three quarters of it, the rest is for what is dead and not given back yet. A value, or all that one transaction stores,
        /// that is more than those three quarters throws `valueTooLarge`, and nothing has happened; with 0 everything does. However
        /// small it is, the files take up to 4 MiB. A `FanoutCache` divides it among its shards, and a value has to fit into the
        /// share of one. With the policy `none`, or a `cullLimit` of 0, there is no limit.
        public var sizeLimit: Int64?
        /// Which items go when it takes more. Default `leastRecentlyStored`.
        public var evictionPolicy: EvictionPolicy?
        /// How many expired items one write removes at most; 0: nothing is removed automatically. Default 10.
        public var cullLimit: Int?
        /// What a power loss may cost. Default `normal`.
        public var durability: Durability?
        /// How often `normal` syncs. Default one second.
        public var syncInterval: Duration?
        /// From how many bytes on a text, bytes or a serialised value gets a file of its own; at most 16 MiB. Default 32 KiB.
        ///
        /// In the log values of up to half a megabyte are written two to ten times as fast, and read twice as fast, but compaction copies
        /// them: raise it where most values are that large and are replaced often.
        public var minFileSize: Int?
        /// Whether hits and misses are counted. Default false.
        public var statistics: Bool?
        /// Whether items are indexed by tag. Default false.
        public var tagIndex: Bool?
        /// When items expire that are stored with `expire: nil`. Default: never.
        public var defaultExpire: Duration?
        /// When what is dead is given back. Default `automatic`.
        public var compaction: Compaction?
        /// What makes bytes of values that aren't numbers, text or bytes. A cache is bound to the serialiser that it was made with, by
        /// name.
        public var serializer: any Serializer = CBORSerializer()
        /// How long a write may wait for the write lock. This process's own: it isn't stored. Default 60 seconds.
        public var timeout: Duration = .seconds(60)
        /// Whether this process may keep the write lock for a moment between writes that follow each other closely, which halves what a
        /// write costs. Another process that wants to write gets it within some milliseconds; but while a process that keeps it is
        /// *stopped* (SIGSTOP, a debugger), nobody else writes. This process's own: it isn't stored; one cache of a directory that
        /// doesn't want it is enough. Default true; false on iOS and its kin.
        public var keepsWriteLock = StoreOptions.keepsLockByDefault
        /// Whether network file systems are believed to have common memory and dependable locks. They haven't.
        public var anyFileSystem = false
        /// Whether a cache is opened whatever serialiser it was made with: for tools that don't read such values.
        package var anySerializer = false
        /// Whether a directory is opened that is a deque or an index: for tools that look at it without knowing what it is.
        package var anyKind = false

        /// Everything as it is stored, or by default.
        public init() {}
    }

    /// How a cache behaves, for all processes: what is stored in it.
    public struct Settings: Sendable, Equatable {
        /// Bytes that the cache may take on disk, about.
        public var sizeLimit: Int64
        /// Which items go when it takes more.
        public var evictionPolicy: EvictionPolicy
        /// How many expired items one write removes at most; 0: nothing is removed automatically.
        public var cullLimit: Int
        /// What a power loss may cost.
        public var durability: Durability
        /// How often `normal` syncs.
        public var syncInterval: Duration
        /// From how many bytes on a value gets a file of its own.
        public var minFileSize: Int
        /// Whether hits and misses are counted.
        public var statistics: Bool
        /// Whether items are indexed by tag.
        public var tagIndex: Bool
        /// When items expire that are stored with `expire: nil`; nil: never.
        public var defaultExpire: Duration?
        /// When what is dead is given back.
        public var compaction: Compaction
        /// The name of the serialiser that the cache was made with.
        public internal(set) var serializer: String
    }

    /// The settings as of now, whoever changed them last. No lock.
    public var settings: Settings {
        get throws {
            try withStore { (store) throws(EngineError) in Settings(try store.currentSettings()) }
        }
    }

    /// Changes the settings, for all processes at once; nothing is written if nothing changes.
    ///
    /// `change` is called again if others have changed something meanwhile, so that nobody's change is lost.
    /// Takes the write lock. Throws `invalidSetting` for a value without sense, `timeout`, and whatever `change` throws.
    public func configure(_ change: (inout Settings) throws -> Void) throws {
        var before = try settings
        while true {
            var wanted = before
            try change(&wanted)
            let (base, final) = (before, wanted)
            var met = base
            try withStore { (store) throws(EngineError) in
                try store.configure(timeout: handle.timeout) { (stored) throws(EngineError) in
                    met = Settings(stored)
                    if met == base { final.apply(to: &stored) }
                }
            }
            if met == base { return }
            before = met
        }
    }

    /// How long a write of this cache may wait for the write lock. Not stored.
    public var timeout: Duration {
        get { .nanoseconds(Int64(clamping: handle.timeout)) }
        set { handle.timeout = newValue.clampedNanoseconds }
    }
}

extension Cache.Configuration {
    /// The engine's options that stand for this configuration.
    func options() -> StoreOptions {
        var options = StoreOptions()
        options.timeout = timeout.clampedNanoseconds
        options.anyFileSystem = anyFileSystem
        options.keepsLock = keepsWriteLock
        options.kind = anyKind ? nil : .cache
        let wanted = self
        options.configure = { (settings, isNew) throws(EngineError) in
            guard settings.serializer == wanted.serializer.name || isNew || wanted.anySerializer else {
                throw EngineError(
                    .serializerMismatch,
                    "the cache was made with the serialiser \(settings.serializer), not \(wanted.serializer.name); open it with that"
                )
            }
            wanted.apply(to: &settings, isNew: isNew)
        }
        return options
    }

    private func apply(to settings: inout DiskCacheEngine.Settings, isNew: Bool) {
        if isNew || !anySerializer { settings.serializer = serializer.name }
        if let sizeLimit { settings.sizeLimit = sizeLimit }
        if let evictionPolicy { settings.evictionPolicy = Eviction(evictionPolicy) }
        if let cullLimit { settings.cullLimit = cullLimit }
        if let durability { settings.durability = DiskCacheEngine.Durability(durability) }
        if let syncInterval { settings.syncInterval = Int(clamping: syncInterval.roundedUpMicroseconds) }
        if let minFileSize { settings.minFileSize = minFileSize }
        if let statistics { settings.statistics = statistics }
        if let tagIndex { settings.tagIndex = tagIndex }
        if let defaultExpire { settings.defaultExpire = defaultExpire.roundedUpMicroseconds }
        if let compaction { settings.compaction = compaction.percent }
    }
}

extension Cache.Settings {
    init(_ stored: DiskCacheEngine.Settings) {
        sizeLimit = stored.sizeLimit
        evictionPolicy = EvictionPolicy(stored.evictionPolicy)
        cullLimit = stored.cullLimit
        durability = Durability(stored.durability)
        syncInterval = .microseconds(stored.syncInterval)
        minFileSize = stored.minFileSize
        statistics = stored.statistics
        tagIndex = stored.tagIndex
        defaultExpire = stored.defaultExpire.map { .microseconds($0) }
        compaction = Cache.Compaction(percent: stored.compaction)
        serializer = stored.serializer
    }

    func apply(to stored: inout DiskCacheEngine.Settings) {
        stored.sizeLimit = sizeLimit
        stored.evictionPolicy = Eviction(evictionPolicy)
        stored.cullLimit = cullLimit
        stored.durability = DiskCacheEngine.Durability(durability)
        stored.syncInterval = Int(clamping: syncInterval.roundedUpMicroseconds)
        stored.minFileSize = minFileSize
        stored.statistics = statistics
        stored.tagIndex = tagIndex
        stored.defaultExpire = defaultExpire?.roundedUpMicroseconds
        stored.compaction = compaction.percent
    }
}

extension Eviction {
    init(_ policy: EvictionPolicy) {
        switch policy {
        case .leastRecentlyStored: self = .leastRecentlyStored
        case .leastRecentlyUsed: self = .leastRecentlyUsed
        case .leastFrequentlyUsed: self = .leastFrequentlyUsed
        case .none: self = .none
        }
    }
}

extension EvictionPolicy {
    init(_ stored: Eviction) {
        switch stored {
        case .leastRecentlyStored: self = .leastRecentlyStored
        case .leastRecentlyUsed: self = .leastRecentlyUsed
        case .leastFrequentlyUsed: self = .leastFrequentlyUsed
        case .none: self = .none
        }
    }
}

extension DiskCacheEngine.Durability {
    init(_ level: Durability) {
        switch level {
        case .none: self = .none
        case .normal: self = .normal
        case .full: self = .full
        }
    }
}

extension Durability {
    init(_ stored: DiskCacheEngine.Durability) {
        switch stored {
        case .none: self = .none
        case .normal: self = .normal
        case .full: self = .full
        }
    }
}

extension Duration {
    /// Nanoseconds, rounded up; 0 for what is below zero, and about three centuries at most.
    package var clampedNanoseconds: UInt64 {
        if self <= .zero { return 0 }
        // `components` traps beyond 64 bits of seconds.
        if self >= .seconds(9_000_000_000) { return UInt64(Int64.max) }
        let (seconds, attoseconds) = components
        return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds + 999_999_999) / 1_000_000_000
    }
}
