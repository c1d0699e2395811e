/// What the writer writes beside the rows: system records, and the head record of `clear`.
extension Store {
    /// Everything is absent from here on: a head record that names itself, then the settings and, at the commit, a queue's maximum
    /// again. O(1).
    func clear() throws(EngineError) {
        let bounded = try withUnsafeBytes(of: 0 as UInt8) { (prefix) throws(EngineError) in try queue(prefix) }
        log.mayUseSpare = true
        defer { log.mayUseSpare = false }
        let encoded = settings.encoded()
        var room = 40 + RecordLayout.aligned(RecordLayout.headerSize + 8 + encoded.count + 8)
        if queues.list[bounded].ends.maximum != 0 { room += RecordLayout.headerSize + 40 }
        try log.reserve(room + RecordLayout.voidSize + RecordLayout.commitSize, head: head, settings: counters.settings)
        if transaction.operations == 0 { transaction.first = log.tail }
        var draft = RecordDraft(kind: .head)
        draft.storedTime = storedTime()
        var body = (log.tail.littleEndian, counters.nextRowid.littleEndian)
        let position = try withUnsafeBytes(of: &body) { (bytes) throws(EngineError) in
            draft.value = bytes
            return try log.append(draft, size: draft.size)
        }
        transaction.operations &+= 1
        head = position
        counters.dead = UInt64(draft.size)
        eviction.deadCheckpoint = 0
        if counters.fileBytes != 0 {
            transaction.replacedFiles &+= 1
            transaction.replacedBytes &+= counters.fileBytes
        }
        counters.live = 0
        counters.count = 0
        counters.fileBytes = 0
        counters.earliestExpiry = UInt64(Int64.max)
        clearQueues()
        if counters.settings != 0 { try appendSettings(encoded) }
    }

    /// *Writer.* Writes the settings as a record of the open transaction.
    func appendSettings(_ encoded: [UInt8]) throws(EngineError) {
        let size = RecordLayout.aligned(RecordLayout.headerSize + 8 + encoded.count)
        try log.reserve(
            size + 8 + RecordLayout.voidSize + RecordLayout.commitSize, head: head, settings: counters.settings)
        if transaction.operations == 0 { transaction.first = log.tail }
        var draft = RecordDraft(kind: .system)
        draft.keyClass = KeyClass.system
        draft.form = ValueFormCode.encoded
        draft.storedTime = storedTime()
        draft.previous = 0
        let name: [UInt8] = Array("settings".utf8)
        var position: Position = 0
        var failure: EngineError?
        name.withUnsafeBytes { key in
            encoded.withUnsafeBytes { value in
                draft.key = key
                draft.value = value
                do throws(EngineError) {
                    position = try log.append(draft, size: draft.size)
                } catch {
                    failure = error
                }
            }
        }
        if let failure { throw failure }
        transaction.operations &+= 1
        counters.settings = position
        counters.dead &+= UInt64(size)
        settingsPosition = position
    }

    /// *Writer.* Writes a system record that has a slot, or the tombstone of one. `isLast` as in `put`. It is no row: not counted, and
    /// accounted as dead from the beginning.
    func appendSystem(
        _ kind: RecordKind, _ key: UnsafeRawBufferPointer, _ hash: UInt64, value: UnsafeRawBufferPointer, isLast: Bool
    ) throws(EngineError) {
        var found = try place(KeyClass.system, key, hash)
        var draft = RecordDraft(kind: kind)
        draft.keyClass = KeyClass.system
        draft.form = kind == .system ? ValueFormCode.bytes : TombstoneCause.deleted.rawValue
        draft.key = key
        draft.value = value
        draft.storedTime = storedTime()
        if isLast { draft.flags |= RecordBits.commit }
        try append(&draft, size: draft.size, KeyClass.system, hash, &found)
        counters.dead &+= UInt64(truncatingIfNeeded: draft.size)
        if isLast { transaction.isClosed = true }
    }
}
