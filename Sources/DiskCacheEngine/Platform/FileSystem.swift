/// Everything that the engine asks of the system's files: the seam at which tests record, fail and simulate.
///
/// The hot path isn't here: a copy into a mapping is a plain store (see `SharedMemory`).
/// Methods are named after the system calls they stand for. All may be called from any thread.
package protocol FileSystem: Sendable {
    /// open(2) or openat(2), with O_CLOEXEC and O_NOFOLLOW.
    func open(
        _ path: String, in directory: FileDescriptor?, _ options: OpenOptions, mode: UInt32
    ) throws(SystemError) -> FileDescriptor
    /// fstat(2).
    func status(_ file: FileDescriptor) throws(SystemError) -> FileStatus
    /// fstatat(2), links not followed; nil if the name doesn't exist.
    func status(of path: String, in directory: FileDescriptor?) throws(SystemError) -> FileStatus?
    /// pread(2) until the buffer is full or the file ends; how many bytes were read.
    func read(
        _ file: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(SystemError) -> Int
    /// pwrite(2) of the whole buffer.
    func write(_ file: FileDescriptor, _ buffer: UnsafeRawBufferPointer, at offset: Int) throws(SystemError)
    /// ftruncate(2).
    func truncate(_ file: FileDescriptor, to size: Int) throws(SystemError)
    /// fallocate(2).
    func allocate(_ file: FileDescriptor, offset: Int, count: Int) throws(SystemError)
    /// fdatasync(2), or what makes data durable on this system.
    func sync(_ file: FileDescriptor) throws(SystemError)
    /// Throws if the system failed to write back pages of a file since it was opened or asked last, and waits for nothing:
    /// sync_file_range(2). Where there is no such thing it says nothing.
    func askWriteback(_ file: FileDescriptor) throws(SystemError)
    /// Has the system begin to write a file to the disk, and waits for nothing: sync_file_range(2), where there is such a thing. Its errors
    /// are told by `sync`.
    func beginWriteback(_ file: FileDescriptor)
    /// fsync(2) of a directory.
    func syncDirectory(_ directory: FileDescriptor) throws(SystemError)
    /// flock(2) without waiting; false if somebody else's lock is in the way.
    func lock(_ file: FileDescriptor, _ operation: LockOperation) throws(SystemError) -> Bool
    /// mkdir(2).
    func makeDirectory(_ path: String, in directory: FileDescriptor?, mode: UInt32) throws(SystemError)
    /// rename(2) inside one directory.
    func rename(_ from: String, to: String, in directory: FileDescriptor) throws(SystemError)
    /// link(2) inside one directory.
    func link(_ from: String, to: String, in directory: FileDescriptor) throws(SystemError)
    /// link(2) from one directory into another; where there is no such thing the caller copies.
    func link(
        _ from: String, in source: FileDescriptor, to: String, in directory: FileDescriptor
    ) throws(SystemError)
    /// A new file that shares the blocks of another until one of the two is written to: FICLONE, fclonefileat(2).
    func clone(_ file: FileDescriptor, to: String, in directory: FileDescriptor) throws(SystemError)
    /// unlink(2) or rmdir(2).
    func unlink(_ path: String, in directory: FileDescriptor?, isDirectory: Bool) throws(SystemError)
    /// The names in a directory, in no order, without `.` and `..`.
    func list(_ directory: FileDescriptor) throws(SystemError) -> [String]
    /// mmap(2), shared; MAP_FIXED where an address is given.
    func map(
        _ file: FileDescriptor, offset: Int, count: Int, writable: Bool, at address: UnsafeMutableRawPointer?
    ) throws(SystemError) -> UnsafeMutableRawPointer
    /// munmap(2), or an anonymous mapping in its place.
    func unmap(_ base: UnsafeMutableRawPointer, count: Int, leavingZeros: Bool)
    /// The file system under a file: type, free bytes.
    func fileSystem(under file: FileDescriptor) throws(SystemError) -> FileSystemStatus
    /// FS_NOCOW_FL where there is such a thing.
    func disableCopyOnWrite(_ file: FileDescriptor)
}

/// What kind of file system a store lies on.
package struct FileSystemStatus: Sendable {
    package enum Kind: Sendable {
        /// Allocated blocks may be stored to through a mapping: ext4, xfs, tmpfs, and overlayfs above ext4 (measured).
        case mappable
        /// An overwrite may need a new block, so appends go through pwrite.
        case copyOnWrite
        /// Shared between machines, or FUSE: no common memory, no dependable flock.
        case network
    }
    package var kind: Kind
    package var freeBytes: Int
    /// What errors call it.
    package var name: String

    package init(kind: Kind, freeBytes: Int, name: String) {
        self.kind = kind
        self.freeBytes = freeBytes
        self.name = name
    }
}

extension FileSystem {
    package func open(
        _ path: String, in directory: FileDescriptor?, _ options: OpenOptions
    ) throws(SystemError) -> FileDescriptor {
        try open(path, in: directory, options, mode: 0o600)
    }

    package func link(
        _ from: String, in source: FileDescriptor, to: String, in directory: FileDescriptor
    ) throws(SystemError) {
        throw SystemError(errno: ErrorNumber.notSupported, call: "link", path: from)
    }

    package func clone(_ file: FileDescriptor, to: String, in directory: FileDescriptor) throws(SystemError) {
        throw SystemError(errno: ErrorNumber.notSupported, call: "clone", path: to)
    }

    /// Up to `count` bytes from `offset` on.
    package func read(_ file: FileDescriptor, count: Int, at offset: Int) throws(SystemError) -> [UInt8] {
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            do throws(SystemError) {
                filled = try read(file, into: UnsafeMutableRawBufferPointer(buffer), at: offset)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Writes all of `bytes`.
    package func write(_ file: FileDescriptor, _ bytes: [UInt8], at offset: Int) throws(SystemError) {
        let result = bytes.withUnsafeBytes { buffer -> Result<Void, SystemError> in
            do throws(SystemError) {
                return .success(try write(file, buffer, at: offset))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    /// Unlinks a name; that it is gone already is as good.
    package func unlinkIfPresent(_ path: String, in directory: FileDescriptor) throws(SystemError) {
        do {
            try unlink(path, in: directory, isDirectory: false)
        } catch {
            if error.errno != ErrorNumber.notFound { throw error }
        }
    }
}

/// The system's own files.
package struct SystemFiles: FileSystem {
    package init() {}

    /// Runs a call on a name; its error tells the whole path.
    private static func naming<R>(
        _ name: String, in directory: FileDescriptor?, _ call: () throws(SystemError) -> R
    ) throws(SystemError) -> R {
        do throws(SystemError) {
            return try call()
        } catch {
            guard let directory else { throw error }
            throw SystemError(errno: error.errno, call: error.call, path: directory.path + "/" + name)
        }
    }

    package func open(
        _ path: String, in directory: FileDescriptor?, _ options: OpenOptions, mode: UInt32
    ) throws(SystemError) -> FileDescriptor {
        let shown = directory.map { $0.path + "/" + path } ?? path
        return try Self.naming(path, in: directory) { () throws(SystemError) in
            FileDescriptor(
                number: try SystemCalls.open(path, directory: directory?.number, options, mode: mode), path: shown)
        }
    }

    package func status(_ file: FileDescriptor) throws(SystemError) -> FileStatus {
        try SystemCalls.status(file.number, file.path)
    }

    package func status(of path: String, in directory: FileDescriptor?) throws(SystemError) -> FileStatus? {
        try Self.naming(path, in: directory) { () throws(SystemError) in
            try SystemCalls.status(of: path, directory: directory?.number)
        }
    }

    package func read(
        _ file: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(SystemError) -> Int {
        try SystemCalls.read(file.number, into: buffer, at: offset, file.path)
    }

    package func write(
        _ file: FileDescriptor, _ buffer: UnsafeRawBufferPointer, at offset: Int
    ) throws(SystemError) {
        try SystemCalls.write(file.number, buffer, at: offset, file.path)
    }

    package func truncate(_ file: FileDescriptor, to size: Int) throws(SystemError) {
        try SystemCalls.truncate(file.number, to: size, file.path)
    }

    package func allocate(_ file: FileDescriptor, offset: Int, count: Int) throws(SystemError) {
        try SystemCalls.allocate(file.number, offset: offset, count: count, file.path)
    }

    package func sync(_ file: FileDescriptor) throws(SystemError) { try SystemCalls.sync(file.number, file.path) }

    package func askWriteback(_ file: FileDescriptor) throws(SystemError) {
        try SystemCalls.askWriteback(file.number, file.path)
    }

    package func beginWriteback(_ file: FileDescriptor) { SystemCalls.beginWriteback(file.number) }

    package func syncDirectory(_ directory: FileDescriptor) throws(SystemError) {
        try SystemCalls.syncDirectory(directory.number, directory.path)
    }

    package func lock(_ file: FileDescriptor, _ operation: LockOperation) throws(SystemError) -> Bool {
        try SystemCalls.lock(file.number, operation, file.path)
    }

    package func makeDirectory(_ path: String, in directory: FileDescriptor?, mode: UInt32) throws(SystemError) {
        try Self.naming(path, in: directory) { () throws(SystemError) in
            try SystemCalls.makeDirectory(path, directory: directory?.number, mode: mode)
        }
    }

    package func rename(_ from: String, to: String, in directory: FileDescriptor) throws(SystemError) {
        try Self.naming(from, in: directory) { () throws(SystemError) in
            try SystemCalls.rename(from, to: to, directory: directory.number)
        }
    }

    package func link(_ from: String, to: String, in directory: FileDescriptor) throws(SystemError) {
        try Self.naming(from, in: directory) { () throws(SystemError) in
            try SystemCalls.link(from, to: to, directory: directory.number)
        }
    }

    package func link(
        _ from: String, in source: FileDescriptor, to: String, in directory: FileDescriptor
    ) throws(SystemError) {
        try Self.naming(from, in: source) { () throws(SystemError) in
            try SystemCalls.link(from, in: source.number, to: to, in: directory.number)
        }
    }

    package func clone(_ file: FileDescriptor, to: String, in directory: FileDescriptor) throws(SystemError) {
        try Self.naming(to, in: directory) { () throws(SystemError) in
            try SystemCalls.clone(file.number, to: to, in: directory.number)
        }
    }

    package func unlink(_ path: String, in directory: FileDescriptor?, isDirectory: Bool) throws(SystemError) {
        try Self.naming(path, in: directory) { () throws(SystemError) in
            try SystemCalls.unlink(path, directory: directory?.number, isDirectory: isDirectory)
        }
    }

    package func list(_ directory: FileDescriptor) throws(SystemError) -> [String] {
        try SystemCalls.list(directory.number, directory.path)
    }

    package func map(
        _ file: FileDescriptor, offset: Int, count: Int, writable: Bool, at address: UnsafeMutableRawPointer?
    ) throws(SystemError) -> UnsafeMutableRawPointer {
        if writable { SystemCalls.adviseRandom(file.number) }
        return try SystemCalls.map(
            file.number, offset: offset, count: count, writable: writable, at: address, file.path)
    }

    package func unmap(_ base: UnsafeMutableRawPointer, count: Int, leavingZeros: Bool) {
        if leavingZeros {
            _ = try? SystemCalls.mapZeros(count: count, writable: false, at: base)
        } else {
            SystemCalls.unmap(base, count: count)
        }
    }

    package func fileSystem(under file: FileDescriptor) throws(SystemError) -> FileSystemStatus {
        let found = try SystemCalls.fileSystem(file.number, file.path)
        return FileSystemStatus(
            kind: Self.kind(type: found.type, name: found.name, inodeFlags: SystemCalls.inodeFlags(file.number)),
            freeBytes: found.free, name: Self.name(type: found.type, name: found.name))
    }

    package func disableCopyOnWrite(_ file: FileDescriptor) { SystemCalls.disableCopyOnWrite(file.number) }

    /// The magic numbers of statfs(2) that decide; what isn't listed is a local file system that may copy on write.
    private static let names: [UInt64: (String, FileSystemStatus.Kind)] = [
        0xEF53: ("ext4", .mappable), 0x5846_5342: ("xfs", .mappable), 0x0102_1994: ("tmpfs", .mappable),
        0x6969: ("NFS", .network), 0xFF53_4D42: ("CIFS", .network), 0xFE53_4D42: ("SMB2", .network),
        0x517B: ("SMB", .network), 0x0102_1997: ("9p", .network), 0x6573_5546: ("FUSE", .network),
        0x00C3_6400: ("Ceph", .network), 0x0BD0_0BD0: ("Lustre", .network), 0x786F_4256: ("vboxsf", .network),
        0x0116_1970: ("GFS2", .network), 0x7461_636F: ("OCFS2", .network), 0x5346_414F: ("AFS", .network),
        0x9123_683E: ("btrfs", .copyOnWrite), 0x2FC1_2FC1: ("ZFS", .copyOnWrite),
    ]

    /// overlayfs shows the flags of the file system beneath: ext4 sets FS_EXTENT_FL (0x80000).
    static func kind(type: UInt64, name: String, inodeFlags: UInt32?) -> FileSystemStatus.Kind {
        if type == 0x794C_7630 { return (inodeFlags ?? 0) & 0x80000 != 0 ? .mappable : .copyOnWrite }
        if ["nfs", "smbfs", "afpfs", "webdav", "macfuse", "osxfuse"].contains(name) { return .network }
        return names[type & 0xFFFF_FFFF]?.1 ?? .copyOnWrite
    }

    private static func name(type: UInt64, name: String) -> String {
        if !name.isEmpty { return name }
        if type == 0x794C_7630 { return "overlayfs" }
        return names[type & 0xFFFF_FFFF]?.0 ?? "file system 0x" + String(type, radix: 16)
    }
}
