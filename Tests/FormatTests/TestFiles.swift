import DiskCacheEngine

/// The system's files, but that nothing is synced, which takes most of a test's time and says nothing about the format.
struct TestFiles: FileSystem {
    private let real = SystemFiles()
    /// Whether device and inode of what is opened are always the same: for one store at a time.
    var isFixed = false

    func open(
        _ path: String, in directory: FileDescriptor?, _ options: OpenOptions, mode: UInt32
    ) throws(SystemError) -> FileDescriptor {
        try real.open(path, in: directory, options, mode: mode)
    }

    func status(_ file: FileDescriptor) throws(SystemError) -> FileStatus {
        var status = try real.status(file)
        guard isFixed else { return status }
        status.device = 0x2a
        status.inode = status.kind == .directory ? 0x1001 : 0x1002
        return status
    }

    func status(of path: String, in directory: FileDescriptor?) throws(SystemError) -> FileStatus? {
        try real.status(of: path, in: directory)
    }

    func read(
        _ file: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(SystemError) -> Int { try real.read(file, into: buffer, at: offset) }

    func write(_ file: FileDescriptor, _ buffer: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) {
        try real.write(file, buffer, at: offset)
    }

    func truncate(_ file: FileDescriptor, to size: Int) throws(SystemError) { try real.truncate(file, to: size) }

    func allocate(_ file: FileDescriptor, offset: Int, count: Int) throws(SystemError) {
        try real.allocate(file, offset: offset, count: count)
    }

    func sync(_ file: FileDescriptor) throws(SystemError) {}

    func syncDirectory(_ directory: FileDescriptor) throws(SystemError) {}

    func lock(_ file: FileDescriptor, _ operation: LockOperation) throws(SystemError) -> Bool {
        try real.lock(file, operation)
    }

    func makeDirectory(_ path: String, in directory: FileDescriptor?, mode: UInt32) throws(SystemError) {
        try real.makeDirectory(path, in: directory, mode: mode)
    }

    func rename(_ from: String, to: String, in directory: FileDescriptor) throws(SystemError) {
        try real.rename(from, to: to, in: directory)
    }

    func link(_ from: String, to: String, in directory: FileDescriptor) throws(SystemError) {
        try real.link(from, to: to, in: directory)
    }

    func unlink(_ path: String, in directory: FileDescriptor?, isDirectory: Bool) throws(SystemError) {
        try real.unlink(path, in: directory, isDirectory: isDirectory)
    }

    func list(_ directory: FileDescriptor) throws(SystemError) -> [String] { try real.list(directory) }

    func map(
        _ file: FileDescriptor, offset: Int, count: Int, writable: Bool, at address: UnsafeMutableRawPointer?
    ) throws(SystemError) -> UnsafeMutableRawPointer {
        try real.map(file, offset: offset, count: count, writable: writable, at: address)
    }

    func unmap(_ base: UnsafeMutableRawPointer, count: Int, leavingZeros: Bool) {
        real.unmap(base, count: count, leavingZeros: leavingZeros)
    }

    func fileSystem(under file: FileDescriptor) throws(SystemError) -> FileSystemStatus {
        try real.fileSystem(under: file)
    }

    func disableCopyOnWrite(_ file: FileDescriptor) { real.disableCopyOnWrite(file) }
}
