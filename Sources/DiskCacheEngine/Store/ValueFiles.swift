/// The files of a store's large values, each value in one of its own (DESIGN 10).
///
/// Written under a temporary name, then renamed to where its record says:
///
///     let writer = try files.beginWriting()
///     try writer.append(bytes)                    // as often as there is more
///     let reference = try writer.finish()         // write lock; record with the reference, not yet committed
///     try writer.place()                          // commit record
///
///     if let reader = try files.open(reference) { … }
///
/// A file in place never changes, and only `unlink` takes it away: so readers need no lock, and a reader that doesn't
/// find its file looks the key up again. A file belongs to one key; `link` makes a second name for another.
///
/// A temporary file is flocked by who writes it. One whose lock can be had belongs to nobody: `sweepTemporary` unlinks
/// it. Nothing is judged by age or process id.
///
/// Directories are made when they are missing and removed when they become empty; whoever loses a file's directory to
/// that between two steps makes it again. All names are looked up below the store's directory, which must stay open.
/// May be used from any thread, and by several processes at once.
final class ValueFiles: Sendable {
    static let root = "files"
    static let temporary = "files/tmp"
    static let suffix = ".val"
    static let directoryMode: UInt32 = 0o700
    /// How often a step is tried again that somebody else's removal of an empty directory undid.
    static let attempts = 10

    let directory: FileDescriptor
    let environment: Environment

    init(directory: FileDescriptor, environment: Environment) {
        self.directory = directory
        self.environment = environment
    }

    var system: any FileSystem { environment.files }

    /// Begins a value's file. `expected` bytes, if known, are allocated at once.
    func beginWriting(expected: Int = 0) throws(SystemError) -> ValueFileWriter {
        for _ in 0..<Self.attempts {
            let name = ValueFileName(random: environment.random)
            let file = try openTemporary(name)
            ForkGuard.register(file)
            do {
                // A sweeper may have come between the two: it has the lock, or has unlinked the file.
                if try system.lock(file, .exclusive), try system.status(file).links > 0 {
                    return try ValueFileWriter(self, name, file, expected: expected)
                }
            } catch {
                try? system.unlinkIfPresent(name.temporaryPath, in: directory)
                ForkGuard.unregister(file)
                throw error
            }
            ForkGuard.unregister(file)
        }
        throw SystemError(errno: ErrorNumber.wouldBlock, call: "flock", path: Self.temporary)
    }

    /// Opens a value's file; nil if it isn't there.
    func open(_ reference: ValueFileReference) throws(ValueFileError) -> ValueFileReader? {
        let path = reference.name.path
        // Before it is opened: to open a pipe would wait for its other end.
        let found = try ValueFileError.wrapping { () throws(SystemError) in
            try system.status(of: path, in: directory)
        }
        guard let found else { return nil }
        guard found.kind == .regular else { throw .corrupted(path: path, .notAFile) }
        let file = try ValueFileError.wrapping { () throws(SystemError) in try openIfPresent(path) }
        guard let file else { return nil }
        let status = try ValueFileError.wrapping { () throws(SystemError) in try system.status(file) }
        guard status.kind == .regular else { throw .corrupted(path: path, .notAFile) }
        guard status.size == reference.length else { throw .corrupted(path: path, .length) }
        return ValueFileReader(file, reference, system)
    }

    /// Makes files in place durable, with their names. One that is gone is as good.
    ///
    /// Of several the writing is begun before the first is waited for: then a journal commits them together.
    func sync(_ names: [ValueFileName]) throws(SystemError) {
        var parents: Set<String> = []
        var rest = names[...]
        while !rest.isEmpty {
            let opened = try open(rest.prefix(Self.syncedTogether))
            if opened.count > 1 {
                for case let file? in opened { system.beginWriteback(file) }
            }
            for case (let name, let file?) in zip(rest, opened) {
                try system.sync(file)
                parents.insert(name.parents.inner)
                parents.insert(name.parents.outer)
            }
            rest = rest.dropFirst(opened.count)
        }
        if parents.isEmpty { return }
        for path in parents.union([Self.root]) {
            if let found = try openIfPresent(path, [.directory]) { try system.syncDirectory(found) }
        }
        try system.syncDirectory(directory)
    }

    /// How many are open at once for that.
    private static let syncedTogether = 64

    /// The files of these names, as far as descriptors last, but one at least; nil for what is gone.
    private func open(_ names: ArraySlice<ValueFileName>) throws(SystemError) -> [FileDescriptor?] {
        var opened: [FileDescriptor?] = []
        for name in names {
            do throws(SystemError) {
                opened.append(try openIfPresent(name.path))
            } catch {
                let isShort =
                    error.errno == ErrorNumber.tooManyOpenFiles || error.errno == ErrorNumber.tooManyOpenFilesInSystem
                if opened.isEmpty || !isShort { throw error }
                break
            }
        }
        return opened
    }

