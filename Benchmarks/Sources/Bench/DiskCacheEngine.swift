import DiskCache
import Workloads

/// This project's cache through its public interface, with keys as `Keys` makes them.
final class DiskCacheEngine<Keys: KeyForm>: Engine {
    /// How a value is read.
    enum Reading {
        /// Copied out of the bytes that `withValue` lends.
        case borrowed
        /// As an array of its own, which `get` makes.
        case array
    }

    private let path: String
    private let reading: Reading
    private var keys = Keys()
    private var value: [UInt8]
    private var cache: Cache

    init(path: String, workload: Workload, reading: Reading) throws {
        self.path = path
        self.reading = reading
        value = [UInt8](repeating: 0, count: workload.valueSize)
        cache = try Cache(directory: path)
    }

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        keys.load(key)
        self.value.withUnsafeMutableBytes { $0.copyMemory(from: value) }
        try cache.set(keys.key, self.value)
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        keys.load(key)
        switch reading {
        case .borrowed:
            let size = try cache.withValue(keys.key) { (value: RawSpan) in
                value.withUnsafeBytes { buffer.copyMemory(from: $0) }
                return value.byteCount
            }
            return size ?? -1
        case .array:
            guard let value = try cache.get(keys.key, as: [UInt8].self) else { return -1 }
            buffer.copyBytes(from: value)
            return value.count
        }
    }

    func delete(_ key: UnsafeRawBufferPointer) throws {
        keys.load(key)
        _ = try cache.delete(keys.key)
    }

    func close() throws { try cache.close() }

    func reopen() throws { cache = try Cache(directory: path) }
}

/// A way to make the key that the cache is given from the bytes of the workload.
protocol KeyForm {
    associatedtype Key: CacheKey
    var key: Key { get }
    init()
    mutating func load(_ bytes: UnsafeRawBufferPointer)
}

/// One array whose bytes are changed in place: no allocation a call.
struct ReusedBytes: KeyForm {
    private(set) var key = [UInt8](repeating: 0, count: KeyFormat.size)

    mutating func load(_ bytes: UnsafeRawBufferPointer) {
        key.withUnsafeMutableBytes { $0.copyMemory(from: bytes) }
    }
}

/// A new string a call, as most programs make their keys: one allocation, for 16 bytes don't fit into the string itself.
struct FreshString: KeyForm {
    private(set) var key = ""

    mutating func load(_ bytes: UnsafeRawBufferPointer) { key = String(decoding: bytes, as: UTF8.self) }
}

extension Contestant {
    /// This project's cache, by what a call allocates.
    static let diskCache = [
        Contestant("diskcache", "DiskCache for Swift; [UInt8] key and value used again, withValue into a buffer") {
            path, workload in
            try DiskCacheEngine<ReusedBytes>(path: path, workload: workload, reading: .borrowed)
        },
        Contestant("diskcache-string-key", "the same with a new String as the key of each call") { path, workload in
            try DiskCacheEngine<FreshString>(path: path, workload: workload, reading: .borrowed)
        },
        Contestant("diskcache-array", "as diskcache, but get makes a new [UInt8] a call") { path, workload in
            try DiskCacheEngine<ReusedBytes>(path: path, workload: workload, reading: .array)
        },
    ]
}
