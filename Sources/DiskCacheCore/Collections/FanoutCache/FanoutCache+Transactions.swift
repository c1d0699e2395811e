extension FanoutCache {
    /// Runs `body` as one transaction of all shards: if it throws, all is as before. Inside another one of all shards it is a part of
    /// that, as in ``Cache``.
    ///
    /// Takes the locks of all shards, in their order, so that two of them never wait for each other, and holds them to the end: nobody
    /// else writes anything meanwhile. Every verb of this thread is part of it, and none is dropped.
    ///
    /// **Each shard commits by itself**, one after the other in their order, when `body` is done. Readers may see the new state of one
    /// shard and the old one of another for the moments in between. If the process dies there, or a commit fails (a full
    /// disk), the shards before that have what `body` wrote, and the others haven't, each as a whole. What must never come apart
    /// belongs under one key, or into a ``Cache``; for one key there is `transact(for:)`.
    ///
    /// Throws `timeout` if a lock isn't to be had within `timeout`, and `inTransaction` inside of `transact(for:)`, since the order of
    /// the locks would be lost.
    @discardableResult
    public func transact<R>(_ body: (inout Transaction) throws -> R) throws -> R {
        try inTransaction(of: parts) {
            var transaction = Transaction(self)
            let result = try body(&transaction)
            try transaction.finish()
            return result
        }
    }

    /// As above, for a body that calls the cache's verbs alone.
    @discardableResult
    public func transact<R>(_ body: () throws -> R) throws -> R { try inTransaction(of: parts, body) }

    /// Runs `body` as one transaction of the shard that has `key`: as atomic as one of a ``Cache``, and the other shards go
    /// on meanwhile.
    ///
    /// `body` may use no key but this one: where others lie is nobody's choice. The transaction's own subscripts refuse a key of another
    /// shard, and `transact` throws `inTransaction`. The cache's verbs don't: such a write isn't part of the transaction,
    /// is dropped if its lock isn't free, and waits in the wrong order with `retry: true`.
    @discardableResult
    public func transact<R>(for key: some CacheKey, _ body: (inout Transaction) throws -> R) throws -> R {
        let shard = try shard(for: key)
        return try shard.inTransaction {
            var transaction = Transaction(self, in: shard)
            let result = try body(&transaction)
            try transaction.finish()
            return result
        }
    }

    /// As above, for a body that calls the cache's verbs alone.
    @discardableResult
    public func transact<R>(for key: some CacheKey, _ body: () throws -> R) throws -> R {
        try shard(for: key).transact(body)
    }
}
