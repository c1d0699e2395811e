import Synchronization

/// The stores that this process has open, one for each directory by device and inode, so that two handles on one directory share
/// an engine and its locks instead of excluding each other.
final class OpenStores: Sendable {
    private struct Key: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    /// One directory. Opening and closing it take its own queue, so that a slow one holds up nobody else.
    private final class Entry: @unchecked Sendable {
        let queue = ThreadQueue()
        var store: Store?
        var users = 0
    }

    private let entries = Guarded<[Key: Entry]>([:])
    private let forks = ForkGuard.forks.load(ordering: .relaxed)

    /// The table of this process: a child of a fork has one of its own, and its parent's stores are no longer touched.
    static var shared: OpenStores {
        current.withLock { table in
            if table.forks != ForkGuard.forks.load(ordering: .relaxed) {
                // Never freed: what it holds belongs to the parent.
                _ = Unmanaged.passRetained(table)
                table = OpenStores()
            }
            return table
        }
    }
    private static let current = Guarded(OpenStores())

    /// The store of a directory, opened if it isn't; counts one user more.
    func open(
        _ path: String, options: StoreOptions, environment: Environment
    ) throws(EngineError) -> Store {
        ForkGuard.install()
        if let prepare = options.prepare { try prepare() }
        let found = try StoreDirectory.open(
            path, files: environment.files, anyFileSystem: options.anyFileSystem, allowsOthers: options.allowsOthers)
        let key = Key(device: found.status.device, inode: found.status.inode)
        let entry = entries.withLock { table in
            if let entry = table[key] { return entry }
            let entry = Entry()
            table[key] = entry
            return entry
        }
        guard entry.queue.acquire(deadline: SystemCalls.monotonicClock() &+ options.timeout) else {
            throw EngineError(.timeout, "another thread is opening or closing this store", path: path)
        }
        defer { entry.queue.release() }
        let store: Store
        if let open = entry.store {
            store = open
            // One handle that wants no kept lock is enough.
            if !options.keepsLock { store.lock.stopKeeping() }
        } else {
            store = try Store.open(
                path, directory: found.directory, status: found.status, fileSystem: found.fileSystem,
                options: options, environment: environment)
            if store.recovery?.hasLosses == true {
                // What can't be put right now, a later check may: what queues lost is known to be damage.
                let timeout = options.timeout
                let pin = ReaderPins.enter(ReaderPins.base)
                defer { ReaderPins.leave(pin) }
                try? store.write(timeout: timeout) { () throws(EngineError) in try store.repairQueues() }
            }
        }
        do throws(EngineError) {
            if options.kind != nil || options.configure != nil {
                let isInUse = entry.users > 0
                try store.configure(timeout: options.timeout) { (settings) throws(EngineError) in
                    let isNew = CommitBlock.tail(store.block.word.acquire()) == 0
                    if let kind = options.kind {
                        // Others here may believe in the kind that it has by default.
                        if isNew && !isInUse { settings.become(kind) }
                        try settings.require(kind, path)
                    }
                    try options.configure?(&settings, isNew)
                }
            }
            if let kind = options.kind { store.kind.withLock { $0 = kind } }
        } catch {
            if entry.users == 0 { store.shutDown() }
            throw error
        }
        entry.store = store
        entry.users += 1
        return store
    }

    /// One user less; the last one shuts the store down. `syncs`: one that isn't the last makes what was written durable as well.
    ///
    /// What kept the sync from being done, if something did.
    func close(_ store: Store, syncs: Bool) -> EngineError? {
        let key = Key(device: store.status.device, inode: store.status.inode)
        guard let entry = entries.withLock({ $0[key] }) else { return nil }
        guard entry.queue.acquire(deadline: .max) else { return nil }
        var failure: EngineError?
        if syncs, entry.store === store, entry.users > 1 {
            // As one of its users still, and without holding up others.
            entry.queue.release()
            failure = store.syncToClose()
            guard entry.queue.acquire(deadline: .max) else { return failure }
        }
        defer { entry.queue.release() }
        guard entry.store === store else { return failure }
        entry.users -= 1
        if entry.users == 0 {
            entry.store = nil
            let last = store.shutDown()
            failure = failure ?? last
        }
        return failure
    }
}
