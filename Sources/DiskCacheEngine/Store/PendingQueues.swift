/// The queues that the open transaction has looked at, as it leaves them: their records are written once, at its commit (DESIGN 6.2,
/// Q4), and the writer's own reads go by these. A few stay known from one transaction to the next, until another process writes.
struct PendingQueues {
    struct Queue {
        let hash: UInt64
        /// Where in `names` its name lies: as in `QueueName`, with room for an item's number.
        let nameStart: Int
        let prefixCount: Int
        var ends: QueueEnds
        /// Whether the index leads to a record of it.
        var exists: Bool
        /// Whether a record must be written.
        var isChanged = false
        /// Of a queue that `clear` has removed there is no record any more.
        var isCleared = false

        var needsRecord: Bool { isChanged && (ends.isKept || (exists && !isCleared)) }
    }

    /// What a queue was before a nested level changed it.
    struct Change {
        let queue: Int
        let before: Queue
    }

    var list: [Queue] = []
    var changes: [Change] = []
    let names = ByteBuffer(capacity: 256)
    /// Whether any record must be written.
    var isChanged = false

    /// How many queues stay known.
    private static let keptCount = 8

    /// The transaction was committed: what it left is what is stored.
    @inline(__always)
    mutating func settle() {
        if list.isEmpty { return }
        if list.count > Self.keptCount { return removeAll() }
        for number in list.indices where list[number].isChanged {
            list[number].exists = list[number].ends.isKept
            list[number].isChanged = false
            list[number].isCleared = false
        }
        if !changes.isEmpty { changes.removeAll(keepingCapacity: true) }
        isChanged = false
    }

    mutating func removeAll() {
        if list.isEmpty { return }
        list.removeAll(keepingCapacity: true)
        changes.removeAll(keepingCapacity: true)
        names.removeAll()
        isChanged = false
    }

    /// Forgets what a nested level did and looked at.
    mutating func goBack(to count: Int, changes changeCount: Int) {
        while changes.count > changeCount {
            let change = changes.removeLast()
            if change.queue < count { list[change.queue] = change.before }
        }
        guard list.count > count else { return }
        names.truncate(to: list[count].nameStart)
        list.removeSubrange(count...)
    }
}

/// *Writer.* All of it.
extension Store {
    /// The number, among the pending ones, of the queue whose items' keys begin with `prefix`.
    @inline(__always)
    func queue(_ prefix: UnsafeRawBufferPointer) throws(EngineError) -> Int {
        let names = queues.names
        let start = names.count
        names.append(SystemKey.queue.utf8Start, 5)
        names.append(prefix.baseAddress!, prefix.count)
        let key = UnsafeRawBufferPointer(start: names.base + start, count: 5 &+ prefix.count)
        let hash = self.hash(KeyClass.system, key)
        var number = 0
        while number < queues.list.count {
            let known = queues.list[number]
            if known.hash == hash, known.prefixCount == prefix.count,
                ByteOrder.commonPrefix(names.base + known.nameStart, key.baseAddress!, key.count) == key.count
            {
                names.truncate(to: start)
                return number
            }
            number &+= 1
        }
        let stored: (ends: QueueEnds, exists: Bool, isDamaged: Bool)
        do throws(EngineError) {
            stored = try storedEnds(key, hash)
        } catch {
            names.truncate(to: start)
            throw error
        }
        withUnsafeBytes(of: 0 as UInt64) { names.append($0.baseAddress!, 8) }
        queues.list.append(
            .init(
                hash: hash, nameStart: start, prefixCount: prefix.count, ends: stored.ends, exists: stored.exists,
                isChanged: stored.isDamaged))
        if stored.isDamaged { queues.isChanged = true }
        return number
    }

    /// What the queue's record says. One that is damaged is made again from the items.
    @inline(__always)
    private func storedEnds(
        _ key: UnsafeRawBufferPointer, _ hash: UInt64
    ) throws(EngineError) -> (ends: QueueEnds, exists: Bool, isDamaged: Bool) {
        if case .present(_, let record) = try indexView.findForWriting(
            hash, anchor: log.tail, from: transaction.headBefore, log: log, { $0.isOf(KeyClass.system, key) })
        {
            guard record.position >= head, record.kind == RecordKind.system.rawValue else {
                return (QueueEnds(), false, false)
            }
            if let ends = QueueEnds(record.value) { return (ends, true, false) }
        } else if case .damaged = try look(KeyClass.system, key, hash, counts: false) {
            // Under the lock nothing moves: its slot names what no longer is a record.
        } else {
            return (QueueEnds(), false, false)
        }
        return (try countedEnds(UnsafeRawBufferPointer(rebasing: key[5...])), true, true)
    }

    /// Gives a queue other ends.
    @inline(__always)
    func setEnds(_ queue: Int, _ ends: QueueEnds) {
        if queues.list[queue].ends == ends { return }
        noteQueue(queue)
        queues.list[queue].ends = ends
        queues.list[queue].isChanged = true
        queues.isChanged = true
    }

    /// So that a nested level that fails leaves the queue as it was.
    @inline(__always)
    private func noteQueue(_ queue: Int) {
        if transaction.depth > 1 { queues.changes.append(.init(queue: queue, before: queues.list[queue])) }
    }

    /// The key of an item. Valid until the next one is asked for, or another queue.
    @inline(__always)
    func itemKey(_ queue: Int, _ number: Int64) -> UnsafeRawBufferPointer {
        let (start, count) = (queues.list[queue].nameStart, queues.list[queue].prefixCount)
        let prefix = queues.names.base + (start &+ 5)
        QueueName.store(number, at: prefix + count)
        return UnsafeRawBufferPointer(start: prefix, count: count &+ 8)
    }

    /// Writes the records of the queues that the transaction has changed; the last of them ends it.
    @inline(never)
    func writeQueues() throws(EngineError) {
        queues.isChanged = false
        guard let last = queues.list.lastIndex(where: \.needsRecord) else { return }
        FaultPoint.reach(.queueItemsWritten)
        for number in 0...last where queues.list[number].needsRecord {
            let queue = queues.list[number]
            let key = UnsafeRawBufferPointer(start: queues.names.base + queue.nameStart, count: 5 &+ queue.prefixCount)
            if queue.ends.isKept {
                try queue.ends.withBytes { (value) throws(EngineError) in
                    try appendSystem(.system, key, queue.hash, value: value, isLast: number == last)
                }
            } else {
                let none = UnsafeRawBufferPointer(start: nil, count: 0)
                try appendSystem(.tombstone, key, queue.hash, value: none, isLast: number == last)
            }
        }
    }

    /// `clear` has taken everything away. A maximum stays: only the queue without a prefix can have one (a Deque), so it is looked
    /// up beforehand.
    func clearQueues() {
        for number in queues.list.indices {
            noteQueue(number)
            queues.list[number].isCleared = true
            queues.list[number].ends = queues.list[number].ends.emptied
            queues.list[number].isChanged = true
            queues.isChanged = true
        }
    }
}
