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
        content: StoreDirectory.Content, options: StoreOptions, environment: Environment
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
                firstPosition: options.firstPosition)
            let found = try views(
                isAlone: isAlone, metaIsNew: opened.isNew, directory: directory, log: log, block: block,
                identity: opened.identity, base: opened.base, environment: environment)

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
                // A rebuild has made another index: reads are stamped before the first write too.
                if found.report != nil {
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

    // MARK: Views

    /// The index that can be believed, or one made again from the log.
    private static func views(
        isAlone: Bool, metaIsNew: Bool, directory: FileDescriptor, log: Log, block: CommitBlock,
        identity: StoreIdentity,
        base: UnsafeMutableRawPointer, environment: Environment
    ) throws(EngineError) -> (index: HashIndex, report: RecoveryReport?) {
        let files = environment.files
        let pin = ReaderPins.enter(ReaderPins.base)
        defer { ReaderPins.leave(pin) }
        let generation = block.indexGeneration.acquire()
        if !isAlone {
            // The views are live, whatever boot ids say: containers have their own.
            guard
                let opened = try HashIndex.open(
                    generation: generation, in: directory, files: files, storeID: identity.storeID)
            else {
                throw EngineError(
                    .corrupted, "the hash index is missing or damaged while another process has the store open",
                    path: directory.path + "/" + IndexLayout.name(generation))
            }
            try mapLive(log, block)
            return (opened.index, nil)
        }
        let boot = StoreIdentity.bootWords(environment.bootIdentity())
        let reason: String
        switch try believe(
            metaIsNew: metaIsNew, boot: boot, generation: generation, directory: directory, log: log, block: block,
            identity: identity, base: base, files: files)
        {
        case .success(let index): return (index, nil)
        case .failure(let why): reason = why.text
        }
        return try rebuild(
            reason: reason, boot: boot, metaIsNew: metaIsNew, directory: directory, log: log, block: block,
            identity: identity,
            base: base, files: files)
    }

    private struct Doubt: Error { let text: String }

    /// DESIGN 7.4 (a): same boot, same files, and whatever a killed process can leave.
    private static func believe(
        metaIsNew: Bool, boot: (UInt64, UInt64), generation: UInt64, directory: FileDescriptor, log: Log,
        block: CommitBlock,
        identity: StoreIdentity, base: UnsafeMutableRawPointer, files: any FileSystem
    ) throws(EngineError) -> Result<HashIndex, Doubt> {
        func doubt(_ text: String) -> Result<HashIndex, Doubt> { .failure(Doubt(text: text)) }
        if metaIsNew { return doubt("meta was missing or damaged") }
        if boot == (0, 0) { return doubt("the system doesn't tell which boot this is") }
        guard
            let opened = try HashIndex.open(
                generation: generation, in: directory, files: files, storeID: identity.storeID)
        else { return doubt("the hash index is missing or damaged") }
        guard opened.identity.boot == boot else {
            return doubt("the hash index was made in another boot of the system")
        }
        let state = block.read()
        guard state.isIntact else { return doubt("the commit block is damaged") }
        let tail = CommitBlock.tail(state.word)
        let active = block.active.acquire()
        if tail == 0 && active == 0 {
            return try Log.firsts(files, log.directory).isEmpty
                ? .success(opened.index) : doubt("the log holds segments that the commit block doesn't know")
        }
        do throws(EngineError) {
            try mapLive(log, block)
        } catch {
            if error.code != .corrupted { throw error }
            return doubt(error.message)
        }
        let segments = log.segments
        guard let newest = segments.last, newest.first == active || segments.contains(where: { $0.first == active })
        else {
            return doubt("the newest segment of the log is missing or damaged")
        }
        if state.counters.settings != 0 {
            guard case .record(let record) = try log.record(at: state.counters.settings),
                record.kind == RecordKind.system.rawValue
            else { return doubt("the settings are damaged") }
        }
        if let seal = Seal(UnsafeRawPointer(base)), seal.word == state.word, seal.generation == generation {
            let size: Int
            do throws(SystemError) {
                size = try files.status(opened.index.file).size
            } catch {
                throw EngineError(error)
            }
            if size <= Seal.summedLimit {
                do throws(SystemError) {
                    let sum = try sum(of: opened.index, files)
                    guard sum.value == seal.indexSum, sum.size == Int(clamping: seal.indexSize) else {
                        return doubt("the hash index isn't the one that was sealed")
                    }
                    guard opened.index.covered.acquire() == tail else {
                        return doubt("the hash index doesn't reach the tail")
                    }
                    return .success(opened.index)
                } catch {
                    throw EngineError(error)
                }
            }
        }
        if tail != 0 {
            guard case .record(let last) = try log.record(at: state.counters.lastRecord), last.end == tail else {
                return doubt("the last record isn't whole")
            }
        }
        var transactions = 0
        var ends: [Position] = [tail]
        _ = try log.scanTail(from: tail) { record in
            if record.isCommit {
                transactions += 1
                ends.append(record.end)
            }
        }
        guard transactions <= 1 else { return doubt("more than one transaction lies behind the tail") }
        guard ends.contains(opened.index.covered.acquire()) else {
            return doubt("the hash index doesn't reach the tail")
        }
        return .success(opened.index)
    }

    /// Maps every live segment: from the one in which the head lies to the newest.
    private static func mapLive(_ log: Log, _ block: CommitBlock) throws(EngineError) {
        let state = block.read()
        // What lies beyond the active one was never used: whoever made it was killed.
        let active = block.active.acquire()
        let firsts = try Log.firsts(log.files, log.directory).filter { $0 <= active }
        // The segment that the head lies in begins at or below it.
        let lowest = firsts.last { $0 <= state.head } ?? firsts.first ?? 0
        try log.adopt(firsts.filter { $0 >= lowest })
    }

    private static func rebuild(
        reason: String, boot: (UInt64, UInt64), metaIsNew: Bool, directory: FileDescriptor, log: Log,
        block: CommitBlock,
        identity: StoreIdentity, base: UnsafeMutableRawPointer, files: any FileSystem
    ) throws(EngineError) -> (index: HashIndex, report: RecoveryReport?) {
        let state = block.read()
        let sameBoot = !metaIsNew && boot != (0, 0) && identity.boot == boot && state.isIntact
        let chain = try LogScanner.chain(files: files, directory: log.directory, storeID: identity.storeID)
        log.forgetSegments()
        try log.adopt(chain.links.map(\.segment.first))
        let generation = try Self.nextGeneration(directory, files)
        let index = try HashIndex.create(
            generation: generation, in: directory, files: files, storeID: identity.storeID, boot: boot)
        var headerHead = chain.links.last?.segment.header.head ?? 0
        if chain.links.count > 1 || !chain.gaps.isEmpty {
            // What lies below a `clear` in the newest segment may be gone, or torn, rightly.
            let scanner = LogScanner(files: files, salt: identity.salt, links: chain.links, believedEnd: 0)
            headerHead = max(headerHead, try scanner.newestHead(closing: chain.gaps))
        }
        // In the same boot no power was lost: what the commit block says is durable enough to believe.
        let head = sameBoot ? max(state.head, headerHead) : headerHead
        let stateTail = CommitBlock.tail(state.word)
        if !sameBoot {
            // `synced` has no check of its own: it counts while the commit block beside it is whole and agrees. Old is safe.
            let synced = block.synced.acquire()
            block.forgetHints(synced: state.isIntact && synced <= stateTail ? synced : 0)
        }
        let believedEnd = sameBoot ? stateTail : block.synced.relaxed()
        let scanner = LogScanner(files: files, salt: identity.salt, links: chain.links, believedEnd: believedEnd)
        let valueFiles = ValueFiles(directory: directory, environment: Environment(files: files))
        var rebuild = Rebuild(
            files: files, log: log, hash: KeyHash(storeID: identity.storeID), scanner: scanner, index: index,
            head: head, reason: reason, gaps: chain.gaps
        ) { file throws(EngineError) in try valueFiles.isWhole(file) }
        try rebuild.run()
        FaultPoint.reach(.indexFilled)

        // Where the last record ends, even if the newest segment has none: it is what the next opening looks for there.
        var tail = chain.links.isEmpty ? 0 : rebuild.end
        let last = rebuild.counters.lastRecord
        block.making.store(0)
        if let newest = chain.links.last?.segment, sameBoot && rebuild.endIsClean {
            block.active.store(newest.first)
            try log.position(at: max(tail, newest.firstRecord), active: newest.first, last: last)
        } else if let newest = chain.links.last?.segment, last != 0 || !rebuild.report.quarantined.isEmpty {
            // What lies behind the cut must never be met again, in this segment or in later ones: a new one that
            // follows this one, with a header that says where it was cut.
            let torn = chain.links.last { $0.segment.first <= tail }?.segment ?? newest
            block.active.store(torn.first)
            try log.position(at: max(tail, torn.firstRecord), active: torn.first, last: last)
            try log.beginSegment(head: rebuild.head, settings: rebuild.counters.settings)
        } else {
            // Nothing counts: the log begins anew, behind what is there, which goes as what lies below a head goes.
            tail = 0
            block.active.store(0)
            rebuild.head = 0
            if !chain.links.isEmpty || !chain.gaps.isEmpty {
                try log.beginSegment(head: 0, settings: 0)
                rebuild.head = log.activeFirst
                log.dropBelow(rebuild.head)
            }
        }
        FaultPoint.reach(.rebuildSegmentWritten)
        index.cover(tail)
        Seal.clear(base)
        block.publish(tail: tail, head: rebuild.head, rebuild.counters)
        block.indexGeneration.release(generation)
        block.owner.store(0)
        block.syncing.store(0)
        // Of the files that were replaced some may be there still.
        block.deadFiles.store(tail)
        if block.synced.relaxed() > tail { block.synced.store(0) }
        var renewed = identity
        renewed.boot = boot
        let bytes = renewed.encoded()
        bytes.withUnsafeBytes {
            SharedMemory.copy($0.baseAddress!, to: base + CommitBlock.identityOffset, count: StoreIdentity.size)
        }
        FaultPoint.reach(.indexPublished)
        do throws(SystemError) {
            // Not the one that `meta` named alone: after a power loss there may be older ones, or another may be named.
            for old in try files.list(directory)
            where IndexLayout.generation(ofName: old).map({ $0 != generation })
                ?? (StampFile.generation(ofName: old) != nil)
            {
                try files.unlinkIfPresent(old, in: directory)
            }
        } catch {
            throw EngineError(error)
        }
        // A store that was made just now has nothing to report.
        return (index, chain.links.isEmpty && chain.gaps.isEmpty ? nil : rebuild.report)
    }
    /// A generation beyond that of every index file: what `meta` says may be anything.
    static func nextGeneration(
        _ directory: FileDescriptor, _ files: any FileSystem
    ) throws(EngineError) -> UInt64 {
        do throws(SystemError) {
            return (try files.list(directory).compactMap { IndexLayout.generation(ofName: $0) }.max() ?? 0) + 1
        } catch {
            throw EngineError(error)
        }
    }
}
