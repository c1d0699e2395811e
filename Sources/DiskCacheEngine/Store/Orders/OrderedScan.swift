/// Which order rows are read in.
public enum RowOrder: Sendable {
    /// The order in which keys were first stored.
    case insertion
    /// The order of the encoded keys.
    case key
    /// Rows of one tag, in the order in which they were first stored: what `tag` gives.
    case tag
}

/// A row as an order gives it: its key is valid until the scan goes on, its record until then or the access of the handle ends.
public struct OrderedRow {
    /// The class of the key, as it was first given.
    public let keyClass: UInt8
    /// The key's bytes.
    public let key: UnsafeRawBufferPointer
    /// The key's place in insertion order.
    public let rowid: UInt64
    /// The newest version, if the scan reads records.
    public let record: Record?
}

/// Reads rows in an order, a batch a call, as of a moment of its own each. Holds nothing between calls: no lock, no pin, no file.
///
/// It is bounded by the next rowid at its beginning, and goes on behind the last key or rowid that it has passed. A key keeps its
/// rowid as long as it is there, so it is met once; one that comes, or comes again, afterwards isn't met.
///
/// **Threads.** One at a time, with an access of the store's handle.
public final class OrderedScan {
    /// Which rows of the order are wanted.
    public enum Range: Sendable {
        /// All of them.
        case all
        /// Keys between two bounds: class and bytes, and whether the bound itself is included; nil: no bound.
        case keys(from: (bytes: [UInt8], isIncluded: Bool)?, upTo: (bytes: [UInt8], isIncluded: Bool)?)
        /// Keys that begin with these bytes, a class first.
        case prefix([UInt8])
        /// Rows by their rowids, in insertion order.
        case rows(ClosedRange<UInt64>)
        /// Rows with a tag.
        case tag(form: UInt8, bytes: [UInt8])
    }

    private let tree: TreeID
    private let range: BTreeRange
    private let isReversed: Bool
    private let wantsRecords: Bool
    private let bound: UInt64
    private let tag: (form: UInt8, bytes: [UInt8])?

    /// The snapshot that it reads, if it isn't the present, with the log behind the tree up to there.
    private let snapshot: (state: StoreSnapshot, tail: OrderTail)?

    /// Entries of the tree, and those merged with what lies behind it.
    private let entries = BTreeEntries()
    private lazy var merged = BTreeEntries()
    /// Keys that were found in records.
    private let longKeys = ByteArena()
    /// Reads the tree; between two batches it has copies of pages, and nothing of the file.
    @exclusivity(unchecked) private var cursor: BTreeCursor?
    /// The key that the scan stands behind, and the one that it stands behind with the batch that is being read.
    @exclusivity(unchecked) private var last = ByteBuffer(capacity: 256)
    @exclusivity(unchecked) private var passed = ByteBuffer(capacity: 256)
    @exclusivity(unchecked) private var hasLast = false
    @exclusivity(unchecked) private var hasPassed = false
    /// Whether there is nothing more.
    @exclusivity(unchecked) public private(set) var isAtEnd = false
    /// The rows of the last batch.
    @exclusivity(unchecked) public private(set) var rows: [OrderedRow] = []

    /// How many entries a batch has at most whose records are looked at: records are read as late as can be.
    public static let batchSize = 64
    /// The same where records aren't.
    private static let largestBatch = 512
    /// How many entries the next batch has at most: who wants many gets more of them at once.
    @exclusivity(unchecked) private var size = 16

