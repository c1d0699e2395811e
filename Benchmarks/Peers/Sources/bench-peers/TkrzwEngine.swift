import CTkrzw
import Harness

/// Tkrzw, the successor of Tokyo and Kyoto Cabinet, through its C interface. One process has the store.
final class TkrzwEngine: Engine {
    private let path: String
    private let parameters: String
    private var database: UnsafeMutablePointer<TkrzwDBM>?

    init(path: String, parameters: String) throws {
        (self.path, self.parameters) = (path, parameters)
        try open()
    }

    private func open() throws {
        database = try check(
            tkrzw_dbm_open("\(path)/store.tk", true, parameters), "tkrzw_dbm_open")
    }

    func close() throws {
        try check(tkrzw_dbm_close(database), "tkrzw_dbm_close")
    }

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        try check(
            tkrzw_dbm_set(database, key.characters, Int32(key.count), value.characters, Int32(value.count), true),
            "tkrzw_dbm_set")
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var answer = (buffer: buffer.baseAddress.unsafelyUnwrapped, size: -1)
        let isDone = tkrzw_dbm_process(
            database, key.characters, Int32(key.count),
            { answer, _, _, value, size, _ in
                if let value, let answer {
                    let answer = answer.assumingMemoryBound(to: (buffer: UnsafeMutableRawPointer, size: Int).self)
                    answer.pointee.buffer.copyMemory(from: value, byteCount: Int(size))
                    answer.pointee.size = Int(size)
                }
                return TKRZW_REC_PROC_NOOP
            }, &answer, false)
        try check(isDone, "tkrzw_dbm_process")
        return answer.size
    }

    func borrow(_ key: UnsafeRawBufferPointer, size: Int) throws -> UInt64? {
        var answer = (stamp: UInt64(0), size: -1)
        let isDone = tkrzw_dbm_process(
            database, key.characters, Int32(key.count),
            { answer, _, _, value, size, _ in
                if let value, let answer {
                    let answer = answer.assumingMemoryBound(to: (stamp: UInt64, size: Int).self)
                    answer.pointee = (UnsafeRawPointer(value).loadUnaligned(as: UInt64.self), Int(size))
                }
                return TKRZW_REC_PROC_NOOP
            }, &answer, false)
        try check(isDone, "tkrzw_dbm_process")
        return answer.size < 0 ? nil : answer.size == size ? answer.stamp : 0
    }

    func delete(_ key: UnsafeRawBufferPointer) throws -> Bool {
        tkrzw_dbm_remove(database, key.characters, Int32(key.count))
    }

    func incr(_ key: UnsafeRawBufferPointer) throws -> Int64 {
        let number = tkrzw_dbm_increment(database, key.characters, Int32(key.count), 1, 0)
        if number == .min { throw failure("tkrzw_dbm_increment") }
        return number
    }

    func range(from key: UnsafeRawBufferPointer, count: Int) throws -> Int { try walk(from: key, count: count) }

    func scan(sorted: Bool) throws -> Int { try walk(from: nil, count: .max) }

    private func walk(from start: UnsafeRawBufferPointer?, count: Int) throws -> Int {
        guard let iterator = tkrzw_dbm_make_iterator(database) else { throw failure("tkrzw_dbm_make_iterator") }
        defer { tkrzw_dbm_iter_free(iterator) }
        if let start {
            try check(tkrzw_dbm_iter_jump(iterator, start.characters, Int32(start.count)), "tkrzw_dbm_iter_jump")
        } else {
            try check(tkrzw_dbm_iter_first(iterator), "tkrzw_dbm_iter_first")
        }
        var (visited, sum) = (0, 0)
        while visited < count {
            let isThere = tkrzw_dbm_iter_process(
                iterator,
                { sum, key, size, value, _, _ in
                    if let key, let value, let sum {
                        sum.assumingMemoryBound(to: Int.self).pointee &+= Int(key[Int(size) - 1]) &+ Int(value[0])
                    }
                    return TKRZW_REC_PROC_NOOP
                }, &sum, false)
            guard isThere else { break }
            visited += 1
            _ = tkrzw_dbm_iter_next(iterator)
        }
        return sum == 0 ? 0 : visited
    }

    func compact() throws { try check(tkrzw_dbm_rebuild(database, ""), "tkrzw_dbm_rebuild") }

    @discardableResult
    private func check(
        _ result: UnsafeMutablePointer<TkrzwDBM>?, _ call: StaticString
    ) throws -> UnsafeMutablePointer<TkrzwDBM> {
        guard let result else { throw failure(call) }
        return result
    }

    @inline(__always)
    private func check(_ isDone: Bool, _ call: StaticString) throws {
        if !isDone { throw failure(call) }
    }

    @inline(never)
    private func failure(_ call: StaticString) -> EngineError {
        EngineError("\(call): \(String(cString: tkrzw_get_last_status_message()))")
    }

    static var contestants: [Contestant] {
        let version = String(cString: TKRZW_PACKAGE_VERSION)
        let traits: Contestant.Traits = [.threads, .files, .survivesKill]
        return [
            Contestant(
                "tkrzw-hash", version: version,
                "`HashDBM`, updated in place, as many buckets as keys, as its tips advise; a get copies in a callback, without an allocation",
                verbs: [.borrow, .incr], traits: traits
            ) { path, conditions in
                try TkrzwEngine(
                    path: path,
                    parameters:
                        "dbm=HashDBM,update_mode=UPDATE_IN_PLACE,num_buckets=\(max(1000, conditions.keys * 3 / 2))")
            },
            Contestant(
                "tkrzw-tree", version: version,
                "`TreeDBM`, 40,000 pages of 8130 bytes in its own memory (so that all fit, and a kill loses what was written last), a bucket of the hash below for each page",
                verbs: [.borrow, .incr, .range, .scanSorted], traits: [.threads, .files]
            ) { path, conditions in
                try TkrzwEngine(
                    path: path,
                    parameters:
                        "dbm=TreeDBM,max_cached_pages=40000,num_buckets=\(max(1000, conditions.keys * (conditions.valueSize + 32) / 4096))"
                )
            },
        ]
    }
}

extension UnsafeRawBufferPointer {
    /// The bytes as C's characters.
    @inline(__always)
    var characters: UnsafePointer<CChar> { baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: CChar.self) }
}
