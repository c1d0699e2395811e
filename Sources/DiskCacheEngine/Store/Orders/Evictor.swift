/// Removes the rows of a scan that a condition wants gone, some at a time: at most 1,000 rows, and about a millisecond of the write
/// lock, a step. Between two steps others write.
///
/// **Threads.** One at a time, with an access of the store's handle.
public final class Evictor {
    private let scan: OrderedScan
    private let isWanted: (Record) -> Bool
    private var found: [(keyClass: UInt8, key: [UInt8], rowid: UInt64)] = []
    private var index = 0

    private static let rows = 1000
    private static let nanoseconds: UInt64 = 1_000_000

    /// A removal of what a scan with records gives, which begins now.
    public init(_ scan: OrderedScan, where isWanted: @escaping (Record) -> Bool) {
        self.scan = scan
        self.isWanted = isWanted
    }

    /// Whether everything is done.
    public var isDone: Bool { index == found.count && scan.isAtEnd }

    /// Removes some rows; how many. After an error, a timeout for instance, the next step goes on where this one began.
    public func step(in store: Store, timeout: UInt64) throws(EngineError) -> Int {
        if index == found.count { try find(store) }
        if index == found.count { return 0 }
        let begun = index
        do throws(EngineError) {
            return try store.write(timeout: timeout) { () throws(EngineError) in
                let until = SystemCalls.monotonicClock() &+ Self.nanoseconds
                var removed = 0
                while index < found.count {
                    let row = found[index]
                    index += 1
                    if try remove(row, store) { removed += 1 }
                    if index & 15 == 0, SystemCalls.monotonicClock() >= until { break }
                }
                return removed
            }
        } catch {
            index = begun
            throw error
        }
    }

    private func find(_ store: Store) throws(EngineError) {
        found.removeAll(keepingCapacity: true)
        index = 0
        while found.count + OrderedScan.batchSize <= Self.rows, !scan.isAtEnd {
            try scan.next(in: store)
            for row in scan.rows {
                guard let record = row.record, isWanted(record) else { continue }
                found.append((row.keyClass, [UInt8](row.key), row.rowid))
            }
        }
    }

    /// Whether the row was still there, and as it is to be removed.
    private func remove(_ row: (keyClass: UInt8, key: [UInt8], rowid: UInt64), _ store: Store) throws(EngineError)
        -> Bool
    {
        let result = row.key.withUnsafeBytes { key -> Result<Bool, EngineError> in
            do throws(EngineError) {
                guard let record = try store.findAsWriter(row.keyClass, key), record.rowid == row.rowid,
                    isWanted(record)
                else { return .success(false) }
                try store.remove(record, cause: .evicted, isLast: false)
                return .success(true)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

extension Store {
    /// Removes a row if it is this one and has expired.
    public func removeExpired(
        timeout: UInt64, _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, rowid: UInt64
    ) throws(EngineError) {
        try write(timeout: timeout) { () throws(EngineError) in
            guard let record = try findAsWriter(keyClass, key), record.rowid == rowid, let expiry = record.expiry,
                expiry <= now
            else { return }
            try remove(record, cause: .expired, isLast: transaction.depth == 1 && transaction.operations == 0)
        }
    }
}
