import Synchronization

/// One open directory: the log, its index, the commit block, and the right to write. One a process for each directory (device and
/// inode), shared by everything that is open on it (`OpenStores`).
///
/// **Threads.** Reading methods may be called by any thread between `ReaderPins.enter` and `leave`, and take no lock. Everything
/// marked *writer* belongs to the holder of `lock`.
public final class Store: @unchecked Sendable {
    let environment: Environment
    let files: any FileSystem
    /// The directory's path, as it was given.
    public let path: String
    let directory: FileDescriptor
    let status: FileStatus
    let identity: StoreIdentity
    let hash: KeyHash

    let metaBase: UnsafeMutableRawPointer
    let block: CommitBlock
    let lock: WriteLock
    let openFile: FileDescriptor
    let log: Log
    let valueFiles: ValueFiles
    /// What recovery found when the store was opened; nil if the views were believed.
    public let recovery: RecoveryReport?

    /// The index of the current generation, unretained; `indexes` keeps it.
    private let indexPointer: Atomic<UnsafeMutableRawPointer>
    private let indexes: Guarded<[HashIndex]>

    /// What belongs to the holder of the write lock, behind a pointer: no dynamic exclusivity checks on the hot path.
    private let writer: UnsafeMutablePointer<WriterState>

    /// 1 while a transaction of several verbs is open: only then may a reader be the writer itself.
    let isTransacting = Atomic<UInt32>(0)
    /// Whether the last removal from a queue found an item.
    let tookItem = Atomic<Bool>(false)

    /// The setting, where those find it who need no more than that.
    let minFileSize = Atomic<Int>(Settings().minFileSize)

    /// What the directory was opened as; nil: whatever it is.
    let kind = Guarded<StoreKind?>(nil)

    let eviction = EvictionState()
    let views = OrderedViews()

    let openedAt: UInt64
    let maintenance = Guarded<Worker.Token?>(nil)
    /// 1 while the worker knows that there is something to sync or to unlink.
    let isDirty = Atomic<UInt32>(0)
    /// Whether *floor* was raised and slots below it may still stand.
    let owesVacating = Atomic(false)
    /// *Maintenance thread.* The tail as of its last turn, while the next segment may be there.
    let idleTail = Atomic<Position>(0)
    /// Whether it is asked to sync without waiting for the interval.
    let isHurried = Atomic<Bool>(false)
    /// Segments below this have a hint, or are none that this process gives one.
    let hintedEnd: Atomic<Position>
    /// The threads of this process that want a sync: one at a time asks for the file's lock.
    let syncQueue = ThreadQueue()
    /// Whether a killed process may have left files that belong to nobody.
    let wantsSweep = Atomic<Bool>(true)
    let snapshotLock: SnapshotLock
    /// Whether something waits for snapshots to end.
    let awaitsSnapshots = Atomic<Bool>(false)
    /// Generations of index and trees of which something couldn't be written back; 0: none.
    let lostIndex = Atomic<UInt64>(0)
    let lostTrees = Atomic<UInt64>(0)
    private let isShutDown = Atomic<Bool>(false)
    /// Whether the store is being closed: what takes long stops.
    var isClosing: Bool { isShutDown.load(ordering: .relaxed) }

    init(
        environment: Environment, path: String, directory: FileDescriptor, status: FileStatus, identity: StoreIdentity,
        metaBase: UnsafeMutableRawPointer, lock: WriteLock, openFile: FileDescriptor, log: Log, index: HashIndex,
        recovery: RecoveryReport?
    ) {
        self.environment = environment
        files = environment.files
        self.path = path
        self.directory = directory
        self.status = status
        self.identity = identity
        hash = KeyHash(storeID: identity.storeID)
        self.metaBase = metaBase
        block = CommitBlock(base: metaBase)
        self.lock = lock
        self.openFile = openFile
        self.log = log
        valueFiles = ValueFiles(directory: directory, environment: environment)
        snapshotLock = SnapshotLock(files: environment.files, directory: directory)
        self.recovery = recovery
        indexPointer = Atomic(index.view.fields)
        indexes = Guarded([index])
        // Whoever reads the whole log anew has no hints to lose time for.
        hintedEnd = Atomic(recovery == nil ? log.segments.last?.first ?? 0 : 0)
        openedAt = SystemCalls.monotonicClock()
        writer = .allocate(capacity: 1)
        writer.initialize(to: WriterState())
        log.signalsNext = { [weak self] in self?.signalEviction() }
    }

    deinit {
        files.unmap(metaBase, count: CommitBlock.fileSize, leavingZeros: false)
        writer.deinitialize(count: 1)
        writer.deallocate()
    }

    // MARK: Writer

