/// The part of an order that isn't in the tree yet, as one process has read it from the log: kept, and extended at each use.
final class OrderTail {
    /// It holds what the records of `start ..< end` change.
    private(set) var start: Position = .max
    private(set) var end: Position = 0
    private let content: OrderChanges

    init(_ tree: TreeID) { content = OrderChanges(tree) }

    /// Sorted, each entry once.
    var changes: BTreeChanges { content.changes }
    var isEmpty: Bool { content.changes.count == 0 }

    /// Goes on, or begins anew, as what lies behind a tree as of `position`, which has every row of then, or behind nothing.
    func continueOrBegin(at position: Position, behind tree: BTree?) {
        if start != position || (content.base == 0) != (tree == nil) { begin(at: position, behind: tree) }
    }

    private func begin(at position: Position, behind tree: BTree? = nil) {
        content.removeAll()
        content.base = tree == nil ? 0 : position
        start = position
        end = position
    }

    /// Reads committed records up to `to`; false: the log was cleared meanwhile.
    func extend(to: Position, _ store: Store, head: Position) throws(EngineError) -> Bool {
        guard end < to else { return true }
        do throws(EngineError) {
            let content = self.content
            let reached = try store.follow(from: end, to: to) { (record) throws(EngineError) in
                try content.apply(record, store.log, head: head)
            }
            guard let reached else { return false }
            changes.sort()
            end = reached
            return true
        } catch {
            // Half of it may have been read.
            start = .max
            throw error
        }
    }

    /// *Writer.* Reads what the open transaction has written from `first` on, without what it has taken back.
    func extendUncommitted(from first: Position, to: Position, _ store: Store, head: Position) throws(EngineError) {
        if start != first || end > to { begin(at: first) }
        guard end < to else { return }
        var records: [Record] = []
        var isTakenBack = false
        let reached = try store.log.scan(from: end) { (record) throws(EngineError) in
            guard record.position < to else { return false }
            records.append(record)
            if record.kind == RecordKind.void.rawValue { isTakenBack = true }
            return true
        }
        if isTakenBack {
            // It may concern what was read before.
            begin(at: first)
            records.removeAll()
            _ = try store.log.scan(from: first) { (record) throws(EngineError) in
                guard record.position < to else { return false }
                if record.kind == RecordKind.void.rawValue {
                    let voided = record.valueWord
                    records.removeAll { $0.position >= voided }
                } else {
                    records.append(record)
                }
                return true
            }
        }
        start = .max
        for record in records { try content.apply(record, store.log, head: head) }
        changes.sort()
        start = first
        end = isTakenBack ? to : max(end, reached)
    }
}
