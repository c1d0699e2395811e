import Synchronization

/// Transactions of the calling thread that begin in one call and end in another: for tools that are told by lines of input what to do.
/// Each `begin` needs a `commit` or a `rollBack` on the same thread; while one is open the thread holds the write lock.
extension Store {
    /// Begins a transaction, or inside of one a level of it that can be undone alone. Until it ends the thread reads its own writes.
    package func beginOpen(timeout: UInt64) throws(EngineError) {
        try begin(timeout: timeout)
        if transaction.depth == 1 { isTransacting.store(1, ordering: .relaxed) }
    }

    /// Ends the innermost level; the outermost commits. If that throws, all was rolled back, and the lock let go.
    ///
    /// What it returns is for `pay`, as soon as the thread holds no other store's lock: whoever waits for compaction meanwhile waits for
    /// the lock of this store, and so perhaps for somebody who has it and waits for one of those.
    package func commitOpen() throws(EngineError) -> UInt64 {
        try requireOpen()
        if transaction.depth == 1 { isTransacting.store(0, ordering: .relaxed) }
        return try commitOwing()
    }

    /// Undoes the innermost level.
    package func rollBackOpen() throws(EngineError) {
        try requireOpen()
        if transaction.depth == 1 { isTransacting.store(0, ordering: .relaxed) }
        rollBack()
    }

    private func requireOpen() throws(EngineError) {
        guard isInTransaction else {
            throw EngineError(.inTransaction, "this thread has no transaction open that could end here")
        }
    }
}
