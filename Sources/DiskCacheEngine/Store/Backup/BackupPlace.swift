/// A directory that is filled beside the place where it will stand, and gets its name when it is done: a copy of a store, or of several.
///
/// ```
/// <parent>/.diskcache-backup-<16 digits>/    flocked by who fills it; whoever can have the lock may remove it
/// ```
///
/// What is in it (see `BackupTarget`, `FanoutBackup`) opens as nothing before it is the whole. So who is killed on the way leaves nothing
/// that anybody takes for a store, and the next backup beside it removes it.
final class BackupPlace {
    private static let prefix = ".diskcache-backup-"

    /// Where it will stand.
    let path: String
    /// The directory as long as it isn't done.
    let directory: FileDescriptor
    private let files: any FileSystem
    private let parent: FileDescriptor
    private let parentPath: String
    private let name: String
    private let temporaryName: String
    private var isPlaced = false

    /// The path of the directory as long as it isn't done.
    var draftPath: String { parentPath + "/" + temporaryName }

    /// Makes the directory beside `path`; `original`: the directory that is copied, in which the copy can't lie. Throws `targetExists` if
    /// something stands there, an empty directory aside.
    init(_ path: String, of original: FileStatus, _ environment: Environment) throws(EngineError) {
        self.path = path
        files = environment.files
        // Byte by byte: a slash and an accent behind it would be one character.
        let slash = UInt8(ascii: "/")
        let parts = path.utf8.split(separator: slash)
        guard let last = parts.last.map({ String(Substring($0)) }), last != ".", last != ".." else {
            throw EngineError(.io, "a backup needs a directory of its own; name one that isn't there", path: path)
        }
        name = last
        let above = parts.dropLast().map { String(Substring($0)) }.joined(separator: "/")
        parentPath = path.utf8.first == slash ? "/" + above : above.isEmpty ? "." : above
        let place: Place
        let isInside: Bool
        do throws(SystemError) {
            isInside = try Self.isInside(original, try Self.lowestDirectory(of: parentPath, files), files)
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
        Self.removeAbandoned(in: parent, environment)
        do throws(SystemError) {
            (directory, temporaryName) = try Self.makeDirectory(in: parent, environment)
        } catch {
            throw EngineError(error)
        }
    }

    /// Removes what was made, unless it is in its place.
    func abandon(_ environment: Environment) {
        if !isPlaced { Self.remove(temporaryName, directory, in: parent, environment) }
        ForkGuard.unregister(directory)
    }

    /// Everything in it is durable: gives it its name.
    func place() throws(EngineError) {
        do throws(SystemError) {
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
        _ original: FileStatus, _ directory: FileDescriptor, _ files: any FileSystem
    ) throws(SystemError) -> Bool {
        var above = directory
        while true {
            let status = try files.status(above)
            if status.device == original.device && status.inode == original.inode { return true }
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
                do throws(SystemError) {
                    // Somebody who removes what was abandoned may have come between.
                    if try files.lock(made, .exclusive), try files.status(of: name, in: parent) != nil {
                        return (made, name)
                    }
                } catch {
                    ForkGuard.unregister(made)
                    throw error
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
        for name in names where isDraft(name) {
            guard let found = try? files.open(name, in: parent, [.directory]) else { continue }
            ForkGuard.register(found)
            defer { ForkGuard.unregister(found) }
            if (try? files.lock(found, .exclusive)) == true { remove(name, found, in: parent, environment) }
        }
    }

    private static func isDraft(_ name: String) -> Bool {
        let digits = name.utf8.dropFirst(prefix.utf8.count)
        return name.hasPrefix(prefix) && digits.count == 16
            && digits.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    /// Removes what a backup makes, and nothing else: a directory that holds more stays.
    private static func remove(
        _ name: String, _ directory: FileDescriptor, in parent: FileDescriptor, _ environment: Environment
    ) {
        let files = environment.files
        // Of several stores: first what says that they are one.
        for file in [FanoutFile.name, FanoutFile.newName] { try? files.unlink(file, in: directory, isDirectory: false) }
        for store in (try? files.list(directory)) ?? [] where FanoutDirectory.isShard(store) || isDraft(store) {
            guard let found = try? files.open(store, in: directory, [.directory]) else { continue }
            remove(store, found, in: directory, environment)
        }
        // A whole one that nobody gave its name is no store any more from here on, wherever this ends.
        try? files.rename("log", to: BackupTarget.unfinishedLog, in: directory)
        let values = ValueFiles(directory: directory, environment: environment)
        for value in (try? values.list()) ?? [] { try? values.unlink(value) }
        // Who was killed may have made directories without a file.
        removeEmpty(ValueFiles.root, in: directory, depth: 2, files)
        for meta in [BackupTarget.unfinishedMeta, "meta"] { try? files.unlink(meta, in: directory, isDirectory: false) }
        // As long as anything else is there, nobody may take it for a store.
        guard let rest = try? files.list(directory), rest == [BackupTarget.unfinishedLog] || rest.isEmpty else {
            return
        }
        if let log = try? files.open(BackupTarget.unfinishedLog, in: directory, [.directory]) {
            for segment in (try? files.list(log)) ?? [] where SegmentHeader.position(ofName: segment) != nil {
                try? files.unlink(segment, in: log, isDirectory: false)
            }
        }
        try? files.unlink(BackupTarget.unfinishedLog, in: directory, isDirectory: true)
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
