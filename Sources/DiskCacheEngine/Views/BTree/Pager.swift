import Synchronization

/// The file of B-tree pages: made, opened, mapped, grown; its root read and swapped.
///
/// A batch writes new pages into free places and ends in one store of the batch number, which makes the other root count.
/// So a process that is killed at any instant leaves the last root, whole.
///
/// **Threads.** `root`, `load` and what cursors do: any thread and process, no lock. A root of batch b is safe to read from
/// until batch b + 2 is published: pages that b + 1 replaced are written by batch b + 3 at the earliest, which begins after
/// that. So a reader copies a page and looks at the number *afterwards*; if it moved by two, the copy means nothing.
/// Everything else: the one writer, who holds the flock on this file.
///
/// It holds no fact: the trees can be built again from the log. One object stands for one generation of the file.
final class Pager: @unchecked Sendable {
    let generation: UInt64
    let file: FileDescriptor
    let directory: FileDescriptor
    let files: any FileSystem
    let base: UnsafeMutableRawPointer
    let isWritable: Bool
    /// Seeds every checksum of the file.
    let seed: UInt64
    private let reserved: Int
    /// Pages that the file really has: checked before a page number from the file is believed.
    private let validPages: Atomic<Int>

    /// Which pages are free: the writer's.
    var allocator: PageAllocator?
    /// Memory for batches: the writer's.
    private(set) lazy var workspace = BTreeWorkspace(self)

    #if FAILPOINTS
        /// What a test wants to be called at each step of this object, beside the fault points of the process.
        var stepHandler: ((FaultPoint) -> Void)?
    #endif

    static let reservation = 32 << 30
    /// Writers stop here on file systems that may need a block to overwrite one.
    static let copyOnWriteReserve = 32 << 20

    private init(
        generation: UInt64, file: FileDescriptor, directory: FileDescriptor, files: any FileSystem,
        base: UnsafeMutableRawPointer, reserved: Int, size: Int, isWritable: Bool
    ) {
        self.generation = generation
        self.file = file
        self.directory = directory
        self.files = files
        self.base = base
        self.reserved = reserved
        self.isWritable = isWritable
        seed = XXH64.hash(base + 16, 24, seed: 0)
        validPages = Atomic(min(size, reserved) / PageLayout.pageSize)
    }

    deinit { files.unmap(base, count: reserved, leavingZeros: false) }

    @inline(__always) var batchWord: SharedWord { SharedWord(base, PageLayout.batch) }

    @inline(__always) func reach(_ point: FaultPoint) {
        FaultPoint.reach(point)
        #if FAILPOINTS
            stepHandler?(point)
        #endif
    }

    // MARK: Making and opening

    /// Makes a file without trees that covers the log up to `position`. One of that name was left by a killed process: it goes.
    static func create(
        generation: UInt64, in directory: FileDescriptor, files: any FileSystem, storeID: (UInt64, UInt64),
        boot: (UInt64, UInt64), position: Position
    ) throws(EngineError) -> Pager {
        do {
            let name = PageLayout.name(generation)
            try files.unlinkIfPresent(name, in: directory)
            let file = try files.open(name, in: directory, [.write, .create, .exclusive])
            files.disableCopyOnWrite(file)
            try files.allocate(file, offset: 0, count: 4 * PageLayout.pageSize)
            let status = try files.status(file)
            let identity = Identity(
                storeID: storeID, generation: generation, boot: boot, device: status.device, inode: status.inode)
            let header = identity.encoded()
            let seed = header.withUnsafeBytes { XXH64.hash($0.baseAddress! + 16, 24, seed: 0) }
            let root = FileRoot(batch: 1, position: position, pages: PageLayout.firstTreePage)
            try files.write(file, root.encoded(seed: seed), at: PageLayout.root(ofBatch: 1))
            try files.write(file, [1, 0, 0, 0, 0, 0, 0, 0], at: PageLayout.batch)
            try files.write(file, header, at: 0)
            return try map(
                file, generation: generation, in: directory, files: files, size: status.size, writable: true)
        } catch {
            throw EngineError(error)
        }
    }