    /// A scan that begins now. `wantsRecords`: its rows come with their newest versions. `snapshot`: of what was there then, each row with
    /// its version of then; not after the snapshot has ended.
    public init(
        _ order: RowOrder, _ range: Range = .all, reversed: Bool = false, wantsRecords: Bool = false, in store: Store,
        asOf snapshot: StoreSnapshot? = nil
    ) {
        var limits = BTreeRange()
        var tag: (form: UInt8, bytes: [UInt8])?
        switch range {
        case .all: break
        case .keys(let lower, let upper):
            limits.lower = lower.map { .init(key: $0.bytes, isIncluded: $0.isIncluded) }
            limits.upper = upper.map { .init(key: $0.bytes, isIncluded: $0.isIncluded) }
        case .prefix(let prefix): limits = BTreeRange(prefix: prefix)
        case .rows(let rowids):
            limits.lower = .init(key: OrderEntry.key(rowid: rowids.lowerBound), isIncluded: true)
            limits.upper = .init(key: OrderEntry.key(rowid: rowids.upperBound), isIncluded: true)
        case .tag(let form, let bytes):
            tag = (form, bytes)
            let prefix = ByteBuffer(capacity: bytes.count + 16)
            bytes.withUnsafeBytes { OrderEntry.append(tag: (form, $0), to: prefix) }
            if order == .tag { limits = BTreeRange(prefix: [UInt8](prefix.bytes)) }
        }
        switch order {
        case .insertion: tree = .rowid
        case .key: tree = .key
        case .tag: tree = .tag
        }
        self.range = limits
        self.tag = tag
        isReversed = reversed
        self.wantsRecords = wantsRecords || tag != nil
        let old = snapshot.flatMap { $0.isWriter ? nil : $0 }
        if let old { self.snapshot = (old, OrderTail(tree)) } else { self.snapshot = nil }
        bound = old?.nextRowid ?? store.nextRowid
    }

    /// Reads the next batch into `rows`; it may be empty though there is more to come.
    public func next(in store: Store) throws(EngineError) {
        if isAtEnd { return rows.removeAll(keepingCapacity: true) }
        store.markUsed(tree)
        // What brings a tree up to date takes it beyond a snapshot.
        if snapshot == nil { store.prepareOrder(tree, isMidway: hasLast) }
        // Each time but the last the head has moved meanwhile.
        while !(try readBatch(store)) {
            if snapshot != nil { throw store.expired() }
        }
        if hasPassed {
            swap(&last, &passed)
            hasLast = true
        }
    }

    /// Fills `rows` from where the scan stands. False: a record in which an entry's key stands has gone since the entry was read; the
    /// order as it is now names the record's copy.
    private func readBatch(_ store: Store) throws(EngineError) -> Bool {
        rows.removeAll(keepingCapacity: true)
        longKeys.reset()
        let generation = store.block.treesGeneration.acquire()
        let found: BTreeEntries
        do throws(EngineError) {
            found = try read(store)
        } catch {
            guard error.code == .corrupted, store.abandonTrees(generation) else { throw error }
            found = try read(store)
        }
        // An array of the function's own is appended to faster.
        var rows = self.rows
        self.rows = []
        rows.reserveCapacity(found.count)
        for index in 0..<found.count {
            switch try parts(found.key(index), found.value(index), store) {
            case .row(let keyClass, let key, let rowid):
                if rowid < bound { rows.append(OrderedRow(keyClass: keyClass, key: key, rowid: rowid, record: nil)) }
            case .none: break
            case .gone: return false
            }
        }
        self.rows = rows
        if wantsRecords { try readRecords(store) }
        size = min(size * 2, wantsRecords ? Self.batchSize : Self.largestBatch)
        return true
    }

    /// Gives each row its newest version, or the snapshot's, and takes out those that are gone or haven't the tag that is asked for.
    private func readRecords(_ store: Store) throws(EngineError) {
        store.fetchRecords(of: rows)
        var rows = self.rows
        self.rows = []
        var count = 0
        for index in rows.indices {
            let row = rows[index]
            guard let record = try store.rowRecord(row.keyClass, row.key, rowid: row.rowid, in: snapshot?.state)
            else { continue }
            if let tag {
                guard let own = record.tag, KeyClass.identity(own.form) == KeyClass.identity(tag.form),
                    own.bytes.elementsEqual(tag.bytes)
                else { continue }
            }
            rows[count] = OrderedRow(keyClass: row.keyClass, key: row.key, rowid: row.rowid, record: record)
            count += 1
        }
        rows.removeLast(rows.count - count)
        self.rows = rows
    }

