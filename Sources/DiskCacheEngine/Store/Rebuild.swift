/// Makes the hash index and the counters again from the log, when they can't be believed (DESIGN 7.4).
///
/// Reads the segments with `pread`, in order, a transaction at a time. Below `believedEnd` a bad record is damage: its range is
/// put on record and what follows is read on. From there on the first bad record is the torn end, whatever lies behind it, and
/// so is a record that is its key's newest and whose value file isn't whole (`Rebuild+Files`).
struct Rebuild {
    let files: any FileSystem
    let log: Log
    let hash: KeyHash
    let scanner: LogScanner
    let index: HashIndex
    /// The head as far as it was known before: records below it are no rows.
    var head: Position
    var counters = CommitBlock.Counters()
    var report: RecoveryReport
    private let gaps: [LogScanner.Gap]
    /// Where the reading began, and the greatest head of which a record that counts tells.
    private let begin: Position
    private var toldHead: Position = 0
    /// Whether a value file is there and is the one that was written.
    let isWhole: (ValueFileReference) throws(EngineError) -> Bool
    /// Transactions above `believedEnd`, from the first on that names a value file: how many of them count isn't known yet.
    var held: [Transaction] = []
    /// Records that count, in order; what ends a transaction has its end.
    private var waiting: [(item: Pending, end: Position?)] = []
    /// So many are applied together: in an index that no cache holds, to ask for all their places takes little longer than for one.
    private static var batchRecords: Int { 64 }
    /// Where a hint was wrong.
    var wrongHint: Position?
    /// Where the log ends, behind the last whole transaction.
    private(set) var end: Position
    /// Whether nothing but zeros lies behind the end.
    private(set) var endIsClean = true

    init(
        files: any FileSystem, log: Log, hash: KeyHash, scanner: LogScanner, index: HashIndex, head: Position,
        reason: String, gaps: [LogScanner.Gap],
        isWhole: @escaping (ValueFileReference) throws(EngineError) -> Bool
    ) {
        self.files = files
        self.log = log
        self.hash = hash
        self.scanner = scanner
        self.index = index
        self.head = head
        begin = head
        end = head
        report = RecoveryReport(reason: reason)
        self.gaps = gaps
        self.isWhole = isWhole
    }

    /// A record of a transaction: where it is, and what of it decides.
    struct Pending {
        enum Meaning {
            /// A version of a key, perhaps with a file.
            case version(ValueFileReference?)
            case head(Position)
            case other
            /// Bytes that are no record, up to here: what they said isn't known, but it lies in this place among the others.
            case damage(to: Position)
        }
        let position: Position
        let hash: UInt64
        let meaning: Meaning
        /// What a hint tells of the record, if that is enough.
        var hint: SegmentHint.Entry?

        init(_ entry: SegmentHint.Entry) {
            position = entry.position
            hash = entry.hash
            meaning = .version(nil)
            hint = entry
        }

        init(damagedFrom from: Position, to: Position) {
            position = from
            hash = 0
            meaning = .damage(to: to)
        }

        init(_ record: Record, hash: UInt64) {
            position = record.position
            self.hash = hash
            switch record.kind {
            case RecordKind.put.rawValue:
                meaning = .version(ValueFormCode.isFile(record.form) ? ValueFileReference(record.value) : nil)
            case _ where record.hasSlot: meaning = .version(nil)
            case RecordKind.head.rawValue: meaning = .head(record.valueWord)
            default: meaning = .other
            }
        }

        var namesFile: Bool {
            if case .version(.some) = meaning { return true }
            return false
        }
    }

    /// A whole transaction.
    struct Transaction {
        let records: [Pending]
        let end: Position
    }

