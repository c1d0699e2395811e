import Synchronization

/// The verbs that change a store, each one transaction of its own, or part of the one that the calling thread has open.
/// All wait for the write lock, `timeout` nanoseconds at most. The caller holds an access of the handle.
extension Store {
    /// A row that was taken out, copied.
    public struct Taken: Sendable {
        /// The form of the value.
        public let form: UInt16
        /// The value's bytes, or the reference to its file.
        public let value: [UInt8]
        /// Microseconds since 1970.
        public let expiry: Int64?
        /// Form and bytes.
        public let tag: (form: UInt8, bytes: [UInt8])?
        /// Microseconds since 1970.
        public let storedAt: Int64
        /// The value itself where it lies in a file: open already, so that the file may go.
        public let file: FileValue?
    }

    /// Runs `body` as one transaction: all of its writes are visible at one instant, or none if it throws.
    /// Inside another transaction of this thread it is a part of that.
    public func write<R>(
        timeout: UInt64, inGap: Bool = false, _ body: () throws(EngineError) -> R
    ) throws(EngineError) -> R {
        try begin(timeout: timeout, inGap: inGap)
        let result: R
        do throws(EngineError) {
            result = try body()
        } catch {
            rollBack()
            throw error
        }
        try commit()
        return result
    }

    /// As `write`, for a body that throws anything.
    public func transact<R>(timeout: UInt64, _ body: () throws -> R) throws -> R {
        try begin(timeout: timeout)
        let isOutermost = transaction.depth == 1
        if isOutermost { isTransacting.store(1, ordering: .relaxed) }
        let result: R
        do {
            result = try body()
        } catch {
            if isOutermost { isTransacting.store(0, ordering: .relaxed) }
            rollBack()
            throw error
        }
        if isOutermost { isTransacting.store(0, ordering: .relaxed) }
        try commit()
        return result
    }

    /// Whether the next record ends the transaction: a verb that isn't part of a larger one writes exactly one.
    @inline(__always) private var writesOne: Bool { transaction.depth == 1 && transaction.operations == 0 }

    /// Stores a value. False if `condition` failed.
    public func put(
        timeout: UInt64, _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, form: UInt16, value: UnsafeRawBufferPointer,
        _ attributes: RecordAttributes, condition: PutCondition = .always
    ) throws(EngineError) -> Bool {
        try check(key, attributes)
        if value.count >= fileThreshold(form) {
            return try putFile(timeout: timeout, keyClass, key, form: form, value, attributes, condition)
        }
        return try putInline(timeout: timeout, keyClass, key, form: form, value: value, attributes, condition)
    }

    @inline(__always)
    private func putInline(
        timeout: UInt64, _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, form: UInt16, value: UnsafeRawBufferPointer,
        _ attributes: RecordAttributes, _ condition: PutCondition
    ) throws(EngineError) -> Bool {
        try begin(timeout: timeout)
        let done: Bool
        do throws(EngineError) {
            if let expiry = expiry(attributes), expiry <= now {
                done = try putExpired(keyClass, key, condition)
            } else {
                done = try put(
                    keyClass, key, form: form, value: value, attributes, condition: condition,
                    isLast: transaction.depth == 1 && transaction.operations == 0, culls: true)
            }
        } catch {
            rollBack()
            throw error
        }
        try commit()
        return done
    }

    /// What is expired already when it is stored leaves no row: the key is missing afterwards, as if it had been there for no time.
    @inline(never)
    func putExpired(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, _ condition: PutCondition
    ) throws(EngineError) -> Bool {
        guard let row = try findAsWriter(keyClass, key) else {
            if keyClass == KeyClass.queue && condition != .pushed { throw goneFromQueue() }
            return true
        }
        if condition == .onlyIfMissing, !(row.expiry.map { $0 <= now } ?? false) { return false }
        try remove(row, cause: .expired, isLast: writesOne)
        return true
    }

    @inline(__always)
    func check(_ key: UnsafeRawBufferPointer, _ attributes: RecordAttributes) throws(EngineError) {
        if key.count > RecordLayout.maximumKey {
            throw EngineError(
                .keyTooLarge, "a key has at most \(RecordLayout.maximumKey) bytes; this one has \(key.count)")
        }
        if let tag = attributes.tag, tag.bytes.count > RecordLayout.maximumTag {
            throw EngineError(
                .limitReached, "a tag has at most \(RecordLayout.maximumTag) bytes; this one has \(tag.bytes.count)")
        }
    }

