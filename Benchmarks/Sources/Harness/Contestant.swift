/// What a store is opened for.
public struct Conditions: Codable, Sendable {
    /// Keys that it will hold.
    public var keys: Int
    /// Bytes a value.
    public var valueSize: Int
    /// Whether a write is on the disk when it returns; otherwise nothing is synced.
    public var isDurable = false
    /// Whether a sync follows soon after each write, in the background; for engines that have such a thing.
    public var isSyncedSoon = false
    /// Bytes that it may take.
    public var limit: Int?
    /// What goes when it is full; one of the contestant's `policies`.
    public var policy: String?

    /// Conditions of a store without a limit that doesn't sync.
    public init(keys: Int, valueSize: Int = 100) {
        (self.keys, self.valueSize) = (keys, valueSize)
    }
}

/// One engine in one configuration.
public struct Contestant: Sendable {
    /// What else an engine can do.
    public struct Traits: OptionSet, Sendable {
        /// The bits.
        public let rawValue: Int
        /// Traits of these bits.
        public init(rawValue: Int) { self.rawValue = rawValue }
        /// Several threads may use it at once.
        public static let threads = Traits(rawValue: 1)
        /// Several processes may use it at once.
        public static let processes = Traits(rawValue: 2)
        /// It lies in files of its folder, and is there again when it is opened after `close`.
        public static let files = Traits(rawValue: 4)
        /// It can make each write durable.
        public static let durable = Traits(rawValue: 8)
        /// It is a variant of another one, and takes part only where that is the question.
        public static let special = Traits(rawValue: 16)
        /// A writer's death loses nothing that was written; it is opened after a kill.
        public static let survivesKill = Traits(rawValue: 32)
    }

    /// A short name, for tables and the command line.
    public let name: String
    /// How the engine is configured, and on whose advice.
    public let configuration: String
    /// The version of the library or server; asked for only by reports, since finding it may take a process.
    public var version: String { findVersion() }
    private let findVersion: @Sendable () -> String
    /// What it can do.
    public let verbs: Set<Verb>
    /// What else it can do.
    public let traits: Traits
    /// The names of what it can do when it is full.
    public let policies: [String]
    /// It is given one of so many of the steps, so that a run ends; the others are loaded in bulk, untimed.
    public let share: Int
    /// Opens the store in a folder, a new one if that is empty.
    public let open: @Sendable (_ directory: String, _ conditions: Conditions) throws -> any Engine

    /// A contestant that `open` opens. `verbs` are those beside set, overwrite, get, miss, probe, modify, delete, remove.
    public init(
        _ name: String, version: @autoclosure @escaping @Sendable () -> String, _ configuration: String,
        verbs: Set<Verb> = [], traits: Traits = [],
        policies: [String] = [], share: Int = 1,
        open: @escaping @Sendable (_ directory: String, _ conditions: Conditions) throws -> any Engine
    ) {
        self.name = name
        findVersion = version
        self.configuration = configuration
        self.verbs = verbs.union([.set, .overwrite, .get, .miss, .probe, .modify, .delete, .remove])
        self.traits = traits
        self.policies = policies
        self.share = share
        self.open = open
    }
}
