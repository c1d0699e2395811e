import Synchronization

/// Queues (DESIGN 6.2): `push` makes items at an end, `take` removes or shows the one at an end. The caller holds an access of the
/// handle.
///
/// Each is one transaction of the item and its queue's record, and takes no view of an order: the item next to an end is found by
/// its number. Where long runs of numbers have no items any more, a transaction looks at `stepsPerCommit` of them, commits how far it
/// came and lets others have the lock; inside a larger transaction it just goes on.
extension Store {
    /// Numbers that are looked at, or expired items that are removed, before the lock is let go.
    static let stepsPerCommit = 1024
    /// How far a removal looks for the next item; what lies farther is left to who needs it.
    private static let stepsPerRemoval = 64

    /// Adds an item at an end of a queue; its number. Throws `queueFull` if the numbers end there.
    ///
    /// An item that is expired already is stored all the same: its number is used up. Where the queue has a limit, items go at its other
    /// end; with the limit 0 nothing is stored, and the number is 0, which no item has.
    public func push(
        timeout: UInt64, _ name: QueueName, atFront: Bool, form: UInt16, value: UnsafeRawBufferPointer,
        _ attributes: RecordAttributes
    ) throws(EngineError) -> Int64 {
        try check(name.item(0), attributes)
        if value.count >= fileThreshold(form) {
            return try pushFile(timeout: timeout, name, atFront: atFront, form: form, value, attributes)
        }
        while true {
            try begin(timeout: timeout)
            let number: Int64?
            do throws(EngineError) {
                number = try pushItem(name, atFront, form, value, attributes, steps: stepsOfThisTransaction)
            } catch {
                rollBack()
                throw error
            }
            try commit()
            if let number { return number }
        }
    }

    /// *Writer.* Adds an item, as `push`; nil: the end isn't known yet, and the transaction has to be committed before going on.
    @inline(__always)
    func pushItem(
        _ name: QueueName, _ atFront: Bool, _ form: UInt16, _ value: UnsafeRawBufferPointer,
        _ attributes: RecordAttributes, steps: Int
    ) throws(EngineError) -> Int64? {
        let queue = try queue(name.prefix)
        var steps = steps
        while true {
            guard try closeEnd(queue, atFront: atFront, &steps) else { return nil }
            if queues.list[queue].ends.isFull {
                guard try closeEnd(queue, atFront: !atFront, &steps) else { return nil }
                let limit = queues.list[queue].ends.limit ?? 0
                try trim(queue, to: max(limit - 1, 0), fromFront: !atFront)
                if limit == 0 { return 0 }
                continue
            }
            guard let number = queues.list[queue].ends.next(atFront: atFront) else {
                throw EngineError(
                    .queueFull, "the numbers of this queue end here; push at its other end, or empty it first")
            }
            let done = try put(
                KeyClass.queue, name.item(number), form: form, value: value, attributes, condition: .pushed,
                isLast: false, culls: true)
            if done {
                var ends = queues.list[queue].ends
                ends.add(number)
                setEnds(queue, ends)
                return number
            }
            // There is an item that the queue's record doesn't know of: damage took what did.
            try recount(queue)
        }
    }

    var stepsOfThisTransaction: Int { transaction.depth > 1 ? Int.max : Self.stepsPerCommit }

    // MARK: Taking

    private enum Step {
        case found(Int64)
        case empty
        /// Commit, and go on.
        case again
        /// The caller's own error; what was removed before stays removed.
        case failed(any Error)
    }

    /// Shows the item at an end of a queue to `visit`, removes it if `removing` and if `visit` doesn't throw; its number, or nil: there
    /// is none. Expired items on the way are removed.
    ///
    /// `visit` runs with the lock held and says false if the item's file is gone: then it is removed, and the next one is shown.
    public func take(
        timeout: UInt64, _ name: QueueName, fromFront: Bool, removing: Bool, _ visit: (Store, Record) throws -> Bool
    ) throws -> Int64? {
        while true {
            try begin(timeout: timeout)
            // What `visit` does with the store itself is part of the transaction.
            let isOutermost = transaction.depth == 1
            if isOutermost { isTransacting.store(1, ordering: .relaxed) }
            let step: Step
            do throws(EngineError) {
                step = try takeStep(name, fromFront, removing, visit)
            } catch {
                if isOutermost { isTransacting.store(0, ordering: .relaxed) }
                rollBack()
                throw error
            }
            if isOutermost { isTransacting.store(0, ordering: .relaxed) }
            try commit()
            switch step {
            case .found(let number): return number
            case .empty: return nil
            case .again: continue
            case .failed(let error): throw error
            }
        }
    }

