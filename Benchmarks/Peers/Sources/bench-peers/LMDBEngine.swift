import CLMDB
import Harness

/// LMDB, the memory-mapped B+ tree in C: one transaction an operation; a read renews one read transaction of its thread's.
final class LMDBEngine: Engine {
    private let path: String
    private let flags: UInt32
    private let mapSize: Int
    private let ownsEnvironment: Bool
    private var environment: OpaquePointer?
    private var reader: OpaquePointer?
    private var database: MDB_dbi = 0

    init(path: String, conditions: Conditions, flags: Int32) throws {
        self.path = path
        self.flags = UInt32(conditions.isDurable ? 0 : flags)
        // With room for what overwriting takes, since the map's size can't grow while it is used.
        mapSize = max(8 << 30, conditions.keys * (conditions.valueSize + 100) * 6)
        ownsEnvironment = true
        try open()
    }

    private init(sharing engine: LMDBEngine) throws {
        (path, flags, mapSize, ownsEnvironment) = (engine.path, engine.flags, engine.mapSize, false)
        (environment, database) = (engine.environment, engine.database)
    }

    deinit {
        if !ownsEnvironment, reader != nil { mdb_txn_abort(reader) }
    }

    func session() throws -> any Engine { try LMDBEngine(sharing: self) }

    private func open() throws {
        try check(mdb_env_create(&environment), "mdb_env_create")
        try check(mdb_env_set_mapsize(environment, mapSize), "mdb_env_set_mapsize")
        try check(mdb_env_open(environment, path, flags, 0o600), "mdb_env_open")
        var transaction: OpaquePointer?
        try check(mdb_txn_begin(environment, nil, 0, &transaction), "mdb_txn_begin")
        try check(mdb_dbi_open(transaction, nil, 0, &database), "mdb_dbi_open")
        try check(mdb_txn_commit(transaction), "mdb_txn_commit")
    }

