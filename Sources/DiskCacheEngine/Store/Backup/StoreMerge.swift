/// Takes over the rows of another store, in the order in which they were first stored there, a batch a call.
///
/// A row keeps expiry, tag and store time, so that what was taken once isn't newer the next time: a merge that was cut short is begun again
/// and goes on where it was. A transaction holds few rows, and a value in a file has one of its own, so that other writers wait for
/// moments.
///
/// Items of queues aren't rows like others (DESIGN 6.2, Q1): they are counted and left.
///
/// **Threads.** One at a time, with an access of either store's handle around each call; outside of transactions.
public final class StoreMerge {
    /// What is done about a key that both have.
    public enum Policy: Sendable {
        /// The one that was stored later stays.
        case newer
        /// The one that is there stays.
        case keep
        /// The other one comes in its place.
        case replace
    }

    /// What became of the rows.
    public struct Counts: Sendable, Hashable {
        /// Rows that were taken over.
        public var taken = 0
        /// Rows that weren't, since the policy kept what was there.
        public var kept = 0
        /// Rows that had expired.
        public var expired = 0
        /// Items of queues.
        public var queued = 0
        /// Rows that are more than the store may hold.
        public var tooLarge = 0
        /// Rows whose values can't be read.
        public var unreadable = 0

        /// None yet.
        public init() {}

        /// Adds what happened elsewhere.
        public static func += (counts: inout Counts, more: Counts) {
            counts.taken += more.taken
            counts.kept += more.kept
            counts.expired += more.expired
            counts.queued += more.queued
            counts.tooLarge += more.tooLarge
            counts.unreadable += more.unreadable
        }
    }

    /// What happened so far.
    public private(set) var counts = Counts()
    private let scan: OrderedScan
    private let policy: Policy
    private let timeout: UInt64
    /// Whether value files can have second names in the other directory.
    private var canLink = true

    /// Bytes of records that one transaction takes at most, unless it is one record.
    private static let batchBytes = 64 << 10

    /// A merge of what is there now. `timeout`: how long each transaction may wait for the write lock, nanoseconds.
    public init(from source: Store, policy: Policy, timeout: UInt64) {
        scan = OrderedScan(.insertion, wantsRecords: true, in: source)
        self.policy = policy
        self.timeout = timeout
    }

    /// Reads the next batch.
    fileprivate func read(from source: Store) throws(EngineError) -> [Record] {
        try scan.next(in: source)
        return scan.rows.compactMap(\.record)
    }

    fileprivate var isAtEnd: Bool { scan.isAtEnd }

    fileprivate func take(_ records: [Record], from source: Store, into target: Store) throws(EngineError) {
        var index = 0
        while index < records.count {
            if isInline(records[index], target) {
                let upTo = try takeInline(records[index...], from: source, into: target)
                if upTo == index {
                    counts.tooLarge += 1
                    index += 1
                } else {
                    index = upTo
                }
            } else {
                do throws(EngineError) {
                    try takeFile(records[index], from: source, into: target)
                } catch {
                    guard error.code == .valueTooLarge else { throw error }
                    counts.tooLarge += 1
                }
                index += 1
            }
        }
    }

    private func isInline(_ record: Record, _ target: Store) -> Bool {
        !ValueFormCode.isFile(record.form) && record.value.count < target.fileThreshold(record.form)
    }

    // MARK: One row

    private enum Verdict { case take, keep, expired, queued }

    /// *Writer, or without the lock for a first guess.* `row`: what the target has.
    private func verdict(
        _ record: Record, of source: Store, over row: Record?, in target: Store, now: Int64
    ) -> Verdict {
        if record.keyClass == KeyClass.queue { return .queued }
        if let expiry = record.expiry, expiry <= now { return .expired }
        guard let row, !(row.expiry.map { $0 <= now } ?? false) else { return .take }
        switch policy {
        case .keep: return .keep
        case .replace: return .take
        case .newer: return source.storedAt(record) > target.storedAt(row) ? .take : .keep
        }
    }

    private func count(_ verdict: Verdict) {
        switch verdict {
        case .take: counts.taken += 1
        case .keep: counts.kept += 1
        case .expired: counts.expired += 1
        case .queued: counts.queued += 1
        }
    }

