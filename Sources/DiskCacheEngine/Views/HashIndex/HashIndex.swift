import Synchronization

/// The hash index: where the newest record of a key lies. Extendible hashing in a mapped file (Fagin et al., TODS 1979; for
/// mapped memory see CCEH, Nam et al., FAST 2019), with pages that are copied when they split, so that readers in any thread
/// and process need no lock (models: hash-copysplit.pml, move.pml).
///
/// It holds no fact: `Rebuild` makes it again from the log. One object stands for one generation of the file.
///
/// **Threads.** `lookup` by any thread between `ReaderPins.enter` and `leave`. Everything else by the holder of the write lock.
///
/// **Invariants.** I1 every entry of the directory that agrees with a page in the page's depth low bits names that page, with its
/// depth. I2 a key is in at most one slot of the pages that the directory names, but for slots that
/// name what lies below the head. I3 a slot's page is the one that its hash leads
/// to. I4 no slot stands behind a bucket, on its way from home, that has a place never used.
final class HashIndex: @unchecked Sendable {
    let generation: UInt64
    let file: FileDescriptor
    let files: any FileSystem
    let base: UnsafeMutableRawPointer
    let reserved: Int
    let view: IndexView
    /// Keeps the file of stamps that the view names.
    private let stampOwner = Guarded<StampFile?>(nil)

    static let reservation = 16 << 30

    private init(
        generation: UInt64, file: FileDescriptor, files: any FileSystem, base: UnsafeMutableRawPointer, reserved: Int,
        size: Int
    ) {
        self.generation = generation
        self.file = file
        self.files = files
        self.base = base
        self.reserved = reserved
        view = IndexView(
            base: base, generation: generation, validPages: min(size, reserved) / IndexLayout.pageSize)
        view.index = Unmanaged.passUnretained(self)
    }

    deinit {
        files.unmap(base, count: reserved, leavingZeros: false)
        view.fields.deallocate()
    }

    // MARK: Words

    @inline(__always) var root: SharedWord { view.root }
    @inline(__always) var covered: SharedWord { SharedWord(base, IndexLayout.covered) }
    var pages: SharedWord { SharedWord(base, IndexLayout.pages) }
    var spare: SharedWord { SharedWord(base, IndexLayout.spare) }
    var intent: SharedWord { SharedWord(base, IndexLayout.intent) }

    @inline(__always) static func depth(ofRoot root: UInt64) -> Int { Int(root & 0xFF) }
    @inline(__always) static func run(ofRoot root: UInt64) -> Int { Int(root &>> 8) }

    @inline(__always) func entryWord(_ root: UInt64, _ index: Int) -> SharedHalf { view.entryWord(root, index) }
    @inline(__always) func slotWord(_ page: Int, _ bucket: Int, _ index: Int) -> SharedWord {
        view.slotWord(page, bucket, index)
    }
    @inline(__always) func isValid(root: UInt64) -> Bool { view.isValid(root: root) }
    @inline(__always) func isValid(_ entry: DirectoryEntry) -> Bool { view.isValid(entry) }
    @inline(__always) var validPages: Int { view.validPages.pointee.load(ordering: .relaxed) }

    /// Asks the file how many pages it has.
    func refreshValidPages() {
        guard let size = try? files.status(file).size else { return }
        view.validPages.pointee.store(min(size, reserved) / IndexLayout.pageSize, ordering: .relaxed)
    }

    /// Pages that the file has, those included that another process has added.
    var filePages: Int {
        if pages.relaxed() > UInt64(validPages) { refreshValidPages() }
        return validPages
    }

    /// Pages that were ever used: as the header says, which no check covers, and no more than there are.
    var usedPages: Int { min(Int(clamping: pages.relaxed()), filePages) }

    // MARK: Making and opening

    /// What the header of an index file says about where and when it was made.
    struct Identity: Equatable, Sendable {
        var storeID: (UInt64, UInt64)
        var generation: UInt64
        var boot: (UInt64, UInt64)
        var device: UInt64
        var inode: UInt64

        static func == (a: Self, b: Self) -> Bool {
            a.storeID == b.storeID && a.generation == b.generation && a.boot == b.boot && a.device == b.device
                && a.inode == b.inode
        }

