/// What reads rows batch by batch, each as of a moment of its own, and holds nothing in between.
public protocol RowScan: AnyObject {
    /// The rows of the last batch.
    var rows: [OrderedRow] { get }
    /// Whether there is nothing more.
    var isAtEnd: Bool { get }
    /// Reads the next batch into `rows`; it may be empty though there is more to come.
    func next(in store: Store) throws(EngineError)
}

extension OrderedScan: RowScan {}

/// Reads the items of a queue from one end to the other.
///
/// It is bounded by the ends and by the next rowid at its beginning: an item that is there all the time is met once, and one that comes
/// afterwards isn't met, though it may have the number of one that was there. The items are found by their numbers, and no view is asked;
/// only where most numbers have no item they are those of the view of keys.
///
/// **Threads.** One at a time, with an access of the store's handle.
public final class QueueScan: RowScan {
    private let view: OrderedScan?
    /// Prefix and number of an item's key; the number is written anew for each.
    private let key = ByteBuffer(capacity: 32)
    private var number: Int64
    private let last: Int64
    private let step: Int64
    private let bound: UInt64
    private let snapshot: StoreSnapshot?
    /// Whether there is nothing more.
    public private(set) var isAtEnd: Bool
    /// The rows of the last batch, with their newest versions, or those of the snapshot.
    public private(set) var rows: [OrderedRow] = []

    /// A scan that begins now. `snapshot`: of the items of then; not after the snapshot has ended.
    public init(
        _ name: QueueName, reversed: Bool, in store: Store, asOf snapshot: StoreSnapshot? = nil
    ) throws(EngineError) {
        let old = snapshot.flatMap { $0.isWriter ? nil : $0 }
        self.snapshot = old
        // Before the ends: what comes in between is left out.
        bound = old?.nextRowid ?? store.nextRowid
        let ends: QueueEnds?
        let count: Int
        if let old {
            count = old.count
            ends = try store.find(KeyClass.system, name.system, in: old).map { QueueEnds($0.value) } ?? QueueEnds()
        } else {
            ends = try store.ends(name)
            count = store.count
        }
        step = reversed ? -1 : 1
        // Not more items than there are rows: no writer left such a record, and nobody would come to the end of its numbers.
        if let ends, ends.count == 0 || (ends.count <= count && ends.back - ends.front <= 2 * ends.count + 64) {
            view = nil
            isAtEnd = ends.count == 0
            number = reversed ? ends.back : ends.front
            last = reversed ? ends.front : ends.back
        } else {
            view = OrderedScan(
                .key, .prefix([KeyClass.queue] + Array(name.prefix)), reversed: reversed, wantsRecords: true,
                in: store, asOf: snapshot)
            isAtEnd = false
            (number, last) = (0, 0)
        }
        let item = name.item(number)
        key.append(item.baseAddress!, item.count)
    }

    /// Reads the next batch into `rows`; it may be empty though there is more to come.
    public func next(in store: Store) throws(EngineError) {
        if let view {
            try view.next(in: store)
            rows = view.rows
            isAtEnd = view.isAtEnd
            return
        }
        rows.removeAll(keepingCapacity: true)
        for _ in 0..<OrderedScan.batchSize where !isAtEnd {
            QueueName.store(number, at: key.base + (key.count - 8))
            if let record = try record(store), record.rowid < bound {
                rows.append(
                    OrderedRow(keyClass: record.keyClass, key: record.key, rowid: record.rowid, record: record))
            }
            isAtEnd = number == last
            number += step
        }
    }

    /// The item of the number; nil: it is gone, or damaged, which `check` tells.
    private func record(_ store: Store) throws(EngineError) -> Record? {
        do throws(EngineError) {
            if let snapshot { return try store.find(KeyClass.queue, key.bytes, in: snapshot) }
            return try store.find(KeyClass.queue, key.bytes)
        } catch {
            if error.code == .corrupted { return nil }
            throw error
        }
    }
}
