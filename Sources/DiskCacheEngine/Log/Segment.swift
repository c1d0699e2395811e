/// One file of the log, as one process has it open.
final class Segment: Sendable {
    let header: SegmentHeader
    let file: FileDescriptor
    /// The file's own end when it was opened, at most the header's length: what lies behind it is zeros in the window.
    let mappable: Int
    let device: UInt64
    let inode: UInt64

    var first: Position { header.first }
    /// The position behind the segment's last byte.
    var limit: Position { header.first + header.length }
    /// Where the first record may lie.
    var firstRecord: Position { header.first + UInt64(SegmentHeader.size) }

    init(header: SegmentHeader, file: FileDescriptor, status: FileStatus) {
        self.header = header
        self.file = file
        mappable = min(status.size, Int(header.length))
        device = status.device
        inode = status.inode
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
        return .segment(Segment(header: header, file: file, status: status))
    }
}
