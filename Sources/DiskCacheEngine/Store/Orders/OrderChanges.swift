/// What records do to one tree: each record of the log, taken in order, becomes at most an insertion and a deletion.
///
/// The last change of an entry counts, so it may be applied to the tree as of its first record or as of any later one:
/// the outcome is the tree as of the last.
final class OrderChanges {
    let tree: TreeID
    let changes = BTreeChanges()
    /// The changes are those of the tree as of this position, below which every row is in it; 0: of an empty one.
    var base: Position = 0
    private let key = ByteBuffer(capacity: 256)
    private let value = ByteBuffer(capacity: 64)
    /// The tags of rows that the transaction which is being read has changed, as of the last record: what a later record of it
    /// takes out, for `previous` leads past its own versions.
    private var tags: [UInt64: [UInt8]] = [:]

    init(_ tree: TreeID) { self.tree = tree }

    func removeAll() {
        changes.removeAll()
        tags.removeAll()
    }

    /// Applies a record that counts. `log`: where the version before it is found; `head`: nothing below it counts.
    @inline(__always)
    func apply(_ record: Record, _ log: Log, head: Position) throws(EngineError) {
        let isPut = record.kind == RecordKind.put.rawValue
        guard isPut || record.kind == RecordKind.tombstone.rawValue else {
            if record.isCommit { tags.removeAll(keepingCapacity: true) }
            return
        }
        if isPut, isKnown(record) { return }
        key.removeAll()
        value.removeAll()
        switch tree {
        case .rowid:
            OrderEntry.append(rowid: record.rowid, to: key)
            if isPut { OrderEntry.append(placeOf: record, to: value) }
        case .key:
            OrderEntry.append(key: record, to: key)
            if isPut { OrderEntry.append(rowOf: record, to: value) }
        case .tag:
            try applyTag(record, isPut, log, head)
            if record.isCommit { tags.removeAll(keepingCapacity: true) }
            return
        case .expiry: return
        }
        if isPut { try changes.insert(key.bytes, value.bytes) } else { try changes.delete(key.bytes) }
    }

    /// Whether it is a copy by compaction, of a row whose entry stands in the tree and names no position.
    @inline(__always)
    private func isKnown(_ record: Record) -> Bool {
        record.bits.has(RecordBits.copy) && record.previous != 0 && record.previous < base
            && (tree == .key || record.key.count <= OrderEntry.longestPlaced)
    }

    private func applyTag(_ record: Record, _ isPut: Bool, _ log: Log, _ head: Position) throws(EngineError) {
        if let old = tags.removeValue(forKey: record.rowid) {
            key.removeAll()
            append(old)
            try changes.delete(key.bytes)
        } else if record.previous != 0, record.previous >= head,
            case .record(let old) = try log.record(at: record.previous),
            old.kind == RecordKind.put.rawValue, let tag = old.tag
        {
            key.removeAll()
            OrderEntry.append(tag: tag, to: key)
            OrderEntry.append(rowid: old.rowid, to: key)
            try changes.delete(key.bytes)
        }
        guard isPut, let tag = record.tag else { return }
        key.removeAll()
        OrderEntry.append(tag: tag, to: key)
        OrderEntry.append(rowid: record.rowid, to: key)
        OrderEntry.append(placeOf: record, to: value)
        tags[record.rowid] = [UInt8](key.bytes)
        try changes.insert(key.bytes, value.bytes)
    }

    private func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { if let start = $0.baseAddress { key.append(start, $0.count) } }
    }
}

/// Some of the trees.
struct TreeSet: OptionSet, Sendable {
    var rawValue: UInt64
    init(rawValue: UInt64) { self.rawValue = rawValue }
    init(_ tree: TreeID) { rawValue = 1 << UInt64(tree.rawValue) }

    var trees: [TreeID] { TreeID.allCases.filter { contains(TreeSet($0)) } }
}