    /// What the holder of the write lock knows; between two holders of other processes it is old (`takeOver`).
    private struct WriterState {
        var counters = CommitBlock.Counters()
        var head: Position = 0
        var transaction = TransactionState()
        var queues = PendingQueues()
        var rowEnds = RowEnds()
        var victims = VictimPools()
        var settingsPosition: Position = .max
        var settings = Settings()
        var now: Int64 = 0
    }

    /// *Writer.* The counters as the open transaction leaves them.
    @inline(__always) var counters: CommitBlock.Counters {
        _read { yield writer.pointee.counters }
        _modify { yield &writer.pointee.counters }
    }
    /// *Writer.* Where the log begins, as the open transaction leaves it.
    @inline(__always) var head: Position {
        get { writer.pointee.head }
        set { writer.pointee.head = newValue }
    }
    /// *Writer.* The open transaction.
    @inline(__always) var transaction: TransactionState {
        _read { yield writer.pointee.transaction }
        _modify { yield &writer.pointee.transaction }
    }
    /// *Writer.* The queues as the open transaction leaves them.
    @inline(__always) var queues: PendingQueues {
        _read { yield writer.pointee.queues }
        _modify { yield &writer.pointee.queues }
    }
    /// *Writer.* The rows at the ends of insertion order, as far as they were looked for.
    @inline(__always) var rowEnds: RowEnds {
        _read { yield writer.pointee.rowEnds }
        _modify { yield &writer.pointee.rowEnds }
    }
    /// *Writer.* The rows that go next.
    @inline(__always) var victims: VictimPools {
        _read { yield writer.pointee.victims }
        _modify { yield &writer.pointee.victims }
    }
    /// *Writer.* Settings as of `settingsPosition`.
    @inline(__always) var settings: Settings {
        _read { yield writer.pointee.settings }
        _modify { yield &writer.pointee.settings }
    }
    @inline(__always) var settingsPosition: Position {
        get { writer.pointee.settingsPosition }
        set { writer.pointee.settingsPosition = newValue }
    }
    /// *Writer.* The clock as of the transaction's beginning, microseconds since 1970.
    @inline(__always) var now: Int64 {
        get { writer.pointee.now }
        set { writer.pointee.now = newValue }
    }

    // MARK: Index generations

    /// The index as this process knows it: perhaps not the current one (`currentIndex`).
    @inline(__always) var index: HashIndex {
        indexView.index._withUnsafeGuaranteedRef { $0 }
    }
    /// As `index`, for callers that are counted in `ReaderPins`.
    @inline(__always) var indexView: IndexView { IndexView(fields: indexPointer.load(ordering: .acquiring)) }

