import CLMDB
import CSQLite
import Workloads

/// A store whose every commit is on the disk when it returns, written by several threads at once.
public protocol DurableWriter: AnyObject {
    /// Stores a value; returns when it is durable. Called by thread `thread` alone with that number.
    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, thread: Int) throws
    /// Closes it.
    func close()
}

/// LMDB as it is by default: a commit syncs pages and then the meta page; writers take turns.
public final class DurableLMDB: DurableWriter, @unchecked Sendable {
    private var environment: OpaquePointer?
    private var database: MDB_dbi = 0

    /// A new store in the folder `path`.
    public init(path: String) throws {
        try check(mdb_env_create(&environment), "mdb_env_create")
        try check(mdb_env_set_mapsize(environment, 1 << 30), "mdb_env_set_mapsize")
        try check(mdb_env_open(environment, path, 0, 0o600), "mdb_env_open")
        var transaction: OpaquePointer?
        try check(mdb_txn_begin(environment, nil, 0, &transaction), "mdb_txn_begin")
        try check(mdb_dbi_open(transaction, nil, 0, &database), "mdb_dbi_open")
        try check(mdb_txn_commit(transaction), "mdb_txn_commit")
    }

    /// Commits one value.
    public func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, thread: Int) throws {
        var transaction: OpaquePointer?
        var key = MDB_val(mv_size: key.count, mv_data: UnsafeMutableRawPointer(mutating: key.baseAddress))
        var value = MDB_val(mv_size: value.count, mv_data: UnsafeMutableRawPointer(mutating: value.baseAddress))
        try check(mdb_txn_begin(environment, nil, 0, &transaction), "mdb_txn_begin")
        try check(mdb_put(transaction, database, &key, &value, 0), "mdb_put")
        try check(mdb_txn_commit(transaction), "mdb_txn_commit")
    }

    /// Closes it.
    public func close() { mdb_env_close(environment) }

    private func check(_ result: Int32, _ call: String) throws {
        if result != 0 { throw EngineError("\(call): \(String(cString: mdb_strerror(result)))") }
    }
}

/// SQLite with a write-ahead log and `synchronous=FULL`: a commit syncs the log; a connection a thread.
public final class DurableSQLite: DurableWriter, @unchecked Sendable {
    private var connections: [(OpaquePointer?, OpaquePointer?)] = []

    /// A new store in the folder `path`, for so many threads.
    public init(path: String, threads: Int) throws {
        for number in 0..<threads {
            var connection: OpaquePointer?
            try check(sqlite3_open(path + "/store.db", &connection), connection)
            sqlite3_busy_timeout(connection, 60_000)
            try run("PRAGMA journal_mode=WAL", connection)
            try run("PRAGMA synchronous=FULL", connection)
            if number == 0 { try run("CREATE TABLE kv (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID", connection) }
            var statement: OpaquePointer?
            try check(
                sqlite3_prepare_v2(connection, "INSERT OR REPLACE INTO kv VALUES (?, ?)", -1, &statement, nil),
                connection)
            connections.append((connection, statement))
        }
    }

    private func run(_ text: String, _ connection: OpaquePointer?) throws {
        try check(sqlite3_exec(connection, text, nil, nil, nil), connection)
    }

    /// Commits one value.
    public func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, thread: Int) throws {
        let (connection, statement) = connections[thread]
        sqlite3_bind_blob(statement, 1, key.baseAddress, Int32(key.count), nil)
        sqlite3_bind_blob(statement, 2, value.baseAddress, Int32(value.count), nil)
        let result = sqlite3_step(statement)
        sqlite3_reset(statement)
        if result != SQLITE_DONE { try check(result, connection) }
    }

    /// Closes it.
    public func close() {
        for (connection, statement) in connections {
            sqlite3_finalize(statement)
            sqlite3_close(connection)
        }
    }

    private func check(_ result: Int32, _ connection: OpaquePointer?) throws {
        guard result != SQLITE_OK else { return }
        throw EngineError("sqlite: \(sqlite3_errmsg(connection).map { String(cString: $0) } ?? "error \(result)")")
    }
}
