import Synchronization

/// What one process knows of its store's ordered views: the file of trees as it has it open, and the log behind each tree.
///
/// An order is the tree at P plus the log from P to here (DESIGN 6.1). The second part is read by the process that asks and kept
/// in an `OrderTail`, so that it is read once. So nobody ever waits for a catch-up, and who dies in one harms nobody.
///
/// **Threads.** Everything mutable belongs to who holds `queue`. It is never held while the write lock is waited for.
final class OrderedViews: @unchecked Sendable {
    let queue = ThreadQueue()
    /// Bytes of log behind a tree from which on who asks for the order brings the tree up to date first.
    let lag = Atomic<UInt64>(256 << 10)
    /// A batch was published by this process that isn't durable yet.
    let needsSync = Atomic<Bool>(false)
    /// Where the log ended when unused trees were last looked for; 0: not yet.
    let dropMark = Atomic<UInt64>(0)

    private var pager: Pager?
    private var tails: [OrderTail?] = Array(repeating: nil, count: TreeID.allCases.count)
    private var uncommitted: [OrderTail?] = Array(repeating: nil, count: TreeID.allCases.count)

    /// Bytes of log that the maintenance thread lets come together before it merges them, and that one batch takes.
    static let batchBytes: UInt64 = 4 << 20

    func locked<R>(_ body: () throws(EngineError) -> R) throws(EngineError) -> R {
        _ = queue.acquire(deadline: .max)
        defer { queue.release() }
        return try body()
    }

    /// *Locked.* The file of trees of the current generation; nil: there is none that can be used.
    func currentPager(_ store: Store) throws(EngineError) -> Pager? {
        let generation = store.block.treesGeneration.acquire()
        if let pager, pager.generation == generation { return pager }
        pager = nil
        if generation == 0 { return nil }
        pager = try Pager.open(
            generation: generation, in: store.directory, files: store.files, storeID: store.identity.storeID)?.pager
        return pager
    }

    /// *Locked.* The log behind a tree.
    func tail(_ tree: TreeID) -> OrderTail {
        if let tail = tails[tree.rawValue] { return tail }
        let tail = OrderTail(tree)
        tails[tree.rawValue] = tail
        return tail
    }

    /// *Locked, writer.* What the open transaction has written.
    func uncommitted(_ tree: TreeID) -> OrderTail {
        if let tail = uncommitted[tree.rawValue] { return tail }
        let tail = OrderTail(tree)
        uncommitted[tree.rawValue] = tail
        return tail
    }

    /// Forgets everything: the store is shut down.
    func close() {
        _ = queue.acquire(deadline: .max)
        defer { queue.release() }
        pager = nil
        for index in tails.indices {
            tails[index] = nil
            uncommitted[index] = nil
        }
    }
}

/// An order as of one instant, to be read while `OrderedViews` is locked: the tree, and what changes it, later layers last.
struct OrderState {
    /// nil: nothing of it counts.
    var tree: BTree?
    /// The position that the tree covers.
    var position: Position
    var layers: [BTreeChanges]
}

extension Store {
    /// *Locked views.* The order of a tree as of now; in a transaction of this thread with its own writes.
    func orderState(_ tree: TreeID) throws(EngineError) -> OrderState {
        let isWriter = isInTransaction
        while true {
            let committed = block.read()
            let tail = CommitBlock.tail(committed.word)
            // A `clear` of the open transaction.
            let isCleared = isWriter && head != committed.head
            let first = max(committed.head, log.window.start)
            var state = OrderState(tree: nil, position: first, layers: [])
            if !isCleared {
                if let pager = try views.currentPager(self) {
                    let root = try pager.root(of: tree)
                    // Beyond T: published since T was loaded.
                    if root.tree.exists, root.position > tail, block.read().word != committed.word { continue }
                    // Below the head nothing counts, and a `clear` is a head record at what was the tail.
                    if root.tree.exists, root.position > first, root.position <= tail {
                        state.tree = BTree(pager, tree)
                        state.position = root.position
                    }
                }
                let changes = views.tail(tree)
                changes.continueOrBegin(at: state.position, behind: state.tree)
                guard try changes.extend(to: tail, self, head: committed.head) else { continue }
                state.layers = [changes.changes]
            }
            if isWriter {
                let from = isCleared ? head : tail
                if log.tail > from {
                    let own = views.uncommitted(tree)
                    try own.extendUncommitted(from: from, to: log.tail, self, head: head)
                    state.layers.append(own.changes)
                }
            }
            return state
        }
    }

    /// *Locked views.* The order of a tree as of a snapshot. `tail` is the scan's own: the log behind the tree up to the snapshot, or,
    /// where the tree has gone beyond that, all of it. Throws `snapshotExpired` if the log has been cleared or compacted since.
    func orderState(
        _ tree: TreeID, asOf snapshot: StoreSnapshot, _ own: OrderTail
    ) throws(EngineError) -> OrderState {
        let first = max(snapshot.head, log.window.start)
        var state = OrderState(tree: nil, position: first, layers: [])
        if let pager = try views.currentPager(self) {
            let root = try pager.root(of: tree)
            if root.tree.exists, root.position > first, root.position <= snapshot.tail {
                state.tree = BTree(pager, tree)
                state.position = root.position
            }
        }
        own.continueOrBegin(at: state.position, behind: state.tree)
        guard try own.extend(to: snapshot.tail, self, head: snapshot.head) else { throw expired() }
        // Without a tree all of the log is needed that counted then.
        if state.tree == nil, block.read().head > snapshot.head { throw expired() }
        state.layers = [own.changes]
        return state
    }

    /// Bytes of log that an order's reader would have to read beside the tree, and the trees that exist.
    func orderLag(_ tree: TreeID) throws(EngineError) -> (bytes: UInt64, trees: TreeSet) {
        try views.locked { () throws(EngineError) in
            let committed = block.read()
            let tail = CommitBlock.tail(committed.word)
            let first = max(committed.head, log.window.start)
            guard let pager = try views.currentPager(self) else { return (tail &- min(first, tail), []) }
            let root = try pager.fileRoot()
            var trees: TreeSet = []
            for id in TreeID.allCases where root.trees[id.rawValue].exists { trees.insert(TreeSet(id)) }
            let isCounted = trees.contains(TreeSet(tree)) && root.position > first && root.position <= tail
            return (tail &- min(tail, isCounted ? root.position : first), trees)
        }
    }
}
