/// What a deque needs of its queue beyond the ends (DESIGN 6.2): items by their place, moves from one end to the other, a limit. The
/// caller holds an access of the handle.
///
/// A place is an offset, 0 the first item; negative ones count from the back, −1 the last. Without gaps the number follows from it.
/// With gaps the items are counted from the nearer end, number by number, and by the view of keys after `longestWalk` of them.
extension Store {
    /// Numbers that are looked at one by one, before something is asked that knows where there are items.
    private static let longestWalk = 1 << 16

    // MARK: Places

    /// Shows the item at an offset to `visit`. No lock: queue and item are read as of one commit.
    ///
    /// `unknown` inside a transaction, if others write all the time, or if `visit` says false: the item's file is gone.
    public func look(
        _ name: QueueName, at offset: Int, _ visit: (Store, Record) throws -> Bool
    ) throws -> Sight {
        if isInTransaction { return .unknown }
        for _ in 0..<16 {
            let word = block.word.acquire()
            guard let ends = try readEnds(name) else { return .unknown }
            let number = try number(name, at: offset, ends)
            var item: Record?
            if let number {
                guard case .found(let record) = try version(KeyClass.queue, name.item(number)) else { return .unknown }
                item = record
            }
            SharedMemory.acquireFence()
            if block.word.relaxed() != word {
                // What has taken long takes long again.
                if ends.hasGaps { return .unknown }
                continue
            }
            // Fewer items than were counted: damage took them, and the writer counts again.
            guard let number, let item else { return place(offset, ends) == nil ? .empty : .unknown }
            return try visit(self, item) ? .found(number) : .unknown
        }
        return .unknown
    }

    /// Runs `body` with the item at an offset as one transaction, in which `replaceItem` and `removeItem` may be called; nil: there is
    /// none.
    public func withItem<R>(
        timeout: UInt64, _ name: QueueName, at offset: Int, _ body: (Store, Record) throws -> R
    ) throws -> R? {
        try transact(timeout: timeout) {
            let queue = try wholeQueue(name)
            for _ in 0..<2 {
                let ends = queues.list[queue].ends
                let number = try number(name, at: offset, ends)
                if let number, let record = try item(name.item(number)) { return try body(self, record) }
                if place(offset, ends) == nil { return nil }
                // Fewer items than were counted: damage took them.
                try recount(queue)
            }
            throw unreadableQueue()
        }
    }

    /// *Inside a transaction.* Gives an item another value.
    public func replaceItem(
        _ record: Record, form: UInt16, value: UnsafeRawBufferPointer
    ) throws(EngineError) {
        _ = try put(
            timeout: 0, record.keyClass, record.key, form: form, value: value,
            RecordAttributes(expiry: record.expiry, tag: record.tag))
    }

    /// *Inside a transaction.* Removes an item, unless it has another version by now; its number stays without one, unless it was at an
    /// end.
    public func removeItem(_ record: Record) throws(EngineError) {
        guard try findAsWriter(record.keyClass, record.key)?.position == record.position else { return }
        try remove(record, cause: .deleted, isLast: false)
    }

    /// An offset from the front, if there is such an item.
    private func place(_ offset: Int, _ ends: QueueEnds) -> Int64? {
        let place = offset < 0 ? Int64(offset) + ends.count : Int64(offset)
        return place >= 0 && place < ends.count ? place : nil
    }

    /// The number of the item at an offset; nil: there is none, or fewer than were counted.
    private func number(
        _ name: QueueName, at offset: Int, _ ends: QueueEnds
    ) throws(EngineError) -> Int64? {
        guard let place = place(offset, ends) else { return nil }
        if !ends.hasGaps { return ends.front + place }
        let isFromFront = place < ends.count / 2
        var left = isFromFront ? place : ends.count - 1 - place
        var number = isFromFront ? ends.front : ends.back
        for _ in 0..<Self.longestWalk {
            if number < ends.front || number > ends.back { return nil }
            if case .found = try version(KeyClass.queue, name.item(number)) {
                if left == 0 { return number }
                left -= 1
            }
            number += isFromFront ? 1 : -1
        }
        // The number that comes next is passed, whoever has the lower one.
        let next = [KeyClass.queue] + Array(name.item(number))
        let scan = OrderedScan(
            .key, isFromFront ? .keys(from: (next, true), upTo: nil) : .keys(from: nil, upTo: (next, true)),
            reversed: !isFromFront, in: self)
        while !scan.isAtEnd {
            try scan.next(in: self)
            for row in scan.rows {
                guard let (prefix, number) = QueueName.parts(row.key), prefix.elementsEqual(name.prefix) else {
                    return nil
                }
                if left == 0 { return number }
                left -= 1
            }
        }
        return nil
    }

    /// How many items there are, expired ones included; nil: the queue's record is damaged. No lock.
    public func itemCount(_ name: QueueName) throws(EngineError) -> Int? {
        try ends(name).map { Int(clamping: $0.count) }
    }

    // MARK: Moves

