import DiskCache
import Workloads

/// This project's cache through its public interface.
///
/// The class isn't generic over the form of its keys: the witness of `run` would then not be specialised.
final class DiskCacheEngine: Engine {
    /// What a call allocates, beside what the cache itself does.
    enum Form {
        /// Nothing: one `[UInt8]` as the key whose bytes are changed in place; `withValue`, copied into the buffer.
        case reused
        /// A new `String` as the key, whose 16 bytes don't fit into the string itself; `withValue` as above.
        case stringKey
        /// A new `[UInt8]` as the value that `get` returns; the key as in `reused`.
        case arrayValue
    }

    private let path: String
    private let form: Form
    private var key = [UInt8](repeating: 0, count: KeyFormat.size)
    private var value: [UInt8]
    private var cache: Cache

    init(path: String, workload: Workload, form: Form) throws {
        self.path = path
        self.form = form
        value = [UInt8](repeating: 0, count: workload.valueSize)
        cache = try Self.open(path)
    }

    /// Nothing is synced, as in the peers.
    private static func open(_ path: String) throws -> Cache {
        var configuration = Cache.Configuration()
        configuration.durability = Durability.none
        return try Cache(directory: path, configuration: configuration)
    }

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        self.value.withUnsafeMutableBytes { $0.copyMemory(from: value) }
        if form == .stringKey {
            try cache.set(String(decoding: key, as: UTF8.self), self.value)
        } else {
            load(key)
            try cache.set(self.key, self.value)
        }
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        switch form {
        case .reused:
            load(key)
            return try copy(self.key, into: buffer)
        case .stringKey:
            return try copy(String(decoding: key, as: UTF8.self), into: buffer)
        case .arrayValue:
            load(key)
            guard let value = try cache.get(self.key, as: [UInt8].self) else { return -1 }
            buffer.copyBytes(from: value)
            return value.count
        }
    }

    func delete(_ key: UnsafeRawBufferPointer) throws {
        if form == .stringKey {
            _ = try cache.delete(String(decoding: key, as: UTF8.self))
        } else {
            load(key)
            _ = try cache.delete(self.key)
        }
    }

    func close() throws { try cache.close() }

    func reopen() throws { cache = try Self.open(path) }

    @inline(__always)
    private func load(_ bytes: UnsafeRawBufferPointer) {
        key.withUnsafeMutableBytes { $0.copyMemory(from: bytes) }
    }

    @inline(__always)
    private func copy(_ key: some CacheKey, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let size = try cache.withValue(key) { (value: RawSpan) in
            value.withUnsafeBytes { buffer.copyMemory(from: $0) }
            return value.byteCount
        }
        return size ?? -1
    }
}

extension Contestant {
    /// This project's cache, by what a call allocates.
    static let diskCache = [
        Contestant("diskcache", "DiskCache for Swift; [UInt8] key and value used again, withValue into a buffer") {
            path, workload in
            try DiskCacheEngine(path: path, workload: workload, form: .reused)
        },
        Contestant("diskcache-string-key", "as diskcache, with a new String as the key of each call") {
            path, workload in
            try DiskCacheEngine(path: path, workload: workload, form: .stringKey)
        },
        Contestant("diskcache-array", "as diskcache, but get makes a new [UInt8] a call") { path, workload in
            try DiskCacheEngine(path: path, workload: workload, form: .arrayValue)
        },
    ]
}
