import Synchronization

/// One large value on its way into a file (see `ValueFiles`): piece by piece, with the checksum made as they pass.
///
/// Space is allocated before it is written, where the file system can: a full disk is an error of `append`, and what
/// `finish` describes is whole. After an error every further call throws the same one.
///
/// The file is flocked as long as it has its temporary name. It is removed unless it was placed: by `abandon`, or when
/// the writer goes. In the child of a fork a writer of the parent does nothing but throw.
/// Used by one thread at a time.
final class ValueFileWriter {
    let name: ValueFileName
    /// How many bytes were appended.
    private(set) var count = 0

    private enum State { case writing, finished, closed }

    private let files: ValueFiles
    private var file: FileDescriptor?
    private var checksum = XXH64(seed: 0)
    /// How far the file has been allocated; what lies beyond `count` is cut off in the end.
    private var allocated = 0
    private var canAllocate = true
    private var state = State.writing
    private var failure: SystemError?
    private let forks = ForkGuard.forks.load(ordering: .relaxed)

    /// The pieces that are allocated ahead for a value of unknown size grow with it, between these bounds.
    private static let leastAhead = 1 << 16
    private static let mostAhead = 1 << 24

    /// Takes over a temporary file, which is registered with the fork guard and locked.
    init(_ files: ValueFiles, _ name: ValueFileName, _ file: FileDescriptor, expected: Int) throws(SystemError) {
        self.files = files
        self.name = name
        self.file = file
        if expected > 0 { try allocate(to: expected) }
    }

    deinit { abandon() }

    /// Writes the next bytes.
    func append(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        precondition(state == .writing, "nothing is appended to a finished value")
        if bytes.isEmpty { return }
        try attempt { file throws(SystemError) in
            try reserve(count + bytes.count)
            try files.system.write(file, bytes, at: count)
        }
        checksum.update(bytes)
        count += bytes.count
    }

    /// Ends the writing; what the value's record must say.
    func finish() throws(SystemError) -> ValueFileReference {
        try attempt { file throws(SystemError) in
            if allocated > count { try files.system.truncate(file, to: count) }
        }
        allocated = count
        state = .finished
        FaultPoint.reach(.valueFileWritten)
        return ValueFileReference(name: name, length: count, checksum: checksum.value())
    }

    /// Makes the bytes durable, though not yet the name (see `ValueFiles.sync`).
    func sync() throws(SystemError) {
        try attempt { file throws(SystemError) in try files.system.sync(file) }
    }

    /// Renames the finished file to its place, and lets go of it.
    func place() throws(SystemError) {
        precondition(state == .finished, "only a finished value is placed")
        try attempt { _ throws(SystemError) in
            try files.withParents(of: name) { () throws(SystemError) in
                try files.system.rename(name.temporaryPath, to: name.path, in: files.directory)
            }
        }
        close()
        FaultPoint.reach(.valueFileRenamed)
    }

    /// Removes the file, unless it has been placed. What can't be removed, `ValueFiles.sweepTemporary` removes.
    func abandon() {
        if state == .closed { return }
        if !isForeign { try? files.system.unlinkIfPresent(name.temporaryPath, in: files.directory) }
        close()
    }

    /// Whether this process is a child of the one whose writer this is.
    private var isForeign: Bool { ForkGuard.forks.load(ordering: .relaxed) != forks }

    private func close() {
        state = .closed
        if let file, !isForeign { ForkGuard.unregister(file) }
        file = nil
    }

    /// Does `body`; remembers what it throws.
    private func attempt(_ body: (FileDescriptor) throws(SystemError) -> Void) throws(SystemError) {
        if let failure { throw failure }
        guard let file, !isForeign else {
            throw SystemError(errno: ErrorNumber.invalid, call: "write", path: name.temporaryPath)
        }
        do {
            try body(file)
        } catch {
            failure = error
            throw error
        }
    }

    /// Sees to it that the file is allocated up to `end`, and a little further if more is to be expected.
    private func reserve(_ end: Int) throws(SystemError) {
        if end <= allocated || !canAllocate { return }
        let ahead = allocated + min(max(allocated, Self.leastAhead), Self.mostAhead)
        if ahead > end {
            do {
                try allocate(to: ahead)
                return
            } catch {
                // What is wanted in advance may not be there when what is needed is.
                if error.errno != ErrorNumber.noSpace && error.errno != ErrorNumber.quota { throw error }
            }
        }
        try allocate(to: end)
    }

    private func allocate(to end: Int) throws(SystemError) {
        guard let file else { return }
        do {
            try files.system.allocate(file, offset: allocated, count: end - allocated)
            allocated = end
        } catch {
            if error.errno != ErrorNumber.notSupported && error.errno != ErrorNumber.invalid { throw error }
            canAllocate = false
        }
    }
}
