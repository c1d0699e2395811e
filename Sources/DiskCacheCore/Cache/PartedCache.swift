internal import DiskCacheEngine

/// A cache that is made of one or of several: which of them has a key.
package protocol PartedCache: CacheProtocol {
    /// All parts, in the order in which their locks are taken. Their writes wait for the lock `timeout` at most, and then throw.
    var parts: [Cache] { get }
    /// Runs a write, or `count` of them, in the part that has a key; nil: dropped, since the lock couldn't be had in time.
    func write<R>(_ key: some CacheKey, count: Int, retry: Bool, _ body: (Cache) throws -> R) throws -> R?
    // What both kinds can do as a whole.
    func clear() throws -> Int
    func expire() throws -> Int
    func cull() throws -> Int
    func evict(tag: Tag) throws -> Int
    func evictUntagged() throws -> Int
    var statistics: Cache.Statistics { get throws }
    func resetStatistics() throws
}

extension PartedCache {
    /// Runs a write in the part that has a key; nil: dropped, since the lock couldn't be had in time.
    package func write<R>(_ key: some CacheKey, retry: Bool, _ body: (Cache) throws -> R) throws -> R? {
        try write(key, count: 1, retry: retry, body)
    }

    /// Elements by the parts that have their keys, in the parts' order; in a part in their own. None of the groups is empty.
    package func grouped<Element>(
        _ elements: some Sequence<Element>, by key: (Element) -> some CacheKey
    ) throws -> [[Element]] {
        if parts.count == 1 {
            let all = Array(elements)
            return all.isEmpty ? [] : [all]
        }
        var groups: [ObjectIdentifier: [Element]] = [:]
        for element in elements { groups[ObjectIdentifier(try shard(for: key(element))), default: []].append(element) }
        return parts.compactMap { groups[ObjectIdentifier($0)] }
    }

    /// Throws `inTransaction` if this thread is in a transaction of some parts, but not of all of these: their locks can't be taken in
    /// order.
    func checkOrder(of wanted: [Cache]) throws {
        if parts.contains(where: \.handle.isInTransaction), !wanted.allSatisfy(\.handle.isInTransaction) {
            throw CacheError(
                .inTransaction, "a transaction of other shards can't begin inside of one of a single shard",
                path: wanted.first?.directory)
        }
    }

    /// Runs `body` as a transaction of several parts, in the order in which their locks are to be taken. They commit in that order as
    /// well, except that `first` goes before the others. If a commit fails, those before it have happened, and the others haven't.
    ///
    /// Throws `inTransaction` if this thread is in a transaction of others than these: the order of the locks would be lost.
    func inTransaction<R>(of parts: [Cache], committing first: Cache? = nil, _ body: () throws -> R) throws -> R {
        try checkOrder(of: parts)
        var accesses: [(StoreHandle, StoreHandle.Access)] = []
        defer { for (handle, access) in accesses.reversed() { handle.end(access) } }
        var open: [Cache] = []
        do {
            for part in parts {
                accesses.append((part.handle, try rethrowing { () throws(EngineError) in try part.handle.open() }))
                try part.beginTransaction()
                open.append(part)
            }
            let result = try body()
            if let first, let place = open.firstIndex(where: { $0 === first }) { open.swapAt(0, place) }
            var owed: [(part: Cache, toll: UInt64)] = []
            while !open.isEmpty {
                let part = open.removeFirst()
                owed.append((part, try part.commitOwing()))
            }
            for (part, toll) in owed { part.pay(toll) }
            return result
        } catch {
            for part in open.reversed() { try? part.rollBackTransaction() }
            throw error
        }
    }
}

extension Cache: PartedCache {
    package var parts: [Cache] { [self] }
    package func write<R>(
        _ key: some CacheKey, count: Int, retry: Bool, _ body: (Cache) throws -> R
    ) throws -> R? {
        try body(self)
    }
}
