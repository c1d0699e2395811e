import CLMDB
import Workloads

/// LMDB's cursor over all keys, beside which scans are put.
public enum LMDBScan {
    /// Fills a store in the folder `path` and scans it `rounds` times; nanoseconds of each scan.
    ///
    /// `write` writes the key of a number. A scan looks at the last byte of each key.
    public static func run(
        path: String, keys: Int, rounds: Int, _ write: (Int, UnsafeMutableRawPointer) -> Void
    ) throws -> [UInt64] {
        let engine = try LMDBEngine(path: path, workload: Workload(keyCount: keys), mode: .writeMap)
        defer { engine.close() }
        let value = [UInt8](repeating: UInt8(ascii: "x"), count: 100)
        let key = UnsafeMutableRawBufferPointer.allocate(byteCount: KeyFormat.size, alignment: 16)
        defer { key.deallocate() }
        try value.withUnsafeBytes { value in
            for number in 0..<keys {
                write(number, key.baseAddress!)
                try engine.set(UnsafeRawBufferPointer(key), value)
            }
        }
        return try (0..<rounds).map { _ in
            let start = monotonicNanoseconds()
            guard try engine.scan() == keys else { throw EngineError("LMDB lost keys") }
            return monotonicNanoseconds() - start
        }
    }
}

extension LMDBEngine {
    /// Walks over all keys; how many there are.
    fileprivate func scan() throws -> Int {
        try reading { transaction, database in
            var cursor: OpaquePointer?
            guard mdb_cursor_open(transaction, database, &cursor) == 0 else { throw EngineError("mdb_cursor_open") }
            defer { mdb_cursor_close(cursor) }
            var (key, value) = (MDB_val(), MDB_val())
            var count = 0
            var sum = 0
            while mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0 {
                count += 1
                sum &+= Int(key.mv_data.load(fromByteOffset: key.mv_size - 1, as: UInt8.self))
            }
            return sum == 0 ? 0 : count
        }
    }
}
