/// Brings files from one directory into another: by a second name where both lie on one file system, by sharing blocks where that can be
/// done, else by copying.
struct FileTransfer {
    let files: any FileSystem
    /// Whether a second name, or shared blocks, will do.
    let shares: Bool
    /// What has failed once isn't tried again.
    private var links = true
    private var clones = true
    /// Bytes of the files that share theirs with the original.
    private(set) var sharedBytes = 0
    /// Bytes that were copied.
    private(set) var copiedBytes = 0

    private static let piece = 1 << 20

    enum Outcome {
        /// There is no such file any more.
        case gone
        case shared
        case copied
    }

    init(files: any FileSystem, shares: Bool) {
        self.files = files
        self.shares = shares
    }

    /// Brings a file of `length` bytes over. `size`: so many of them are copied if it comes to that; what lies behind is zeros then.
    /// `checksum` gets what is copied.
    mutating func bring(
        _ name: String, from source: FileDescriptor, to directory: FileDescriptor, size: Int, length: Int,
        mayShare: Bool, checksum: inout XXH64
    ) throws(SystemError) -> Outcome {
        if shares && mayShare {
            if links {
                do throws(SystemError) {
                    try files.link(name, in: source, to: name, in: directory)
                    noteShared(length)
                    return .shared
                } catch {
                    switch error.errno {
                    case ErrorNumber.notFound: return .gone
                    case ErrorNumber.noSpace, ErrorNumber.quota: throw error
                    case ErrorNumber.tooManyNames: break
                    default: links = false
                    }
                }
            }
            if clones, let outcome = try clone(name, from: source, to: directory, length) { return outcome }
        }
        return try copy(name, from: source, to: directory, size: size, length: length, checksum: &checksum)
    }

    /// nil: it can't be done here.
    private mutating func clone(
        _ name: String, from source: FileDescriptor, to directory: FileDescriptor, _ length: Int
    ) throws(SystemError) -> Outcome? {
        guard let file = try open(name, in: source) else { return .gone }
        do throws(SystemError) {
            try files.clone(file, to: name, in: directory)
            noteShared(length)
            return .shared
        } catch {
            if error.errno == ErrorNumber.noSpace || error.errno == ErrorNumber.quota { throw error }
            clones = false
            return nil
        }
    }

    /// How long a value's file is, a record says, whatever the file is.
    private mutating func noteShared(_ length: Int) {
        let sum = sharedBytes.addingReportingOverflow(length)
        sharedBytes = sum.overflow ? .max : sum.partialValue
    }

    private mutating func copy(
        _ name: String, from source: FileDescriptor, to directory: FileDescriptor, size: Int, length: Int,
        checksum: inout XXH64
    ) throws(SystemError) -> Outcome {
        guard let file = try open(name, in: source) else { return .gone }
        let made = try files.open(name, in: directory, [.write, .create, .exclusive])
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(1, min(size, Self.piece)), alignment: 16)
        defer { buffer.deallocate() }
        var done = 0
        while done < size {
            let wanted = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(size - done, Self.piece)])
            let count = try files.read(file, into: wanted, at: done)
            if count == 0 { break }
            let bytes = UnsafeRawBufferPointer(rebasing: wanted[..<count])
            try files.write(made, bytes, at: done)
            checksum.update(bytes)
            done += count
        }
        copiedBytes += done
        // A file that ends before `size` isn't what it should be, and stays as it is.
        if done == size, length > done { try files.truncate(made, to: length) }
        return .copied
    }

    private func open(_ name: String, in directory: FileDescriptor) throws(SystemError) -> FileDescriptor? {
        do throws(SystemError) {
            return try files.open(name, in: directory, [])
        } catch {
            if error.errno == ErrorNumber.notFound { return nil }
            throw error
        }
    }
}