    /// What an entry tells.
    private enum Parts {
        case row(UInt8, UnsafeRawBufferPointer, UInt64)
        case none
        /// The record in which the key stands has gone.
        case gone
    }

    @inline(__always)
    private func parts(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ store: Store
    ) throws(EngineError) -> Parts {
        if tree == .key {
            guard key.count > 0, let row = OrderEntry.row(value) else { return .none }
            return .row(row.keyClass, UnsafeRawBufferPointer(rebasing: key[1...]), row.rowid)
        }
        guard let rowid = OrderEntry.rowid(endOf: key), let place = OrderEntry.place(value) else { return .none }
        switch place {
        case .key(let keyClass, let key): return .row(keyClass, key, rowid)
        case .record(let position):
            switch try store.log.record(at: position) {
            case .record(let record):
                guard record.rowid == rowid, let start = record.key.baseAddress else { return .none }
                let copy = UnsafeRawBufferPointer(
                    start: longKeys.copy(start, record.key.count), count: record.key.count)
                return .row(record.keyClass, copy, rowid)
            case .gone: return .gone
            // What is damaged can't be proved; `check` tells what was lost.
            case .damaged: return .none
            }
        }
    }

    // MARK: Reading entries

    /// The next entries as of T: those of the tree if nothing lies behind it, else tree and layers merged.
    private func read(_ store: Store) throws(EngineError) -> BTreeEntries {
        isAtEnd = false
        hasPassed = false
        return try store.views.locked { () throws(EngineError) in
            while true {
                let state =
                    if let snapshot {
                        try store.orderState(tree, asOf: snapshot.state, snapshot.tail)
                    } else {
                        try store.orderState(tree)
                    }
                entries.removeAll()
                var isTreeAtEnd = true
                if let tree = state.tree {
                    let cursor = cursor(in: tree, asOf: state.position)
                    _ = try cursor.next(entries, limit: size, in: tree.pager)
                    // Another batch was published since: what lies behind it is less than what the layers hold, or the tree is gone.
                    if cursor.position != state.position || !cursor.exists { continue }
                    isTreeAtEnd = cursor.isAtEnd
                }
                if state.layers.allSatisfy({ $0.count == 0 }) {
                    if entries.count > 0 { pass(entries.key(entries.count - 1)) }
                    isAtEnd = isTreeAtEnd
                    return entries
                }
                merge(state.layers)
                return merged
            }
        }
    }

    /// A cursor that stands where the scan does: that of the last batch, where it stands, unless the tree has changed.
    private func cursor(in tree: BTree, asOf position: Position) -> BTreeCursor {
        guard let cursor, hasLast else {
            let made = tree.cursor(range, reversed: isReversed)
            if hasLast { made.seek(to: last.bytes) }
            self.cursor = made
            return made
        }
        if cursor.position != position || !cursor.stands(behind: last.bytes) { cursor.seek(to: last.bytes) }
        return cursor
    }

    /// One of the layers, from where the scan stands.
    private struct Source {
        let changes: BTreeChanges
        var index: Int
        /// Where it ends, in the scan's direction.
        let end: Int
    }

