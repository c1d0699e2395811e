/// The directory that a backup is made in, beside the place where it will stand, and its way there.
///
/// ```
/// <parent>/.diskcache-backup-<16 digits>/    flocked by who makes it; whoever can have the lock may remove it
///   log.part/     segments; a directory with a name like this is opened by nobody
///   files/        value files
///   meta.part
/// ```
///
/// When all of that is durable, `log.part` becomes `log`, `meta.part` becomes `meta`, and the directory gets its name: in this order, so that
/// who is killed on the way leaves nothing that opens as a store without being the whole one. The next backup beside it removes it.
final class BackupTarget {
    private static let prefix = ".diskcache-backup-"
    static let unfinishedLog = "log.part"
    private static let unfinishedMeta = "meta.part"

    /// Where the backup will stand.
    let path: String
    /// The directory as long as it isn't done.
    let directory: FileDescriptor
    /// Its segments.
    let log: FileDescriptor
    private let files: any FileSystem
    private let parent: FileDescriptor
    private let name: String
    private let temporaryName: String
    private var isPlaced = false

    /// Makes the directory beside `path`. Throws `targetExists` if something stands there, an empty directory aside.
    init(_ path: String, for store: Store) throws(EngineError) {
        self.path = path
        files = store.files
        // Byte by byte: a slash and an accent behind it would be one character.
        let slash = UInt8(ascii: "/")
        let parts = path.utf8.split(separator: slash)
        guard let last = parts.last.map({ String(Substring($0)) }), last != ".", last != ".." else {
            throw EngineError(.io, "a backup needs a directory of its own; name one that isn't there", path: path)
        }
        name = last
        let above = parts.dropLast().map { String(Substring($0)) }.joined(separator: "/")
        let parentPath = path.utf8.first == slash ? "/" + above : above.isEmpty ? "." : above
        let place: Place
        let isInside: Bool
        do throws(SystemError) {
            isInside = try Self.isInside(store, try Self.lowestDirectory(of: parentPath, files), files)
            if !isInside { try StoreDirectory.makeParents(parentPath, files) }
            parent = try files.open(isInside ? "." : parentPath, in: nil, [.directory, .followLinks])
            place = try Self.place(name, in: parent, files)
        } catch {
            throw EngineError(error)
        }
        if isInside {
            throw EngineError(.foreignDirectory, "a backup can't lie inside the store that it is of", path: path)
        }
        switch place {
        case .free: break
        case .occupied: throw Self.occupied(path)
        case .mounted:
            throw EngineError(
                .targetExists, "a file system is mounted there, which no directory can replace; name one inside it",
                path: path)
        }
        Self.removeAbandoned(in: parent, store.environment)
        do throws(SystemError) {
            (directory, temporaryName) = try Self.makeDirectory(in: parent, store.environment)
            do throws(SystemError) {
                try files.makeDirectory(Self.unfinishedLog, in: directory, mode: 0o700)
                log = try files.open(Self.unfinishedLog, in: directory, [.directory])
            } catch {
                ForkGuard.unregister(directory)
                throw error
            }
        } catch {
            throw EngineError(error)
        }
        FaultPoint.reach(.backupBegun)
    }

    /// Removes what was made, unless it is in its place.
    func abandon(_ environment: Environment) {
        if !isPlaced { Self.remove(temporaryName, directory, in: parent, environment) }
        ForkGuard.unregister(directory)
    }

    /// Writes the words of `meta`.
    func writeMeta(_ bytes: [UInt8]) throws(SystemError) {
        let file = try files.open(Self.unfinishedMeta, in: directory, [.write, .create])
        try files.write(file, bytes, at: 0)
        try files.sync(file)
    }

    /// Everything in it is durable: makes it the store that it is to be.
    func place() throws(EngineError) {
        do throws(SystemError) {
            try files.syncDirectory(log)
            try files.syncDirectory(directory)
            FaultPoint.reach(.backupSynced)
            try files.rename(Self.unfinishedLog, to: "log", in: directory)
            FaultPoint.reach(.backupLogNamed)
            try files.rename(Self.unfinishedMeta, to: "meta", in: directory)
            FaultPoint.reach(.backupMetaNamed)
            try files.syncDirectory(directory)
            try files.rename(temporaryName, to: name, in: parent)
            isPlaced = true
            FaultPoint.reach(.backupPlaced)
            try files.syncDirectory(parent)
            // It is an ordinary store now.
            _ = try? files.lock(directory, .unlock)
        } catch {
            // A directory takes the place of an empty one alone.
            if [ErrorNumber.exists, ErrorNumber.notEmpty, ErrorNumber.notDirectory].contains(error.errno) {
                throw Self.occupied(path)
            }
            throw EngineError(error)
        }
    }

    // MARK: Before it

    private static func occupied(_ path: String) -> EngineError {
        EngineError(
            .targetExists, "something stands there already; a backup needs a name that is free, or an empty directory",
            path: path)
    }

    private enum Place { case free, occupied, mounted }

