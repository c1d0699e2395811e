/// What a backup came to.
public struct BackupReport: Sendable, Hashable {
    /// The log position of the commit that it shows.
    public var position: UInt64 = 0
    /// Rows, expired ones included.
    public var count = 0
    /// Segments and value files.
    public var files = 0
    /// Bytes of files that share theirs with the original.
    public var sharedBytes = 0
    /// Bytes that were copied.
    public var copiedBytes = 0
    /// What the original had lost already, or was seen to be damaged.
    public var losses: [String] = []
}

/// Copying a store while it is in use, as of one commit T (DESIGN 1: copy the log).
///
/// What lies below T never changes, so no lock is needed: segments that are full come over as they are, of the one in which T lies the part
/// below it. The copies are then read, every checksum verified, and the value files that the newest records of their keys name follow.
/// `meta` says that all of it is durable, and nothing else; index and trees are made again by who opens the backup.
///
/// **What may be taken away meanwhile.** The shared lock on `snapshot` keeps compaction and the follower of dead files from it, as long as
/// they wait for a snapshot. Whatever is gone all the same (ENOENT) is no longer needed by a newer T: another pass begins with that, and
/// keeps what it can of what is there.
///
/// **Files with two names.** No store ever stores into a segment but the one that it appends to, and that one is copied. A store that is
/// rebuilt, as a backup is when it is opened first, appends to a new segment (DESIGN 7.4). Value files never change once they have their
/// name (10). So neither store sees what the other one does.
extension Store {
    /// Copies the store as it is now to `path`, where nothing may stand but an empty directory. No lock is held, and nobody waits.
    ///
    /// `shares`: by second names or shared blocks where the file system has such things. Throws `targetExists`, `inTransaction`,
    /// `diskFull`, `io`, `snapshotExpired`.
    func backUp(to path: String, shares: Bool) throws(EngineError) -> BackupReport {
        if lock.isHeldByThisThread {
            throw EngineError(.inTransaction, "a backup can't be made inside a transaction", path: self.path)
        }
        let target = try BackupTarget(path, for: self)
        defer { target.place.abandon(environment) }
        var run = BackupRun(
            // After a failed sync the system may have dropped what a second name would then show.
            self, target, FileTransfer(files: files, shares: shares && block.poison.acquire() == 0))
        for _ in 0..<BackupRun.attempts {
            let courtesy = snapshotLock.share()
            defer { if let courtesy { snapshotLock.end(courtesy) } }
            if let report = try run.pass() {
                try target.finish()
                return report
            }
        }
        throw EngineError(
            .snapshotExpired, "the store changes faster than it can be copied; try again when less is written",
            path: self.path)
    }
}

extension StoreHandle {
    /// As `Store.backUp`, outside of an access: what takes as long as copying a store mustn't keep others from letting go of memory.
    public func backUp(to path: String, shares: Bool) throws(EngineError) -> BackupReport {
        let access = try beginAccess()
        let store = access.store.takeUnretainedValue()
        end(access)
        return try store.backUp(to: StoreDirectory.absolute(path), shares: shares)
    }
}

/// The passes of one backup.
private struct BackupRun {
    /// More are needed only if things go faster than they can be copied.
    static let attempts = 50

    private let store: Store
    private let target: BackupTarget
    private let files: any FileSystem
    private let values: ValueFiles
    private var transfer: FileTransfer
    /// Segments that are there; whether as a whole.
    private var segments: [Position: Bool] = [:]
    private var placed: Set<ValueFileName> = []
    /// Value files that a pass didn't find: if the next one wants them as well, they are lost.
    private var missing: Set<ValueFileName> = []
    private var damaged: Set<ValueFileName> = []
    /// Directories of value files that are there.
    private var made: Set<String> = []
    /// What isn't durable yet.
    private var unsynced: Set<String> = []

    init(_ store: Store, _ target: BackupTarget, _ transfer: FileTransfer) {
        self.store = store
        self.target = target
        self.transfer = transfer
        files = store.files
        values = ValueFiles(directory: target.directory, environment: store.environment)
    }

    /// A value file that the backup needs, and where its record lies.
    private struct Wanted {
        let reference: ValueFileReference
        let position: Position
    }

