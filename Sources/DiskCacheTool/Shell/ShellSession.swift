import DiskCacheCore

/// One run of the shell: an open cache, its clock, and the transactions and snapshots that are open.
final class ShellSession: @unchecked Sendable {
    let cache: Cache
    let clock: ShellClock
    /// How many transactions are open, one inside the other.
    private var depth = 0
    /// The snapshots that are open, one inside the other: reads are of the last.
    private var snapshots: [Cache.OpenSnapshot] = []
    /// The named locks that this shell holds.
    private var locks: [String: Lock] = [:]
    /// A `begin` that failed, and how many have come since and not ended: nothing is executed until it has.
    private var failed: (error: ShellError, depth: Int)?

    init(cache: Cache, clock: ShellClock) {
        self.cache = cache
        self.clock = clock
    }

    /// Does what a request says; throws a `ShellError`.
    func execute(_ name: String, _ arguments: [JSON.Member]) throws(ShellError) -> JSON {
        if let error = failure(name) { throw error }
        do {
            let verb = try ShellVerb.named(name)
            return try verb.run(self, try ShellRequest(arguments, for: verb))
        } catch {
            throw ShellError(error)
        }
    }

    /// The end of input: what is open is undone.
    func finish() {
        for snapshot in snapshots.reversed() { try? cache.end(snapshot) }
        snapshots.removeAll()
        while depth > 0 {
            depth -= 1
            try? cache.rollBackTransaction()
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

    func begin() throws -> JSON {
        do {
            try cache.beginTransaction()
        } catch {
            failed = (ShellError(error), 1)
            throw error
        }
        depth += 1
        return .bool(true)
    }

    func commit() throws -> JSON {
        guard depth > 0 else { throw BadRequest("there is no transaction to commit") }
        depth -= 1
        try cache.commitTransaction()
        return .bool(true)
    }

    func rollBack() throws -> JSON {
        guard depth > 0 else { throw BadRequest("there is no transaction to roll back") }
        depth -= 1
        try cache.rollBackTransaction()
        return .bool(true)
    }

    // MARK: Named locks

    /// Takes a lock; false: it isn't to be had in time, without one: now.
    func lock(_ name: String, timeout: Duration?) throws -> Bool {
        if locks[name] != nil { throw CacheError(.lockNotHeld, "this shell holds the lock \(quoted(name)) already") }
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
        locks[name] = lock
        return true
    }

    func unlock(_ name: String) throws {
        guard let lock = locks.removeValue(forKey: name) else {
            throw CacheError(.lockNotHeld, "this shell doesn't hold the lock \(quoted(name))")
        }
        try lock.unlock()
    }

    // MARK: Snapshots

    func beginSnapshot() throws -> JSON {
        snapshots.append(try cache.beginSnapshot())
        return .bool(true)
    }

    func endSnapshot() throws -> JSON {
        guard let last = snapshots.popLast() else { throw BadRequest("there is no snapshot to end") }
        try cache.end(last)
        return .bool(true)
    }

    /// Whether a snapshot is open.
    var isInSnapshot: Bool { !snapshots.isEmpty }

    /// Reads from the open snapshot; nil: there is none.
    func inSnapshot<R>(_ body: (borrowing Snapshot) throws -> R) throws -> R? {
        try snapshots.last.map { try cache.read($0, body) }
    }
}
