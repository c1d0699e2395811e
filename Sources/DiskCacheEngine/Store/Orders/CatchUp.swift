import Synchronization

/// Keeping the trees up with the log: off the write lock, by whoever has the flock on the trees' file (DESIGN 6.1).
///
/// A batch takes 4 MiB of log and ends in one root, so who is killed or stopped in it leaves the last root, from which everybody
/// reads on. A tree that nobody has read since the last batch is dropped rather than kept up; one that is asked for and isn't
/// there is built from nothing. Nothing that fails here fails a reader: what isn't in a tree is read from the log.
extension Store {
    /// Notes that an order is in use, for whoever does the next batch.
    @inline(__always)
    func markUsed(_ tree: TreeID) {
        let bit = TreeSet(tree).rawValue
        if block.wantedTrees.relaxed() & bit == 0 { block.wantedTrees.insert(bit) }
    }

    /// Brings an order's tree up to date, or builds it, if much of the log would have to be read beside it: sooner at the beginning
    /// of a scan than midway, or while the write lock is held, where it is only done when the log would take much memory.
    func prepareOrder(_ tree: TreeID, isMidway: Bool) {
        let isBusy = isMidway || lock.isHeldByThisThread
        let least = views.lag.load(ordering: .relaxed)
        guard let lag = try? orderLag(tree), lag.bytes > (isBusy ? max(least, OrderedViews.batchBytes) : least)
        else { return }
        let generation = block.treesGeneration.acquire()
        do throws(EngineError) {
            _ = try catchUp(building: TreeSet(tree))
        } catch {
            if error.code == .corrupted { _ = abandonTrees(generation) }
        }
    }

    /// Merges the log up to here into the trees that exist, and builds those that are asked for. False: somebody else does it.
    ///
    /// Once in 4 MiB of log, trees that nobody has read since the last time are dropped. The caller is counted in `ReaderPins`.
    func catchUp(building wanted: TreeSet) throws(EngineError) -> Bool {
        guard let pager = try views.locked({ () throws(EngineError) in try views.currentPager(self) })
        else {
            if wanted.isEmpty { return true }
            try renewTrees(after: block.treesGeneration.acquire())
            guard try views.locked({ () throws(EngineError) in try views.currentPager(self) }) != nil else {
                return false
            }
            return try catchUp(building: wanted)
        }
        return try withTreesLock(pager) { () throws(EngineError) in
            if isTimeToDrop() { try dropUnusedTrees(pager) }
            var wanted = wanted
            // As far as the log goes now: who writes meanwhile doesn't keep it from coming to an end.
            let target = CommitBlock.tail(block.word.acquire())
            while try catchUpStep(pager, &wanted, upTo: target) {}
        }
    }

    /// Runs `body` with the flock on a file of trees; false: another has it, or the file isn't the current one any more.
    func withTreesLock(_ pager: Pager, _ body: () throws(EngineError) -> Void) throws(EngineError) -> Bool {
        let file: FileDescriptor
        do throws(SystemError) {
            file = try files.open(PageLayout.name(pager.generation), in: directory, [.write])
        } catch {
            if error.errno == ErrorNumber.notFound { return false }
            throw EngineError(error)
        }
        ForkGuard.register(file)
        defer { ForkGuard.unregister(file) }
        guard try files.lockOrThrow(file, .exclusive) else { return false }
        defer { _ = try? files.lock(file, .unlock) }
        guard block.treesGeneration.acquire() == pager.generation else { return false }
        try body()
        return true
    }

