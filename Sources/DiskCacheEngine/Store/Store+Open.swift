import Synchronization

/// How a store is to be opened.
public struct StoreOptions: Sendable {
    /// Nanoseconds that opening and writing may wait for the write lock.
    public var timeout: UInt64 = 60_000_000_000
    /// Whether network file systems are to be believed.
    public var anyFileSystem = false
    /// What the directory is to be, and becomes if nothing was ever stored in it; nil: whatever it is.
    public var kind: StoreKind?
    /// Applied to the stored settings when the store is opened; what it changes is stored. The flag: nothing was ever stored.
    public var configure: (@Sendable (inout Settings, Bool) throws(EngineError) -> Void)?
    /// Whether the write lock may be kept between writes that follow each other closely. Not on systems that stop a process without
    /// a word: it would keep its lock while it is stopped.
    public var keepsLock = StoreOptions.keepsLockByDefault
    #if os(iOS) || os(tvOS) || os(watchOS) || os(visionOS)
        /// What `keepsLock` is unless it is set.
        public static let keepsLockByDefault = false
    #else
        /// What `keepsLock` is unless it is set.
        public static let keepsLockByDefault = true
    #endif
    /// Whether a store may be made where other names stand: in a directory that holds other stores.
    package var allowsOthers = false
    /// Called before the store is opened, the first time and each time that it was closed: sees to what must be there before it.
    package var prepare: (@Sendable () throws(EngineError) -> Void)?
    /// Bytes of addresses for the log at first; 0: chosen from the size limit.
    public var windowSize = 0
    /// Bytes of log behind a tree from which on a reader brings the tree up to date first; nil: as usual. For tests.
    package var viewLag: UInt64?
    /// How many victims a pool has at least; nil: as usual. For tests.
    package var smallestPool: Int?
    /// Append with pwrite even where mapped appends would be safe. For tests.
    package var forcesWriting = false
    /// Where the log of a new store begins, a multiple of 64 KiB. For tests of what comes after terabytes of writes.
    package var firstPosition = Log.origin
    /// How long the live log may become. For tests of what is beyond.
    package var liveLimit = Log.longestLive

    /// The defaults.
    public init() {}
}

