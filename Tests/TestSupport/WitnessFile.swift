#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A file of bytes and words that processes share without any lock of ours: what is promised is checked against it.
package final class WitnessFile: Sendable {
    package struct CannotOpen: Error { package let errno: Int32 }

    private let descriptor: Int32

    package init(_ path: String) throws {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CannotOpen(errno: errno) }
    }

    deinit { close(descriptor) }

    package func put(_ byte: UInt8, at offset: Int) {
        var byte = byte
        _ = pwrite(descriptor, &byte, 1, off_t(offset))
    }

    package func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        _ = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, count, 0) }
        return bytes
    }

    /// The word at an index, of eight bytes; 0 where nothing was written.
    package subscript(index: Int) -> UInt64 {
        get {
            var word: UInt64 = 0
            _ = pread(descriptor, &word, 8, off_t(index * 8))
            return word
        }
        set {
            var word = newValue
            _ = pwrite(descriptor, &word, 8, off_t(index * 8))
        }
    }
}