    /// From how many bytes on a value of this form has a file of its own. Read without the lock: where a value lies is decided
    /// for each anew, so settings that are a moment old do no harm.
    @inline(__always)
    func fileThreshold(_ form: UInt16) -> Int {
        form == ValueFormCode.text || form == ValueFormCode.bytes || form == ValueFormCode.encoded
            ? minFileSize.load(ordering: .relaxed) : Int.max
    }

    /// Removes a key. False: it was missing or expired.
    public func delete(
        timeout: UInt64, _ keyClass: UInt8, _ key: UnsafeRawBufferPointer
    ) throws(EngineError) -> Bool {
        try write(timeout: timeout) { () throws(EngineError) in
            guard let row = try liveRow(keyClass, key) else { return false }
            try remove(row, cause: .deleted, isLast: writesOne)
            return true
        }
    }

    /// Removes a key and gives what it held; nil: it was missing or expired.
    public func pop(
        timeout: UInt64, _ keyClass: UInt8, _ key: UnsafeRawBufferPointer
    ) throws(EngineError) -> Taken? {
        try write(timeout: timeout) { () throws(EngineError) in
            guard let row = try liveRow(keyClass, key) else { return nil }
            // A value in a file is opened before the commit lets others unlink it.
            let file = ValueFormCode.isFile(row.form) ? try openFile(of: row) : nil
            let taken = Taken(
                form: row.form, value: Array(row.value), expiry: row.expiry,
                tag: row.tag.map { ($0.form, Array($0.bytes)) }, storedAt: storedAt(row), file: file)
            try remove(row, cause: .deleted, isLast: writesOne)
            return taken
        }
    }

    /// Gives a live key another expiry. False: it was missing or expired.
    public func touch(
        timeout: UInt64, _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, expiry: Int64?
    ) throws(EngineError) -> Bool {
        try write(timeout: timeout) { () throws(EngineError) in
            guard let row = try liveRow(keyClass, key) else { return false }
            _ = try put(
                row.keyClass, row.key, form: row.form, value: row.value, RecordAttributes(expiry: expiry, tag: row.tag),
                isLast: writesOne, keptTime: row.storedTime, access: .none)
            return true
        }
    }

    /// A number to count with.
    public enum Number: Sendable, Equatable {
        case integer(Int64)
        case double(Double)
    }

    /// Adds `delta` to the number that a key holds; a missing key counts as holding `start`. The sum.
    ///
    /// Throws `keyNotFound` (missing, and no `start`), `notANumber`, `overflow`; the value stays as it was then.
    public func increment(
        timeout: UInt64, _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, by delta: Number, start: Number?
    ) throws(EngineError) -> Number {
        try check(key, RecordAttributes())
        return try write(timeout: timeout) { () throws(EngineError) in
            let row = try liveRow(keyClass, key)
            var attributes = RecordAttributes()
            let old: Number
            if let row {
                attributes = RecordAttributes(expiry: row.expiry, tag: row.tag)
                old = try number(row)
            } else {
                guard let start else { throw EngineError(.keyNotFound, "there is no such key to count with") }
                old = start
            }
            let sum = try Self.add(old, delta)
            switch sum {
            case .integer(let value):
                try withUnsafeBytes(of: value.littleEndian) { (bytes) throws(EngineError) in
                    _ = try put(
                        keyClass, key, form: ValueFormCode.integer, value: bytes, attributes, isLast: writesOne,
                        culls: row == nil, access: row == nil ? .reset : .counted)
                }
            case .double(let value):
                try withUnsafeBytes(of: value.bitPattern.littleEndian) { (bytes) throws(EngineError) in
                    _ = try put(
                        keyClass, key, form: ValueFormCode.double, value: bytes, attributes, isLast: writesOne,
                        culls: row == nil, access: row == nil ? .reset : .counted)
                }
            }
            return sum
        }
    }

    private func number(_ row: Record) throws(EngineError) -> Number {
        guard row.value.count == 8 else {
            throw EngineError(.notANumber, "the value isn't a number, so it can't be counted with")
        }
        let word = UInt64(littleEndian: row.value.loadUnaligned(as: UInt64.self))
        switch row.form {
        case ValueFormCode.integer: return .integer(Int64(bitPattern: word))
        case ValueFormCode.double: return .double(Double(bitPattern: word))
        case ValueFormCode.unsigned:
            throw EngineError(
                .overflow, "the value is \(word), and what is counted with has to be below 2^63; the value stays")
        default: throw EngineError(.notANumber, "the value isn't a number, so it can't be counted with")
        }
    }

