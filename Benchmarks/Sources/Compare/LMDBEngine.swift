import CLMDB
public import Workloads

/// LMDB, the memory-mapped B+ tree in C: one transaction an operation; a get renews one read transaction and copies the
/// value out.
final class LMDBEngine: Engine {
    /// How commits reach the disk.
    enum Mode {
        /// `MDB_NOSYNC`: pages are written with `pwrite` and not synced.
        case noSync
        /// `MDB_WRITEMAP | MDB_NOSYNC | MDB_MAPASYNC`: pages are changed in the mapping and not synced.
        case writeMap
    }

    private let path: String
    private let flags: UInt32
    private let mapSize: Int
    private var environment: OpaquePointer?
    private var reader: OpaquePointer?
    private var database: MDB_dbi = 0

    /// A new store in the folder `path`, in a mapping with room for the keys of `workload`.
    init(path: String, workload: Workload, mode: Mode) throws {
        self.path = path
        flags =
            switch mode {
            case .noSync: UInt32(MDB_NOSYNC)
            case .writeMap: UInt32(MDB_WRITEMAP | MDB_NOSYNC | MDB_MAPASYNC)
            }
        mapSize = max(8 << 30, workload.keyCount * (workload.valueSize + 100) * 4)
        try reopen()
    }

    func reopen() throws {
        try check(mdb_env_create(&environment), "mdb_env_create")
        try check(mdb_env_set_mapsize(environment, mapSize), "mdb_env_set_mapsize")
        try check(mdb_env_open(environment, path, flags, 0o600), "mdb_env_open")
        var transaction: OpaquePointer?
        try check(mdb_txn_begin(environment, nil, 0, &transaction), "mdb_txn_begin")
        try check(mdb_dbi_open(transaction, nil, 0, &database), "mdb_dbi_open")
        try check(mdb_txn_commit(transaction), "mdb_txn_commit")
        try check(mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &reader), "mdb_txn_begin")
        mdb_txn_reset(reader)
    }

    func close() {
        mdb_txn_abort(reader)
        mdb_env_close(environment)
    }

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        var transaction: OpaquePointer?
        var key = MDB_val(key)
        var value = MDB_val(value)
        try check(mdb_txn_begin(environment, nil, 0, &transaction), "mdb_txn_begin")
        try check(mdb_put(transaction, database, &key, &value, 0), "mdb_put")
        try check(mdb_txn_commit(transaction), "mdb_txn_commit")
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try check(mdb_txn_renew(reader), "mdb_txn_renew")
        defer { mdb_txn_reset(reader) }
        var key = MDB_val(key)
        var value = MDB_val()
        let result = mdb_get(reader, database, &key, &value)
        if result == MDB_NOTFOUND { return -1 }
        try check(result, "mdb_get")
        buffer.baseAddress.unsafelyUnwrapped.copyMemory(from: value.mv_data, byteCount: value.mv_size)
        return value.mv_size
    }

    /// Runs `body` in a read transaction.
    func reading<R>(_ body: (OpaquePointer?, MDB_dbi) throws -> R) throws -> R {
        try check(mdb_txn_renew(reader), "mdb_txn_renew")
        defer { mdb_txn_reset(reader) }
        return try body(reader, database)
    }

    func delete(_ key: UnsafeRawBufferPointer) throws {
        var transaction: OpaquePointer?
        var key = MDB_val(key)
        try check(mdb_txn_begin(environment, nil, 0, &transaction), "mdb_txn_begin")
        try check(mdb_del(transaction, database, &key, nil), "mdb_del")
        try check(mdb_txn_commit(transaction), "mdb_txn_commit")
    }

    @inline(__always)
    private func check(_ result: Int32, _ call: StaticString) throws {
        if result != 0 { throw failure(result, call) }
    }

    @inline(never)
    private func failure(_ result: Int32, _ call: StaticString) -> EngineError {
        EngineError("\(call): \(String(cString: mdb_strerror(result)))")
    }
}

extension MDB_val {
    @inline(__always)
    fileprivate init(_ bytes: UnsafeRawBufferPointer) {
        self.init(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }
}

extension Contestant {
    /// LMDB in its two modes that leave the time of writing to the system.
    public static let lmdb = [
        Contestant("lmdb-nosync", "LMDB with MDB_NOSYNC; a get renews one read transaction") { path, workload in
            try LMDBEngine(path: path, workload: workload, mode: .noSync)
        },
        Contestant("lmdb-writemap", "LMDB with MDB_WRITEMAP, MDB_NOSYNC and MDB_MAPASYNC; a get as in lmdb-nosync") {
            path, workload in
            try LMDBEngine(path: path, workload: workload, mode: .writeMap)
        },
    ]
}
