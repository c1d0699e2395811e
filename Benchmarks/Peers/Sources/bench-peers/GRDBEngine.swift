import CSQLite
import Foundation
import GRDB
import Harness

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// GRDB, SQLite as Swift programs use it: a `DatabasePool`, records' columns as `Data`.
final class GRDBEngine: Engine {
    private let pool: DatabasePool

    init(path: String, conditions: Conditions) throws {
        pool = try Self.open(path, conditions)
    }

    private static func open(_ path: String, _ conditions: Conditions) throws -> DatabasePool {
        var configuration = Configuration()
        configuration.busyMode = .timeout(60)
        configuration.prepareDatabase { database in
            // The pool itself sets the journal's mode; a connection that only reads may not change the file.
            for pragma in SQLiteSchema.pragmas(isDurable: conditions.isDurable) where !pragma.contains("journal_mode") {
                if database.configuration.readonly, pragma.contains("auto_vacuum") { continue }
                try database.execute(sql: pragma)
            }
        }
        let pool = try DatabasePool(path: "\(path)/cache.db", configuration: configuration)
        if conditions.isDurable {
            // Opening a pool sets 1, whatever was set before.
            try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = 2") }
        }
        try pool.write { database in
            for text in SQLiteSchema.statements { try database.execute(sql: text) }
        }
        return pool
    }

    private var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        try pool.write { try set($0, key, value) }
    }

    private func set(_ database: Database, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        let statement = try database.cachedStatement(sql: SQLiteSchema.set)
        try statement.execute(arguments: [Data(key), Data(value), now])
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try pool.read { database in
            let statement = try database.cachedStatement(sql: SQLiteSchema.get)
            guard let value = try Data.fetchOne(statement, arguments: [Data(key), now]) else { return -1 }
            value.withUnsafeBytes { buffer.copyMemory(from: $0) }
            return value.count
        }
    }

    func delete(_ key: UnsafeRawBufferPointer) throws -> Bool {
        try pool.write { database in
            try database.cachedStatement(sql: SQLiteSchema.delete).execute(arguments: [Data(key)])
            return database.changesCount == 1
        }
    }

    func load(_ script: UnsafeBufferPointer<UInt32>, _ buffers: Buffers) throws {
        try pool.write { database in
            for step in script {
                let (key, value) = buffers.pair(step)
                try set(database, key, value)
            }
        }
    }

    func compact() throws { try pool.vacuum() }

    func close() throws { try pool.close() }

    static let contestants = [
        Contestant(
            "grdb", version: "7.10.0, SQLite \(String(cString: sqlite3_libversion()))",
            "a `DatabasePool` with cached statements, as its documentation advises, on the table, indexes, triggers and pragmas of `sqlite`; keys and values are `Data`",
            traits: [.threads, .processes, .files, .durable, .survivesKill], share: 20
        ) { try GRDBEngine(path: $0, conditions: $1) }
    ]
}