    private static func place(
        _ name: String, in parent: FileDescriptor, _ files: any FileSystem
    ) throws(SystemError) -> Place {
        guard let status = try files.status(of: name, in: parent) else { return .free }
        guard status.kind == .directory else { return .occupied }
        let directory = try files.open(name, in: parent, [.directory])
        if try files.status(directory).device != files.status(parent).device { return .mounted }
        return try files.list(directory).isEmpty ? .free : .occupied
    }

    /// The lowest directory of a path that is there.
    private static func lowestDirectory(
        of path: String, _ files: any FileSystem
    ) throws(SystemError) -> FileDescriptor {
        var parts = path.utf8.split(separator: UInt8(ascii: "/")).map { String(Substring($0)) }
        let root = path.utf8.first == UInt8(ascii: "/") ? "/" : ""
        while true {
            let shown = parts.isEmpty ? (root.isEmpty ? "." : root) : root + parts.joined(separator: "/")
            do throws(SystemError) {
                return try files.open(shown, in: nil, [.directory, .followLinks])
            } catch {
                if error.errno != ErrorNumber.notFound || parts.isEmpty { throw error }
            }
            parts.removeLast()
        }
    }

    /// Whether a directory is that of a store, or lies in it, which holds nothing but what is its own.
    private static func isInside(
        _ store: Store, _ directory: FileDescriptor, _ files: any FileSystem
    ) throws(SystemError) -> Bool {
        var above = directory
        while true {
            let status = try files.status(above)
            if status.device == store.status.device && status.inode == store.status.inode { return true }
            let next: FileDescriptor
            do throws(SystemError) {
                next = try files.open("..", in: above, [.directory])
            } catch {
                // Nobody who may not look has a store there.
                if error.errno == ErrorNumber.accessDenied { return false }
                throw error
            }
            let found = try files.status(next)
            if found.device == status.device && found.inode == status.inode { return false }
            above = next
        }
    }

    private static func makeDirectory(
        in parent: FileDescriptor, _ environment: Environment
    ) throws(SystemError) -> (FileDescriptor, String) {
        let files = environment.files
        while true {
            let digits = String(environment.random(), radix: 16)
            let name = prefix + String(repeating: "0", count: 16 - digits.count) + digits
            do throws(SystemError) {
                try files.makeDirectory(name, in: parent, mode: 0o700)
                let made = try files.open(name, in: parent, [.directory])
                ForkGuard.register(made)
                // Somebody who removes what was abandoned may have come between.
                if try files.lock(made, .exclusive), try files.status(of: name, in: parent) != nil {
                    return (made, name)
                }
                ForkGuard.unregister(made)
            } catch {
                if error.errno != ErrorNumber.exists && error.errno != ErrorNumber.notFound { throw error }
            }
        }
    }

    // MARK: What killed backups left

    /// Removes the directories of backups whose makers are dead: their locks are to be had. What fails stays.
    private static func removeAbandoned(in parent: FileDescriptor, _ environment: Environment) {
        let files = environment.files
        guard let names = try? files.list(parent) else { return }
        for name in names where name.hasPrefix(prefix) {
            let digits = name.utf8.dropFirst(prefix.utf8.count)
            guard digits.count == 16, digits.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }),
                let found = try? files.open(name, in: parent, [.directory])
            else { continue }
            ForkGuard.register(found)
            defer { ForkGuard.unregister(found) }
            if (try? files.lock(found, .exclusive)) == true { remove(name, found, in: parent, environment) }
        }
    }

    /// Removes what a backup makes, and nothing else: a directory that holds more stays.
    private static func remove(
        _ name: String, _ directory: FileDescriptor, in parent: FileDescriptor, _ environment: Environment
    ) {
        let files = environment.files
        // A whole one that nobody gave its name is no store any more from here on, wherever this ends.
        try? files.rename("log", to: unfinishedLog, in: directory)
        let values = ValueFiles(directory: directory, environment: environment)
        for value in (try? values.list()) ?? [] { try? values.unlink(value) }
        // Who was killed may have made directories without a file.
        removeEmpty(ValueFiles.root, in: directory, depth: 2, files)
        for meta in [unfinishedMeta, "meta"] { try? files.unlink(meta, in: directory, isDirectory: false) }
        // As long as anything else is there, nobody may take it for a store.
        guard let rest = try? files.list(directory), rest == [unfinishedLog] || rest.isEmpty else { return }
        if let log = try? files.open(unfinishedLog, in: directory, [.directory]) {
            for segment in (try? files.list(log)) ?? [] where SegmentHeader.position(ofName: segment) != nil {
                try? files.unlink(segment, in: log, isDirectory: false)
            }
        }
        try? files.unlink(unfinishedLog, in: directory, isDirectory: true)
        try? files.unlink(name, in: parent, isDirectory: true)
    }

    /// Removes a directory and those in it, as far down as `depth`, if nothing else is in them.
    private static func removeEmpty(
        _ name: String, in parent: FileDescriptor, depth: Int, _ files: any FileSystem
    ) {
        if depth > 0, let found = try? files.open(name, in: parent, [.directory]) {
            for inner in (try? files.list(found)) ?? [] { removeEmpty(inner, in: found, depth: depth - 1, files) }
        }
        try? files.unlink(name, in: parent, isDirectory: true)
    }
}
