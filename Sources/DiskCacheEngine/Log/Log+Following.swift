/// Reading the log in order, for whatever follows it.
extension Log {
    /// Calls `visit` with every whole record from `start` on, in order, over the segments that follow one another, until it says
    /// false; returns the position behind the last record for which it said true. Reads through the mapping.
    func scan(
        from start: Position, while visit: (Record) throws(EngineError) -> Bool
    ) throws(EngineError) -> Position {
        var position = start
        var segments = self.segments
        guard var current = segments.last(where: { $0.first <= start }) ?? segments.first else { return start }
        while true {
            if position < current.firstRecord { position = current.firstRecord }
            let newest = block.active.acquire()
            if current.first < newest {
                try mapNewSegments(upTo: newest)
                segments = self.segments
            }
            // Beyond the newest one that was made known lies at most what a killed process had begun to make. Behind the
            // end that a successor names there may be whole records: a recovery cut them off, and they are never read.
            let next = segments.last { $0.header.predecessor == current.first && $0.first <= newest }
            let end = next.map { max($0.header.predecessorEnd, current.firstRecord) } ?? current.limit
            while position < end, case .record(let record) = try record(at: position) {
                guard try visit(record) else { return position }
                position = record.end
            }
            guard let next, position == end else { return position }
            current = next
            position = current.firstRecord
        }
    }

    /// Calls `visit` with the committed records of `from ..< to` that weren't taken back, a transaction at a time, and stops
    /// behind the first transaction that ends at or beyond `from + limit`. Returns where the last one that was visited ends.
    ///
    /// `from` and `to` are ends of transactions. An earlier end though the limit wasn't reached: what stands there can't be
    /// read, since it is damaged or the log begins behind it by now. The caller is counted in `ReaderPins`.
    func follow(
        from: Position, to: Position, limit: UInt64 = .max, _ visit: (Record) throws(EngineError) -> Void
    ) throws(EngineError) -> Position {
        let sum = from.addingReportingOverflow(limit)
        let stop = sum.overflow ? to : min(to, sum.partialValue)
        var end = from
        var pending: [Record] = []
        _ = try scan(from: from) { (record) throws(EngineError) in
            guard record.position < to else { return false }
            if record.kind == RecordKind.void.rawValue {
                let voided = record.valueWord
                pending.removeAll { $0.position >= voided }
            } else if record.isCommit, pending.isEmpty {
                try visit(record)
            } else {
                pending.append(record)
            }
            guard record.isCommit else { return true }
            if !pending.isEmpty {
                for item in pending { try visit(item) }
                pending.removeAll(keepingCapacity: true)
            }
            end = record.end
            return end < stop
        }
        return end
    }
}
