@testable package import DiskCacheEngine

/// The engine's verbs with keys of text and values of bytes, for tests and their children.
package struct StoreClient: Sendable {
    package let handle: StoreHandle
    package static let timeout: UInt64 = 30_000_000_000

    package init(_ handle: StoreHandle) { self.handle = handle }

    /// Opens a store with the settings that these tests use.
    package init(
        _ path: String, environment: Environment = .system, writesWithCalls: Bool = false, syncInterval: Int? = nil,
        timeout: UInt64 = Self.timeout, viewLag: UInt64? = nil, durability: Durability = .normal
    ) throws(EngineError) {
        var options = StoreOptions()
        options.viewLag = viewLag
        options.timeout = timeout
        options.windowSize = 64 << 20
        options.forcesWriting = writesWithCalls
        options.configure = { (settings: inout Settings, _: Bool) throws(EngineError) in
            settings.minFileSize = Workload.minFileSize
            settings.durability = durability
            if let syncInterval { settings.syncInterval = syncInterval }
        }
        handle = try StoreHandle(directory: path, options: options, environment: environment)
    }

    /// Opens a store as it is, whatever its settings are.
    package init(asItIs path: String, environment: Environment = .system, timeout: UInt64 = Self.timeout)
        throws(EngineError)
    {
        var options = StoreOptions()
        options.timeout = timeout
        options.windowSize = 64 << 20
        handle = try StoreHandle(directory: path, options: options, environment: environment)
    }

    package static func withBytes<R>(
        _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(EngineError) -> R
    ) throws(EngineError) -> R {
        let result = bytes.withUnsafeBytes { buffer -> Result<R, EngineError> in
            do throws(EngineError) { return .success(try body(buffer)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    package func set(_ key: String, _ value: [UInt8]) throws(EngineError) {
        try handle.withStore { (store) throws(EngineError) in
            try Self.withBytes(Array(key.utf8)) { (k) throws(EngineError) in
                try Self.withBytes(value) { (v) throws(EngineError) in
                    _ = try store.put(
                        timeout: Self.timeout, KeyClass.text, k, form: ValueFormCode.bytes, value: v, RecordAttributes()
                    )
                }
            }
        }
    }

    package func delete(_ key: String) throws(EngineError) {
        try handle.withStore { (store) throws(EngineError) in
            try Self.withBytes(Array(key.utf8)) { (k) throws(EngineError) in
                _ = try store.delete(timeout: Self.timeout, KeyClass.text, k)
            }
        }
    }

    package func add(_ key: String, _ delta: Int64) throws(EngineError) {
        try handle.withStore { (store) throws(EngineError) in
            try Self.withBytes(Array(key.utf8)) { (k) throws(EngineError) in
                _ = try store.increment(
                    timeout: Self.timeout, KeyClass.text, k, by: .integer(delta), start: .integer(0))
            }
        }
    }

    package func clear() throws(EngineError) {
        _ = try handle.withStore { (store) throws(EngineError) in try store.clear(timeout: Self.timeout) }
    }

    /// Changes the settings.
    package func configure(_ change: (inout Settings) -> Void) throws(EngineError) {
        try handle.withStore { (store) throws(EngineError) in
            try store.configure(timeout: Self.timeout) { (settings) throws(EngineError) in change(&settings) }
        }
    }

    package func compact() throws(EngineError) {
        try handle.withStore { (store) throws(EngineError) in try store.compact(timeout: Self.timeout) }
    }

    package func metrics() throws(EngineError) -> Metrics {
        try handle.withStore { (store) throws(EngineError) in store.metrics }
    }

    package func sync() throws(EngineError) {
        try handle.withStore { (store) throws(EngineError) in try store.sync() }
    }

    /// Gives back what isn't live any more until the store takes its limit at most, whatever the policy.
    package func reclaim() throws(EngineError) {
        try handle.withStore { (store) throws(EngineError) in try store.reclaimAll(timeout: Self.timeout) }
    }

    /// The keys in an order, as the store lists them.
    package func keys(_ order: RowOrder, reversed: Bool = false) throws(EngineError) -> [String] {
        try handle.withStore { (store) throws(EngineError) in
            let scan = OrderedScan(order, reversed: reversed, in: store)
            var keys: [String] = []
            while !scan.isAtEnd {
                try scan.next(in: store)
                for row in scan.rows { keys.append(String(decoding: row.key, as: UTF8.self)) }
            }
            return keys
        }
    }

    /// What a check of everything finds.
    package func findings() throws(EngineError) -> [String] {
        try handle.withStore { (store) throws(EngineError) in
            try store.check(timeout: Self.timeout).map { "\($0.kind): \($0.message)" }
        }
    }

    /// Takes the write lock and gives it back: what a killed writer left is settled by that.
    package func settle() throws(EngineError) {
        try handle.withStore { (store) throws(EngineError) in
            try store.write(timeout: Self.timeout) { () throws(EngineError) in }
        }
    }

    package func count() throws(EngineError) -> Int {
        try handle.withStore { (store) throws(EngineError) in store.count }
    }

    /// What a key holds; a value in a file is read to its end, which compares its checksum.
    package func get(_ key: String) throws(EngineError) -> StoredValue? {
        for _ in 0..<50 {
            switch try read(key) {
            case .absent: return nil
            case .value(let value): return value
            case .fileGone: continue
            }
        }
        throw EngineError(.corrupted, "the value's file is missing", path: key)
    }

    private enum Read {
        case absent, fileGone
        case value(StoredValue)
    }

    private func read(_ key: String) throws(EngineError) -> Read {
        let found = try Self.withBytes(Array(key.utf8)) { (k) throws(EngineError) in
            try handle.find(KeyClass.text, k)
        }
        defer { handle.end(found.access) }
        guard let record = found.record else { return .absent }
        if record.form == ValueFormCode.integer {
            return .value(.integer(Int64(littleEndian: record.value.loadUnaligned(as: Int64.self))))
        }
        guard ValueFormCode.isFile(record.form) else { return .value(.bytes(Array(record.value))) }
        let opened = try handle.withStore { (store) throws(EngineError) in try store.openFile(of: record) }
        guard let file = opened else { return .fileGone }
        var bytes: [UInt8] = []
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 16384, alignment: 8)
        defer { buffer.deallocate() }
        while true {
            let count = try file.read(into: buffer)
            if count == 0 { break }
            bytes += UnsafeRawBufferPointer(rebasing: buffer[..<count])
        }
        return .value(.bytes(bytes))
    }

    private struct Abandon: Error {}

    /// Does an operation of a workload.
    package func perform(_ operation: Workload.Operation, writer: Int, index: Int) throws {
        switch operation.kind {
        case .clear: try clear()
        case .sync: try sync()
        case .single:
            for change in operation.changes { try make(change, writer, index, 0) }
        case .transaction, .abandoned:
            do {
                try handle.withStoreThrowing { store in
                    try store.transact(timeout: Self.timeout) {
                        for (part, change) in operation.changes.enumerated() { try make(change, writer, index, part) }
                        if operation.kind == .abandoned { throw Abandon() }
                    }
                }
            } catch is Abandon {
                return
            }
        }
    }

    private func make(_ change: Workload.Change, _ writer: Int, _ index: Int, _ part: Int) throws(EngineError) {
        switch change {
        case .set(let key, let size):
            try set(key, TestValue.make(key: key, writer: writer, index: index, part: part, size: size))
        case .delete(let key): try delete(key)
        case .add(let key, let delta): try add(key, delta)
        }
    }
}

extension StoreHandle {
    /// `withStore` for a body that throws anything.
    package func withStoreThrowing<R>(_ body: (Store) throws -> R) throws -> R {
        let result = try withStore { (store) throws(EngineError) -> Result<R, any Error> in
            do { return .success(try body(store)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}

#if FAILPOINTS
    extension StoreClient {
        /// The stamp of a key's slot, perhaps after a read that counts; nil: the key is missing, or no stamps are kept.
        package func stamp(_ key: String, reads: Bool) throws -> UInt64? {
            let found = try Self.withBytes(Array(key.utf8)) { (k) throws(EngineError) in
                try handle.find(KeyClass.text, k, counts: reads)
            }
            handle.end(found.access)
            guard found.record != nil else { return nil }
            return try handle.withStoreThrowing { store in
                guard let stamps = store.index.stamps else { return nil }
                let hash = Array(key.utf8).withUnsafeBytes { store.hash(KeyClass.text, $0) }
                guard let record = found.record, let place = try store.index.slot(naming: record.position, hash: hash)
                else { return nil }
                return stamps.stamp(at: store.index.offset(of: place.slot))
            }
        }
    }
#endif
