internal import DiskCacheEngine

/// A cache that is made of one or of several: which of them has a key.
package protocol PartedCache: AnyObject, Sendable {
    /// All parts, in the order in which their locks are taken. Their writes wait for the lock `timeout` at most, and then throw.
    var parts: [Cache] { get }
    /// The part that has a key.
    func part(for key: some CacheKey) throws -> Cache
    /// Runs a write of a key in the part that has it; nil: it was dropped, since the lock couldn't be had in time.
    func write<R>(_ key: some CacheKey, retry: Bool, _ body: (Cache) throws -> R) throws -> R?
}

extension PartedCache {
    /// Runs `body` as a transaction of several parts, in the order in which their locks are to be taken. They commit in that order as
    /// well, except that `first` goes before the others. If a commit fails, those before it have happened, and the others haven't.
    func inTransaction<R>(of parts: [Cache], committing first: Cache? = nil, _ body: () throws -> R) throws -> R {
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
            while !open.isEmpty { try open.removeFirst().commitTransaction() }
            return result
        } catch {
            for part in open.reversed() { try? part.rollBackTransaction() }
            throw error
        }
    }
}

extension Cache: PartedCache {
    package var parts: [Cache] { [self] }
    package func part(for key: some CacheKey) throws -> Cache { self }
    package func write<R>(_ key: some CacheKey, retry: Bool, _ body: (Cache) throws -> R) throws -> R? {
        try body(self)
    }
}