    /// Opens the index file that `meta` names, when another process has replaced it.
    @inline(never)
    func switchIndex(to generation: UInt64) throws(EngineError) {
        var replaced: HashIndex?
        let result = indexes.withLock { known -> Result<Void, EngineError> in
            if index.generation == generation { return .success(()) }
            do throws(EngineError) {
                guard
                    let opened = try HashIndex.open(
                        generation: generation, in: directory, files: files, storeID: identity.storeID)
                else {
                    // A still newer one has replaced it, or it was removed under us.
                    if block.indexGeneration.acquire() != generation { return .success(()) }
                    throw EngineError(
                        .corrupted,
                        "the hash index is missing or damaged; close the store everywhere and open it again",
                        path: directory.path + "/" + IndexLayout.name(generation))
                }
                replaced = install(opened.index, &known)
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        if let replaced { retire(replaced) }
        try result.get()
    }

    /// *Writer.* Makes a fresh index the current one, for this process and, through `meta`, for all.
    func replaceIndex(with new: HashIndex) {
        let old = index
        makeStamps(for: new)
        block.indexGeneration.release(new.generation)
        FaultPoint.reach(.indexPublished)
        retire(indexes.withLock { install(new, &$0) })
        try? files.unlinkIfPresent(IndexLayout.name(old.generation), in: directory)
        if old.stamps != nil { try? files.unlinkIfPresent(StampFile.name(old.generation), in: directory) }
    }

    /// The one that was current before; the caller retires it.
    private func install(_ new: HashIndex, _ known: inout [HashIndex]) -> HashIndex {
        let old = index
        known.append(new)
        indexPointer.store(new.view.fields, ordering: .sequentiallyConsistent)
        return old
    }

    /// Never under the lock of `indexes`: this may free at once what was retired before, and that takes the lock.
    private func retire(_ old: HashIndex) {
        ReaderPins.retire { [weak self] in
            self?.indexes.withLock { list in list.removeAll { $0 === old } }
        }
    }

    // MARK: Closing

    /// Lets go of everything that others can see. Called by `OpenStores` when the last handle closes; after it only the
    /// memory is left, until the last reference goes.
    ///
    /// What kept the sync from being done, if something did.
    @discardableResult
    func shutDown() -> EngineError? {
        guard !isShutDown.exchange(true, ordering: .acquiringAndReleasing) else { return nil }
        lock.stopKeeping()
        if let token = maintenance.withLock({ $0.take() }) { Worker.shared.remove(token) }
        if let token = eviction.task.withLock({ $0.take() }) { Worker.shared.remove(token) }
        let failure = syncToClose()
        do throws(EngineError) {
            if let failure { throw failure }
            // What a snapshot holds up is left to the next one that writes, and so is what would take long.
            if block.synced.relaxed() &- block.deadFrom.relaxed() <= UInt64(Self.unsyncedLimit) {
                try unlinkSpared(evenIfNeeded: false, timeout: 2_000_000_000)
            }
            try maintainTrees(merges: false)
            try lock.acquire(timeout: 2_000_000_000)
            defer { lock.release() }
            // Who only read leaves everything as it was, the seal of whoever closed before included.
            if Seal(metaBase)?.word != block.word.relaxed() {
                try takeOver()
                try? log.dropNext()
                sealIfAlone()
            }
            _ = try? files.lock(openFile, .unlock)
        } catch {
            // A store that can't be sealed is recovered like one whose process died: nothing is lost.
            _ = try? files.lock(openFile, .unlock)
        }
        _ = try? files.lock(directory, .unlock)
        ForkGuard.unregister(openFile)
        ForkGuard.unregister(directory)
        views.close()
        ReaderPins.collect()
        return failure
    }

    /// Makes what was written durable, as far as `durability` promises that of `close`; what kept it from being done, if something did.
    func syncToClose() -> EngineError? {
        if durability == .none { return nil }
        do throws(EngineError) {
            try sync(timeout: 2_000_000_000)
            return nil
        } catch {
            // What was written has gone with its directory.
            return error.code == .directoryRemoved ? nil : error
        }
    }

    /// *Writer.* Leaves a seal if nobody else has the store open, and if the sum costs little beside the time it was open.
    private func sealIfAlone() {
        guard block.poison.relaxed() == 0, block.active.relaxed() != 0 else { return }
        guard (try? files.lock(openFile, .exclusive)) == true else { return }
        try? log.forgetNext()
        // A larger one isn't summed at opening either.
        guard let size = try? files.status(index.file).size,
            SystemCalls.monotonicClock() &- openedAt >= Seal.leastOpen(indexSize: size),
            let sum = try? index.sum()
        else { return }
        let word = block.word.relaxed()
        Seal(
            word: word, head: head, generation: index.generation, indexSum: sum.value, indexSize: UInt64(sum.size)
        ).write(to: metaBase)
    }

    // MARK: Figures

    /// Rows that are stored, expired ones included. O(1), no lock.
    public var count: Int { Int(clamping: isInTransaction ? counters.count : block.read().counters.count) }

    /// Whether the calling thread has a transaction of several verbs open: what it reads are its own writes then.
    @inline(__always) public var isInTransaction: Bool {
        isTransacting.load(ordering: .relaxed) != 0 && lock.isHeldByThisThread
    }

    /// Bytes that the rows are accounted with, but for those of stamps. O(1), no lock.
    public var liveBytes: Int { Int(clamping: block.read().counters.live) }

    /// Bytes that the store takes on disk: log, index, stamps, `meta` and value files, those included that wait to be unlinked.
    /// No lock.
    public func volume() throws(EngineError) -> Int {
        let block = self.block.read()
        let index = try currentIndex()
        do throws(SystemError) {
            var sum = CommitBlock.fileSize + treeBytes()
            for name in try files.list(log.directory) {
                sum += try files.status(of: name, in: log.directory)?.allocated ?? 0
            }
            sum += try files.status(of: StampFile.name(index.generation), in: directory)?.allocated ?? 0
            sum += block.counters.bytesOfFiles + self.block.deadBytes
            return sum + (try files.status(index.file).allocated)
        } catch {
            throw EngineError(error)
        }
    }

    /// The index of the generation that `meta` names.
    func currentIndex() throws(EngineError) -> HashIndex {
        let generation = block.indexGeneration.acquire()
        if index.generation != generation { try switchIndex(to: generation) }
        return index
    }
}

/// What recovery found and did when a store was opened.
public struct RecoveryReport: Sendable, Equatable {
    /// Why the views could not be believed.
    public var reason: String
    /// Records that the log holds from its head on, and keys that were found alive.
    public var records = 0
    /// Rows after it.
    public var keys = 0
    /// Where the log was cut, because what lay behind was torn; nil: nowhere.
    public var cut: Position?
    /// Ranges of the log that hold no record though they should: what they held is lost.
    public var quarantined: [ClosedRange<Position>] = []
    /// Segments that are missing or whose headers are damaged.
    public var gaps: [String] = []

    /// Whether anything that was committed may be gone.
    var hasLosses: Bool { !quarantined.isEmpty || !gaps.isEmpty }
}
