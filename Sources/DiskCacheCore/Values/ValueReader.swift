internal import DiskCacheEngine

/// A value that is read in pieces, so that it never has to be in memory as a whole. Used by one thread at a time.
///
/// ```swift
/// if let video = try cache.open("video") {
///     while let piece = try video.next(maximum: 1 << 16) { send(piece) }
/// }
/// ```
///
/// A value that lies in the log is copied when the reader is made; one in a file of its own is read from there, and its checksum
/// is verified when the end is reached.
public final class ValueReader {
    private enum Source {
        case bytes([UInt8])
        case file(Store.FileValue)
    }
    private let source: Source
    private var offset = 0

    init(bytes: [UInt8]) { source = .bytes(bytes) }
    init(file: Store.FileValue) { source = .file(file) }

    /// Bytes of the whole value.
    public var count: Int {
        switch source {
        case .bytes(let bytes): bytes.count
        case .file(let file): file.count
        }
    }

    /// The file that holds the value and nothing else, if it has one of its own: to hand to `sendfile`, not to change.
    public var path: String? {
        if case .file(let file) = source { return file.path }
        return nil
    }

    /// The next bytes, `maximum` of them at most, and one if that is less; nil at the end. Throws `corrupted` instead of the end if the checksum is wrong.
    public func next(maximum: Int = 1 << 16) throws -> [UInt8]? {
        let maximum = max(1, maximum)
        switch source {
        case .bytes(let bytes):
            guard offset < bytes.count else { return nil }
            let end = offset + min(maximum, bytes.count - offset)
            defer { offset = end }
            return Array(bytes[offset..<end])
        case .file(let file):
            let left = max(file.count - file.offset, 1)
            let piece = try [UInt8](unsafeUninitializedCapacity: min(maximum, left)) { buffer, count in
                do {
                    count = try file.read(into: UnsafeMutableRawBufferPointer(buffer))
                } catch let error as EngineError {
                    throw CacheError(error)
                }
            }
            return piece.isEmpty ? nil : piece
        }
    }

    /// All that is left, in one piece.
    public func readAll() throws -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while let piece = try next(maximum: 1 << 20) { bytes += piece }
        return bytes
    }
}