    /// *Writer.* Appends a version with the store time of its original as the target counts it: not before its own beginning, and not in
    /// its future.
    private func put(
        _ record: Record, form: UInt16, _ value: UnsafeRawBufferPointer, from source: Store, into target: Store
    ) throws(EngineError) {
        let milliseconds = source.storedAt(record) / 1000 &- target.identity.epoch
        _ = try target.put(
            record.keyClass, record.key, form: form, value: value,
            RecordAttributes(expiry: record.expiry, tag: record.tag), isLast: false,
            keptTime: min(UInt64(max(milliseconds, 0)), target.storedTime()), culls: true)
    }

    // MARK: Values in records

    /// Takes as many as fit into one transaction; the index behind them. The first of them: it is more than the store may hold.
    private func takeInline(
        _ records: ArraySlice<Record>, from source: Store, into target: Store
    ) throws(EngineError) -> Int {
        var verdicts: [Verdict] = []
        try target.write(timeout: timeout) { () throws(EngineError) in
            var bytes = 0
            for record in records {
                if !verdicts.isEmpty, bytes > Self.batchBytes || !isInline(record, target) { return }
                let row = record.keyClass == KeyClass.queue ? nil : try target.findAsWriter(record.keyClass, record.key)
                let found = verdict(record, of: source, over: row, in: target, now: target.now)
                if case .take = found {
                    do throws(EngineError) {
                        try put(record, form: record.form, record.value, from: source, into: target)
                    } catch {
                        // Nothing was written of it; alone it may fit.
                        if error.code == .valueTooLarge { return }
                        throw error
                    }
                    bytes += record.size
                }
                verdicts.append(found)
            }
        }
        for verdict in verdicts { count(verdict) }
        return records.startIndex + verdicts.count
    }

    // MARK: Values in files

    private enum FileOutcome: Error { case done, gone, unreadable, cannotLink }

    /// A row whose value lies in a file, or will.
    private func takeFile(_ first: Record, from source: Store, into target: Store) throws(EngineError) {
        var record = first
        for _ in 0..<ValueFiles.attempts {
            let guess = verdict(
                record, of: source, over: try target.find(record.keyClass, record.key), in: target,
                now: target.environment.wallClock())
            guard case .take = guess else { return count(guess) }
            var outcome = FileOutcome.cannotLink
            if canLink, ValueFormCode.isFile(record.form), let file = ValueFileReference(record.value) {
                outcome = try link(record, file, from: source, into: target)
                if case .cannotLink = outcome { canLink = false }
            }
            if case .cannotLink = outcome { outcome = try copy(record, from: source, into: target) }
            switch outcome {
            case .done: return
            case .gone: break
            case .unreadable, .cannotLink:
                counts.unreadable += 1
                return
            }
            // Replaced since, or the file is lost.
            guard let newer = try source.find(record.keyClass, record.key), newer.rowid == record.rowid else { return }
            if newer.position == record.position { break }
            record = newer
            if isInline(record, target) {
                if try takeInline([record], from: source, into: target) == 0 { counts.tooLarge += 1 }
                return
            }
        }
        counts.unreadable += 1
    }

    /// Gives the source's file a second name in the target, between record and commit record: so no file in place lacks a record (DESIGN
    /// 10).
    private func link(
        _ record: Record, _ file: ValueFileReference, from source: Store, into target: Store
    ) throws(EngineError) -> FileOutcome {
        var reference = file
        reference.name = ValueFileName(random: target.environment.random)
        var outcome = FileOutcome.done
        do throws(EngineError) {
            try place(record, reference, form: record.form, from: source, into: target) { () throws(SystemError) in
                do throws(SystemError) {
                    try target.valueFiles.withParents(of: reference.name) { () throws(SystemError) in
                        try target.files.link(
                            file.name.path, in: source.directory, to: reference.name.path, in: target.directory)
                    }
                } catch {
                    outcome = error.errno == ErrorNumber.notFound ? .gone : .cannotLink
                    throw error
                }
            }
        } catch {
            if case .done = outcome { throw error }
        }
        return outcome
    }

