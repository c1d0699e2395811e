import Synchronization

@testable import DiskCacheEngine

/// The system's files, except that calls fail when a test says so. Counts and names every call.
final class FailingFiles: FileSystem {
    private struct State {
        var calls: [String] = []
        var fails: @Sendable (_ index: Int, _ call: String) -> Int32? = { _, _ in nil }
        var before: @Sendable (_ call: String) -> Void = { _ in }
        var kind: FileSystemStatus.Kind?
    }

    private let state = Mutex(State())
    private let real = SystemFiles()

    /// The names of the calls so far.
    var calls: [String] { state.withLock { $0.calls } }

    /// Begins to count anew; each call whose index and name `decide` gives an errno for fails with that.
    func fail(_ decide: @escaping @Sendable (_ index: Int, _ call: String) -> Int32?) {
        state.withLock {
            $0.calls = []
            $0.fails = decide
        }
    }

    /// Has `body` run before each call.
    func intervene(_ body: @escaping @Sendable (_ call: String) -> Void) { state.withLock { $0.before = body } }

    /// Says that every file lies on a file system of this kind; nil: the truth.
    func pretend(_ kind: FileSystemStatus.Kind?) { state.withLock { $0.kind = kind } }

    private func reach(_ call: String, _ path: String) throws(SystemError) {
        let (errno, before) = state.withLock { state in
            defer { state.calls.append(call) }
            return (state.fails(state.calls.count, call), state.before)
        }
        before(call)
        if let errno { throw SystemError(errno: errno, call: call, path: path) }
    }

    func open(
        _ path: String, in directory: FileDescriptor?, _ options: OpenOptions, mode: UInt32
    ) throws(SystemError) -> FileDescriptor {
        try reach("open", path)
        return try real.open(path, in: directory, options, mode: mode)
    }

    func status(_ file: FileDescriptor) throws(SystemError) -> FileStatus {
        try reach("status", file.path)
        return try real.status(file)
    }

    func status(of path: String, in directory: FileDescriptor?) throws(SystemError) -> FileStatus? {
        try reach("status", path)
        return try real.status(of: path, in: directory)
    }

    func read(
        _ file: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(SystemError) -> Int {
        try reach("read", file.path)
        return try real.read(file, into: buffer, at: offset)
    }

    /// A write that fails has written half.
    func write(_ file: FileDescriptor, _ buffer: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) {
        do {
            try reach("write", file.path)
        } catch {
            try real.write(file, UnsafeRawBufferPointer(rebasing: buffer[..<(buffer.count / 2)]), at: offset)
            throw error
        }
        try real.write(file, buffer, at: offset)
    }

    func truncate(_ file: FileDescriptor, to size: Int) throws(SystemError) {
        try reach("truncate", file.path)
        try real.truncate(file, to: size)
    }

    func allocate(_ file: FileDescriptor, offset: Int, count: Int) throws(SystemError) {
        try reach(file.path.contains("trees") ? "allocate trees" : "allocate", file.path)
        try real.allocate(file, offset: offset, count: count)
    }

    func sync(_ file: FileDescriptor) throws(SystemError) {
        try reach("sync", file.path)
        try real.sync(file)
    }

    func askWriteback(_ file: FileDescriptor) throws(SystemError) {
        try reach("askWriteback of " + (file.path.contains("trees") ? "trees" : "index"), file.path)
        try real.askWriteback(file)
    }

    func beginWriteback(_ file: FileDescriptor) { real.beginWriteback(file) }

    func syncDirectory(_ directory: FileDescriptor) throws(SystemError) {
        try reach("syncDirectory", directory.path)
        try real.syncDirectory(directory)
    }

    func lock(_ file: FileDescriptor, _ operation: LockOperation) throws(SystemError) -> Bool {
        // To let go of a lock never fails.
        if operation != .unlock { try reach("lock", file.path) }
        return try real.lock(file, operation)
    }

    func makeDirectory(_ path: String, in directory: FileDescriptor?, mode: UInt32) throws(SystemError) {
        try reach("makeDirectory", path)
        try real.makeDirectory(path, in: directory, mode: mode)
    }

    func rename(_ from: String, to: String, in directory: FileDescriptor) throws(SystemError) {
        try reach("rename", from)
        try real.rename(from, to: to, in: directory)
    }

    func link(_ from: String, to: String, in directory: FileDescriptor) throws(SystemError) {
        try reach("link", from)
        try real.link(from, to: to, in: directory)
    }

    func link(
        _ from: String, in source: FileDescriptor, to: String, in directory: FileDescriptor
    ) throws(SystemError) {
        try reach("link", to)
        try real.link(from, in: source, to: to, in: directory)
    }

    func clone(_ file: FileDescriptor, to: String, in directory: FileDescriptor) throws(SystemError) {
        try reach("clone", to)
        try real.clone(file, to: to, in: directory)
    }

    func unlink(_ path: String, in directory: FileDescriptor?, isDirectory: Bool) throws(SystemError) {
        try reach("unlink", path)
        try real.unlink(path, in: directory, isDirectory: isDirectory)
    }

    func list(_ directory: FileDescriptor) throws(SystemError) -> [String] {
        try reach("list", directory.path)
        return try real.list(directory)
    }

    func map(
        _ file: FileDescriptor, offset: Int, count: Int, writable: Bool, at address: UnsafeMutableRawPointer?
    ) throws(SystemError) -> UnsafeMutableRawPointer {
        try reach("map", file.path)
        return try real.map(file, offset: offset, count: count, writable: writable, at: address)
    }

    func unmap(_ base: UnsafeMutableRawPointer, count: Int, leavingZeros: Bool) {
        real.unmap(base, count: count, leavingZeros: leavingZeros)
    }

    func fileSystem(under file: FileDescriptor) throws(SystemError) -> FileSystemStatus {
        try reach("fileSystem", file.path)
        var found = try real.fileSystem(under: file)
        if let kind = state.withLock({ $0.kind }) {
            found.kind = kind
            found.name = "a pretended file system"
        }
        return found
    }

    func disableCopyOnWrite(_ file: FileDescriptor) { real.disableCopyOnWrite(file) }
}
