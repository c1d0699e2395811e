import CLevelDB
import Harness

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// LevelDB through its C interface, whose get allocates.
final class LevelDBEngine: Engine {
    private let path: String
    private let options = leveldb_options_create()
    private let reading = leveldb_readoptions_create()
    private let writing = leveldb_writeoptions_create()
    private var database: OpaquePointer?

    init(path: String, conditions: Conditions) throws {
        self.path = path
        leveldb_options_set_create_if_missing(options, 1)
        leveldb_options_set_cache(options, leveldb_cache_create_lru(100 << 20))
        leveldb_options_set_filter_policy(options, leveldb_filterpolicy_create_bloom(10))
        leveldb_options_set_write_buffer_size(options, 16 << 20)
        leveldb_writeoptions_set_sync(writing, conditions.isDurable ? 1 : 0)
        try open()
    }

    private func open() throws {
        var error: UnsafeMutablePointer<CChar>?
        database = leveldb_open(options, "\(path)/leveldb", &error)
        try check(error)
    }

    func close() { leveldb_close(database) }

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        var error: UnsafeMutablePointer<CChar>?
        leveldb_put(database, writing, key.characters, key.count, value.characters, value.count, &error)
        try check(error)
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var error: UnsafeMutablePointer<CChar>?
        var size = 0
        let value = leveldb_get(database, reading, key.characters, key.count, &size, &error)
        try check(error)
        guard let value else { return -1 }
        buffer.baseAddress.unsafelyUnwrapped.copyMemory(from: value, byteCount: size)
        leveldb_free(value)
        return size
    }

    func delete(_ key: UnsafeRawBufferPointer) throws -> Bool {
        var error: UnsafeMutablePointer<CChar>?
        leveldb_delete(database, writing, key.characters, key.count, &error)
        try check(error)
        return true
    }

    func range(from key: UnsafeRawBufferPointer, count: Int) throws -> Int { try walk(from: key, count: count) }

    func scan(sorted: Bool) throws -> Int { try walk(from: nil, count: .max) }

    private func walk(from start: UnsafeRawBufferPointer?, count: Int) throws -> Int {
        let iterator = leveldb_create_iterator(database, reading)
        defer { leveldb_iter_destroy(iterator) }
        if let start {
            leveldb_iter_seek(iterator, start.characters, start.count)
        } else {
            leveldb_iter_seek_to_first(iterator)
        }
        var (visited, sum) = (0, 0)
        while visited < count, leveldb_iter_valid(iterator) != 0 {
            var size = 0
            if let key = leveldb_iter_key(iterator, &size) { sum &+= Int(key[size - 1]) }
            if start != nil, let value = leveldb_iter_value(iterator, &size) { sum &+= Int(value[0]) }
            visited += 1
            leveldb_iter_next(iterator)
        }
        return sum == 0 ? 0 : visited
    }

    func load(_ script: UnsafeBufferPointer<UInt32>, _ buffers: Buffers) throws {
        let batch = leveldb_writebatch_create()
        defer { leveldb_writebatch_destroy(batch) }
        for (index, step) in script.enumerated() {
            let (key, value) = buffers.pair(step)
            leveldb_writebatch_put(batch, key.characters, key.count, value.characters, value.count)
            if index % 1000 == 999 || index == script.count - 1 {
                var error: UnsafeMutablePointer<CChar>?
                leveldb_write(database, writing, batch, &error)
                try check(error)
                leveldb_writebatch_clear(batch)
            }
        }
    }

    func compact() { leveldb_compact_range(database, nil, 0, nil, 0) }

    @inline(__always)
    private func check(_ error: UnsafeMutablePointer<CChar>?) throws {
        if let error { throw failure(error) }
    }

    @inline(never)
    private func failure(_ error: UnsafeMutablePointer<CChar>) -> EngineError {
        defer { leveldb_free(error) }
        return EngineError("leveldb: \(String(cString: error))")
    }

    static let contestants = [
        Contestant(
            "leveldb", version: "\(leveldb_major_version()).\(leveldb_minor_version())",
            "`sync` off (on where writes are durable), a block cache of 100 MB and a Bloom filter of 10 bits a key, as its documentation advises, a "
                + "write buffer of 16 MiB, Snappy compression as by default; `leveldb_get` allocates",
            verbs: [.range, .scanSorted], traits: [.threads, .files, .durable, .survivesKill], share: 2
        ) { try LevelDBEngine(path: $0, conditions: $1) }
    ]
}