    /// Brings over what the newest commit needs and isn't there; nil: something was taken away, and another pass is needed.
    mutating func pass() throws(EngineError) -> BackupReport? {
        let state = store.block.read()
        guard state.isIntact else {
            throw EngineError(.corrupted, "the commit block is damaged; run check", path: store.path + "/meta")
        }
        let tail = CommitBlock.tail(state.word)
        do throws(SystemError) {
            guard try bringSegments(head: state.head, tail: tail) else { return nil }
        } catch {
            throw EngineError(error)
        }
        var report = BackupReport()
        guard let wanted = try read(head: state.head, tail: tail, &report) else { return nil }
        do throws(SystemError) {
            guard try bringFiles(wanted, &report) else { return nil }
            try writeMeta(state, tail: tail)
            try sync()
        } catch {
            throw EngineError(error)
        }
        report.position = tail
        report.count = Int(clamping: state.counters.count)
        report.files = segments.count + placed.count
        report.sharedBytes = transfer.sharedBytes
        report.copiedBytes = transfer.copiedBytes
        return report
    }

    // MARK: Segments

    private mutating func bringSegments(head: Position, tail: Position) throws(SystemError) -> Bool {
        var found: [Segment] = []
        if tail != 0 {
            let firsts = try files.list(store.log.directory).compactMap { SegmentHeader.position(ofName: $0) }.sorted()
            let lowest = firsts.last { $0 <= head } ?? 0
            for first in firsts where first >= lowest && first <= tail {
                let opened = try Segment.open(
                    first, in: store.log.directory, files: files, storeID: store.identity.storeID,
                    salt: store.identity.salt, writable: false)
                switch opened {
                case .segment(let segment): found.append(segment)
                case .missing: return false
                // Damage, which the reading finds, or what was passed over when the log was cut.
                case .unusable: break
                }
            }
        }
        for (first, isWhole) in segments where !isWhole || !found.contains(where: { $0.first == first }) {
            try files.unlinkIfPresent(SegmentHeader.name(first), in: target.log)
            segments[first] = nil
            unsynced.remove(path(of: first))
        }
        for segment in found where segments[segment.first] == nil {
            let name = SegmentHeader.name(segment.first)
            let length = Int(segment.header.length)
            // The last one is still being written to, the one before it perhaps not yet by all.
            let isFull = segment.first != found.last?.first
            let next = found.last { $0.header.predecessor == segment.first }
            let end = isFull ? next?.header.predecessorEnd ?? segment.limit : tail
            let size = Int(clamping: min(max(end, segment.firstRecord), segment.limit) - segment.first)
            var checksum = XXH64(seed: 0)
            let outcome = try transfer.bring(
                name, from: store.log.directory, to: target.log, size: min(size, segment.mappable), length: length,
                // One that was cut off would be made whole by who opens it for writing.
                mayShare: isFull && segment.mappable == length, checksum: &checksum)
            switch outcome {
            case .gone: return false
            case .shared: if segment.limit > store.block.synced.acquire() { unsynced.insert(path(of: segment.first)) }
            case .copied: unsynced.insert(path(of: segment.first))
            }
            segments[segment.first] = isFull
            FaultPoint.reach(.backupSegmentPlaced)
        }
        return true
    }

    private func path(of segment: Position) -> String { BackupTarget.unfinishedLog + "/" + SegmentHeader.name(segment) }

    // MARK: Reading what was brought

    /// Verifies the copies; the value files that the newest records of their keys name. nil: segments had gone before they were listed.
    private func read(
        head: Position, tail: Position, _ report: inout BackupReport
    ) throws(EngineError) -> [Wanted]? {
        let chain = try LogScanner.chain(
            files: files, directory: target.log, storeID: store.identity.storeID, head: head)
        let scanner = LogScanner(files: files, salt: store.identity.salt, links: chain.links, believedEnd: tail)
        var wanted: [UInt64: Wanted] = [:]
        var pending: [Rebuild.Pending] = []
        var losses = chain.gaps.filter { $0.end > head }.map(\.text)
        if !losses.isEmpty && store.block.read().head > head { return nil }
        func settle() {
            for item in pending {
                switch item.meaning {
                case .version(let file):
                    wanted[item.hash] = file.map { Wanted(reference: $0, position: item.position) }
                case .head(let head): wanted = wanted.filter { $0.value.position >= head }
                default: break
                }
            }
            pending.removeAll(keepingCapacity: true)
        }
        try scanner.scan(from: head) { (outcome) throws(EngineError) in
            switch outcome {
            case .record(let record):
                if record.kind == RecordKind.void.rawValue {
                    let from = record.valueWord
                    pending.removeAll { $0.position >= from }
                }
                let hash = store.hash(KeyClass.identity(record.keyClass), record.key)
                pending.append(Rebuild.Pending(record, hash: hash))
                if record.isCommit { settle() }
            case .damaged(let from, let to):
                losses.append("the log from position \(from) to \(to) is damaged")
                // As a rebuild does: everything below T was committed.
                settle()
            default: break
            }
        }
        report.losses = losses
        return Array(wanted.values)
    }

