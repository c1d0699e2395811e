/// The files of one named lock, as this process has them open: one for each slot, and the gate.
///
/// A file is made by whoever needs it first, is never renamed or truncated, and what it holds is never read. Only a flight's is
/// unlinked, by its holder, before it lets go. So after each `flock` the name is looked at again: a file that lost its name in the
/// meantime excludes nobody, and is opened anew (RELIABILITY P24, P25, P30).
///
/// Not for several threads at once: it belongs to its lock's mutex.
struct LockFiles {
    private let files: any FileSystem
    /// The store's own directory.
    private let store: FileDescriptor
    private let name: LockName
    private let slotCount: Int
    private var directory: FileDescriptor?
    /// The slots, and behind them the gate.
    private var open: [FileDescriptor?]
    private var isBoundKnown: Bool

    init(files: any FileSystem, store: FileDescriptor, name: LockName, slots: Int) {
        self.files = files
        self.store = store
        self.name = name
        slotCount = slots
        open = Array(repeating: nil, count: slots + 1)
        isBoundKnown = name.kind != .semaphore
    }

    /// Whether everything is open. A flight's files come and go.
    var areOpen: Bool { name.kind != .flight && isBoundKnown && open.allSatisfy { $0 != nil } }

    /// Closes everything, and so lets go of everything.
    mutating func close() {
        for index in open.indices { drop(index) }
    }

    /// Locks the file of a slot if nobody has it. Throws `invalidSetting` if the semaphore was made with another number of slots.
    mutating func lockSlot(_ number: Int) throws(EngineError) -> Bool {
        try checkBound()
        return try lock(number, name.slot(number))
    }

    /// Lets go of a slot.
    mutating func unlockSlot(_ number: Int) {
        guard name.kind == .flight else { return unlock(number) }
        // Whoever opened it meanwhile finds it nameless when it gets the lock.
        if let file = open[number], let directory, isNamed(file, name.slot(number)) {
            try? files.unlink(name.slot(number), in: directory, isDirectory: false)
        }
        drop(number)
    }

    /// Locks the gate if nobody has it. A flight has none: whoever waits for it finds the work done, in whatever order.
    mutating func lockGate() throws(EngineError) -> Bool {
        if name.kind == .flight { return true }
        return try lock(slotCount, name.gate)
    }

    /// Lets go of the gate.
    func unlockGate() { unlock(slotCount) }

    // MARK: Parts

    private mutating func lock(_ index: Int, _ path: String) throws(EngineError) -> Bool {
        // Each turn but the last finds a file that has just lost its name.
        for _ in 0..<100 {
            let file = try openFile(index, path)
            let isLocked = try files.lockOrThrow(file, .exclusive)
            if isNamed(file, path) { return isLocked }
            drop(index)
            // It may be the directory that has another name now.
            directory = nil
        }
        return false
    }

    private func unlock(_ index: Int) {
        if let file = open[index] { _ = try? files.lock(file, .unlock) }
    }

    private mutating func drop(_ index: Int) {
        guard let file = open[index] else { return }
        ForkGuard.unregister(file)
        open[index] = nil
    }

    private mutating func openFile(_ index: Int, _ path: String) throws(EngineError) -> FileDescriptor {
        if let file = open[index] { return file }
        do throws(SystemError) {
            if let directory {
                do throws(SystemError) {
                    return try make(index, path, in: directory)
                } catch {
                    // `locks` itself was removed, or the whole store.
                    if error.errno != ErrorNumber.notFound { throw error }
                }
            }
            return try make(index, path, in: try openDirectory())
        } catch {
            throw failure(error)
        }
    }

    private mutating func make(
        _ index: Int, _ path: String, in directory: FileDescriptor
    ) throws(SystemError) -> FileDescriptor {
        let file = try files.open(path, in: directory, [.write, .create])
        ForkGuard.register(file)
        open[index] = file
        return file
    }

    private mutating func openDirectory() throws(SystemError) -> FileDescriptor {
        do throws(SystemError) {
            try files.makeDirectory("locks", in: store, mode: 0o700)
        } catch {
            if error.errno != ErrorNumber.exists { throw error }
        }
        let opened = try files.open("locks", in: store, [.directory])
        directory = opened
        return opened
    }

    private func failure(_ error: SystemError) -> EngineError {
        if error.errno != ErrorNumber.notFound { return EngineError(error) }
        return EngineError(
            .directoryRemoved, "the directory of the store was removed; open another store", path: store.path)
    }

    /// Whether a file is still what its name means, seen from the store's directory.
    private func isNamed(_ file: FileDescriptor, _ path: String) -> Bool {
        guard let own = try? files.status(file), let named = try? files.status(of: "locks/" + path, in: store) else {
            return false
        }
        return own.inode == named.inode && own.device == named.device
    }

    // MARK: How many slots there are

    /// Compares the number of slots with that of whoever made the semaphore, once.
    mutating func checkBound() throws(EngineError) {
        if isBoundKnown { return }
        var stored: [UInt8] = []
        do throws(SystemError) {
            let directory = try openDirectory()
            // More than one turn only if a power loss left an empty file behind, which somebody is to replace.
            for _ in 0..<100 where stored.isEmpty {
                try makeBound(in: directory)
                let file = try files.open(name.bound, in: directory, [])
                stored = try files.read(file, count: 32, at: 0)
                if stored.isEmpty { try replaceEmptyBound(file, in: directory) }
            }
        } catch {
            throw failure(error)
        }
        let text = String(decoding: stored.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        guard let bound = Int(text), bound > 0 else {
            throw EngineError(
                .corrupted, "what says how many slots a semaphore has isn't a number",
                path: store.path + "/locks/" + name.bound)
        }
        guard bound == slotCount else {
            throw EngineError(
                .invalidSetting, "the semaphore was made with a bound of \(bound), not of \(slotCount)",
                path: store.path + "/locks/" + name.bound)
        }
        isBoundKnown = true
    }

    /// Writes the number down if nobody has. The name appears with all that is in the file, or not at all.
    private func makeBound(in directory: FileDescriptor) throws(SystemError) {
        if try files.status(of: name.bound, in: directory) != nil { return }
        let draft = try draftBound(in: directory)
        do throws(SystemError) {
            try files.link(draft, to: name.bound, in: directory)
        } catch {
            if error.errno != ErrorNumber.exists { throw error }
        }
        try files.unlinkIfPresent(draft, in: directory)
    }

    /// A file with the number under a name that nobody else uses. It is synced before it gets its own: else that could outlive a power
    /// loss, and the number not.
    private func draftBound(in directory: FileDescriptor) throws(SystemError) -> String {
        let draft = name.bound + "." + String(SystemCalls.random(), radix: 16)
        let file = try files.open(draft, in: directory, [.write, .create, .exclusive])
        try files.write(file, Array("\(slotCount)\n".utf8), at: 0)
        try files.sync(file)
        return draft
    }

    /// Puts the number in the place of a file that is empty. Only who has it locked, and finds it under its name then, may: so nobody
    /// replaces what somebody else has just put there.
    private func replaceEmptyBound(_ file: FileDescriptor, in directory: FileDescriptor) throws(SystemError) {
        guard try files.lock(file, .exclusive) else { return SystemCalls.yieldThread() }
        guard isNamed(file, name.bound) else { return }
        try files.rename(try draftBound(in: directory), to: name.bound, in: directory)
    }
}
