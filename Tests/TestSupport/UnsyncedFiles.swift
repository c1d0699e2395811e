package import DiskCacheEngine

/// The system's files, but that nothing is synced: that takes most of the time of tests that don't look at it.
package struct UnsyncedFiles: FileSystem {
    private let real = SystemFiles()
    /// What is told of a file, given what the system tells and its name: where device and inode must be the same in each run.
    private let told: @Sendable (FileStatus, String) -> FileStatus

    package init(told: @escaping @Sendable (FileStatus, String) -> FileStatus = { status, _ in status }) {
        self.told = told
    }

    package func open(
        _ path: String, in directory: FileDescriptor?, _ options: OpenOptions, mode: UInt32
    ) throws(SystemError) -> FileDescriptor {
        try real.open(path, in: directory, options, mode: mode)
    }

    package func status(_ file: FileDescriptor) throws(SystemError) -> FileStatus {
        told(try real.status(file), file.path)
    }

    package func status(of path: String, in directory: FileDescriptor?) throws(SystemError) -> FileStatus? {
        try real.status(of: path, in: directory).map { told($0, path) }
    }

    package func read(
        _ file: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(SystemError) -> Int { try real.read(file, into: buffer, at: offset) }

    package func write(_ file: FileDescriptor, _ buffer: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) {
        try real.write(file, buffer, at: offset)
    }

    package func truncate(_ file: FileDescriptor, to size: Int) throws(SystemError) {
        try real.truncate(file, to: size)
    }

    package func allocate(_ file: FileDescriptor, offset: Int, count: Int) throws(SystemError) {
        try real.allocate(file, offset: offset, count: count)
    }

    package func sync(_ file: FileDescriptor) throws(SystemError) {}

    package func askWriteback(_ file: FileDescriptor) throws(SystemError) {}

    package func beginWriteback(_ file: FileDescriptor) {}

    package func syncDirectory(_ directory: FileDescriptor) throws(SystemError) {}

    package func lock(_ file: FileDescriptor, _ operation: LockOperation) throws(SystemError) -> Bool {
        try real.lock(file, operation)
    }

    package func makeDirectory(_ path: String, in directory: FileDescriptor?, mode: UInt32) throws(SystemError) {
        try real.makeDirectory(path, in: directory, mode: mode)
    }

    package func rename(_ from: String, to: String, in directory: FileDescriptor) throws(SystemError) {
        try real.rename(from, to: to, in: directory)
    }

    package func link(_ from: String, to: String, in directory: FileDescriptor) throws(SystemError) {
        try real.link(from, to: to, in: directory)
    }

    package func unlink(_ path: String, in directory: FileDescriptor?, isDirectory: Bool) throws(SystemError) {
        try real.unlink(path, in: directory, isDirectory: isDirectory)
    }

    package func list(_ directory: FileDescriptor) throws(SystemError) -> [String] { try real.list(directory) }

    package func map(
        _ file: FileDescriptor, offset: Int, count: Int, writable: Bool, at address: UnsafeMutableRawPointer?
    ) throws(SystemError) -> UnsafeMutableRawPointer {
        try real.map(file, offset: offset, count: count, writable: writable, at: address)
    }

    package func unmap(_ base: UnsafeMutableRawPointer, count: Int, leavingZeros: Bool) {
        real.unmap(base, count: count, leavingZeros: leavingZeros)
    }

    package func fileSystem(under file: FileDescriptor) throws(SystemError) -> FileSystemStatus {
        try real.fileSystem(under: file)
    }

    package func disableCopyOnWrite(_ file: FileDescriptor) { real.disableCopyOnWrite(file) }
}