    func close() {
        if reader != nil { mdb_txn_abort(reader) }
        reader = nil
        mdb_env_close(environment)
    }

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        try writing { transaction in
            var key = MDB_val(key)
            var value = MDB_val(value)
            try check(mdb_put(transaction, database, &key, &value, 0), "mdb_put")
        }
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try find(key) { value in
            buffer.baseAddress.unsafelyUnwrapped.copyMemory(from: value.mv_data, byteCount: value.mv_size)
            return value.mv_size
        } ?? -1
    }

    func borrow(_ key: UnsafeRawBufferPointer, size: Int) throws -> UInt64? {
        try find(key) { value in value.mv_size == size ? value.mv_data.loadUnaligned(as: UInt64.self) : 0 }
    }

    func delete(_ key: UnsafeRawBufferPointer) throws -> Bool {
        var wasThere = true
        try writing { transaction in
            var key = MDB_val(key)
            let result = mdb_del(transaction, database, &key, nil)
            if result == MDB_NOTFOUND { wasThere = false } else { try check(result, "mdb_del") }
        }
        return wasThere
    }

    func incr(_ key: UnsafeRawBufferPointer) throws -> Int64 {
        var number: Int64 = 0
        try writing { transaction in
            var key = MDB_val(key)
            var value = MDB_val()
            let result = mdb_get(transaction, database, &key, &value)
            if result != MDB_NOTFOUND {
                try check(result, "mdb_get")
                number = value.mv_data.loadUnaligned(as: Int64.self)
            }
            number += 1
            try withUnsafeMutableBytes(of: &number) { bytes in
                var value = MDB_val(UnsafeRawBufferPointer(bytes))
                try check(mdb_put(transaction, database, &key, &value, 0), "mdb_put")
            }
        }
        return number
    }

    func range(from key: UnsafeRawBufferPointer, count: Int) throws -> Int { try walk(from: key, count: count) }

    func scan(sorted: Bool) throws -> Int { try walk(from: nil, count: .max) }

    func load(_ script: UnsafeBufferPointer<UInt32>, _ buffers: Buffers) throws {
        var index = 0
        while index < script.count {
            try writing { transaction in
                for step in script[index..<min(index + 10_000, script.count)] {
                    let (key, value) = buffers.pair(step)
                    var keyValue = MDB_val(key)
                    var dataValue = MDB_val(value)
                    try check(mdb_put(transaction, database, &keyValue, &dataValue, 0), "mdb_put")
                }
            }
            index += 10_000
        }
    }

    @inline(__always)
    private func writing(_ body: (OpaquePointer?) throws -> Void) throws {
        var transaction: OpaquePointer?
        try check(mdb_txn_begin(environment, nil, 0, &transaction), "mdb_txn_begin")
        do {
            try body(transaction)
        } catch {
            mdb_txn_abort(transaction)
            throw error
        }
        try check(mdb_txn_commit(transaction), "mdb_txn_commit")
    }

    @inline(__always)
    private func beginReading() throws {
        if reader != nil {
            try check(mdb_txn_renew(reader), "mdb_txn_renew")
        } else {
            try check(mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &reader), "mdb_txn_begin")
        }
    }

    @inline(__always)
    private func find<R>(_ key: UnsafeRawBufferPointer, _ body: (MDB_val) -> R) throws -> R? {
        try beginReading()
        defer { mdb_txn_reset(reader) }
        var key = MDB_val(key)
        var value = MDB_val()
        let result = mdb_get(reader, database, &key, &value)
        if result == MDB_NOTFOUND { return nil }
        try check(result, "mdb_get")
        return body(value)
    }

    /// Visits keys and values with a cursor.
    private func walk(from start: UnsafeRawBufferPointer?, count: Int) throws -> Int {
        try beginReading()
        defer { mdb_txn_reset(reader) }
        var cursor: OpaquePointer?
        try check(mdb_cursor_open(reader, database, &cursor), "mdb_cursor_open")
        defer { mdb_cursor_close(cursor) }
        var key = start.map { MDB_val($0) } ?? MDB_val()
        var value = MDB_val()
        var visited = 0
        var sum = 0
        var result = mdb_cursor_get(cursor, &key, &value, start == nil ? MDB_FIRST : MDB_SET_RANGE)
        while result == 0, visited < count {
            visited += 1
            sum &+= Int(key.mv_data.load(fromByteOffset: key.mv_size - 1, as: UInt8.self))
            if start != nil { sum &+= Int(value.mv_data.load(as: UInt8.self)) }
            result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        }
        return sum == 0 ? 0 : visited
    }

    @inline(__always)
    private func check(_ result: Int32, _ call: StaticString) throws {
        if result != 0 { throw failure(result, call) }
    }

    @inline(never)
    private func failure(_ result: Int32, _ call: StaticString) -> EngineError {
        EngineError("\(call): \(String(cString: mdb_strerror(result)))")
    }

    static var contestants: [Contestant] {
        var (major, minor, patch): (Int32, Int32, Int32) = (0, 0, 0)
        _ = mdb_version(&major, &minor, &patch)
        let version = "\(major).\(minor).\(patch)"
        let verbs: Set<Verb> = [.borrow, .incr, .range, .scanSorted]
        let traits: Contestant.Traits = [.threads, .processes, .files, .survivesKill]
        return [
            Contestant(
                "lmdb-nosync", version: version,
                "`MDB_NOSYNC` (none where writes are durable: both syncs of a commit); a read renews one read transaction of its thread's, "
                    + "as the manual advises; map of 8 GiB or more",
                verbs: verbs, traits: traits.union(.durable)
            ) { try LMDBEngine(path: $0, conditions: $1, flags: MDB_NOSYNC) },
            Contestant(
                "lmdb-writemap", version: version,
                "`MDB_WRITEMAP`, `MDB_NOSYNC`, `MDB_MAPASYNC`; reads as in `lmdb-nosync`",
                verbs: verbs, traits: traits
            ) { try LMDBEngine(path: $0, conditions: $1, flags: MDB_WRITEMAP | MDB_NOSYNC | MDB_MAPASYNC) },
        ]
    }
}

extension MDB_val {
    @inline(__always)
    fileprivate init(_ bytes: UnsafeRawBufferPointer) {
        self.init(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }
}
