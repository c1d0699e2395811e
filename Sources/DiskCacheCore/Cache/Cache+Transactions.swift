internal import DiskCacheEngine

extension Cache {
    /// Runs `body` as one transaction: everybody sees all that it wrote at one instant, or none of it, also after a kill.
    ///
    /// What `body` reads from the cache are its own writes. If it throws, all is as before, values in files included, and the error is
    /// passed on. Inside another transaction of the same thread it is a part of that: if it throws, its own writes alone are undone,
    /// and the outer one goes on if it catches the error. A second `Cache` on the same directory joins as well.
    ///
    /// Takes the write lock at once and holds it to the end, so `body` should be short; readers go on, and see the state before.
    /// The transaction belongs to the calling thread: what other threads write meanwhile waits, and isn't part of it.
    /// Nothing of it may outlive `body`.
    ///
    /// Throws `timeout` if the write lock isn't to be had in time; with durability `full` it returns when all is on the disk.
    @discardableResult
    public func transact<R>(_ body: (inout Transaction) throws -> R) throws -> R {
        try inTransaction {
            var transaction = Transaction(self)
            let result = try body(&transaction)
            try transaction.finish()
            return result
        }
    }

    /// As above, for a body that calls the cache's verbs alone.
    @discardableResult
    public func transact<R>(_ body: () throws -> R) throws -> R { try inTransaction(body) }

    @usableFromInline
    func inTransaction<R>(_ body: () throws -> R) throws -> R {
        try inStore { try $0.transact(timeout: handle.timeout, body) }
    }
}
