import DiskCacheCore

/// One run of the shell: an open cache, or what a deque or an index lies in, its clock, and the transactions and snapshots that are
/// open.
final class ShellSession: @unchecked Sendable {
    /// What is open beside a cache.
    enum Collection {
        case none
        case deque(Deque<AnyValue>)
        case index(Index<AnyCacheKey, AnyValue>)
    }

    let kind: ShellKind
    let cache: any ShellStore
    private let collection: Collection
    let clock: ShellClock
    /// Whether the last request was a write that was dropped.
    private(set) var wasDropped = false
    /// How many transactions are open, one inside the other.
    private var depth = 0
    /// The snapshots that are open, one inside the other, each of all parts: reads are of the last.
    private var snapshots: [[Cache.OpenSnapshot]] = []
    /// The named locks that this shell holds, by the UTF-8 of their names.
    private var locks: [[UInt8]: Lock] = [:]
    /// A `begin` that failed, and how many have come since and not ended: nothing is executed until it has.
    private var failed: (error: ShellError, depth: Int)?

    init(_ kind: ShellKind, cache: any ShellStore, _ collection: Collection = .none, clock: ShellClock) {
        self.kind = kind
        self.cache = cache
        self.collection = collection
        self.clock = clock
    }

    var deque: Deque<AnyValue> {
        get throws {
            guard case .deque(let deque) = collection else { throw BadRequest("this isn't a deque") }
            return deque
        }
    }

    var index: Index<AnyCacheKey, AnyValue> {
        get throws {
            guard case .index(let index) = collection else { throw BadRequest("this isn't an index") }
            return index
        }
    }

    /// Does what a request says; throws a `ShellError`.
    func execute(_ name: String, _ arguments: [JSON.Member]) throws(ShellError) -> JSON {
        wasDropped = false
        if let error = failure(name) { throw error }
        do {
            let verb = try ShellVerb.named(name, kind)
            let dropped = cache.droppedWrites
            let result = try verb.run(self, try ShellRequest(arguments, for: verb))
            wasDropped = cache.droppedWrites != dropped
            return wasDropped ? .bool(false) : result
        } catch {
            throw ShellError(error)
        }
    }

    /// The end of input: what is open is undone.
    func finish() {
        while let last = snapshots.popLast() { try? end(last) }
        while depth > 0 {
            depth -= 1
            for part in cache.parts.reversed() { try? part.rollBackTransaction() }
        }
        do {
            try cache.close()
        } catch {
            Output.note("diskcache shell: \(error)")
        }
    }

    // MARK: Transactions

    /// The error that requests inside a transaction get that couldn't begin.
    private func failure(_ name: String) -> ShellError? {
        guard let failed else { return nil }
        switch name {
        case "begin": self.failed?.depth += 1
        case "commit", "rollback":
            self.failed?.depth -= 1
            if failed.depth == 1 { self.failed = nil }
        default: break
        }
        return failed.error
    }

    /// Whether a transaction is open.
    var isInTransaction: Bool { depth > 0 }

    func begin() throws -> JSON {
        var begun: [Cache] = []
        do {
            for part in cache.parts {
                try part.beginTransaction()
                begun.append(part)
            }
        } catch {
            for part in begun.reversed() { try part.rollBackTransaction() }
            failed = (ShellError(error), 1)
            throw error
        }
        depth += 1
        return .bool(true)
    }

    func commit() throws -> JSON {
        guard depth > 0 else { throw BadRequest("there is no transaction to commit") }
        depth -= 1
        var open = cache.parts[...]
        do {
            var owed: [(part: Cache, toll: UInt64)] = []
            while let part = open.popFirst() { owed.append((part, try part.commitOwing())) }
            for (part, toll) in owed { part.pay(toll) }
        } catch {
            for part in open.reversed() { try part.rollBackTransaction() }
            throw error
        }
        return .bool(true)
    }

    func rollBack() throws -> JSON {
        guard depth > 0 else { throw BadRequest("there is no transaction to roll back") }
        depth -= 1
        for part in cache.parts.reversed() { try part.rollBackTransaction() }
        return .bool(true)
    }

    // MARK: Named locks

    /// Takes a lock; false: it isn't to be had in time, without one: now.
    func lock(_ name: String, timeout: Duration?) throws -> Bool {
        if locks[Array(name.utf8)] != nil {
            throw CacheError(.lockNotHeld, "this shell holds the lock \(quoted(name)) already")
        }
        let lock = Lock(cache, name)
        if let timeout {
            do {
                try lock.lock(timeout: timeout)
            } catch CacheError.Code.timeout {
                return false
            }
        } else if try !lock.tryLock() {
            return false
        }
        locks[Array(name.utf8)] = lock
        return true
    }

    func unlock(_ name: String) throws {
        guard let lock = locks.removeValue(forKey: Array(name.utf8)) else {
            throw CacheError(.lockNotHeld, "this shell doesn't hold the lock \(quoted(name))")
        }
        try lock.unlock()
    }

    // MARK: Snapshots

    func beginSnapshot() throws -> JSON {
        var begun: [Cache.OpenSnapshot] = []
        do {
            for part in cache.parts { begun.append(try part.beginSnapshot()) }
        } catch {
            try? end(begun)
            throw error
        }
        snapshots.append(begun)
        return .bool(true)
    }

    func endSnapshot() throws -> JSON {
        guard let last = snapshots.popLast() else { throw BadRequest("there is no snapshot to end") }
        try end(last)
        return .bool(true)
    }

    private func end(_ snapshot: [Cache.OpenSnapshot]) throws {
        for (part, snapshot) in zip(cache.parts, snapshot) { try part.end(snapshot) }
    }

    /// Whether a snapshot is open.
    var isInSnapshot: Bool { !snapshots.isEmpty }

    /// Reads from the open snapshot of the part that has a key; nil: there is no snapshot.
    func inSnapshot<R>(_ key: AnyCacheKey, _ body: (borrowing Snapshot) throws -> R) throws -> R? {
        guard let last = snapshots.last else { return nil }
        let part = try cache.shard(for: key)
        guard let place = cache.parts.firstIndex(where: { $0 === part }) else { return nil }
        return try part.read(last[place], body)
    }

    /// Reads from the open snapshots of all parts; nil: there is no snapshot.
    func inSnapshots<R>(_ body: (borrowing Snapshot) throws -> R) throws -> [R]? {
        try snapshots.last.map { try zip(cache.parts, $0).map { try $0.read($1, body) } }
    }
}