        /// The first 128 bytes of the file.
        func encoded() -> [UInt8] {
            var header = [UInt8](repeating: 0, count: 128)
            header.withUnsafeMutableBytes { raw in
                func put(_ value: UInt64, _ at: Int) {
                    raw.storeBytes(of: value.littleEndian, toByteOffset: at, as: UInt64.self)
                }
                put(IndexLayout.magic, 0)
                put(UInt64(EngineVersion.format), 8)
                put(storeID.0, 16)
                put(storeID.1, 24)
                put(generation, 32)
                put(boot.0, 40)
                put(boot.1, 48)
                put(device, 56)
                put(inode, 64)
                put(XXH64.hash(UnsafeRawBufferPointer(rebasing: raw[0..<120]), seed: 0), 120)
            }
            return header
        }
    }

    /// Makes an empty index of depth 0 that covers nothing. A file of that name is one that a killed process left: it goes.
    static func create(
        generation: UInt64, in directory: FileDescriptor, files: any FileSystem, storeID: (UInt64, UInt64),
        boot: (UInt64, UInt64)
    ) throws(EngineError) -> HashIndex {
        do {
            let name = IndexLayout.name(generation)
            try files.unlinkIfPresent(name, in: directory)
            let file = try files.open(name, in: directory, [.write, .create, .exclusive])
            FaultPoint.reach(.indexCreated)
            files.disableCopyOnWrite(file)
            let size = 4 * IndexLayout.pageSize
            try files.allocate(file, offset: 0, count: size)
            let status = try files.status(file)
            var header = Identity(
                storeID: storeID, generation: generation, boot: boot, device: status.device, inode: status.inode
            ).encoded()
            header += [UInt8](repeating: 0, count: 128)
            header.withUnsafeMutableBytes { raw in
                func put(_ value: UInt64, _ at: Int) {
                    raw.storeBytes(of: value.littleEndian, toByteOffset: at, as: UInt64.self)
                }
                put(UInt64(IndexLayout.firstFreePage) << 8, IndexLayout.root)
                put(UInt64(IndexLayout.firstFreePage + 2), IndexLayout.pages)
            }
            // One entry: the page behind the directory, depth 0.
            let entry = DirectoryEntry(page: IndexLayout.firstFreePage + 1, depth: 0).raw
            let entryBytes = (0..<4).map { UInt8(truncatingIfNeeded: entry >> (8 * UInt32($0))) }
            try files.write(file, entryBytes, at: IndexLayout.pageSize)
            try files.write(file, header, at: 0)
            return try map(file, generation: generation, files: files, size: status.size)
        } catch {
            throw EngineError(error)
        }
    }