    /// Scans and fills. The caller is counted in `ReaderPins` and holds the write lock.
    mutating func run() throws(EngineError) {
        var pending: [Pending] = []
        var state = self
        try scanner.scan(from: head) { (outcome) throws(EngineError) in
            // From there on what is read is of no use.
            if state.hasWrongHint { return }
            switch outcome {
            case .record(let record): try state.read(record, &pending)
            case .hinted(let entry):
                if entry.isEnough {
                    state.report.records += 1
                    pending.append(Pending(entry))
                    if entry.isCommit { try state.take(&pending, end: entry.end) }
                } else if case .record(let record) = try state.log.record(at: entry.position),
                    record.size == entry.size, record.bits.raw == entry.bits.raw
                {
                    try state.read(record, &pending)
                } else {
                    state.wrongHint = entry.position
                }
            case .damaged(let from, let to):
                state.report.quarantined.append(from...to)
                pending.append(Pending(damagedFrom: from, to: to))
            case .end(_, let isClean):
                try state.applyWaiting()
                if state.hasWrongHint { return }
                try state.applyCommitted(&pending)
                let isComplete = try state.applyHeld()
                state.endIsClean = isClean && pending.isEmpty && isComplete
                if !state.endIsClean { state.report.cut = state.end }
            }
        }
        self = state
        report.keys = Int(clamping: counters.count)
        // What `clear` had left behind may be gone rightly.
        report.gaps = gaps.filter { $0.end > head }.map(\.text)
        FaultPoint.reach(.rebuildScanned)
    }

    /// Whether the log begins where the reading did. The record that says so lies above that. If it isn't met in what counts, what lies
    /// below would count as well: a *clear* was cut off again, or a copy was made while files came and went.
    ///
    /// Where something is known to be lost, that may be what it is.
    var hasProvedHead: Bool {
        guard begin != 0, toldHead < begin, !report.hasLosses else { return true }
        guard let lowest = scanner.links.last(where: { $0.segment.first <= begin })?.segment else { return true }
        return lowest.header.predecessor == 0 && begin <= lowest.firstRecord
    }

    /// What lay below where the reading began isn't there: that is a loss.
    mutating func noteUnprovedHead() {
        report.gaps.append(
            "the log below position \(begin): it is missing, and so is the record that says that it isn't needed")
    }

    private mutating func read(_ record: Record, _ pending: inout [Pending]) throws(EngineError) {
        report.records += 1
        if record.position >= scanner.believedEnd { try applyCommitted(&pending) }
        if record.kind == RecordKind.void.rawValue {
            let from = record.valueWord
            pending.removeAll { $0.position >= from }
        }
        pending.append(Pending(record, hash: hash(KeyClass.identity(record.keyClass), record.key)))
        if record.isCommit { try take(&pending, end: record.end) }
    }

    private mutating func take(_ pending: inout [Pending], end: Position) throws(EngineError) {
        defer { pending.removeAll(keepingCapacity: true) }
        let isSure = end <= scanner.believedEnd || !pending.contains(where: \.namesFile)
        guard held.isEmpty && isSure else { return held.append(Transaction(records: pending, end: end)) }
        for item in pending { waiting.append((item, nil)) }
        waiting[waiting.count - 1].end = end
        if waiting.count >= Self.batchRecords { try applyWaiting() }
    }

    /// Applies what waits, before anything that lies behind it.
    private mutating func applyWaiting() throws(EngineError) {
        for (item, _) in waiting { index.view.ask(for: item.hash) }
        for (item, end) in waiting {
            if hasWrongHint { break }
            try apply(item)
            if let end { self.end = end }
        }
        waiting.removeAll(keepingCapacity: true)
    }

    /// What is pending where the believed part of the log ends, though the end of its transaction was lost to damage: all of it was
    /// committed, but for what void records behind it have taken back.
    private mutating func applyCommitted(_ pending: inout [Pending]) throws(EngineError) {
        guard let first = pending.first, first.position < scanner.believedEnd else { return }
        try applyWaiting()
        for item in pending { try apply(item) }
        if let last = pending.last { end = max(end, try endOf(last)) }
        pending.removeAll(keepingCapacity: true)
    }

