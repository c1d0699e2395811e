internal import DiskCacheEngine

/// Reads a cache's committed writes in the order in which they were committed, whichever process made them. Used by one thread at a time.
///
/// ```swift
/// let reader = try cache.readChanges()
/// while let change = try reader.next(timeout: .seconds(60)) { print(change.kind, change.key ?? "everything") }
/// ```
///
/// A transaction's changes come together, in order, once all of it is committed. What was taken back never comes, and neither does
/// what compaction copies, nor settings. A key that was set twice comes twice, so who only wants to know the newest value reads it.
/// Changes that a `clear` swept away before they were read may be left out; it stands for them, as `cleared`.
///
/// Between two calls nothing is held, and writers know nothing of readers but one bit: reading changes costs them nothing.
/// A power loss may take back the newest changes, as it takes back the writes (`Durability`).
public final class ChangeReader {
    private let cache: Cache
    private let scan: ChangeScan
    private var batch: [Change] = []
    private var index = 0
    /// Behind the last change that was given.
    public private(set) var position: Change.Position

    init(_ cache: Cache, from position: Change.Position?) throws {
        self.cache = cache
        if let position {
            scan = ChangeScan(from: ChangePlace(position))
        } else {
            scan = try cache.withStore { ChangeScan(in: $0) }
        }
        self.position = Change.Position(scan.place)
    }

    /// The next change; nil: there is none, or none came within `timeout`.
    ///
    /// - Parameter timeout: How long to wait for one if there is none: a commit of any thread or process wakes the caller within a few
    ///   milliseconds; until then it sleeps. nil or zero: not at all.
    ///
    /// No lock. Throws `positionGone` if changes behind the position aren't there any more, because the log was compacted: who keeps
    /// something like a copy of the cache reads the keys anew, and follows from a new reader's position, made before. Throws `corrupted`,
    /// `io`. Changes that lie where the log is damaged are left out; `check` and `recovery` tell of damage.
    public func next(timeout: Duration? = nil) throws -> Change? {
        if index == batch.count {
            guard let found = try readBatch() ?? wait(timeout) else { return nil }
            batch = found
            index = 0
        }
        defer { index += 1 }
        position = batch[index].position
        return batch[index]
    }

    /// All changes that are there and weren't given yet, of one stretch of the log; nil: there are none.
    package func readBatch() throws -> [Change]? {
        while try scanNext() {
            if !scan.changes.isEmpty { return try scan.changes.map(Change.init) }
        }
        return nil
    }

    /// A thread that says that it is going to sleep until something is committed; it reads once more before it does.
    package func beginSleep() throws -> @Sendable (_ nanoseconds: UInt64) -> Void { try cache.beginFollowing() }

    private func wait(_ timeout: Duration?) throws -> [Change]? {
        guard let timeout, timeout > .zero else { return nil }
        let (begun, longest) = (monotonicNanoseconds(), timeout.clampedNanoseconds)
        while true {
            let sleep = try beginSleep()
            if let found = try readBatch() { return found }
            let passed = monotonicNanoseconds() &- begun
            if passed >= longest { return nil }
            sleep(longest - passed)
        }
    }

    private func scanNext() throws -> Bool {
        try cache.withStore { (store) throws(EngineError) in try scan.next(in: store) }
    }
}

extension Cache {
    /// A reader of the changes behind a position; nil: of those that are committed from now on. No lock.
    public func readChanges(from position: Change.Position? = nil) throws -> ChangeReader {
        try ChangeReader(self, from: position)
    }

    /// A thread that says that it is going to sleep until something is committed; `sleep` then waits for that.
    package func beginFollowing() throws -> @Sendable (_ nanoseconds: UInt64) -> Void {
        let follower = try rethrowing { () throws(EngineError) in try handle.follower() }
        return { follower.sleep(nanoseconds: $0) }
    }
}

extension Change {
    fileprivate init(_ record: ChangeRecord) throws {
        let kind: Kind
        switch record.kind {
        case .set: kind = .set
        case .touched: kind = .touched
        case .deleted: kind = .deleted
        case .evicted: kind = .evicted
        case .expired: kind = .expired
        case .cleared: kind = .cleared
        }
        let key: AnyCacheKey? =
            kind == .cleared
            ? nil : try record.key.withUnsafeBytes { try AnyCacheKey(keyClass: record.keyClass, bytes: $0) }
        self.init(kind: kind, key: key, position: Position(record.place))
    }
}

extension Change.Position {
    fileprivate init(_ place: ChangePlace) {
        self.init(store: place.store, offset: place.offset, skipped: place.skipped)
    }
}

extension ChangePlace {
    fileprivate init(_ position: Change.Position) {
        self.init(store: position.store, offset: position.offset, skipped: position.skipped)
    }
}
