internal import DiskCacheEngine

extension Cache {
    /// How many items there are, expired ones that nothing has removed yet included. O(1), no lock.
    public var count: Int {
        get throws { try withStore { $0.count } }
    }

    /// Bytes that the cache takes on disk: log, index and value files. One system call a segment, no lock.
    public var volume: Int {
        get throws {
            try withStore { (store) throws(EngineError) in try store.volume() }
        }
    }

    /// Makes everything durable that is stored now. Waits for the disk, not for the write lock.
    ///
    /// Throws `poisoned` if a sync has failed: then nothing more is written until the cache was closed everywhere and opened again.
    public func sync() throws {
        try withStore { (store) throws(EngineError) in try store.sync() }
    }

    /// Gives back now everything that is dead: what was overwritten, deleted, evicted or has expired, in log, index, orders and value
    /// files. Returns when it is off the disk.
    ///
    /// The log from its beginning to the last garbage in it is read, and what is alive there copied: at most as much as the cache
    /// holds. Reads and writes go on meanwhile; what a snapshot still reads stays until that is over. By itself the same happens in the
    /// background whenever enough is dead (`Configuration.compaction`), so hardly anybody needs this.
    ///
    /// Takes the write lock for moments, and waits for the disk. Throws `inTransaction` inside a transaction, `timeout`, `diskFull`.
    public func compact() throws {
        try withStore { (store) throws(EngineError) in try store.compact(timeout: handle.timeout) }
    }

    /// Something that isn't as it should be.
    public struct Finding: Sendable, Hashable, CustomStringConvertible {
        /// What kind of thing it is.
        public enum Kind: String, Sendable, Hashable, CaseIterable {
            /// Bytes of the log that are no record though they should be: what they held is lost.
            case damagedLog
            /// A segment of the log that is missing, or whose header is damaged.
            case missingSegment
            /// A key that the index doesn't find, or finds somewhere else than the log says.
            case wrongIndex
            /// A counter that isn't what a count says.
            case wrongCounter
            /// A value whose file is missing.
            case missingFile
            /// A value whose file isn't the one that was written.
            case damagedFile
            /// A value file that no item names.
            case unknownFile
            /// An order of keys that isn't the one that the log says. What it lists wrongly is left out when it is read.
            case wrongView
            /// A queue whose record doesn't agree with its items.
            case wrongQueue
        }
        /// What kind of thing it is.
        public let kind: Kind
        /// What and where, in words.
        public let message: String

        /// Kind and message.
        public var description: String { "\(kind.rawValue): \(message)" }
    }

    /// Proves log, index, orders, counters and value files against each other; what was found. Empty: all is well.
    ///
    /// Reads the whole log and every value file. Holds the write lock, so writers wait; readers don't.
    ///
    /// - Parameter fix: Puts right what can be: index and counters are made again from the log, items whose file is missing or damaged
    ///   are removed, value files that no item names are unlinked. Nothing else in the directory is touched. What was found is returned
    ///   all the same; another check tells what is left.
    ///
    /// Throws `inTransaction` inside a transaction, `timeout`.
    public func check(fix: Bool = false) throws -> [Finding] {
        try withStore { (store) throws(EngineError) in try store.check(timeout: handle.timeout, fix: fix) }.map {
            Finding(kind: Finding.Kind($0.kind), message: $0.message)
        }
    }

    /// What was found and done about it when this process opened the cache; nil: everything was as it should be.
    ///
    /// If the machine went down while the cache was open, the index is made again from the log: that alone is no damage.
    public var recovery: Recovery? {
        get throws {
            try withStore { $0.recovery }.map(Recovery.init)
        }
    }

    /// What opening a cache found and did.
    public struct Recovery: Sendable, Hashable {
        /// Why the index had to be made again.
        public let reason: String
        /// Items after it.
        public let count: Int
        /// What is lost: one line for each range of the log that is damaged, each segment that is missing.
        public let losses: [String]
        /// Whether the end of the log was torn, and cut back to a whole transaction, as a power loss leaves it.
        public let wasTorn: Bool
    }
}

extension Cache.Recovery {
    init(_ report: RecoveryReport) {
        reason = report.reason
        count = report.keys
        losses =
            report.quarantined.map { "the log from position \($0.lowerBound) to \($0.upperBound) is damaged" }
            + report.gaps
        wasTorn = report.cut != nil
    }
}

extension Cache.Finding.Kind {
    init(_ kind: Store.Finding.Kind) {
        switch kind {
        case .damagedLog: self = .damagedLog
        case .missingSegment: self = .missingSegment
        case .wrongIndex: self = .wrongIndex
        case .wrongCounter: self = .wrongCounter
        case .missingFile: self = .missingFile
        case .damagedFile: self = .damagedFile
        case .unknownFile: self = .unknownFile
        case .wrongView: self = .wrongView
        case .wrongQueue: self = .wrongQueue
        }
    }
}
