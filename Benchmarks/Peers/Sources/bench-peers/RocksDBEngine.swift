import CRocksDB
import Harness

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// RocksDB through its C interface; a get copies out of a pinned slice, without an allocation of the value.
final class RocksDBEngine: Engine {
    private let path: String
    private let options = rocksdb_options_create()
    private let reading = rocksdb_readoptions_create()
    private let writing = rocksdb_writeoptions_create()
    private var database: OpaquePointer?

    init(path: String, conditions: Conditions) throws {
        self.path = path
        // What the page "Setup Options and Basic Tuning" of its manual advises.
        rocksdb_options_set_create_if_missing(options, 1)
        rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1)
        rocksdb_options_set_max_background_jobs(options, 4)
        rocksdb_options_set_bytes_per_sync(options, 1 << 20)
        rocksdb_options_set_compression(options, Int32(rocksdb_lz4_compression))
        rocksdb_options_set_bottommost_compression(options, Int32(rocksdb_lz4_compression))
        let table = rocksdb_block_based_options_create()
        rocksdb_block_based_options_set_block_size(table, 16 << 10)
        rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1)
        rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1)
        rocksdb_block_based_options_set_format_version(table, 5)
        rocksdb_block_based_options_set_block_cache(table, rocksdb_cache_create_lru(1 << 30))
        rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(10))
        rocksdb_options_set_block_based_table_factory(options, table)
        rocksdb_writeoptions_set_sync(writing, conditions.isDurable ? 1 : 0)
        try open()
    }

    private func open() throws {
        var error: UnsafeMutablePointer<CChar>?
        database = rocksdb_open(options, "\(path)/rocksdb", &error)
        try check(error)
    }

    func close() { rocksdb_close(database) }

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        var error: UnsafeMutablePointer<CChar>?
        rocksdb_put(database, writing, key.characters, key.count, value.characters, value.count, &error)
        try check(error)
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try find(key) { value, size in
            buffer.baseAddress.unsafelyUnwrapped.copyMemory(from: value, byteCount: size)
            return size
        } ?? -1
    }

    func borrow(_ key: UnsafeRawBufferPointer, size: Int) throws -> UInt64? {
        try find(key) { $1 == size ? UnsafeRawPointer($0).loadUnaligned(as: UInt64.self) : 0 }
    }

    @inline(__always)
    private func find<R>(_ key: UnsafeRawBufferPointer, _ body: (UnsafePointer<CChar>, Int) -> R) throws -> R? {
        var error: UnsafeMutablePointer<CChar>?
        let slice = rocksdb_get_pinned(database, reading, key.characters, key.count, &error)
        try check(error)
        guard let slice else { return nil }
        defer { rocksdb_pinnableslice_destroy(slice) }
        var size = 0
        guard let value = rocksdb_pinnableslice_value(slice, &size) else { return nil }
        return body(value, size)
    }

    func delete(_ key: UnsafeRawBufferPointer) throws -> Bool {
        var error: UnsafeMutablePointer<CChar>?
        rocksdb_delete(database, writing, key.characters, key.count, &error)
        try check(error)
        return true
    }

    func range(from key: UnsafeRawBufferPointer, count: Int) throws -> Int { try walk(from: key, count: count) }

    func scan(sorted: Bool) throws -> Int { try walk(from: nil, count: .max) }

    private func walk(from start: UnsafeRawBufferPointer?, count: Int) throws -> Int {
        let iterator = rocksdb_create_iterator(database, reading)
        defer { rocksdb_iter_destroy(iterator) }
        if let start {
            rocksdb_iter_seek(iterator, start.characters, start.count)
        } else {
            rocksdb_iter_seek_to_first(iterator)
        }
        var (visited, sum) = (0, 0)
        while visited < count, rocksdb_iter_valid(iterator) != 0 {
            var size = 0
            if let key = rocksdb_iter_key(iterator, &size) { sum &+= Int(key[size - 1]) }
            if start != nil, let value = rocksdb_iter_value(iterator, &size) { sum &+= Int(value[0]) }
            visited += 1
            rocksdb_iter_next(iterator)
        }
        return sum == 0 ? 0 : visited
    }

    func load(_ script: UnsafeBufferPointer<UInt32>, _ buffers: Buffers) throws {
        let batch = rocksdb_writebatch_create()
        defer { rocksdb_writebatch_destroy(batch) }
        for (index, step) in script.enumerated() {
            let (key, value) = buffers.pair(step)
            rocksdb_writebatch_put(batch, key.characters, key.count, value.characters, value.count)
            if index % 1000 == 999 || index == script.count - 1 {
                var error: UnsafeMutablePointer<CChar>?
                rocksdb_write(database, writing, batch, &error)
                try check(error)
                rocksdb_writebatch_clear(batch)
            }
        }
    }

    func compact() { rocksdb_compact_range(database, nil, 0, nil, 0) }

    @inline(__always)
    private func check(_ error: UnsafeMutablePointer<CChar>?) throws {
        if let error { throw failure(error) }
    }

    @inline(never)
    private func failure(_ error: UnsafeMutablePointer<CChar>) -> EngineError {
        defer { free(error) }
        return EngineError("rocksdb: \(String(cString: error))")
    }

    static let contestants = [
        Contestant(
            "rocksdb", version: Packages.version("librocksdb-dev"),
            "write-ahead log without sync (with, where writes are durable), and what its manual advises under *Setup Options and Basic Tuning*: block cache of "
                + "1 GiB, Bloom filter of 10 bits a key, blocks of 16 KiB, dynamic level sizes, LZ4; a get from a pinned slice",
            verbs: [.borrow, .range, .scanSorted], traits: [.threads, .files, .durable, .survivesKill], share: 2
        ) { try RocksDBEngine(path: $0, conditions: $1) }
    ]
}
