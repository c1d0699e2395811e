extension Store {
    /// *Writer.* The records of all queues against their items, which are among the rows at these positions.
    func checkQueues(_ rows: [Position]) throws(EngineError) -> [Finding] {
        var findings: [Finding] = []
        func wrong(_ message: String) { findings.append(Finding(kind: .wrongQueue, message: message)) }
        var counted = try queueEnds(ofRowsAt: rows)
        for position in index.positions(anchor: log.tail) where position >= head {
            guard case .record(let record) = try log.record(at: position),
                record.kind == RecordKind.system.rawValue, record.key.count > 5
            else { continue }
            let prefix = Array(record.key.dropFirst(5))
            let items = counted.removeValue(forKey: prefix) ?? QueueEnds()
            guard let stored = QueueEnds(record.value) else {
                wrong("the record of a queue at position \(position) can't be read")
                continue
            }
            if stored.count != items.count {
                wrong("a queue's record at position \(position) says \(stored.count) items, there are \(items.count)")
            } else if stored.count == 0 {
                if stored.maximum == 0 { wrong("the record at position \(position) is that of an empty queue") }
            } else {
                let frontFits = stored.isFrontOpen ? stored.front <= items.front : stored.front == items.front
                let backFits = stored.isBackOpen ? stored.back >= items.back : stored.back == items.back
                if !frontFits || !backFits {
                    wrong(
                        "a queue's record at position \(position) says \(stored.front) to \(stored.back), "
                            + "its items are \(items.front) to \(items.back)")
                }
            }
        }
        for items in counted.values {
            wrong("a queue of \(items.count) items, \(items.front) to \(items.back), has no record")
        }
        return findings
    }
}
