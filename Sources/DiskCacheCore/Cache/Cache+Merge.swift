internal import DiskCacheEngine

/// Which of two items stays when both caches of a merge have the key.
public enum MergePolicy: String, Sendable, Hashable, CaseIterable {
    /// The one that was stored later.
    case newer
    /// The one that is there.
    case keep
    /// The one that comes.
    case replace
}

extension Cache {
    /// Takes over the items of another cache, in the order in which they were first stored there; the other one stays as it is.
    ///
    /// An item keeps value, expiry, tag and store date (none is before this cache's own beginning), and large values are shared by hard
    /// link where both lie on one file system. A key that is new here comes last in insertion order, one that is there keeps its place.
    /// Expired items aren't taken, and neither are those of queues: in two places they would be worked on twice.
    ///
    /// Goes in small transactions, so that other writers wait for moments; it isn't one commit. If it is cut short, what was taken stays;
    /// begun again with `newer` or `keep` it takes what is missing. What is too much for the size limit is evicted as usual.
    ///
    /// - Parameter policy: What is done about keys that both have.
    ///
    /// Throws `inTransaction` inside a transaction of either, `serializerMismatch` if the two don't serialise values in the same way,
    /// `wrongKind` if one of them is a collection's, `timeout`, `diskFull`, `io`.
    @discardableResult
    public func merge(from other: Cache, policy: MergePolicy = .newer) throws -> MergeResult {
        try takeItems(of: other, policy)
    }

    /// Takes over the items of the cache in another directory, plain or of shards, as `merge(from:policy:)`. Throws `io` if there is none,
    /// `nameInvalid` for a path that is empty or has a zero byte in it.
    @discardableResult
    public func merge(from directory: String, policy: MergePolicy = .newer) throws -> MergeResult {
        try takeItems(at: directory, policy)
    }

    /// What became of the items of another cache.
    public struct MergeResult: Sendable, Hashable {
        /// Items that were taken over.
        public let taken: Int
        /// Items that weren't, since the policy kept what was there.
        public let kept: Int
        /// Items that had expired.
        public let expired: Int
        /// Items of queues, which aren't taken.
        public let queued: Int
        /// Items that are larger than this cache's size limit allows.
        public let tooLarge: Int
        /// Items whose values can't be read, since their files are missing or damaged.
        public let unreadable: Int
    }
}

extension PartedCache {
    /// Takes over the items of another cache, each into the part that has its key; see `Cache.merge(from:policy:)`.
    func takeItems(of other: some PartedCache, _ policy: MergePolicy) throws -> Cache.MergeResult {
        let (own, others) = (parts.map(\.handle), other.parts.map(\.handle))
        if (own + others).contains(where: \.isInTransaction) {
            throw CacheError(
                .inTransaction, "caches can't be merged inside a transaction", path: parts.first?.directory)
        }
        guard let first = own.first, let source = others.first else { return Cache.MergeResult(StoreMerge.Counts()) }
        let (mine, theirs) = try rethrowing { () throws(EngineError) in
            func settings(_ handle: StoreHandle) throws(EngineError) -> DiskCacheEngine.Settings {
                try handle.withStore { (store) throws(EngineError) in try store.currentSettings() }
            }
            return (try settings(first), try settings(source))
        }
        guard mine.kind == theirs.kind else {
            throw CacheError(
                .wrongKind, "the other directory is a \(theirs.kind.rawValue), this one a \(mine.kind.rawValue)",
                path: source.path)
        }
        guard mine.serializer == theirs.serializer else {
            throw CacheError(
                .serializerMismatch,
                "the other cache was made with the serialiser \(theirs.serializer), this one with \(mine.serializer)",
                path: source.path)
        }
        return try rethrowing { () throws(EngineError) in
            var counts = StoreMerge.Counts()
            for store in others {
                var isOwn = false
                for part in own where try part.isSameStore(as: store) { isOwn = true }
                // What lies in an own part is there already.
                if isOwn { continue }
                let merge = try store.withStore {
                    StoreMerge(from: $0, policy: StoreMerge.Policy(policy), timeout: first.timeout)
                }
                while try store.take(merge, into: own) {}
                counts += merge.counts
            }
            return Cache.MergeResult(counts)
        }
    }
}

extension Cache.MergeResult {
    init(_ counts: StoreMerge.Counts) {
        taken = counts.taken
        kept = counts.kept
        expired = counts.expired
        queued = counts.queued
        tooLarge = counts.tooLarge
        unreadable = counts.unreadable
    }
}

extension StoreMerge.Policy {
    init(_ policy: MergePolicy) {
        switch policy {
        case .newer: self = .newer
        case .keep: self = .keep
        case .replace: self = .replace
        }
    }
}
