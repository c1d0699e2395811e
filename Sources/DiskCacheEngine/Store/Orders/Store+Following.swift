/// Following the log, damage and a moving head included.
extension Store {
    /// Calls `visit` with the committed records of `from ..< to`, a transaction at a time, and stops behind the first one that
    /// ends at or beyond `from + limit`; where that ends. nil: the log was cleared meanwhile, so the caller begins anew.
    ///
    /// `from` and `to` are ends of transactions. Where the log is damaged, what it held there is passed over.
    func follow(
        from: Position, to: Position, limit: UInt64 = .max, _ visit: (Record) throws(EngineError) -> Void
    ) throws(EngineError) -> Position? {
        if from >= to { return from }
        try log.mapNewSegments(upTo: to &- 4)
        let end = try log.follow(from: from, to: to, limit: limit, visit)
        if block.read().head > from { return nil }
        if end >= to || (end > from && end &- from >= limit) { return end }
        try followPastDamage(from: end, to: to, visit)
        return to
    }

    /// As `Log.follow`, with `pread`, and on behind what can't be read.
    @inline(never)
    private func followPastDamage(
        from: Position, to: Position, _ visit: (Record) throws(EngineError) -> Void
    ) throws(EngineError) {
        let chain = try LogScanner.chain(
            files: files, directory: log.directory, storeID: identity.storeID, head: block.read().head)
        let scanner = LogScanner(files: files, salt: identity.salt, links: chain.links, believedEnd: to)
        // The scanner's records don't outlive their visit.
        var pending: [(position: Position, bytes: [UInt8])] = []
        func visitPending() throws(EngineError) {
            for item in pending { try Self.visit(item.bytes, item.position, visit) }
            pending.removeAll(keepingCapacity: true)
        }
        try scanner.scan(from: from) { (outcome) throws(EngineError) in
            guard case .record(let record) = outcome, record.position < to else { return }
            if record.kind == RecordKind.void.rawValue {
                let voided = record.valueWord
                pending.removeAll { $0.position >= voided }
            } else {
                pending.append(
                    (record.position, Array(UnsafeRawBufferPointer(start: record.start, count: record.size))))
            }
            if record.isCommit { try visitPending() }
        }
        // All below `to` was committed or taken back: what no void record took back counts, though the end of its transaction is lost.
        try visitPending()
    }

    private static func visit(
        _ bytes: [UInt8], _ position: Position, _ body: (Record) throws(EngineError) -> Void
    ) throws(EngineError) {
        let result = bytes.withUnsafeBytes { buffer -> Result<Void, EngineError> in
            guard let start = buffer.baseAddress,
                let record = Record(at: start, position: position, available: buffer.count)
            else { return .success(()) }
            do throws(EngineError) {
                return .success(try body(record))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }
}
