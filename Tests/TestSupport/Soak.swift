import DiskCacheEngine
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What the processes of a soak agree on.
package enum Soak {
    /// Keys that are never deleted.
    package static let keptKeys = 600
    package static let pairs = 16
    package static let minFileSize = 6000

    /// The value of a key's version: both, then bytes that follow from them.
    package static func value(_ key: Int, _ version: UInt64, _ length: Int) -> [UInt8] {
        var value = [UInt8](repeating: 0, count: 16 + length)
        withUnsafeBytes(of: (UInt64(key), version)) { value.replaceSubrange(0..<16, with: $0) }
        for index in 16..<value.count { value[index] = filling(key, version, index) }
        return value
    }

    /// The version that a value is of; nil: it isn't a value of this key.
    package static func version(_ value: [UInt8], _ key: Int) -> UInt64? {
        guard value.count >= 16 else { return nil }
        let (owner, version) = value.withUnsafeBytes {
            ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
        guard owner == UInt64(key) else { return nil }
        for index in 16..<value.count where value[index] != filling(key, version, index) { return nil }
        return version
    }

    private static func filling(_ key: Int, _ version: UInt64, _ index: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: (UInt64(key) &* 31 &+ version &* 7) ^ UInt64(index))
    }
}

/// A file that all processes of a soak map: the highest version of each key that anybody has read, and what was done.
package final class SoakBoard: @unchecked Sendable {
    package enum Count: Int, CaseIterable { case reads, writes, scans }

    private static let size = 16384
    private let base: UnsafeMutableRawPointer

    package init(_ path: String) throws {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0, ftruncate(file, off_t(Self.size)) == 0 else {
            throw SystemError(errno: errno, call: "open", path: path)
        }
        defer { close(file) }
        guard let base = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), base != MAP_FAILED else {
            throw SystemError(errno: errno, call: "mmap", path: path)
        }
        self.base = base
    }

    deinit { munmap(base, Self.size) }

    private func word(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (base + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    package func highest(_ key: Int) -> UInt64 { word(16 + key).pointee.load(ordering: .acquiring) }

    package func raise(_ key: Int, to version: UInt64) {
        word(16 + key).pointee.max(version, ordering: .acquiringAndReleasing)
    }

    package func count(_ count: Count) { word(count.rawValue).pointee.wrappingAdd(1, ordering: .relaxed) }

    package func total(_ count: Count) -> UInt64 { word(count.rawValue).pointee.load(ordering: .relaxed) }
}