    /// Opens the file of a generation; nil if it isn't there or isn't one of this store and generation, or not where it was
    /// made. Whether its last root may be believed is for the caller to say, by `Identity.boot`: else `restoreSyncedRoot`. Of a file that
    /// names another boot than `boot`, if that is given, the device isn't compared: each boot numbers them anew.
    static func open(
        generation: UInt64, in directory: FileDescriptor, files: any FileSystem, storeID: (UInt64, UInt64),
        writable: Bool = true, boot: (UInt64, UInt64)? = nil
    ) throws(EngineError) -> (pager: Pager, identity: Identity)? {
        guard PageLayout.isGeneration(generation) else { return nil }
        do throws(SystemError) {
            let file: FileDescriptor
            do throws(SystemError) {
                file = try files.open(PageLayout.name(generation), in: directory, writable ? [.write] : [])
            } catch {
                if error.errno == ErrorNumber.notFound { return nil }
                throw error
            }
            let status = try files.status(file)
            guard status.kind == .regular, status.size >= 4 * PageLayout.pageSize,
                status.size % PageLayout.pageSize == 0
            else { return nil }
            if !writable { SystemCalls.adviseRandom(file.number) }
            let header = try files.read(file, count: PageLayout.identitySize + 8, at: 0)
            guard let identity = Identity(header), identity.storeID == storeID, identity.generation == generation,
                identity.inode == status.inode,
                identity.device == status.device || boot.map({ $0 != identity.boot }) ?? false
            else { return nil }
            let pager = try map(
                file, generation: generation, in: directory, files: files, size: status.size, writable: writable)
            return (pager, identity)
        } catch {
            throw EngineError(error)
        }
    }

    /// Maps far beyond the file's end, so that growth needs no new mapping: allocation makes the addresses usable.
    private static func map(
        _ file: FileDescriptor, generation: UInt64, in directory: FileDescriptor, files: any FileSystem, size: Int,
        writable: Bool
    ) throws(SystemError) -> Pager {
        var reserved = reservation
        while true {
            do {
                let base = try files.map(file, offset: 0, count: reserved, writable: writable, at: nil)
                return Pager(
                    generation: generation, file: file, directory: directory, files: files, base: base,
                    reserved: reserved, size: size, isWritable: writable)
            } catch {
                if error.errno != ErrorNumber.noMemory || reserved / 2 < max(size, 4 << 20) { throw error }
                reserved /= 2
            }
        }
    }

    // MARK: Reading

    /// The number of pages in the file, at least `count` if it has as many.
    @inline(__always) func filePages(atLeast count: Int) -> Int {
        let known = validPages.load(ordering: .relaxed)
        return count <= known ? known : filePagesNow()
    }

    /// The file may have grown: ask it.
    @inline(never) private func filePagesNow() -> Int {
        guard let size = try? files.status(file).size else { return validPages.load(ordering: .relaxed) }
        let valid = min(size, reserved) / PageLayout.pageSize
        validPages.store(valid, ordering: .relaxed)
        return valid
    }

    /// One tree's root, and what the file's root says beside it, as of one instant.
    struct Snapshot: Sendable {
        var batch: UInt64
        var position: Position
        var pages: Int
        var tree: TreeRoot
    }

    /// The published root of a tree.
    func root(of tree: TreeID) throws(EngineError) -> Snapshot {
        while true {
            let batch = batchWord.acquire()
            let address = base + PageLayout.root(ofBatch: batch)
            StepPoint.access(.load, address)
            // A root is written again only after another was published: torn, or of another batch, means that the number moved.
            let found = withUnsafeTemporaryAllocation(byteCount: PageLayout.rootSize, alignment: 8) {
                raw -> Snapshot? in
                guard let copy = raw.baseAddress else { return nil }
                copy.copyMemory(from: address, byteCount: PageLayout.rootSize)
                guard FileRoot.isWhole(copy, seed: seed), FileRoot.word(copy, 0) == batch, batch < 1 << 62 else {
                    return nil
                }
                let pages = FileRoot.word(copy, PageLayout.rootPages)
                guard pages < 1 << 32, Int(pages) <= filePages(atLeast: Int(pages)),
                    let root = FileRoot.tree(tree.rawValue, in: copy, filePages: Int(pages))
                else { return nil }
                return Snapshot(
                    batch: batch, position: FileRoot.word(copy, PageLayout.rootPosition), pages: Int(pages), tree: root)
            }
            if let found { return found }
            SharedMemory.acquireFence()
            if batchWord.relaxed() == batch { throw damaged("its root") }
        }
    }

    /// The published root of all trees.
    func fileRoot() throws(EngineError) -> FileRoot {
        while true {
            let batch = batchWord.acquire()
            if let root = root(at: PageLayout.root(ofBatch: batch)), root.batch == batch { return root }
            // As in `root(of:)`.
            SharedMemory.acquireFence()
            if batchWord.relaxed() == batch { throw damaged("its root") }
        }
    }

    /// The root that stands at an offset of the file, if a whole one does.
    func root(at offset: Int) -> FileRoot? {
        let pages = Int(clamping: FileRoot.word(base + offset, PageLayout.rootPages))
        return FileRoot(base + offset, seed: seed, filePages: filePages(atLeast: pages))
    }

