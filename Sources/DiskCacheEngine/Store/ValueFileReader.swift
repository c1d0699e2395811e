/// A large value's file, open for reading (see `ValueFiles`).
///
/// Its length was compared with its record's when it was opened. Either read it in pieces, from front to back, never
/// holding more than a piece: the checksum is compared when the last byte has been read, so a value isn't to be
/// believed before that. Or have all of it, compared before it is lent out, as a mapping.
///
/// Pieces are read, not mapped: a file that shrinks under a mapping kills the process, one that is read ends early.
/// The file may be unlinked meanwhile; an open one stays readable. Used by one thread at a time.
final class ValueFileReader {
    let reference: ValueFileReference
    /// Where the file is: for a web server's sendfile, say. It may be unlinked at any time.
    var path: String { file.path }
    /// The file itself, which stays open, and readable, as long as the reader.
    let file: FileDescriptor
    /// How many bytes the value has.
    var count: Int { reference.length }
    /// How many of them have been read.
    private(set) var offset = 0

    private let system: any FileSystem
    private var checksum = XXH64(seed: 0)
    private static let chunk = 1 << 18

    init(_ file: FileDescriptor, _ reference: ValueFileReference, _ system: any FileSystem) {
        self.file = file
        self.reference = reference
        self.system = system
    }

    /// Reads the next bytes; how many, 0 only at the end (or for an empty buffer). The call that reaches the end throws
    /// if the value isn't what was stored.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(ValueFileError) -> Int {
        let wanted = min(buffer.count, count - offset)
        let target = UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted])
        let done = try ValueFileError.wrapping { () throws(SystemError) in
            wanted == 0 ? 0 : try system.read(file, into: target, at: offset)
        }
        guard done == wanted else { throw .corrupted(path: path, .length) }
        checksum.update(UnsafeRawBufferPointer(target))
        offset += done
        if offset == count && checksum.value() != reference.checksum { throw .corrupted(path: path, .checksum) }
        return done
    }

    /// The whole value, compared with its checksum.
    func map() throws(ValueFileError) -> ValueFileMapping {
        // Read first: the system reads ahead for that, and not for a mapping.
        let whole = ValueFileReader(file, reference, system)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(min(count, Self.chunk), 1), alignment: 16)
        defer { buffer.deallocate() }
        while try whole.read(into: buffer) > 0 {}
        if count == 0 { return ValueFileMapping(UnsafeRawBufferPointer(start: nil, count: 0), system) }
        let base = try ValueFileError.wrapping { () throws(SystemError) in
            try system.map(file, offset: 0, count: count, writable: false, at: nil)
        }
        return ValueFileMapping(UnsafeRawBufferPointer(start: base, count: count), system)
    }
}

/// A whole value in memory, for reading, as long as this object lives.
final class ValueFileMapping: @unchecked Sendable {
    private let bytes: UnsafeRawBufferPointer
    private let system: any FileSystem

    fileprivate init(_ bytes: UnsafeRawBufferPointer, _ system: any FileSystem) {
        self.bytes = bytes
        self.system = system
    }

    deinit {
        guard let base = bytes.baseAddress else { return }
        system.unmap(UnsafeMutableRawPointer(mutating: base), count: bytes.count, leavingZeros: false)
    }

    /// Lends the value for the time of `body`.
    func withBytes<Result, Failure>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // Without this the mapping could go as soon as the pointer has been taken from it.
        defer { withExtendedLifetime(self) {} }
        return try body(bytes)
    }
}