    /// Opens the file of a generation; nil if it isn't there or isn't an index of this store and generation. Of one that names another
    /// boot than `boot`, if that is given, the device isn't compared: each boot numbers them anew.
    static func open(
        generation: UInt64, in directory: FileDescriptor, files: any FileSystem, storeID: (UInt64, UInt64),
        boot: (UInt64, UInt64)? = nil
    ) throws(EngineError) -> (index: HashIndex, identity: Identity)? {
        // One made behind the last that a name can say is one too.
        guard generation < 2 * IndexLayout.mostGenerations else { return nil }
        do throws(SystemError) {
            let file: FileDescriptor
            do throws(SystemError) {
                file = try files.open(IndexLayout.name(generation), in: directory, [.write])
            } catch {
                if error.errno == ErrorNumber.notFound { return nil }
                throw error
            }
            let status = try files.status(file)
            guard status.kind == .regular, status.size >= 4 * IndexLayout.pageSize,
                status.size % IndexLayout.pageSize == 0
            else { return nil }
            let header = try files.read(file, count: 256, at: 0)
            guard header.count == 256 else { return nil }
            let identity = header.withUnsafeBytes { raw -> Identity? in
                func word(_ at: Int) -> UInt64 {
                    UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt64.self))
                }
                guard word(0) == IndexLayout.magic, word(8) == UInt64(EngineVersion.format),
                    word(120) == XXH64.hash(UnsafeRawBufferPointer(rebasing: raw[0..<120]), seed: 0),
                    word(16) == storeID.0, word(24) == storeID.1, word(32) == generation
                else { return nil }
                return Identity(
                    storeID: (word(16), word(24)), generation: word(32), boot: (word(40), word(48)), device: word(56),
                    inode: word(64))
            }
            guard let identity, identity.inode == status.inode,
                identity.device == status.device || boot.map({ $0 != identity.boot }) ?? false
            else { return nil }
            let index = try map(file, generation: generation, files: files, size: status.size)
            guard index.isValid(root: index.root.acquire()) else { return nil }
            return (index, identity)
        } catch {
            throw EngineError(error)
        }
    }

    /// Notes the boot of the system in which the file is believed from here on.
    func renew(_ identity: Identity) throws(SystemError) {
        var identity = identity
        identity.device = try files.status(file).device
        try files.write(file, identity.encoded(), at: 0)
    }

    /// XXH64 of the whole file.
    func sum() throws(SystemError) -> (value: UInt64, size: Int) {
        let size = try files.status(file).size
        var hash = XXH64(seed: 0)
        var offset = 0
        while offset < size {
            let piece = try files.read(file, count: min(1 << 20, size - offset), at: offset)
            if piece.isEmpty { break }
            piece.withUnsafeBytes { hash.update($0) }
            offset += piece.count
        }
        return (hash.value(), size)
    }

    /// Maps far beyond the file's end, so that growth needs no new mapping: allocation makes the addresses usable.
    private static func map(
        _ file: FileDescriptor, generation: UInt64, files: any FileSystem, size: Int
    ) throws(SystemError) -> HashIndex {
        var reserved = reservation
        while true {
            do {
                let base = try files.map(file, offset: 0, count: reserved, writable: true, at: nil)
                return HashIndex(
                    generation: generation, file: file, files: files, base: base, reserved: reserved, size: size)
            } catch {
                if error.errno != ErrorNumber.noMemory || reserved / 2 < max(size, 4 << 20) { throw error }
                reserved /= 2
            }
        }
    }

    // MARK: Stamps

    /// The file of stamps beside this index; nil: none is kept, or it isn't open here.
    var stamps: StampFile? {
        view.stamps.pointee.load(ordering: .relaxed) == 0 ? nil : stampOwner.withLock { $0 }
    }

    /// Puts a file of stamps beside the index, or takes it away; readers may be in the one before.
    func attach(_ stamps: StampFile?) {
        let old = stampOwner.withLock { owner in
            let old = owner
            owner = stamps
            let address = stamps.map { UInt(bitPattern: Unmanaged.passUnretained($0).toOpaque()) } ?? 0
            view.stamps.pointee.store(address, ordering: .sequentiallyConsistent)
            return old
        }
        if let old { ReaderPins.retire { withExtendedLifetime(old) {} } }
    }

    // MARK: Writing

    /// Where a key stands, or could.
    struct Place {
        let slot: SharedWord
        let value: Slot
    }

    enum Found {
        /// The key's slot, and the record that it names.
        case present(Place, Record)
        /// A free slot of the key's buckets, with the value (but for the position) that it will get.
        case free(Place)
        /// All four buckets are full.
        case full
    }

    /// The slot that names exactly `position` for a key of this hash; nil: none does.
    func slot(naming position: Position, hash: UInt64) throws(EngineError) -> Place? {
        let root = self.root.relaxed()
        let entry = DirectoryEntry(
            raw: entryWord(root, HashBits.directoryIndex(hash, Self.depth(ofRoot: root))).relaxed())
        guard isValid(entry) else { throw damaged() }
        let fingerprint = HashBits.fingerprint(hash, depth: entry.depth)
        let step = HashBits.step(fingerprint)
        let home = HashBits.home(hash)
        for displacement in 0..<IndexLayout.probes {
            let bucket = HashBits.bucket(home, step, displacement)
            let want = Slot(fingerprint: fingerprint, displacement: displacement, position: position)
            for index in 0..<IndexLayout.slotsPerBucket {
                let word = slotWord(entry.page, bucket, index)
                if word.relaxed() == want.raw { return Place(slot: word, value: want) }
            }
        }
        return nil
    }

    /// Stored after the slots and before the commit word: every record below it that counts is in this index.
    @inline(__always) func cover(_ tail: Position) {
        covered.store(tail)
        FaultPoint.reach(.coveredStored)
    }

    /// The positions that all slots of the directory's pages name.
    func positions(anchor: Position) -> [Position] {
        var positions: [Position] = []
        var seen: Set<Int> = []
        let root = self.root.relaxed()
        for number in 0..<(1 << Self.depth(ofRoot: root)) {
            let entry = DirectoryEntry(raw: entryWord(root, number).relaxed())
            guard isValid(entry), seen.insert(entry.page).inserted else { continue }
            forEachSlot(entry.page) { slot, _, _ in
                positions.append(PackedPosition.complete(slot.low, around: anchor))
            }
        }
        return positions
    }

    @inline(never) func damaged() -> EngineError {
        EngineError(
            .corrupted, "the hash index is damaged; close the store everywhere and open it again to rebuild it",
            path: file.path)
    }
}
