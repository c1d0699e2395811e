/// Finding, making and judging the directory of a store, before anything in it is believed.
enum StoreDirectory {
    /// Opens a store's directory at `path`, making it (0700) and its parents if need be.
    ///
    /// Refused, but for what `openOwn` refuses: a directory without a store in which other names stand (nothing is made then), unless
    /// `allowsOthers`, and one of shards.
    static func open(
        _ path: String, files: any FileSystem, anyFileSystem: Bool, allowsOthers: Bool = false
    ) throws(EngineError) -> (directory: FileDescriptor, status: FileStatus, fileSystem: FileSystemStatus) {
        let (directory, status, fileSystem) = try openOwn(path, files: files, anyFileSystem: anyFileSystem)
        do {
            let names = try files.list(directory)
            if try holdsStore(names, directory, files) { return (directory, status, fileSystem) }
            if names.contains(FanoutFile.name) {
                throw EngineError(
                    .wrongKind, "the directory is a cache of several shards; open it as that, or one of its shards",
                    path: path)
            }
            if let foreign = try foreignName(names, directory, files, allowsOthers: allowsOthers) {
                throw EngineError(
                    .foreignDirectory,
                    "the directory holds something else (\(foreign)) and no store; give the store a directory of its own",
                    path: path)
            }
        } catch let error as SystemError {
            throw EngineError(error)
        } catch let error as EngineError {
            throw error
        } catch {
            throw EngineError(.io, "\(error)", path: path)
        }
        return (directory, status, fileSystem)
    }

    /// Opens the directory at `path`, making it (0700) and its parents if need be.
    ///
    /// Refused: a path that isn't a directory, another user's or a world-writable directory (P43), and a network file system unless
    /// `anyFileSystem` (P28).
    static func openOwn(
        _ path: String, files: any FileSystem, anyFileSystem: Bool
    ) throws(EngineError) -> (directory: FileDescriptor, status: FileStatus, fileSystem: FileSystemStatus) {
        let directory = try openOrMake(path, files)
        let (status, fileSystem): (FileStatus, FileSystemStatus)
        do throws(SystemError) {
            (status, fileSystem) = (try files.status(directory), try files.fileSystem(under: directory))
        } catch {
            throw EngineError(error)
        }
        guard status.kind == .directory else {
            throw EngineError(.io, "this is not a directory; give the store a directory of its own", path: path)
        }
        guard status.owner == SystemCalls.effectiveUser() else {
            throw EngineError(
                .insecureDirectory,
                "the directory belongs to user \(status.owner); a store must belong to the user that opens it",
                path: path)
        }
        guard status.mode & 0o002 == 0 else {
            throw EngineError(
                .insecureDirectory, "the directory is writable for everybody; chmod o-w it, or choose another",
                path: path)
        }
        let insists = anyFileSystem || SystemCalls.environment("DISKCACHE_ANY_FS") == "1"
        if fileSystem.kind == .network && !insists {
            throw EngineError(
                .networkFileSystem,
                "\(fileSystem.name) has no common memory and no dependable locks between machines; use a local directory, or insist with anyFileSystem or DISKCACHE_ANY_FS=1",
                path: path)
        }
        return (directory, status, fileSystem)
    }

    /// The names that a store makes in its directory.
    static func isOurs(_ name: String) -> Bool {
        let exact = [
            "meta", "meta.new", "lock", "open", "snapshot", "sync", "log", "files", "locks",
        ]
        return exact.contains(name) || IndexLayout.generation(ofName: name) != nil
            || StampFile.generation(ofName: name) != nil || PageLayout.generation(ofName: name) != nil
    }

    /// The absolute path that is meant by what somebody gave. Refused: an empty one, and one with a zero byte, at which the system
    /// would cut it off.
    static func absolute(_ path: String) throws(EngineError) -> String {
        if path.isEmpty { throw EngineError(.nameInvalid, "the path of the directory is empty", path: path) }
        if path.utf8.contains(0) {
            throw EngineError(.nameInvalid, "the path of the directory has a zero byte in it", path: path)
        }
        if path.utf8.first == UInt8(ascii: "/") { return path }
        do throws(SystemError) {
            return try SystemCalls.currentDirectory() + "/" + path
        } catch {
            throw EngineError(error)
        }
    }

    // MARK: Whose names they are

    /// Whether a store lies in a directory of these names: `meta` says so, or `log` has a segment, whatever became of `meta`.
    private static func holdsStore(
        _ names: [String], _ directory: FileDescriptor, _ files: any FileSystem
    ) throws(SystemError) -> Bool {
        if names.contains("meta"), try content("meta", names, directory, files) == .identity { return true }
        guard names.contains("log") else { return false }
        return try logNames(directory, files)?.contains { SegmentHeader.position(ofName: $0) != nil } ?? false
    }

    /// Of a directory without a store, the first name that no store left on its way to be made; nil: there is none.
    private static func foreignName(
        _ names: [String], _ directory: FileDescriptor, _ files: any FileSystem, allowsOthers: Bool
    ) throws(SystemError) -> String? {
        for name in names {
            if !isOurs(name) {
                if allowsOthers { continue }
                return name
            }
            switch name {
            case "meta", "meta.new":
                // These would be replaced.
                if try content(name, names, directory, files) == .foreign { return name }
            case "log":
                guard let inner = try logNames(directory, files) else { return name }
                if let foreign = inner.first(where: { !isOfLog($0) }) { return "log/" + foreign }
            default: break
            }
        }
        return nil
    }