extension Store {
    /// Opens or makes the store in a directory (DESIGN 7.4). Opening a whole store that is closed or in use writes nothing.
    ///
    /// Order: directory, `lock`, the write lock, `open`, `meta`; then the views are believed or made again; then LOCK_SH on `open`
    /// and on the directory, so that others know.
    static func open(
        _ path: String, directory: FileDescriptor, status: FileStatus, fileSystem: FileSystemStatus,
        options: StoreOptions, environment: Environment
    ) throws(EngineError) -> Store {
        // What is closed again must not stay in the table: the number becomes another file's, which a fork would then take away.
        var registered = [directory]
        defer { for file in registered { ForkGuard.unregister(file) } }
        do {
            let files = environment.files
            ForkGuard.register(directory)
            let lockFile = try Self.lockFile("lock", in: directory, files)
            let ownerWord = (environment.random() << 32) | UInt64(environment.processID())
            let first = WriteLock(files: files, file: lockFile, block: nil, identity: ownerWord)
            if try !first.acquireAtOnce() {
                try knock(directory, files) { (block) throws(EngineError) in
                    let knocking = WriteLock(files: files, file: lockFile, block: block, identity: ownerWord)
                    try knocking.acquire(timeout: options.timeout)
                }
            }
            defer {
                // Until here its descriptor stands in the table of those that a fork takes away.
                withExtendedLifetime(first) { _ = try? files.lock(lockFile, .unlock) }
            }
            let openFile = try Self.lockFile("open", in: directory, files)
            ForkGuard.register(openFile)
            registered.append(openFile)
            let isAlone = try files.lock(openFile, .exclusive)
            let logDirectory = try StoreDirectory.subdirectory("log", in: directory, files: files)

            let opened = try openMeta(
                directory: directory, logDirectory: logDirectory, status: status, path: path, environment: environment)
            let block = CommitBlock(base: opened.base)
            var keepsMapping = false
            defer { if !keepsMapping { files.unmap(opened.base, count: CommitBlock.fileSize, leavingZeros: false) } }
            let windowSize = options.windowSize != 0 ? options.windowSize : 4 << 30
            let log = try Log(
                files: files, directory: logDirectory, identity: opened.identity, block: block,
                isMappedForWriting: fileSystem.kind == .mappable && !options.forcesWriting, windowSize: windowSize,
                canWrite: true,
                firstPosition: options.firstPosition, liveLimit: options.liveLimit)
            let found = try ViewOpening(
                files: files, directory: directory, log: log, block: block, base: opened.base,
                identity: opened.identity, metaIsNew: opened.isNew, status: status,
                boot: StoreIdentity.bootWords(environment.bootIdentity())
            ).open(isAlone: isAlone)

            if isAlone {
                settleTrees(
                    directory: directory, files: files, block: block, identity: opened.identity,
                    boot: StoreIdentity.bootWords(environment.bootIdentity()),
                    lostNothing: found.report.map { $0.quarantined.isEmpty && $0.gaps.isEmpty } ?? true)
            }
            // Every change of who has it open is made under the writer's lock, this one too.
            guard try files.lock(openFile, .shared) else {
                throw EngineError(
                    .io, "the lock that says who has the store open was not to be had", path: path + "/open")
            }
            _ = try? files.lock(directory, .shared)
            let store = Store(
                environment: environment, path: path, directory: directory, status: status, identity: opened.identity,
                metaBase: opened.base,
                lock: WriteLock(
                    files: files, file: lockFile, block: block, identity: ownerWord, keeps: options.keepsLock),
                openFile: openFile, log: log, index: found.index, recovery: found.report)
            keepsMapping = true
            if let lag = options.viewLag { store.views.lag.store(lag, ordering: .relaxed) }
            if let count = options.smallestPool { store.eviction.smallestPool.store(count, ordering: .relaxed) }
            // Before the first write asks where its value should lie; damaged settings are told by the write itself.
            if let settings = try? store.currentSettings() {
                store.minFileSize.store(settings.minFileSize, ordering: .relaxed)
                // A rebuild has made another index, and another boot knows no modes: reads are stamped before the first write too.
                if found.report != nil || block.modes.relaxed() == 0 {
                    store.settings = settings
                    store.applySettings()
                }
            }
            // From here on the store takes them off.
            registered = []
            return store
        } catch let error as SystemError {
            throw EngineError(error)
        } catch let error as EngineError {
            throw error
        } catch {
            throw EngineError(.io, "\(error)", path: path)
        }
    }

    /// Calls `body` with what can be knocked at: the commit block of a store that is there; nil: there is none.
    private static func knock(
        _ directory: FileDescriptor, _ files: any FileSystem, _ body: (CommitBlock?) throws(EngineError) -> Void
    ) throws(EngineError) {
        guard let found = try? existingMeta(directory, files) else { return try body(nil) }
        defer { files.unmap(found.base, count: CommitBlock.fileSize, leavingZeros: false) }
        // Of a newer version's store nobody knows where the knocks are.
        try body(found.identity.format <= EngineVersion.format ? CommitBlock(base: found.base) : nil)
    }

    private static func lockFile(
        _ name: String, in directory: FileDescriptor, _ files: any FileSystem
    ) throws(SystemError) -> FileDescriptor {
        // O_CREAT without O_EXCL; not at all where it stands already, so that opening an existing store writes nothing.
        do throws(SystemError) {
            return try files.open(name, in: directory, [.write])
        } catch {
            if error.errno != ErrorNumber.notFound { throw error }
        }
        return try files.open(name, in: directory, [.write, .create])
    }

    // MARK: meta

