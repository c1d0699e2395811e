import DiskCache
import Harness

/// This project's cache through its public interface: one `[UInt8]` as the key, whose bytes are changed in place, and another
/// as the value, so that a call allocates nothing but what it returns.
final class DiskCacheEngine: Engine {
    private let path: String
    private let conditions: Conditions
    private let isCompacted: Bool
    private var key = [UInt8](repeating: 0, count: KeyFormat.size)
    private var value: [UInt8]
    // `let`, so that a call neither retains nor releases it: that would be two writes to a line that all threads share.
    private let cache: Cache

    init(path: String, conditions: Conditions, isCompacted: Bool = true) throws {
        (self.path, self.conditions, self.isCompacted) = (path, conditions, isCompacted)
        value = [UInt8](repeating: 0, count: conditions.valueSize)
        cache = try Cache(directory: path, configuration: Self.configuration(conditions, isCompacted))
    }

    private init(sharing engine: DiskCacheEngine) {
        (path, conditions, isCompacted) = (engine.path, engine.conditions, engine.isCompacted)
        value = engine.value
        cache = engine.cache
    }

    static func configuration(_ conditions: Conditions, _ isCompacted: Bool = true) -> Cache.Configuration {
        var configuration = Cache.Configuration()
        configuration.durability = conditions.isDurable ? .full : conditions.isSyncedSoon ? .normal : Durability.none
        configuration.sizeLimit = Int64(conditions.limit ?? 1 << 40)
        configuration.evictionPolicy = conditions.policy.flatMap(EvictionPolicy.init(rawValue:)) ?? EvictionPolicy.none
        if !isCompacted { configuration.compaction = .off }
        return configuration
    }

    func session() -> any Engine { DiskCacheEngine(sharing: self) }

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        try withKey(key) { key in try withValue(value) { _ = try cache.set(key, $0) } }
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try withKey(key) { key in
            try cache.withValue(key) { (value: RawSpan) in
                value.withUnsafeBytes { buffer.copyMemory(from: $0) }
                return value.byteCount
            } ?? -1
        }
    }

    func borrow(_ key: UnsafeRawBufferPointer, size: Int) throws -> UInt64? {
        try withKey(key) { key in
            try cache.withValue(key) { (value: RawSpan) in
                value.byteCount == size ? value.unsafeLoadUnaligned(as: UInt64.self) : 0
            }
        }
    }

    func array(_ key: UnsafeRawBufferPointer) throws -> [UInt8]? {
        try withKey(key) { try cache.get($0, as: [UInt8].self) }
    }

    func delete(_ key: UnsafeRawBufferPointer) throws -> Bool {
        try withKey(key) { try cache.delete($0) }
    }

    func incr(_ key: UnsafeRawBufferPointer) throws -> Int64 {
        try withKey(key) { try cache.incr($0) }
    }

    func push(_ value: UnsafeRawBufferPointer) throws {
        _ = try withValue(value) { try cache.push($0) }
    }

    func pull(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard let (_, value) = try cache.pull(as: [UInt8].self) else { return -1 }
        buffer.copyBytes(from: value)
        return value.count
    }

    func range(from key: UnsafeRawBufferPointer, count: Int) throws -> Int {
        let cursor = try withKey(key) { try cache.items(in: KeyRange(from: $0), as: [UInt8].self) }
        var visited = 0
        while visited < count, let item = try cursor.next() {
            guard item.value.count == value.count else { throw EngineError("an item of another size") }
            visited += 1
        }
        return visited
    }

    func scan(sorted: Bool) throws -> Int {
        let cursor = try sorted ? cache.sortedKeys() : cache.keys()
        var visited = 0
        while try cursor.next() != nil { visited += 1 }
        return visited
    }

    func compact() throws { try cache.compact() }

    func close() throws { try cache.close() }

    /// Lends these bytes as a key. The array is taken out of the engine meanwhile, so that a call neither retains nor releases it, as
    /// with a caller's own array.
    @inline(__always)
    private func withKey<R>(_ bytes: UnsafeRawBufferPointer, _ body: ([UInt8]) throws -> R) rethrows -> R {
        try lend(&key, bytes, body)
    }

    /// The same as a value.
    @inline(__always)
    private func withValue<R>(_ bytes: UnsafeRawBufferPointer, _ body: ([UInt8]) throws -> R) rethrows -> R {
        try lend(&value, bytes, body)
    }
}

/// This project's cache with a new `String` as the key of each call, whose 16 bytes don't fit into the string itself, and a new
/// one as the value of each `set`.
final class DiskCacheStringEngine: Engine {
    private let path: String
    private let conditions: Conditions
    private let cache: Cache

