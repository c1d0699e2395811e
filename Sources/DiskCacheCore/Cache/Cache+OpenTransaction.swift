internal import DiskCacheEngine

/// Transactions and snapshots that begin in one call and end in another, of the calling thread; a transaction inside another is a level
/// that can be undone alone. For tools that are told by lines of input what to do: elsewhere a closure does better, for it can't be
/// forgotten to end.
extension Cache {
    /// Takes the write lock and begins. Until the transaction ends every verb of this thread is part of it.
    package func beginTransaction() throws {
        try withStore { (store) throws(EngineError) in try store.beginOpen(timeout: handle.timeout) }
    }

    /// Ends the innermost level; the outermost commits, or throws and has rolled back.
    package func commitTransaction() throws { pay(try commitOwing()) }

    /// As above; what it returns is for `pay`, when the thread's transactions of other caches have ended as well.
    package func commitOwing() throws -> UInt64 {
        try withStore { (store) throws(EngineError) in try store.commitOpen() }
    }

    /// Waits for compaction, or does its work, as far as a commit has to.
    package func pay(_ toll: UInt64) {
        if toll != 0 { try? handle.withStore { (store) throws(EngineError) in store.pay(toll) } }
    }

    /// Undoes the innermost level.
    package func rollBackTransaction() throws {
        try withStore { (store) throws(EngineError) in try store.rollBackOpen() }
    }

    /// A snapshot that was begun and not ended. Of one thread, and not across a `close`.
    package struct OpenSnapshot {
        let state: StoreSnapshot
    }

    /// Begins a snapshot of this instant; `end` is due.
    package func beginSnapshot() throws -> OpenSnapshot {
        try withStore { (store) throws(EngineError) in OpenSnapshot(state: store.beginSnapshot()) }
    }

    /// Reads from a snapshot.
    package func read<R>(_ open: OpenSnapshot, _ body: (borrowing Snapshot) throws -> R) throws -> R {
        let access = try rethrowing { () throws(EngineError) in try handle.open() }
        defer { handle.end(access) }
        return try body(Snapshot(self, access, open.state))
    }

    /// Ends a snapshot.
    package func end(_ open: OpenSnapshot) throws {
        try withStore { (store) throws(EngineError) in store.end(open.state) }
    }

    /// Opens a cache whose wall clock is the caller's: microseconds since 1970.
    package convenience init(
        directory: String?, configuration: Configuration, clock: @escaping @Sendable () -> Int64
    ) throws {
        var environment = Environment()
        environment.wallClockOverride = clock
        try self.init(
            directory: directory.map(expandPath), configuration: configuration, environment: environment)
    }

    /// The system's wall clock: microseconds since 1970.
    package static func systemClock() -> Int64 { Environment.system.wallClock() }
}