    /// One batch; false: everything is up to date as of `target`.
    private func catchUpStep(
        _ pager: Pager, _ wanted: inout TreeSet, upTo target: Position
    ) throws(EngineError) -> Bool {
        let committed = block.read()
        let tail = CommitBlock.tail(committed.word)
        if tail == 0 { return false }
        try log.mapNewSegments(upTo: tail &- 4)
        let first = max(committed.head, log.window.start)
        if tail <= first { return false }
        let root = try pager.fileRoot()
        var existing: TreeSet = []
        for tree in TreeID.allCases where root.trees[tree.rawValue].exists { existing.insert(TreeSet(tree)) }
        // P below the head: everything was cleared in between, so the trees count as empty.
        let isVoid = existing.isEmpty || root.position <= first || root.position > tail
        let missing = isVoid ? existing.union(wanted) : wanted.subtracting(existing)
        let isBehind = !isVoid && root.position < target
        if missing.isEmpty, !isBehind { return false }
        let batch = try BTreeBatch(pager)
        var end = tail
        if isVoid {
            for tree in existing.trees { try batch.drop(tree) }
        } else {
            let changes = existing.trees.map { OrderChanges($0) }
            for content in changes { content.base = root.position }
            let head = committed.head
            let reached = try follow(
                from: root.position, to: tail, limit: isBehind ? OrderedViews.batchBytes : .max
            ) { (record) throws(EngineError) in
                for content in changes { try content.apply(record, log, head: head) }
            }
            guard let reached else { return true }
            for content in changes { try batch.apply(content.changes, to: content.tree) }
            end = reached
        }
        // A tree is built from the head on, and up to where nothing that was copied before the head came there is behind it: not all rows
        // as of an earlier position have a record between the two.
        if !isBehind {
            for tree in missing.trees {
                guard try build(tree, batch, from: first, to: end) else { return true }
            }
        }
        try publish(batch, end)
        return true
    }

    private func publish(_ batch: BTreeBatch, _ position: Position) throws(EngineError) {
        FaultPoint.reach(.treesMerged)
        try batch.publish(position: position)
        views.needsSync.store(true, ordering: .relaxed)
    }

    /// Fills a tree of a batch from nothing: sorted runs of some 64 MiB. False: the log was cleared meanwhile.
    private func build(_ tree: TreeID, _ batch: BTreeBatch, from: Position, to: Position) throws(EngineError) -> Bool {
        let content = OrderChanges(tree)
        try batch.apply(content.changes, to: tree)
        let reached = try follow(from: from, to: to) { (record) throws(EngineError) in
            try content.apply(record, log, head: from)
            if content.changes.byteCount > 64 << 20 {
                try batch.apply(content.changes, to: tree)
                content.changes.removeAll()
            }
        }
        try batch.apply(content.changes, to: tree)
        return reached != nil
    }

    /// Whether this process has seen 4 MiB of log go by since the last time.
    private func isTimeToDrop() -> Bool {
        let tail = CommitBlock.tail(block.word.acquire())
        let mark = views.dropMark.load(ordering: .relaxed)
        if mark != 0, tail >= mark, tail &- mark < OrderedViews.batchBytes { return false }
        views.dropMark.store(tail, ordering: .relaxed)
        return mark != 0
    }

    private func dropUnusedTrees(_ pager: Pager) throws(EngineError) {
        var used = TreeSet(rawValue: block.wantedTrees.exchange(0))
        if (try? currentSettings())?.tagIndex ?? true { used.insert(TreeSet(.tag)) }
        let root = try pager.fileRoot()
        let unused = TreeID.allCases.filter { root.trees[$0.rawValue].exists && !used.contains(TreeSet($0)) }
        if unused.isEmpty { return }
        let batch = try BTreeBatch(pager)
        for tree in unused { try batch.drop(tree) }
        try publish(batch, root.position)
    }

    // MARK: Maintenance

    /// The maintenance thread's turn: merges when a batch has come together, and makes durable what is in the trees.
    func maintainTrees(merges: Bool = true) throws(EngineError) {
        if block.treesGeneration.relaxed() == 0 { return }
        let pin = ReaderPins.enter(ReaderPins.base)
        defer { ReaderPins.leave(pin) }
        let generation = block.treesGeneration.acquire()
        do throws(EngineError) {
            guard let pager = try views.locked({ () throws(EngineError) in try views.currentPager(self) }) else {
                return
            }
            let root = try pager.fileRoot()
            let tail = CommitBlock.tail(block.word.acquire())
            let keeps = root.trees.contains { $0.exists }
            if merges, keeps, tail > root.position, tail &- root.position >= OrderedViews.batchBytes {
                _ = try catchUp(building: [])
            }
            if durability != .none { try syncTrees(pager) }
        } catch {
            if error.code == .corrupted { _ = abandonTrees(generation) }
            // A full disk concerns the trees alone: readers read the log instead.
            if error.code == .poisoned { throw error }
        }
    }