    // MARK: Value files

    private mutating func bringFiles(_ wanted: [Wanted], _ report: inout BackupReport) throws(SystemError) -> Bool {
        let names = Set(wanted.map(\.reference.name))
        for name in placed.subtracting(names) {
            try values.unlink(name)
            placed.remove(name)
            unsynced.remove(name.path)
            made.removeAll()
        }
        var isComplete = true
        for item in wanted {
            let (name, length) = (item.reference.name, item.reference.length)
            if placed.contains(name) { continue }
            try makeDirectories(for: name)
            var checksum = XXH64(seed: 0)
            let outcome = try transfer.bring(
                name.path, from: store.directory, to: target.directory, size: length, length: length, mayShare: true,
                checksum: &checksum)
            switch outcome {
            case .gone:
                // Replaced, and unlinked, since T: then the next pass doesn't want it.
                if missing.insert(name).inserted {
                    isComplete = false
                } else {
                    report.losses.append("the value file \(name.path) is missing")
                }
                continue
            case .shared: if item.position >= store.block.synced.acquire() { unsynced.insert(name.path) }
            case .copied:
                unsynced.insert(name.path)
                if checksum.value() != item.reference.checksum { damaged.insert(name) }
            }
            placed.insert(name)
            FaultPoint.reach(.backupFilePlaced)
        }
        for name in damaged.intersection(names) { report.losses.append("the value file \(name.path) is damaged") }
        return isComplete
    }

    private mutating func makeDirectories(for name: ValueFileName) throws(SystemError) {
        for path in [ValueFiles.root, name.parents.outer, name.parents.inner] where made.insert(path).inserted {
            do throws(SystemError) {
                try files.makeDirectory(path, in: target.directory, mode: ValueFiles.directoryMode)
            } catch {
                if error.errno != ErrorNumber.exists { throw error }
            }
        }
    }

    // MARK: The end

    /// `meta` of no boot, with T, head and counters, and a seal that names no index: a store at rest, all of it durable. Who opens it makes
    /// the views again from the log.
    private func writeMeta(
        _ state: (word: UInt64, head: Position, counters: CommitBlock.Counters, isIntact: Bool), tail: Position
    ) throws(SystemError) {
        let status = try files.status(target.directory)
        var identity = store.identity
        (identity.boot, identity.device, identity.inode) = ((0, 0), status.device, status.inode)
        let words = UnsafeMutableRawBufferPointer.allocate(byteCount: CommitBlock.fileSize, alignment: 64)
        defer { words.deallocate() }
        words.initializeMemory(as: UInt8.self, repeating: 0)
        guard let base = words.baseAddress else { return }
        let block = CommitBlock(base: base)
        block.publish(tail: tail, head: state.head, state.counters)
        block.synced.store(tail)
        Seal(word: block.word.relaxed(), head: state.head, generation: 0, indexSum: 0, indexSize: 0).write(to: base)
        var bytes = Array(words)
        bytes.replaceSubrange(
            CommitBlock.identityOffset..<CommitBlock.identityOffset + StoreIdentity.size, with: identity.encoded())
        try target.writeMeta(bytes)
    }

    private mutating func sync() throws(SystemError) {
        for path in unsynced { try files.sync(try files.open(path, in: target.directory, [.write])) }
        unsynced.removeAll()
        for path in made { try files.syncDirectory(try files.open(path, in: target.directory, [.directory])) }
    }
}
