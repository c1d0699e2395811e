import CSQLite
import Harness

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// SQLite through its C interface, with prepared statements; a connection a thread.
final class SQLiteEngine: Engine {
    private let path: String
    private let conditions: Conditions
    private var connection: OpaquePointer?
    private var statements: [OpaquePointer?] = []
    private var setting, getting, deleting, incrementing, ranging: OpaquePointer?

    init(path: String, conditions: Conditions) throws {
        (self.path, self.conditions) = (path, conditions)
        try open()
    }

    func session() throws -> any Engine { try SQLiteEngine(path: path, conditions: conditions) }

    private func open() throws {
        try check(sqlite3_open("\(path)/cache.db", &connection))
        sqlite3_busy_timeout(connection, 60_000)
        for text in SQLiteSchema.pragmas(isDurable: conditions.isDurable) + SQLiteSchema.statements {
            try check(sqlite3_exec(connection, text, nil, nil, nil))
        }
        setting = try prepare(SQLiteSchema.set)
        getting = try prepare(SQLiteSchema.get)
        deleting = try prepare(SQLiteSchema.delete)
        incrementing = try prepare(SQLiteSchema.incr)
        ranging = try prepare(SQLiteSchema.range)
    }

    func close() {
        for statement in statements { sqlite3_finalize(statement) }
        statements = []
        sqlite3_close(connection)
        connection = nil
    }

    deinit { if connection != nil { close() } }

    private func prepare(_ text: String) throws -> OpaquePointer? {
        var statement: OpaquePointer?
        try check(sqlite3_prepare_v3(connection, text, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil))
        statements.append(statement)
        return statement
    }

    /// The time as DiskCache has it: seconds since 1970.
    private var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        sqlite3_bind_blob(setting, 1, key.baseAddress, Int32(key.count), nil)
        sqlite3_bind_blob(setting, 2, value.baseAddress, Int32(value.count), nil)
        sqlite3_bind_double(setting, 3, now)
        let result = sqlite3_step(setting)
        sqlite3_reset(setting)
        if result != SQLITE_DONE { try check(result) }
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try find(key) { value, size in
            buffer.baseAddress.unsafelyUnwrapped.copyMemory(from: value, byteCount: size)
            return size
        } ?? -1
    }

    func borrow(_ key: UnsafeRawBufferPointer, size: Int) throws -> UInt64? {
        try find(key) { $1 == size ? $0.loadUnaligned(as: UInt64.self) : 0 }
    }

    @inline(__always)
    private func find<R>(_ key: UnsafeRawBufferPointer, _ body: (UnsafeRawPointer, Int) -> R) throws -> R? {
        sqlite3_bind_blob(getting, 1, key.baseAddress, Int32(key.count), nil)
        sqlite3_bind_double(getting, 2, now)
        defer { sqlite3_reset(getting) }
        switch sqlite3_step(getting) {
        case SQLITE_ROW:
            guard let value = sqlite3_column_blob(getting, 0) else { return nil }
            return body(value, Int(sqlite3_column_bytes(getting, 0)))
        case SQLITE_DONE: return nil
        case let result:
            try check(result)
            return nil
        }
    }

    func delete(_ key: UnsafeRawBufferPointer) throws -> Bool {
        sqlite3_bind_blob(deleting, 1, key.baseAddress, Int32(key.count), nil)
        let result = sqlite3_step(deleting)
        sqlite3_reset(deleting)
        if result != SQLITE_DONE { try check(result) }
        return sqlite3_changes(connection) == 1
    }

    func incr(_ key: UnsafeRawBufferPointer) throws -> Int64 {
        sqlite3_bind_blob(incrementing, 1, key.baseAddress, Int32(key.count), nil)
        sqlite3_bind_double(incrementing, 2, now)
        guard sqlite3_step(incrementing) == SQLITE_ROW else { throw EngineError("sqlite: no number came back") }
        let number = sqlite3_column_int64(incrementing, 0)
        let result = sqlite3_step(incrementing)
        sqlite3_reset(incrementing)
        if result != SQLITE_DONE { try check(result) }
        return number
    }

    func range(from key: UnsafeRawBufferPointer, count: Int) throws -> Int {
        sqlite3_bind_blob(ranging, 1, key.baseAddress, Int32(key.count), nil)
        sqlite3_bind_int64(ranging, 2, Int64(count))
        return try walk(ranging, hasValue: true)
    }

    func scan(sorted: Bool) throws -> Int {
        try walk(prepare(sorted ? SQLiteSchema.sorted : SQLiteSchema.insertion), hasValue: false)
    }

    private func walk(_ statement: OpaquePointer?, hasValue: Bool) throws -> Int {
        defer { sqlite3_reset(statement) }
        var (visited, sum) = (0, 0)
        while true {
            let result = sqlite3_step(statement)
            guard result == SQLITE_ROW else {
                if result != SQLITE_DONE { try check(result) }
                return sum == 0 ? 0 : visited
            }
            visited += 1
            if let key = sqlite3_column_blob(statement, 0) { sum &+= Int(key.load(as: UInt8.self)) }
            if hasValue, let value = sqlite3_column_blob(statement, 1) { sum &+= Int(value.load(as: UInt8.self)) }
        }
    }

    func load(_ script: UnsafeBufferPointer<UInt32>, _ buffers: Buffers) throws {
        try check(sqlite3_exec(connection, "BEGIN IMMEDIATE", nil, nil, nil))
        for step in script {
            let (key, value) = buffers.pair(step)
            try set(key, value)
        }
        try check(sqlite3_exec(connection, "COMMIT", nil, nil, nil))
    }

    func compact() throws { try check(sqlite3_exec(connection, "VACUUM", nil, nil, nil)) }

    @inline(__always)
    private func check(_ result: Int32) throws {
        if result != SQLITE_OK { throw failure(result) }
    }

    @inline(never)
    private func failure(_ result: Int32) -> EngineError {
        EngineError("sqlite: \(sqlite3_errmsg(connection).map { String(cString: $0) } ?? "error \(result)")")
    }

    static let contestants = [
        Contestant(
            "sqlite", version: String(cString: sqlite3_libversion()),
            "the C interface with prepared statements, DiskCache's table, indexes, triggers and pragmas: write-ahead log, `synchronous` 1 (2 where "
                + "writes are durable), cache of 8192 pages, 64 MiB mapped, `auto_vacuum` full; a connection a thread",
            verbs: [.borrow, .incr, .range, .scanSorted, .scanInsertion],
            traits: [.threads, .processes, .files, .durable, .survivesKill], share: 20
        ) { try SQLiteEngine(path: $0, conditions: $1) }
    ]
}
