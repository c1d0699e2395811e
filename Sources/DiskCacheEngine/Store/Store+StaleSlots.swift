import Synchronization

/// Slots that name what lies below the committed head. They count for nothing, and stand until they are vacated: by whoever has raised
/// *floor*, page after page (`vacateSlots`), or here, where a page is full of them.
extension Store {
    /// How many slots of one fingerprint, of the 32 that its keys may have, are kept for snapshots.
    private static let mostStale = 20

    /// Empties the slots of a page that name what lies below the committed head, if nobody can want them any more: a page isn't split for
    /// those. Whether there were any.
    func vacatesPage(of hash: UInt64) throws(EngineError) -> Bool {
        let head = transaction.headBefore
        let stale = try index.countStale(hash, below: head, anchor: log.tail)
        if stale.page == 0 { return false }
        if block.floor.relaxed() < head {
            // A snapshot may want them; but splits make no room where one key has them all.
            guard stale.fingerprint > Self.mostStale || snapshotLock.earlierAreOver(patience: 1_000_000) else {
                return false
            }
            raiseFloorForSlots(to: head)
        }
        try index.vacatePage(of: hash, below: head, anchor: log.tail)
        return true
    }

    /// *Writer.* Slots that name what lies below `head` go, though a snapshot may look for them: it will say that it has expired.
    private func raiseFloorForSlots(to head: Position) {
        block.floor.release(head)
        owesVacating.store(true, ordering: .relaxed)
    }

    /// The hash of the key of the record at a position; nil: it lies below `lowest`, the committed head, where nothing counts. Other
    /// processes may have it mapped or not, so what goes by that goes for all of them.
    func rehash(_ position: Position, from lowest: Position) throws(EngineError) -> UInt64? {
        if position < lowest {
            if block.floor.relaxed() < lowest { raiseFloorForSlots(to: lowest) }
            return nil
        }
        switch try log.record(at: position) {
        case .record(let record): return hash(KeyClass.identity(record.keyClass), record.key)
        case .gone: return nil
        case .damaged:
            throw EngineError(.corrupted, "the record at position \(position) is damaged; run check", path: path)
        }
    }
}