    private func endOf(_ item: Pending) throws(EngineError) -> Position {
        if case .damage(let to) = item.meaning { return to }
        if let entry = item.hint { return entry.end }
        guard case .record(let record) = try log.record(at: item.position) else { throw changed() }
        return record.end
    }

    private func changed() -> EngineError {
        EngineError(.corrupted, "the log changed while it was read", path: log.directory.path)
    }

    mutating func apply(_ transaction: Transaction) throws(EngineError) {
        for item in transaction.records { try apply(item) }
        end = transaction.end
    }

    private mutating func apply(_ item: Pending) throws(EngineError) {
        if let entry = item.hint { return try apply(entry) }
        if case .damage(let to) = item.meaning {
            end = max(end, to)
            return try keepDamagedKey(at: item.position)
        }
        guard case .record(let record) = try log.record(at: item.position) else { throw changed() }
        switch record.kind {
        case _ where record.hasSlot:
            let identity = KeyClass.identity(record.keyClass)
            while true {
                switch try index.view.findForWriting(
                    item.hash, anchor: record.position, from: 0, log: log, { $0.isOf(identity, record.key) })
                {
                case .present(let place, let old):
                    let row = old.kind == RecordKind.put.rawValue && old.position >= head ? old : nil
                    counters.apply(record, replacing: row)
                    place.slot.store(place.value.pointing(to: record.position).raw)
                    return
                case .free(let place):
                    counters.apply(record, replacing: nil)
                    place.slot.store(place.value.pointing(to: record.position).raw)
                    return
                case .full:
                    try split(item.hash, anchor: record.position)
                }
            }
        case RecordKind.head.rawValue:
            toldHead = max(toldHead, min(record.valueWord, record.position))
            head = max(head, toldHead)
            counters.nextRowid = max(counters.nextRowid, Self.secondWord(record))
            counters.apply(record, replacing: nil)
        default:
            counters.apply(record, replacing: nil)
        }
    }

    func split(_ hash: UInt64, anchor: Position) throws(EngineError) {
        let log = self.log
        let keyHash = self.hash
        try index.split(hash, anchor: anchor) { (position) throws(EngineError) in
            guard case .record(let record) = try log.record(at: position) else { return nil }
            return keyHash(KeyClass.identity(record.keyClass), record.key)
        }
    }

    /// A damaged record that still has the form of one may have been its key's newest version: an older one must not come
    /// back in its place. If the key is known, its slot goes to the damaged record, so that a read says what happened.
    private mutating func keepDamagedKey(at position: Position) throws(EngineError) {
        guard let record = log.unverifiedRecord(at: position), record.hasSlot else { return }
        let previous = record.previous
        // The version before is whole, and of the same key: better than key bytes that may be the damaged ones.
        if previous != 0, case .record(let before) = try log.record(at: previous), before.hasSlot,
            try mark(before, as: position, where: { $0.position == previous || $0.previous == previous })
        {
            return
        }
        _ = try mark(record, as: position) { _ in true }
    }

    /// Points the slot of a record's key at the damaged record, if it names an older one that `fits`; whether it did.
    private mutating func mark(
        _ record: Record, as damaged: Position, where fits: (Record) -> Bool
    ) throws(EngineError) -> Bool {
        let identity = KeyClass.identity(record.keyClass)
        let hash = self.hash(identity, record.key)
        let found = try index.view.findForWriting(
            hash, anchor: damaged, from: 0, log: log, { $0.isOf(identity, record.key) })
        guard case .present(let place, let old) = found, old.position < damaged, fits(old) else { return false }
        if old.kind == RecordKind.put.rawValue && old.position >= head {
            counters.subtract(old)
            counters.count &-= 1
        }
        place.slot.store(place.value.pointing(to: damaged).raw)
        return true
    }

    private static func secondWord(_ record: Record) -> UInt64 {
        record.value.count >= 16
            ? UInt64(littleEndian: record.value.loadUnaligned(fromByteOffset: 8, as: UInt64.self)) : 0
    }
}