    private func copy(_ record: Record, from source: Store, into target: Store) throws(EngineError) -> FileOutcome {
        let isFile = ValueFormCode.isFile(record.form)
        let expected = isFile ? ValueFileReference(record.value)?.length ?? 0 : record.value.count
        let writer = try target.beginFile(expected: expected)
        defer { writer.abandon() }
        if isFile {
            guard let reader = try? source.openFile(of: record) else {
                return
                    (try? source.valueFiles.system.status(
                        of: ValueFileReference(record.value)?.name.path ?? "", in: source.directory)) == .some(nil)
                    ? .gone : .unreadable
            }
            let buffer = UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(1, min(expected, 1 << 20)), alignment: 16)
            defer { buffer.deallocate() }
            while true {
                let count: Int
                do throws(EngineError) {
                    count = try reader.read(into: buffer)
                } catch {
                    return .unreadable
                }
                if count == 0 { break }
                try target.append(UnsafeRawBufferPointer(rebasing: buffer[..<count]), to: writer)
            }
        } else {
            try target.append(record.value, to: writer)
        }
        let reference: ValueFileReference
        do throws(SystemError) {
            reference = try writer.finish()
        } catch {
            throw EngineError(error)
        }
        let form = isFile ? record.form : record.form - ValueFormCode.text + ValueFormCode.textFile
        try place(record, reference, form: form, from: source, into: target) { () throws(SystemError) in
            try writer.place()
        }
        return .done
    }

    /// Record without the commit flag, `file` in its place, commit record.
    private func place(
        _ record: Record, _ reference: ValueFileReference, form: UInt16, from source: Store, into target: Store,
        _ file: () throws(SystemError) -> Void
    ) throws(EngineError) {
        let found = try target.write(timeout: timeout) { () throws(EngineError) -> Verdict in
            let found = verdict(
                record, of: source, over: try target.findAsWriter(record.keyClass, record.key), in: target,
                now: target.now)
            guard case .take = found else { return found }
            var bytes = [UInt8](repeating: 0, count: ValueFileReference.size)
            bytes.withUnsafeMutableBytes { reference.store(into: $0) }
            let result = bytes.withUnsafeBytes { value -> Result<Void, EngineError> in
                do throws(EngineError) {
                    return .success(try put(record, form: form, value, from: source, into: target))
                } catch {
                    return .failure(error)
                }
            }
            try result.get()
            target.transaction.newFiles.append(reference.name)
            do throws(SystemError) {
                try file()
            } catch {
                throw EngineError(error)
            }
            target.watchFiles(adding: CommitBlock.Counters.fileBytes(length: reference.length))
            return found
        }
        count(found)
    }
}

extension StoreHandle {
    /// Whether a directory has a store; nothing is made there.
    public static func holdsStore(_ path: String) -> Bool {
        let files = SystemFiles()
        return ["meta", "log"].contains { (try? files.status(of: path + "/" + $0, in: nil)) != .some(nil) }
    }

    /// The absolute path that is meant by what somebody gave. Throws `nameInvalid` for an empty one, and one with a zero byte in it.
    public static func absolutePath(_ path: String) throws(EngineError) -> String { try StoreDirectory.absolute(path) }

    /// Whether both are open on the same directory.
    public func isSameStore(as other: StoreHandle) throws(EngineError) -> Bool {
        let own = try withStore { ObjectIdentifier($0) }
        return try own == other.withStore { ObjectIdentifier($0) }
    }

    /// Takes the next batch of a merge into the stores that are to have its rows: one, or shards; false: there is nothing behind it.
    public func take(_ merge: StoreMerge, into targets: [StoreHandle]) throws(EngineError) -> Bool {
        try withStore { (source) throws(EngineError) in
            let records = try merge.read(from: source)
            var shares = [records]
            if targets.count > 1 {
                shares = Array(repeating: [], count: targets.count)
                for record in records {
                    shares[FanoutDirectory.shard(of: record.keyClass, record.key, among: targets.count)].append(record)
                }
            }
            for (target, share) in zip(targets, shares) where !share.isEmpty {
                try target.withStore { (target) throws(EngineError) in
                    try merge.take(share, from: source, into: target)
                }
            }
            return !merge.isAtEnd
        }
    }
}