    /// Makes the last root durable, if this process published it and the log below it is durable.
    private func syncTrees(_ pager: Pager) throws(EngineError) {
        guard views.needsSync.load(ordering: .relaxed), block.poison.relaxed() == 0 else { return }
        var failure: EngineError?
        _ = try withTreesLock(pager) { () throws(EngineError) in
            guard try pager.fileRoot().position <= block.synced.acquire() else { return }
            views.needsSync.store(false, ordering: .relaxed)
            do throws(EngineError) {
                try pager.sync()
            } catch {
                failure = error
            }
        }
        // What is on the disk now nobody knows.
        if failure != nil { _ = abandonTrees(pager.generation) }
    }

    // MARK: Generations

    /// Puts an empty file of trees in place of that of a generation, which is damaged. False: that can't be done.
    func abandonTrees(_ generation: UInt64) -> Bool {
        if generation == 0 { return false }
        return (try? renewTrees(after: generation)) != nil
    }

    /// Makes an empty file of trees the current one, unless another has replaced `generation` meanwhile.
    ///
    /// Takes the write lock for a moment: two processes must not make the same file.
    func renewTrees(after generation: UInt64) throws(EngineError) {
        let isNested = lock.isHeldByThisThread
        if !isNested { try lock.acquire(timeout: 1_000_000_000) }
        defer { if !isNested { lock.release() } }
        guard block.treesGeneration.acquire() == generation else { return }
        let others: [UInt64]
        do throws(SystemError) {
            others = try files.list(directory).compactMap { PageLayout.generation(ofName: $0) }
        } catch {
            throw EngineError(error)
        }
        // What `meta` says may be anything.
        let next = max(others.max() ?? 0, PageLayout.isGeneration(generation) ? generation : 0) + 1
        _ = try Pager.create(
            generation: next, in: directory, files: files, storeID: identity.storeID,
            boot: StoreIdentity.bootWords(environment.bootIdentity()), position: 0)
        FaultPoint.reach(.treesCreated)
        block.treesGeneration.release(next)
        FaultPoint.reach(.treesInstalled)
        for old in others { try? files.unlinkIfPresent(PageLayout.name(old), in: directory) }
    }

    /// *Alone, under the write lock, while opening.* Decides whether the trees that `meta` names can be believed: those of this boot
    /// as they are, others from their last synced root; and none after anything of the log was lost.
    static func settleTrees(
        directory: FileDescriptor, files: any FileSystem, block: CommitBlock, identity: StoreIdentity,
        boot: (UInt64, UInt64), lostNothing: Bool
    ) {
        let generation = block.treesGeneration.relaxed()
        if generation == 0 { return }
        let tail = CommitBlock.tail(block.word.relaxed())
        var isKept = false
        if lostNothing, boot != (0, 0),
            let found = try? Pager.open(
                generation: generation, in: directory, files: files, storeID: identity.storeID, boot: boot)
        {
            var known = found.identity
            if known.boot == boot {
                isKept = (try? found.pager.fileRoot().position).map { $0 <= tail } ?? false
            } else {
                known.boot = boot
                isKept = (try? found.pager.restoreSyncedRoot(notBeyond: tail, identity: known)) ?? false
            }
        }
        if isKept { return }
        block.treesGeneration.store(0)
        for name in (try? files.list(directory)) ?? [] where PageLayout.generation(ofName: name) != nil {
            try? files.unlinkIfPresent(name, in: directory)
        }
    }

    /// Bytes that the file of trees takes on disk.
    func treeBytes() -> Int {
        let generation = block.treesGeneration.acquire()
        if generation == 0 { return 0 }
        return (try? files.status(of: PageLayout.name(generation), in: directory))??.allocated ?? 0
    }
}
