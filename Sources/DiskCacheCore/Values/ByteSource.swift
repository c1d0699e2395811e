internal import DiskCacheEngine

/// Bytes that come a piece at a time, for values too large to be held in memory.
///
/// ```swift
/// try cache.set("video", reading: FileDescriptorSource(descriptor))
/// ```
public protocol ByteSource {
    /// The next bytes, `maximum` of them at most; nil at the end.
    ///
    /// Fewer than `maximum`, or none, don't mean that the end is near. `maximum` is at least 1.
    mutating func next(maximum: Int) throws -> [UInt8]?
}

/// A source made of a sequence of chunks of any size.
public struct ChunkSource<Chunks: Sequence>: ByteSource where Chunks.Element: Collection<UInt8> {
    private var chunks: Chunks.Iterator
    /// What is left of a chunk that was too long to be given at once.
    private var rest: Chunks.Element.SubSequence?

    /// A source of the bytes of `chunks`, one after the other.
    public init(_ chunks: Chunks) {
        self.chunks = chunks.makeIterator()
    }

    /// The next bytes, of one chunk.
    public mutating func next(maximum: Int) throws -> [UInt8]? {
        guard let chunk = rest ?? chunks.next().map({ $0[...] }) else { return nil }
        let piece = chunk.prefix(max(maximum, 0))
        let left = chunk[piece.endIndex...]
        rest = left.isEmpty ? nil : left
        return Array(piece)
    }
}

/// A source that reads a file, a pipe or a socket from where it stands to its end.
///
/// The descriptor stays yours: it isn't closed. It must not be non-blocking.
public struct FileDescriptorSource: ByteSource {
    private let descriptor: Int32

    /// A source of what can be read from `descriptor`.
    public init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// The next bytes, as `read(2)` gives them.
    public mutating func next(maximum: Int) throws -> [UInt8]? {
        let bytes = try rethrowing { () throws(EngineError) in
            try readDescriptor(descriptor, atMost: max(maximum, 1))
        }
        return bytes.isEmpty ? nil : bytes
    }
}