    @inline(__always)
    private func takeStep(
        _ name: QueueName, _ fromFront: Bool, _ removing: Bool, _ visit: (Store, Record) throws -> Bool
    ) throws(EngineError) -> Step {
        let queue = try queue(name.prefix)
        var steps = stepsOfThisTransaction
        var recounted = false
        while queues.list[queue].ends.count != 0 {
            guard try closeEnd(queue, atFront: fromFront, &steps) else { return .again }
            let ends = queues.list[queue].ends
            if ends.count == 0 { break }
            let number = fromFront ? ends.front : ends.back
            guard let record = try item(name.item(number)) else {
                // Damage took an item and left the record that counts it.
                if recounted { throw unreadableQueue() }
                recounted = true
                try recount(queue)
                continue
            }
            var cause = TombstoneCause.deleted
            if let expiry = record.expiry, expiry <= now {
                cause = .expired
            } else {
                let operations = transaction.operations
                let isThere: Bool
                do {
                    isThere = try visit(self, record)
                } catch {
                    return .failed(error)
                }
                if isThere && !removing { return .found(number) }
                // The caller's code may have written something itself.
                if operations != transaction.operations,
                    try item(name.item(number))?.position != record.position
                {
                    if isThere { return .found(number) }
                    continue
                }
                if isThere {
                    try remove(record, cause: .deleted, isLast: false)
                    return .found(number)
                }
            }
            try remove(record, cause: cause, isLast: false)
            steps &-= 1
            if steps <= 0 { return .again }
        }
        return .empty
    }

    /// Whether a queue has no items, expired ones included. No lock. What is damaged counts as there: the holder of the lock deals
    /// with it.
    public func isEmpty(_ name: QueueName) throws(EngineError) -> Bool { try readEnds(name)?.count == 0 }

    /// The ends of a queue as they are stored. No lock. nil: the record is damaged.
    @inline(__always)
    func readEnds(_ name: QueueName) throws(EngineError) -> QueueEnds? {
        switch try version(KeyClass.system, name.system) {
        case .found(let record): return QueueEnds(record.value)
        case .absent: return QueueEnds()
        case .damaged: return nil
        }
    }

    enum Version {
        case found(Record)
        case absent
        case damaged
    }

    /// `find`, for whom damage is no error.
    @inline(__always)
    func version(_ keyClass: UInt8, _ key: UnsafeRawBufferPointer) throws(EngineError) -> Version {
        do throws(EngineError) {
            if let record = try find(keyClass, key) { return .found(record) }
            return .absent
        } catch {
            if error.code != .corrupted { throw error }
            return .damaged
        }
    }

    /// *Writer.* An item, if it is there; one whose record is damaged is lost, which `check` tells.
    @inline(__always)
    func item(_ key: UnsafeRawBufferPointer) throws(EngineError) -> Record? {
        do throws(EngineError) {
            return try findAsWriter(KeyClass.queue, key)
        } catch {
            if error.code != .corrupted { throw error }
            return nil
        }
    }

    // MARK: Looking

    /// What a look at an end without the lock tells.
    public enum Sight {
        case found(Int64)
        case empty
        /// Only the holder of the lock can tell.
        case unknown
    }

    /// Shows the item at an end of a queue to `visit`, and leaves it there. No lock: queue and item are read as of one commit.
    ///
    /// `unknown` inside a transaction, behind 64 numbers without a live item, if others write all the time, or if `visit` says false:
    /// the item's file is gone.
    public func look(
        _ name: QueueName, atFront: Bool, now: Int64, _ visit: (Store, Record) throws -> Bool
    ) throws -> Sight {
        if isInTransaction { return .unknown }
        for _ in 0..<16 {
            let word = block.word.acquire()
            guard let ends = try readEnds(name) else { return .unknown }
            if ends.count == 0 { return .empty }
            var number = atFront ? ends.front : ends.back
            var item: Record?
            for _ in 0..<64 where item == nil && number >= ends.front && number <= ends.back {
                switch try version(KeyClass.queue, name.item(number)) {
                case .found(let record): item = record
                case .absent: break
                case .damaged: return .unknown
                }
                if let expiry = item?.expiry, expiry <= now { item = nil }
                if item == nil { number += atFront ? 1 : -1 }
            }
            SharedMemory.acquireFence()
            if block.word.relaxed() != word { continue }
            guard let item else {
                return number < ends.front || number > ends.back ? .empty : .unknown
            }
            return try visit(self, item) ? .found(number) : .unknown
        }
        return .unknown
    }