    private static func openMeta(
        directory: FileDescriptor, logDirectory: FileDescriptor, status: FileStatus, path: String,
        environment: Environment
    ) throws(EngineError) -> (base: UnsafeMutableRawPointer, identity: StoreIdentity, isNew: Bool) {
        let files = environment.files
        do throws(SystemError) {
            if let opened = try existingMeta(directory, files) {
                guard opened.identity.format <= EngineVersion.format else {
                    files.unmap(opened.base, count: CommitBlock.fileSize, leavingZeros: false)
                    throw SystemError(
                        errno: ErrorNumber.notSupported, call: "format \(opened.identity.format)", path: path)
                }
                return (opened.base, opened.identity, false)
            }
        } catch {
            if error.call.hasPrefix("format ") {
                throw EngineError(
                    .unsupportedFormat,
                    "the store was made by a newer version (\(error.call)); this one reads up to format \(EngineVersion.format)",
                    path: path)
            }
            throw EngineError(error)
        }
        // No whole `meta`: what the log says about itself, or a new store.
        let chain = try LogScanner.chain(files: files, directory: logDirectory, storeID: nil)
        let identity: StoreIdentity
        if let header = chain.links.last?.segment.header {
            identity = StoreIdentity(
                storeID: header.storeID, salt: header.salt, epoch: header.epoch, boot: (0, 0), device: 0, inode: 0)
        } else if let gap = chain.gaps.first {
            throw EngineError(
                .corrupted, "meta and every segment's header are damaged (\(gap.text)); nothing was changed", path: path
            )
        } else {
            let boot = StoreIdentity.bootWords(environment.bootIdentity())
            identity = StoreIdentity(
                storeID: (environment.random(), environment.random()), salt: environment.random(),
                epoch: environment.wallClock() / 1000, boot: boot, device: status.device, inode: status.inode)
        }
        do throws(SystemError) {
            let base = try makeMeta(identity, directory, files)
            return (base, identity, true)
        } catch {
            throw EngineError(error)
        }
    }

    private static func existingMeta(
        _ directory: FileDescriptor, _ files: any FileSystem
    ) throws(SystemError) -> (base: UnsafeMutableRawPointer, identity: StoreIdentity)? {
        let file: FileDescriptor
        do throws(SystemError) {
            file = try files.open("meta", in: directory, [.write])
        } catch {
            if error.errno == ErrorNumber.notFound { return nil }
            throw error
        }
        let status = try files.status(file)
        guard status.kind == .regular, status.size >= CommitBlock.fileSize else { return nil }
        let bytes = try files.read(file, count: StoreIdentity.size, at: CommitBlock.identityOffset)
        guard let identity = bytes.withUnsafeBytes({ StoreIdentity($0) }) else { return nil }
        let base = try files.map(file, offset: 0, count: CommitBlock.fileSize, writable: true, at: nil)
        return (base, identity)
    }

    /// A whole `meta`, then one rename: who is killed before it has made nothing (P8).
    private static func makeMeta(
        _ identity: StoreIdentity, _ directory: FileDescriptor, _ files: any FileSystem
    ) throws(SystemError) -> UnsafeMutableRawPointer {
        try files.unlinkIfPresent("meta.new", in: directory)
        let file = try files.open("meta.new", in: directory, [.write, .create, .exclusive])
        files.disableCopyOnWrite(file)
        var bytes = [UInt8](repeating: 0, count: CommitBlock.fileSize)
        bytes.replaceSubrange(
            CommitBlock.identityOffset..<CommitBlock.identityOffset + StoreIdentity.size, with: identity.encoded())
        try files.allocate(file, offset: 0, count: CommitBlock.fileSize)
        try files.write(file, bytes, at: 0)
        let base = try files.map(file, offset: 0, count: CommitBlock.fileSize, writable: true, at: nil)
        CommitBlock(base: base).publish(tail: 0, head: 0, CommitBlock.Counters())
        FaultPoint.reach(.metaWritten)
        try files.rename("meta.new", to: "meta", in: directory)
        FaultPoint.reach(.metaRenamed)
        return base
    }
}