    private static func add(_ old: Number, _ delta: Number) throws(EngineError) -> Number {
        switch (old, delta) {
        case (.integer(let a), .integer(let b)):
            let sum = a.addingReportingOverflow(b)
            if sum.overflow { throw EngineError(.overflow, "\(a) plus \(b) doesn't fit into 64 bits; the value stays") }
            return .integer(sum.partialValue)
        case (.double, .integer):
            throw EngineError(.notANumber, "the value is a floating-point number; count with one to change it")
        case (.integer(let a), .double(let b)): return .double(Double(a) + b)
        case (.double(let a), .double(let b)): return .double(a + b)
        }
    }

    /// Removes everything; how many rows there were. O(1): the space comes back in the background.
    public func clear(timeout: UInt64) throws(EngineError) -> Int {
        let removed = try write(timeout: timeout) { () throws(EngineError) in
            let count = counters.count
            try clear()
            return Int(clamping: count)
        }
        if !lock.isHeldByThisThread { renewIndex(timeout: timeout) }
        return removed
    }

    /// A fresh index in place of one whose slots all name what `clear` removed. If it can't be made, the old one serves.
    private func renewIndex(timeout: UInt64) {
        do throws(EngineError) {
            try lock.acquire(timeout: timeout)
            defer { lock.release() }
            if block.owner.relaxed() != lock.identity { try takeOver() }
            // Only while nothing was written since but what `clear` itself did: the record of a queue may be among that.
            guard counters.count == 0, log.tail &- head < 4096 else { return }
            var kept: [Record] = []
            var isAlone = true
            _ = try log.scanTail(from: head) { record in
                if !record.hasSlot { return }
                if record.kind == RecordKind.system.rawValue { kept.append(record) } else { isAlone = false }
            }
            guard isAlone else { return }
            let fresh = try HashIndex.create(
                generation: index.generation + 1, in: directory, files: files, storeID: identity.storeID,
                boot: StoreIdentity.bootWords(environment.bootIdentity()))
            for record in kept {
                let found = try fresh.view.findForWriting(
                    hash(KeyClass.system, record.key), anchor: log.tail, from: 0, log: log
                ) { $0.isOf(KeyClass.system, record.key) }
                switch found {
                case .free(let place), .present(let place, _):
                    place.slot.store(place.value.pointing(to: record.position).raw)
                case .full: return
                }
            }
            fresh.cover(CommitBlock.tail(block.word.relaxed()))
            Seal.clear(metaBase)
            // A snapshot from before the `clear` looks for keys in the old one.
            if snapshotLock.earlierAreOver(patience: 1_000_000) {
                if block.floor.relaxed() < head { block.floor.release(head) }
                replaceIndex(with: fresh)
            } else {
                try? files.unlinkIfPresent(IndexLayout.name(fresh.generation), in: directory)
            }
        } catch {
            return
        }
    }

    /// The row of a key that is there and not expired, as the holder of the lock sees it.
    public func liveRow(_ keyClass: UInt8, _ key: UnsafeRawBufferPointer) throws(EngineError) -> Record? {
        guard let row = try findAsWriter(keyClass, key) else { return nil }
        if let expiry = row.expiry, expiry <= now { return nil }
        return row
    }

    /// When a record was stored, microseconds since 1970.
    public func storedAt(_ record: Record) -> Int64 {
        (Int64(bitPattern: record.storedTime) &+ identity.epoch) &* 1000
    }

    // MARK: Settings

    /// Changes the settings for all processes; nothing is written if nothing changes.
    public func configure(
        timeout: UInt64, _ change: (inout Settings) throws(EngineError) -> Void
    ) throws(EngineError) {
        // Without the lock first: opening a store with the settings that it has writes nothing.
        let before = try currentSettings()
        var wanted = before
        try change(&wanted)
        if wanted == before {
            minFileSize.store(before.minFileSize, ordering: .relaxed)
            return
        }
        try write(timeout: timeout) { () throws(EngineError) in
            try loadSettings()
            var changed = settings
            try change(&changed)
            do throws(SettingsError) {
                try changed.validate()
            } catch {
                throw EngineError(.invalidSetting, changed.reason(error), path: path)
            }
            if changed == settings { return }
            try appendSettings(changed.encoded())
            settings = changed
            minFileSize.store(changed.minFileSize, ordering: .relaxed)
            applySettings()
        }
    }
}