    /// The later of the two roots that were synced.
    func syncedRoot() -> FileRoot? {
        var last: FileRoot?
        for offset in PageLayout.syncedRoots {
            if let root = root(at: offset), root.batch > last?.batch ?? 0 { last = root }
        }
        return last
    }

    /// Whether pages of a root of `batch` may have been written over by now.
    @inline(__always) func hasMoved(beyond batch: UInt64) -> Bool { batchWord.relaxed() &- batch >= 2 }

    /// As of which root pages are read.
    struct View: Sendable {
        /// Pages of later batches don't belong to it.
        var batch: UInt64
        /// Its pages lie below this one.
        var pages: Int
        /// The writer reads what nobody writes over, the pages of its own batch among it.
        var isWriter = false
    }

    /// Copies a leaf or branch into `buffer` and proves the copy; nil: the view's root is too old by now.
    func load(
        _ reference: PageReference, level: Int, _ view: View, into buffer: PageBuffer
    ) throws(EngineError) -> Page? {
        guard try copy(reference.page, check: reference.check, view, into: buffer) else { return nil }
        guard let page = Page(buffer.base, level: level, filePages: view.pages) else {
            throw damaged("page \(reference.page)")
        }
        return page
    }

    /// Copies an overflow page into `buffer` and proves the copy; false: the view's root is too old by now.
    func loadOverflow(_ chain: KeyChain, _ view: View, into buffer: PageBuffer) throws(EngineError) -> Bool {
        guard try copy(chain.page, check: chain.check, view, into: buffer) else { return false }
        let count = Int(Page.short(buffer.base, PageLayout.count))
        let next = Int(Page.half(buffer.base, PageLayout.overflowNext))
        guard buffer.base.load(fromByteOffset: PageLayout.kind, as: UInt8.self) == PageLayout.overflow,
            count >= 1, count <= PageLayout.overflowCapacity, next < view.pages,
            next == 0 || next >= PageLayout.firstTreePage
        else { throw damaged("page \(chain.page)") }
        return true
    }

    private func copy(
        _ page: UInt32, check: UInt32, _ view: View, into buffer: PageBuffer
    ) throws(EngineError) -> Bool {
        guard page >= PageLayout.firstTreePage, page < view.pages else { throw damaged("a page number") }
        let address = base + Int(page) * PageLayout.pageSize
        StepPoint.access(.load, address)
        buffer.base.copyMemory(from: address, byteCount: PageLayout.pageSize)
        SharedMemory.acquireFence()
        if !view.isWriter, hasMoved(beyond: view.batch) { return false }
        let stored = FileRoot.word(buffer.base, 0)
        guard UInt32(truncatingIfNeeded: stored) == check, stored == checksum(buffer.base, page: page),
            FileRoot.word(buffer.base, PageLayout.pageBatch) <= view.batch
        else { throw damaged("page \(page)") }
        return true
    }

    /// The checksum of a page's bytes.
    @inline(__always) func checksum(_ bytes: UnsafeRawPointer, page: UInt32) -> UInt64 {
        XXH64.hash(bytes + 8, PageLayout.pageSize - 8, seed: seed &+ UInt64(page))
    }

    @inline(never) func damaged(_ what: String) -> EngineError {
        EngineError(
            .corrupted, "the ordered views are damaged (\(what)); they are built again from the log", path: file.path)
    }

    // MARK: Growing

    /// Blocks for that many pages, in steps that grow with the file up to 1 MiB.
    func ensurePages(_ count: Int) throws(EngineError) {
        let size = count * PageLayout.pageSize
        guard size <= reserved, count <= Int(UInt32.max) else {
            throw EngineError(.limitReached, "the ordered views don't fit into the address space", path: file.path)
        }
        if count <= validPages.load(ordering: .relaxed) { return }
        do throws(SystemError) {
            let current = try files.status(file).size
            if size > current {
                let space = try files.fileSystem(under: file)
                if space.kind == .copyOnWrite, space.freeBytes < Self.copyOnWriteReserve {
                    throw SystemError(errno: ErrorNumber.noSpace, call: "fallocate", path: file.path)
                }
                let wanted = min(max(current / 4, 4 * PageLayout.pageSize), 1 << 20)
                let step = wanted / PageLayout.pageSize * PageLayout.pageSize
                let end = min(max(size, current + step), reserved)
                try files.allocate(file, offset: current, count: end - current)
                SystemCalls.populate(base + current, count: end - current)
                reach(.treesGrown)
            }
            validPages.store(min(try files.status(file).size, reserved) / PageLayout.pageSize, ordering: .relaxed)
        } catch {
            throw EngineError(error)
        }
    }
}