    /// Moves items from one end to the other, as one transaction: the last `count` to the front, or as many first ones to the back if it is
    /// negative. At most half of the items are moved. O(moved).
    public func rotate(timeout: UInt64, _ name: QueueName, by count: Int) throws(EngineError) {
        try write(timeout: timeout) { () throws(EngineError) in
            let queue = try wholeQueue(name)
            let total = queues.list[queue].ends.count
            guard total > 1 else { return }
            let remainder = Int64(count) % total
            let fromBack = remainder < 0 ? remainder + total : remainder
            let isToFront = fromBack <= total - fromBack
            for _ in 0..<min(fromBack, total - fromBack) {
                _ = try endItem(queue, atFront: isToFront)
                guard let record = try endItem(queue, atFront: !isToFront) else { return }
                try remove(record, cause: .deleted, isLast: false)
                try withCopy(of: record) { (value) throws(EngineError) in
                    let pushed = try pushItem(
                        name, isToFront, record.form, value,
                        RecordAttributes(expiry: record.expiry, tag: record.tag), steps: Self.longestWalk)
                    if pushed == nil { throw unreadableQueue() }
                }
            }
        }
    }

    /// Turns the order of the items round, as one transaction: values change places, numbers stay. O(n).
    public func reverse(timeout: UInt64, _ name: QueueName) throws {
        try transact(timeout: timeout) {
            _ = try wholeQueue(name)
            let front = try QueueScan(name, reversed: false, in: self)
            let back = try QueueScan(name, reversed: true, in: self)
            var (first, last) = (0, 0)
            while true {
                while first == front.rows.count {
                    if front.isAtEnd { return }
                    try front.next(in: self)
                    first = 0
                }
                while last == back.rows.count {
                    if back.isAtEnd { return }
                    try back.next(in: self)
                    last = 0
                }
                guard let left = front.rows[first].record, let right = back.rows[last].record,
                    let lower = QueueName.parts(left.key), let upper = QueueName.parts(right.key),
                    lower.number < upper.number
                else { return }
                try exchange(left, right)
                first += 1
                last += 1
            }
        }
    }

    private func exchange(_ left: Record, _ right: Record) throws(EngineError) {
        for (target, source) in [(left, right), (right, left)] {
            try withCopy(of: source) { (value) throws(EngineError) in
                _ = try put(
                    target.keyClass, target.key, form: source.form, value: value,
                    RecordAttributes(expiry: source.expiry, tag: source.tag), isLast: false)
            }
        }
    }

    /// *Writer.* Lends what the record of another key holds for the value of this one, and makes a second name for its file, if it has
    /// one, after `body` has appended that record.
    private func withCopy(
        of record: Record, _ body: (UnsafeRawBufferPointer) throws(EngineError) -> Void
    ) throws(EngineError) {
        guard ValueFormCode.isFile(record.form), var reference = ValueFileReference(record.value) else {
            return try body(record.value)
        }
        let name = reference.name
        reference.name = ValueFileName(random: environment.random)
        transaction.newFiles.append(reference.name)
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { reference.store(into: $0) }
        try withUnsafeBytes(of: words) { (bytes) throws(EngineError) in try body(bytes) }
        do throws(SystemError) {
            try valueFiles.link(name, to: reference.name)
        } catch {
            // One that was lost stays lost.
            if error.errno != ErrorNumber.notFound { throw EngineError(error) }
        }
        FaultPoint.reach(.valueFileRenamed)
    }

    // MARK: Limit

    /// How many items a push leaves at most; nil: any number. No lock.
    public func limit(_ name: QueueName) throws(EngineError) -> Int? {
        try ends(name)?.limit.map { Int(clamping: $0) }
    }

    /// Gives a queue another limit, nil for none, and removes first items that are too many; all in one transaction.
    public func setLimit(timeout: UInt64, _ name: QueueName, _ limit: Int?) throws(EngineError) {
        try write(timeout: timeout) { () throws(EngineError) in
            let queue = try wholeQueue(name)
            var ends = queues.list[queue].ends
            ends.limit = limit.map { Int64($0) }
            setEnds(queue, ends)
            if let limit = ends.limit { try trim(queue, to: limit, fromFront: true) }
        }
    }

    /// *Writer.* Removes items at an end until no more than `count` are left.
    func trim(_ queue: Int, to count: Int64, fromFront: Bool) throws(EngineError) {
        while queues.list[queue].ends.count > count, let record = try endItem(queue, atFront: fromFront),
            queues.list[queue].ends.count > count
        {
            try remove(record, cause: .deleted, isLast: false)
        }
    }

    // MARK: Parts

    /// The ends as they are now, in a transaction with its own changes. nil: the record is damaged.
    func ends(_ name: QueueName) throws(EngineError) -> QueueEnds? {
        if isInTransaction { return queues.list[try queue(name.prefix)].ends }
        return try readEnds(name)
    }

    /// *Writer.* The number of the queue among the pending ones. A record that tells of more items than there are rows is made again: its
    /// numbers would be walked through for years.
    private func wholeQueue(_ name: QueueName) throws(EngineError) -> Int {
        let queue = try queue(name.prefix)
        if queues.list[queue].ends.count > Int64(clamping: counters.count) { try recount(queue) }
        return queue
    }

    /// *Writer.* The item at an end, wherever damage has left it; nil: the queue is empty.
    private func endItem(_ queue: Int, atFront: Bool) throws(EngineError) -> Record? {
        for _ in 0..<2 {
            var steps = Self.longestWalk
            if try !closeEnd(queue, atFront: atFront, &steps) { try recount(queue) }
            let ends = queues.list[queue].ends
            if ends.count == 0 { return nil }
            if let record = try item(itemKey(queue, atFront ? ends.front : ends.back)) { return record }
            try recount(queue)
        }
        throw unreadableQueue()
    }

    func unreadableQueue() -> EngineError {
        EngineError(.corrupted, "a queue can't be read; run check", path: path)
    }
}