    // MARK: Ends

    /// *Writer.* An item's record was replaced by a tombstone: the one function that every removal goes through (Q3).
    @inline(__always)
    func itemRemoved(_ key: UnsafeRawBufferPointer) throws(EngineError) {
        guard let (prefix, number) = QueueName.parts(key) else { return }
        let queue = try queue(prefix)
        var ends = queues.list[queue].ends
        guard ends.count != 0, number >= ends.front, number <= ends.back else { return try recount(queue) }
        ends.remove(number)
        setEnds(queue, ends)
        if !ends.isFrontOpen && !ends.isBackOpen { return }
        var (front, back) = (Self.stepsPerRemoval, Self.stepsPerRemoval)
        _ = try closeEnd(queue, atFront: true, &front)
        _ = try closeEnd(queue, atFront: false, &back)
    }

    /// *Writer.* Looks for the item at an open end, from where it was last looked for, at `steps` numbers at most. False: not found
    /// yet.
    @inline(__always)
    func closeEnd(_ queue: Int, atFront: Bool, _ steps: inout Int) throws(EngineError) -> Bool {
        let ends = queues.list[queue].ends
        if !(atFront ? ends.isFrontOpen : ends.isBackOpen) { return true }
        return try closeOpenEnd(queue, atFront, &steps)
    }

    @inline(never)
    private func closeOpenEnd(_ queue: Int, _ atFront: Bool, _ steps: inout Int) throws(EngineError) -> Bool {
        var ends = queues.list[queue].ends
        while ends.front <= ends.back {
            ends.close()
            if !(atFront ? ends.isFrontOpen : ends.isBackOpen) {
                setEnds(queue, ends)
                return true
            }
            if steps <= 0 {
                setEnds(queue, ends)
                return false
            }
            steps &-= 1
            let number = atFront ? ends.front : ends.back
            let isThere = try item(itemKey(queue, number)) != nil
            switch (atFront, isThere) {
            case (true, true): ends.isFrontOpen = false
            case (false, true): ends.isBackOpen = false
            case (true, false): ends.front += 1
            case (false, false): ends.back -= 1
            }
        }
        // Fewer items than were counted: damage took them.
        try recount(queue)
        return true
    }

    /// *Writer.* The ends as the items themselves tell them, after damage.
    @inline(never)
    func recount(_ queue: Int) throws(EngineError) {
        var ends = try countedEnds(UnsafeRawBufferPointer(rebasing: itemKey(queue, 0).dropLast(8)))
        ends.maximum = queues.list[queue].ends.maximum
        setEnds(queue, ends)
    }

    /// *Writer.* The ends of the queue whose items' keys begin with `prefix`, by a look at every key.
    func countedEnds(_ prefix: UnsafeRawBufferPointer) throws(EngineError) -> QueueEnds {
        let wanted = Array(prefix)
        return try queueEnds(ofRowsAt: index.positions(anchor: log.tail))[wanted] ?? QueueEnds()
    }

    /// *Writer.* The ends of all queues, by prefix, as the items among the records at these positions tell them. What has a number that no
    /// item can have belongs to none.
    func queueEnds(ofRowsAt positions: [Position]) throws(EngineError) -> [[UInt8]: QueueEnds] {
        var found: [[UInt8]: QueueEnds] = [:]
        for position in positions where position >= head {
            guard case .record(let record) = try log.record(at: position), record.kind == RecordKind.put.rawValue,
                record.keyClass == KeyClass.queue, let (prefix, number) = QueueName.parts(record.key),
                QueueEnds.numbers.contains(number)
            else { continue }
            found[Array(prefix), default: QueueEnds()].add(number)
        }
        return found
    }

    /// *Writer, inside a transaction.* Makes the records of all queues agree with their items, after damage to the log.
    func repairQueues() throws(EngineError) {
        let positions = index.positions(anchor: log.tail)
        var counted = try queueEnds(ofRowsAt: positions)
        for position in positions where position >= head {
            guard case .record(let record) = try log.record(at: position),
                record.kind == RecordKind.system.rawValue, record.key.count > 5
            else { continue }
            let prefix = Array(record.key.dropFirst(5))
            counted[prefix, default: QueueEnds()].maximum = QueueEnds(record.value)?.maximum ?? 0
        }
        for (prefix, ends) in counted {
            let result = prefix.withUnsafeBytes { buffer -> Result<Void, EngineError> in
                do throws(EngineError) {
                    setEnds(try queue(buffer), ends)
                    return .success(())
                } catch {
                    return .failure(error)
                }
            }
            try result.get()
        }
    }
}
