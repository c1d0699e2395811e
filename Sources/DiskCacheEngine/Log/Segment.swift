/// One file of the log, as one process has it mapped.
///
/// Its descriptor is kept as long as a sync may have to be told of its errors; a store has dozens of segments, a large one thousands, and
/// a process may have few descriptors. Who needs the file after that opens it again.
final class Segment: Sendable {
    let header: SegmentHeader
    private let directory: FileDescriptor
    private let files: any FileSystem
    private let isWritable: Bool
    /// nil: let go.
    private let opened: Guarded<FileDescriptor?>
    /// The file's own end when it was opened, at most the header's length: what lies behind it is zeros in the window.
    let mappable: Int
    let device: UInt64
    let inode: UInt64

    var first: Position { header.first }
    /// The position behind the segment's last byte.
    var limit: Position { header.first + header.length }
    /// Where the first record may lie.
    var firstRecord: Position { header.first + UInt64(SegmentHeader.size) }

    init(
        header: SegmentHeader, file: FileDescriptor, status: FileStatus, in directory: FileDescriptor,
        files: any FileSystem, isWritable: Bool
    ) {
        self.header = header
        self.directory = directory
        self.files = files
        self.isWritable = isWritable
        opened = Guarded(file)
        mappable = min(status.size, Int(header.length))
        device = status.device
        inode = status.inode
    }

    /// What errors call it.
    var path: String { directory.path + "/" + SegmentHeader.name(first) }

    /// The open file; opened again if it was let go. It may have lost its name since: then that throws ENOENT.
    func file() throws(SystemError) -> FileDescriptor {
        if let file = opened.withLock({ $0 }) { return file }
        let file = try files.open(SegmentHeader.name(first), in: directory, isWritable ? [.write] : [])
        let status = try files.status(file)
        guard status.device == device, status.inode == inode else {
            throw SystemError(errno: ErrorNumber.notFound, call: "open", path: path)
        }
        return file
    }

    /// Keeps the file open no longer.
    func letGo() { opened.withLock { $0 = nil } }

    /// The same file with another status.
    func with(_ status: FileStatus) throws(SystemError) -> Segment {
        Segment(header: header, file: try file(), status: status, in: directory, files: files, isWritable: isWritable)
    }

    /// What a file that should be a segment turned out to be.
    enum Opened {
        case segment(Segment)
        /// It isn't there.
        case missing
        /// Empty, short, damaged, another store's or of a newer format.
        case unusable(String)
    }

    /// Opens the segment that begins at `first`, and believes its header only if checksum, position, store and salt fit.
    static func open(
        _ first: Position, in directory: FileDescriptor, files: any FileSystem, storeID: (UInt64, UInt64)?,
        salt: UInt64?, writable: Bool
    ) throws(SystemError) -> Opened {
        let file: FileDescriptor
        do {
            file = try files.open(SegmentHeader.name(first), in: directory, writable ? [.write] : [])
        } catch {
            if error.errno == ErrorNumber.notFound { return .missing }
            throw error
        }
        let status = try files.status(file)
        guard status.kind == .regular else { return .unusable("not a regular file") }
        let bytes = try files.read(file, count: SegmentHeader.size, at: 0)
        if bytes.isEmpty { return .unusable("empty") }
        guard bytes.count == SegmentHeader.size, let header = bytes.withUnsafeBytes({ SegmentHeader($0) }) else {
            return .unusable("the header is damaged")
        }
        guard header.first == first else { return .unusable("the header names another position") }
        if let storeID, header.storeID != storeID { return .unusable("it belongs to another store") }
        if let salt, header.salt != salt { return .unusable("it has another salt") }
        return .segment(
            Segment(
                header: header, file: file, status: status, in: directory, files: files, isWritable: writable))
    }
}