    /// Gives the file of `name` a second name, `made`, for another key.
    func link(_ name: ValueFileName, to made: ValueFileName) throws(SystemError) {
        do {
            try withParents(of: made) { () throws(SystemError) in
                try system.link(name.path, to: made.path, in: directory)
            }
        } catch {
            prune(made)
            throw error
        }
    }

    /// Removes a file in place, and the directories that it leaves empty. That it is gone already is as good.
    func unlink(_ name: ValueFileName) throws(SystemError) {
        try system.unlinkIfPresent(name.path, in: directory)
        prune(name)
    }

    /// The names of all files in place, in no order. Whatever else lies there is passed over.
    func list() throws(SystemError) -> [ValueFileName] {
        var names: [ValueFileName] = []
        guard let root = try openIfPresent(Self.root, [.directory]) else { return names }
        for outer in try system.list(root) where outer.utf8.count == 2 {
            guard let outerDirectory = try openDirectory(outer, in: root) else { continue }
            for inner in try system.list(outerDirectory) where inner.utf8.count == 2 {
                guard let innerDirectory = try openDirectory(inner, in: outerDirectory) else { continue }
                for leaf in try system.list(innerDirectory) where leaf.hasSuffix(Self.suffix) {
                    guard let name = ValueFileName(hex: outer + inner + leaf.dropLast(Self.suffix.count)) else {
                        continue
                    }
                    if try system.status(of: leaf, in: innerDirectory)?.kind == .regular { names.append(name) }
                }
            }
        }
        return names
    }

    /// Unlinks the temporary files that nobody writes any more; how many.
    @discardableResult
    func sweepTemporary() throws(SystemError) -> Int {
        guard let found = try openIfPresent(Self.temporary, [.directory]) else { return 0 }
        var swept = 0
        for leaf in try system.list(found) {
            guard let name = ValueFileName(hex: leaf) else { continue }
            guard try system.status(of: name.temporaryPath, in: directory)?.kind == .regular else { continue }
            guard let file = try openIfPresent(name.temporaryPath) else { continue }
            ForkGuard.register(file)
            defer { ForkGuard.unregister(file) }
            if try system.lock(file, .exclusive) {
                try system.unlinkIfPresent(name.temporaryPath, in: directory)
                swept += 1
            }
        }
        return swept
    }

    // MARK: Directories

    /// Does `body`, which needs the directories of `name`; makes them where it fails because they aren't there.
    func withParents(of name: ValueFileName, _ body: () throws(SystemError) -> Void) throws(SystemError) {
        var failure = SystemError(errno: ErrorNumber.notFound, call: "open", path: name.path)
        for _ in 0..<Self.attempts {
            do {
                try body()
                return
            } catch {
                failure = error
            }
            if failure.errno != ErrorNumber.notFound { throw failure }
            try makeDirectories([Self.root, name.parents.outer, name.parents.inner])
        }
        throw failure
    }

    /// Makes what is missing of a path. That one vanishes meanwhile is met by who tries again.
    private func makeDirectories(_ paths: [String]) throws(SystemError) {
        for path in paths {
            var failure: SystemError?
            do { try system.makeDirectory(path, in: directory, mode: Self.directoryMode) } catch { failure = error }
            guard let failure, failure.errno != ErrorNumber.notFound else { continue }
            guard failure.errno == ErrorNumber.exists else { throw failure }
            if let found = try system.status(of: path, in: directory), found.kind != .directory {
                throw SystemError(errno: ErrorNumber.notDirectory, call: "mkdir", path: path)
            }
        }
    }

    private func openTemporary(_ name: ValueFileName) throws(SystemError) -> FileDescriptor {
        var failure = SystemError(errno: ErrorNumber.notFound, call: "open", path: name.temporaryPath)
        for _ in 0..<Self.attempts {
            do {
                return try system.open(name.temporaryPath, in: directory, [.write, .create, .exclusive], mode: 0o600)
            } catch {
                failure = error
            }
            if failure.errno != ErrorNumber.notFound { throw failure }
            try makeDirectories([Self.root, Self.temporary])
        }
        throw failure
    }

    private func openIfPresent(_ path: String, _ options: OpenOptions = []) throws(SystemError) -> FileDescriptor? {
        do {
            return try system.open(path, in: directory, options)
        } catch {
            if error.errno == ErrorNumber.notFound { return nil }
            throw error
        }
    }

    /// Nil if it is gone, or no directory: a link, a file.
    private func openDirectory(_ name: String, in parent: FileDescriptor) throws(SystemError) -> FileDescriptor? {
        guard try system.status(of: name, in: parent)?.kind == .directory else { return nil }
        do {
            return try system.open(name, in: parent, [.directory])
        } catch {
            if error.errno == ErrorNumber.notFound || error.errno == ErrorNumber.notDirectory { return nil }
            throw error
        }
    }

    /// Removes the directories of `name` if they are empty; if they aren't, or it fails, they stay.
    private func prune(_ name: ValueFileName) {
        let parents = name.parents
        for path in [parents.inner, parents.outer] {
            do {
                try system.unlink(path, in: directory, isDirectory: true)
            } catch {
                if error.errno != ErrorNumber.notFound { return }
            }
        }
    }
}