    /// The names that lie in `log` before it has a segment, or when all of those are gone.
    private static func isOfLog(_ name: String) -> Bool {
        ["next", "next.new", "spare", "spare.new"].contains(name) || SegmentHint.position(ofName: name) != nil
    }

    private enum Content { case identity, blank, foreign }

    /// What `meta`, or what was to become it, holds: a store's identity, perhaps damaged; nothing that counts, since a power loss came before
    /// that was on the disk; or what isn't ours.
    ///
    /// A power loss may leave anything in it. It is as long as it should be then, and what is made before it stands beside it.
    private static func content(
        _ name: String, _ names: [String], _ directory: FileDescriptor, _ files: any FileSystem
    ) throws(SystemError) -> Content {
        guard let status = try files.status(of: name, in: directory) else { return .blank }
        guard status.kind == .regular else { return .foreign }
        if status.size == 0 { return .blank }
        let bytes: [UInt8]
        do throws(SystemError) {
            // A longer one isn't looked through.
            bytes = try files.read(files.open(name, in: directory, []), count: CommitBlock.fileSize, at: 0)
        } catch {
            // Who makes the store has renamed it meanwhile.
            if error.errno == ErrorNumber.notFound { return .blank }
            throw error
        }
        let identity = bytes.dropFirst(CommitBlock.identityOffset).prefix(StoreIdentity.size)
        let magic = withUnsafeBytes(of: StoreIdentity.magic.littleEndian) { Array($0) }
        if identity.starts(with: magic) { return .identity }
        let isBesideOthers = ["lock", "open", "log"].contains { names.contains($0) }
        if status.size == CommitBlock.fileSize, isBesideOthers { return .blank }
        return status.size <= CommitBlock.fileSize && bytes.allSatisfy({ $0 == 0 }) ? .blank : .foreign
    }

    /// The names in `log`; nil: it isn't a directory.
    private static func logNames(
        _ directory: FileDescriptor, _ files: any FileSystem
    ) throws(SystemError) -> [String]? {
        guard let status = try files.status(of: "log", in: directory) else { return [] }
        guard status.kind == .directory else { return nil }
        return try files.list(files.open("log", in: directory, [.directory]))
    }

    // MARK: Making

    private static func openOrMake(_ path: String, _ files: any FileSystem) throws(EngineError) -> FileDescriptor {
        do throws(SystemError) {
            return try files.open(path, in: nil, [.directory, .followLinks])
        } catch {
            if error.errno != ErrorNumber.notFound { throw opening(error, path) }
        }
        do throws(SystemError) {
            try makeParents(path, files)
            return try files.open(path, in: nil, [.directory, .followLinks])
        } catch {
            throw opening(error, path)
        }
    }

    private static func opening(_ error: SystemError, _ path: String) -> EngineError {
        if error.errno == ErrorNumber.notDirectory {
            return EngineError(
                .io, "something on the path is not a directory; give the store a directory of its own", path: path,
                errno: error.errno)
        }
        return EngineError(error)
    }

    /// Makes the directories of a path that aren't there, 0700, and makes them durable.
    static func makeParents(_ path: String, _ files: any FileSystem) throws(SystemError) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: true)
        var prefix = path.hasPrefix("/") ? "/" : ""
        for part in parts {
            let above = prefix.isEmpty ? "." : prefix
            prefix += prefix.isEmpty || prefix.hasSuffix("/") ? String(part) : "/" + part
            do throws(SystemError) {
                try files.makeDirectory(prefix, in: nil, mode: 0o700)
            } catch {
                if error.errno == ErrorNumber.exists { continue }
                // A parent that may not be written to, but is there.
                if let status = try files.status(of: prefix, in: nil), status.kind != .other { continue }
                throw error
            }
            // Else a power loss may take the store's directory, with everything that was synced in it.
            try syncDirectory(above, in: nil, files)
        }
    }

    /// Makes a directory's entries durable. One that may not be read is its owner's, who made what is in it.
    static func syncDirectory(
        _ path: String, in directory: FileDescriptor?, _ files: any FileSystem
    ) throws(SystemError) {
        let opened: FileDescriptor
        do throws(SystemError) {
            opened = try files.open(path, in: directory, [.directory, .followLinks])
        } catch {
            if error.errno == ErrorNumber.accessDenied { return }
            throw error
        }
        try files.syncDirectory(opened)
    }

    /// A subdirectory of the store, made if it isn't there.
    static func subdirectory(
        _ name: String, in directory: FileDescriptor, files: any FileSystem
    ) throws(EngineError) -> FileDescriptor {
        do throws(SystemError) {
            do throws(SystemError) {
                return try files.open(name, in: directory, [.directory])
            } catch {
                if error.errno != ErrorNumber.notFound { throw error }
            }
            do throws(SystemError) {
                try files.makeDirectory(name, in: directory, mode: 0o700)
            } catch {
                if error.errno != ErrorNumber.exists { throw error }
            }
            return try files.open(name, in: directory, [.directory])
        } catch {
            throw EngineError(error)
        }
    }

    /// Makes a fresh directory under the system's place for temporary files: `diskcache-` and 16 random hexadecimal digits.
    static func makeTemporary(_ environment: Environment) throws(EngineError) -> String {
        let parent = SystemCalls.environment("TMPDIR") ?? "/tmp"
        do throws(SystemError) {
            while true {
                let path = parent + "/diskcache-" + String(environment.random(), radix: 16)
                do throws(SystemError) {
                    try environment.files.makeDirectory(path, in: nil, mode: 0o700)
                    return path
                } catch {
                    if error.errno != ErrorNumber.exists { throw error }
                }
            }
        } catch {
            throw EngineError(error)
        }
    }
}