    private func merge(_ layers: [BTreeChanges]) {
        merged.removeAll()
        var sources: [Source] = []
        for changes in layers where changes.count > 0 {
            let lower = hasLast && !isReversed ? changes.firstIndex(behind: last.bytes) : lowerIndex(changes)
            let upper = hasLast && isReversed ? changes.firstIndex(from: last.bytes) : upperIndex(changes)
            if lower < upper {
                sources.append(
                    isReversed
                        ? Source(changes: changes, index: upper - 1, end: lower - 1)
                        : Source(changes: changes, index: lower, end: upper))
            }
        }
        let step = isReversed ? -1 : 1
        var entry = 0
        var passed: UnsafeRawBufferPointer?
        while merged.count < size {
            // The next key, and of several that have it the last layer's.
            var key: UnsafeRawBufferPointer? = entry < entries.count ? entries.key(entry) : nil
            var winner = -1
            for (number, source) in sources.enumerated() where source.index != source.end {
                let candidate = source.changes.key(source.index)
                if let current = key {
                    let order = Self.compare(candidate, current) * step
                    if order > 0 { continue }
                }
                key = candidate
                winner = number
            }
            guard let key else {
                if entries.count == 0 { isAtEnd = true }
                break
            }
            // Behind the last of the tree's entries others of the tree may come before this one.
            if entry == entries.count, entries.count > 0 { break }
            if winner < 0 {
                merged.append(key, entries.value(entry))
            } else {
                let source = sources[winner]
                if !source.changes.isDeletion(source.index) { merged.append(key, source.changes.value(source.index)) }
            }
            if entry < entries.count, Self.compare(entries.key(entry), key) == 0 { entry += 1 }
            for number in sources.indices where sources[number].index != sources[number].end {
                if Self.compare(sources[number].changes.key(sources[number].index), key) == 0 {
                    sources[number].index += step
                }
            }
            passed = key
        }
        if let passed { pass(passed) }
    }

    /// The next batch begins behind this key.
    private func pass(_ key: UnsafeRawBufferPointer) {
        passed.removeAll()
        if let start = key.baseAddress { passed.append(start, key.count) }
        hasPassed = true
    }

    private func lowerIndex(_ changes: BTreeChanges) -> Int {
        guard let bound = range.lower else { return 0 }
        return bound.key.withUnsafeBytes {
            bound.isIncluded ? changes.firstIndex(from: $0) : changes.firstIndex(behind: $0)
        }
    }

    private func upperIndex(_ changes: BTreeChanges) -> Int {
        guard let bound = range.upper else { return changes.count }
        return bound.key.withUnsafeBytes {
            bound.isIncluded ? changes.firstIndex(behind: $0) : changes.firstIndex(from: $0)
        }
    }

    @inline(__always)
    private static func compare(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        guard let first = a.baseAddress, let second = b.baseAddress else { return a.count - b.count }
        let order = ByteOrder.compare(first, a.count, second, b.count)
        return order < 0 ? -1 : order > 0 ? 1 : 0
    }
}

extension BTreeChanges {
    /// *Sorted.* The first change at or behind a key.
    func firstIndex(from key: UnsafeRawBufferPointer) -> Int { partition(key) { $0 < 0 } }

    /// *Sorted.* The first change behind a key.
    func firstIndex(behind key: UnsafeRawBufferPointer) -> Int { partition(key) { $0 <= 0 } }

    private func partition(_ wanted: UnsafeRawBufferPointer, _ isBefore: (Int) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            let own = key(middle)
            let order: Int
            if let first = own.baseAddress, let second = wanted.baseAddress {
                order = ByteOrder.compare(first, own.count, second, wanted.count)
            } else {
                order = own.count - wanted.count
            }
            if isBefore(order) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension Store {
    /// The next rowid: every row that is there now has a lower one. In a transaction with its own rows.
    public var nextRowid: UInt64 { isInTransaction ? counters.nextRowid : block.read().counters.nextRowid }

    /// The newest version, or that of a snapshot, of the row of a key if it is this one; nil: the row is gone, or can't be read.
    func rowRecord(
        _ keyClass: UInt8, _ key: UnsafeRawBufferPointer, rowid: UInt64, in snapshot: StoreSnapshot?
    ) throws(EngineError) -> Record? {
        do throws(EngineError) {
            let found = if let snapshot { try find(keyClass, key, in: snapshot) } else { try find(keyClass, key) }
            guard let found, found.rowid == rowid else { return nil }
            return found
        } catch {
            // What is damaged can't be proved; `check` tells what was lost.
            if error.code == .corrupted { return nil }
            throw error
        }
    }
}
