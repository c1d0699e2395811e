/// The rows that come next at the two ends of insertion order, for who takes them off one by one: read from the order a batch at a time,
/// so that a row costs a look-up and no scan.
///
/// Rowids only grow, and a row that has gone never comes back. So a batch that held all rows of a range of rowids holds all that
/// are left of them, whatever other processes have removed: each is proved at its record before it is given. New rows are all behind the
/// range. Where rows may come back all the same, a `rollback` or an index that was made again, everything is forgotten.
struct RowEnds {
    struct Row {
        let keyClass: UInt8
        let key: [UInt8]
        let rowid: UInt64
    }

    /// Whether items of queues are passed over.
    var skipsQueues = false
    /// The index that the rows were found in.
    var generation: UInt64 = 0

    /// The first rows, from `firstPlace` on: all below `firstEnd`.
    var first: [Row] = []
    var firstPlace = 0
    var firstEnd: UInt64 = 0

    /// The last rows: all from `lastStart` on and below `lastEnd`.
    var last: [Row] = []
    var lastStart: UInt64 = 0
    var lastEnd: UInt64 = 0

    /// How many last rows are kept at most.
    static let mostLast = 1024
    /// How many rows are read at once, and from how many bytes of keys on no more are.
    static let batchRows = 512
    static let batchBytes = 1 << 18

    mutating func forget() { self = RowEnds() }
}

extension Store {
    /// Shows the first, or the last, row in insertion order to `visit`, and removes it, as one transaction. False: there is none.
    ///
    /// `visit` says false if the row's file is gone: then it is removed, and the next one is shown. If it throws, nothing has happened.
    /// O(1), and O(log n) every 512th time. `skipsQueues`: items of queues are passed over.
    public func takeRow(
        timeout: UInt64, first: Bool, skipsQueues: Bool, _ visit: (Store, Record) throws -> Bool
    ) throws -> Bool {
        try transact(timeout: timeout) {
            if rowEnds.skipsQueues != skipsQueues || rowEnds.generation != index.generation {
                rowEnds = RowEnds(skipsQueues: skipsQueues, generation: index.generation)
            }
            while let record = try first ? firstRow() : lastRow() {
                if let expiry = record.expiry, expiry <= now {
                    try remove(record, cause: .expired, isLast: false)
                    continue
                }
                let operations = transaction.operations
                let isThere = try visit(self, record)
                // The caller's code may have written something itself.
                if try operations == transaction.operations
                    || findAsWriter(record.keyClass, record.key)?.position == record.position
                {
                    try remove(record, cause: .deleted, isLast: false)
                }
                if isThere { return true }
            }
            return false
        }
    }

    private func firstRow() throws(EngineError) -> Record? {
        while true {
            while rowEnds.firstPlace < rowEnds.first.count {
                if let record = try proved(rowEnds.first[rowEnds.firstPlace]) { return record }
                rowEnds.firstPlace += 1
            }
            let next = counters.nextRowid
            guard rowEnds.firstEnd < next else { return nil }
            let found = try readRows(rowEnds.firstEnd...(next - 1), reversed: false)
            rowEnds.first = found.rows
            rowEnds.firstPlace = 0
            rowEnds.firstEnd = found.isAll ? next : found.last + 1
        }
    }

    private func lastRow() throws(EngineError) -> Record? {
        while true {
            let next = counters.nextRowid
            if rowEnds.lastEnd < next {
                // What has come since, if that isn't too much; else begin anew behind it.
                let found = try readRows(rowEnds.lastEnd...(next - 1), reversed: true)
                if !found.isAll {
                    rowEnds.last.removeAll()
                    rowEnds.lastStart = found.last
                }
                rowEnds.last += found.rows.reversed()
                rowEnds.lastEnd = next
                let surplus = rowEnds.last.count - RowEnds.mostLast
                if surplus > 0 {
                    rowEnds.last.removeFirst(surplus)
                    rowEnds.lastStart = rowEnds.last[0].rowid
                }
            }
            while let row = rowEnds.last.last {
                if let record = try proved(row) { return record }
                rowEnds.last.removeLast()
            }
            guard rowEnds.lastStart > 0 else { return nil }
            let found = try readRows(0...(rowEnds.lastStart - 1), reversed: true)
            rowEnds.last = found.rows.reversed()
            rowEnds.lastStart = found.isAll ? 0 : found.last
        }
    }

    /// The next rows of a range of rowids, whether they are all of it, and else the last rowid that was passed.
    private func readRows(
        _ range: ClosedRange<UInt64>, reversed: Bool
    ) throws(EngineError) -> (rows: [RowEnds.Row], isAll: Bool, last: UInt64) {
        let scan = OrderedScan(.insertion, .rows(range), reversed: reversed, in: self)
        var rows: [RowEnds.Row] = []
        var last = range.lowerBound
        var bytes = 0
        while rows.count < RowEnds.batchRows && !scan.isAtEnd {
            try scan.next(in: self)
            for row in scan.rows {
                last = row.rowid
                if rowEnds.skipsQueues && row.keyClass == KeyClass.queue { continue }
                rows.append(RowEnds.Row(keyClass: row.keyClass, key: Array(row.key), rowid: row.rowid))
                bytes += row.key.count
                if bytes >= RowEnds.batchBytes { return (rows, false, last) }
            }
        }
        return (rows, scan.isAtEnd, last)
    }

    private func proved(_ row: RowEnds.Row) throws(EngineError) -> Record? {
        let result = row.key.withUnsafeBytes { key -> Result<Record?, EngineError> in
            do throws(EngineError) {
                return .success(try findAsWriter(row.keyClass, key))
            } catch {
                // What is damaged is lost, as `check` tells.
                return error.code == .corrupted ? .success(nil) : .failure(error)
            }
        }
        guard let record = try result.get(), record.rowid == row.rowid else { return nil }
        return record
    }
}
