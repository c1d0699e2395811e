@testable import DiskCacheEngine

/// The system's files, but that device and inode follow from a file's name: in an image, which is another directory, everything is in
/// the place in which it was recorded. For one open store at a time.
struct ImageFiles: FileSystem {
    private let real = SystemFiles()

    /// What a file of this name has.
    static func bound(_ status: FileStatus, _ path: String) -> FileStatus {
        var status = status
        let name = path.split(separator: "/").last.map(String.init) ?? path
        status.device = 1
        status.inode = Array(name.utf8).withUnsafeBytes { XXH64.hash($0, seed: 3) }
        return status
    }

    func status(_ file: FileDescriptor) throws(SystemError) -> FileStatus {
        Self.bound(try real.status(file), file.path)
    }

    func status(of path: String, in directory: FileDescriptor?) throws(SystemError) -> FileStatus? {
        try real.status(of: path, in: directory).map { Self.bound($0, path) }
    }

    func open(
        _ path: String, in directory: FileDescriptor?, _ options: OpenOptions, mode: UInt32
    ) throws(SystemError) -> FileDescriptor {
        try real.open(path, in: directory, options, mode: mode)
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

    /// The images lie in memory, and nothing is lost any more.
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