    init(path: String, conditions: Conditions) throws {
        (self.path, self.conditions) = (path, conditions)
        cache = try Cache(directory: path, configuration: DiskCacheEngine.configuration(conditions))
    }

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        try cache.set(String(decoding: key, as: UTF8.self), String(decoding: value, as: UTF8.self))
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let size = try cache.withValue(String(decoding: key, as: UTF8.self)) { (value: RawSpan) in
            value.withUnsafeBytes { buffer.copyMemory(from: $0) }
            return value.byteCount
        }
        return size ?? -1
    }

    func string(_ key: UnsafeRawBufferPointer) throws -> String? {
        try cache.get(String(decoding: key, as: UTF8.self), as: String.self)
    }

    func delete(_ key: UnsafeRawBufferPointer) throws -> Bool {
        try cache.delete(String(decoding: key, as: UTF8.self))
    }

    func close() throws { try cache.close() }

}

/// This project's cache of eight shards.
final class DiskCacheFanoutEngine: Engine {
    private let path: String
    private let conditions: Conditions
    private var key = [UInt8](repeating: 0, count: KeyFormat.size)
    private var value: [UInt8]
    private let cache: FanoutCache

    init(path: String, conditions: Conditions) throws {
        (self.path, self.conditions) = (path, conditions)
        value = [UInt8](repeating: 0, count: conditions.valueSize)
        cache = try Self.open(path, conditions)
    }

    private init(sharing engine: DiskCacheFanoutEngine) {
        (path, conditions, value, cache) = (engine.path, engine.conditions, engine.value, engine.cache)
    }

    private static func open(_ path: String, _ conditions: Conditions) throws -> FanoutCache {
        try FanoutCache(directory: path, configuration: DiskCacheEngine.configuration(conditions))
    }

    func session() -> any Engine { DiskCacheFanoutEngine(sharing: self) }

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        try withKey(key) { key in try withValue(value) { _ = try cache.set(key, $0) } }
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try withKey(key) { key in
            try cache.withValue(key) { (value: RawSpan) in
                value.withUnsafeBytes { buffer.copyMemory(from: $0) }
                return value.byteCount
            } ?? -1
        }
    }

    func delete(_ key: UnsafeRawBufferPointer) throws -> Bool {
        try withKey(key) { try cache.delete($0) }
    }

    func close() throws { try cache.close() }

    @inline(__always)
    private func withKey<R>(_ bytes: UnsafeRawBufferPointer, _ body: ([UInt8]) throws -> R) rethrows -> R {
        try lend(&key, bytes, body)
    }

    @inline(__always)
    private func withValue<R>(_ bytes: UnsafeRawBufferPointer, _ body: ([UInt8]) throws -> R) rethrows -> R {
        try lend(&value, bytes, body)
    }
}

/// Runs `body` with `array`, which has these bytes then and is nobody else's meanwhile.
@inline(__always)
private func lend<R>(
    _ array: inout [UInt8], _ bytes: UnsafeRawBufferPointer, _ body: ([UInt8]) throws -> R
) rethrows -> R {
    array.withUnsafeMutableBytes { $0.copyMemory(from: bytes) }
    return try body(array)
}

extension Contestant {
    private static let policies = [EvictionPolicy.none, .leastRecentlyStored, .leastRecentlyUsed, .leastFrequentlyUsed]

    /// This project's cache, in several forms.
    static let diskCache = [
        Contestant(
            "diskcache", version: "",
            "DiskCache for Swift, `durability` `.none`, or `.full` where writes are durable, nothing evicted unless the "
                + "store is full; `[UInt8]` key and value used again, `withValue` copied into a buffer",
            verbs: [.borrow, .array, .incr, .push, .pull, .range, .scanSorted, .scanInsertion],
            traits: [.threads, .processes, .files, .durable, .survivesKill], policies: policies.map(\.rawValue)
        ) { path, conditions in
            try DiskCacheEngine(path: path, conditions: conditions)
        },
        Contestant(
            "diskcache-normal", version: "",
            "as `diskcache`, `durability` `.normal` (the default): a sync begins within a second of a write, in the background",
            traits: [.special]
        ) { path, conditions in
            var conditions = conditions
            conditions.isSyncedSoon = true
            return try DiskCacheEngine(path: path, conditions: conditions)
        },
        Contestant(
            "diskcache-string", version: "",
            "as `diskcache`, with a new `String` as key in each call, and as value in each `set`; `get-string` makes one too",
            verbs: [.string], traits: [.special]
        ) { path, conditions in
            try DiskCacheStringEngine(path: path, conditions: conditions)
        },
        Contestant(
            "diskcache-fanout", version: "", "as `diskcache`, a `FanoutCache` of 8 shards",
            traits: [.threads, .processes, .special, .survivesKill]
        ) { path, conditions in
            try DiskCacheFanoutEngine(path: path, conditions: conditions)
        },
        Contestant(
            "diskcache-uncompacted", version: "", "as `diskcache`, with `compaction` `.off`",
            traits: [.files, .special, .survivesKill]
        ) { path, conditions in
            try DiskCacheEngine(path: path, conditions: conditions, isCompacted: false)
        },
    ]
}
