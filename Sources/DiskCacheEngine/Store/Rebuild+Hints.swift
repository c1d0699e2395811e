/// Records of which a hint tells what decides: the segment is looked at only where another key may have the same place in the index.
extension Rebuild {
    /// A hint that turned out not to tell what its segment holds: the log is read once more, without hints.
    var hasWrongHint: Bool { wrongHint != nil }

    /// Applies a record by its hint.
    mutating func apply(_ entry: SegmentHint.Entry) throws(EngineError) {
        let log = self.log
        var isUnlike = false
        while true {
            let found = try index.view.findForWriting(entry.hash, anchor: entry.position, from: 0, log: log) { old in
                guard let record = log.unverifiedRecord(at: entry.position), record.bits.raw == entry.bits.raw,
                    record.size == entry.size
                else {
                    isUnlike = true
                    return false
                }
                return old.isOf(KeyClass.identity(record.keyClass), record.key)
            }
            if isUnlike {
                wrongHint = entry.position
                return
            }
            switch found {
            case .present(let place, let old):
                let row = old.kind == RecordKind.put.rawValue && old.position >= head ? old : nil
                counters.apply(entry, replacing: row)
                place.slot.store(place.value.pointing(to: entry.position).raw)
                return
            case .free(let place):
                // The record that stands there is damaged, which no reading of its segment has found out: it was counted.
                if !Slot(raw: place.slot.relaxed()).isFree {
                    wrongHint = entry.position
                    return
                }
                counters.apply(entry, replacing: nil)
                place.slot.store(place.value.pointing(to: entry.position).raw)
                return
            case .full:
                try split(entry.hash, anchor: entry.position)
            }
        }
    }
}

extension CommitBlock.Counters {
    /// As for the record of which the entry tells.
    fileprivate mutating func apply(_ entry: SegmentHint.Entry, replacing row: Record?) {
        if !entry.bits.has(RecordBits.kept) { lastStoredTime = max(lastStoredTime, entry.storedTime) }
        lastRecord = entry.position
        if let row { subtract(row) }
        if entry.bits.kind == RecordKind.tombstone.rawValue {
            if row != nil { count &-= 1 }
            dead &+= UInt64(truncatingIfNeeded: entry.size)
            return
        }
        if row == nil { count &+= 1 }
        nextRowid = max(nextRowid, entry.rowid &+ 1)
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        add(size: entry.size, form: entry.bits.form, value: none, expiry: entry.expiry)
    }
}
