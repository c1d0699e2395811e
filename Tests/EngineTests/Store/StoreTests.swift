import TestSupport
import Testing

@testable import DiskCacheEngine

/// The engine's verbs, one process, real files.
@Suite struct StoreTests {
    static func set(_ handle: StoreHandle, _ key: String, _ value: String, expiry: Int64? = nil) throws {
        _ = try handle.withStore { (store) throws(EngineError) in
            try withBytes(key) { (k) throws(EngineError) in
                try withBytes(value) { (v) throws(EngineError) in
                    try store.put(
                        timeout: StoreClient.timeout, KeyClass.text, k, form: ValueFormCode.text, value: v,
                        RecordAttributes(expiry: expiry))
                }
            }
        }
    }

    static func get(_ handle: StoreHandle, _ key: String) throws -> String? {
        let found = try withBytes(key) { (k) throws(EngineError) in try handle.find(KeyClass.text, k) }
        defer { handle.end(found.access) }
        return found.record.map { String(decoding: $0.value, as: UTF8.self) }
    }

    static func withBytes<R>(_ text: String, _ body: (UnsafeRawBufferPointer) throws(EngineError) -> R)
        throws(EngineError) -> R
    {
        let bytes = Array(text.utf8)
        let result = bytes.withUnsafeBytes { buffer -> Result<R, EngineError> in
            do throws(EngineError) { return .success(try body(buffer)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    @Test func setGetReopen() throws {
        let scratch = try ScratchDirectory()
        let handle = try StoreHandle(directory: scratch.path + "/store", options: StoreOptions(), environment: .system)
        for i in 0..<5000 { try Self.set(handle, "key \(i)", "value \(i)") }
        for i in 0..<5000 { #expect(try Self.get(handle, "key \(i)") == "value \(i)") }
        #expect(try Self.get(handle, "nobody") == nil)
        for i in 0..<5000 { try Self.set(handle, "key \(i)", "new \(i)") }
        #expect(try handle.withStore { $0.count } == 5000)
        handle.close()
        for i in 0..<5000 { #expect(try Self.get(handle, "key \(i)") == "new \(i)") }
        #expect(try handle.withStore { $0.recovery } == nil)
        #expect(try handle.withStore { $0.count } == 5000)
    }

    @Test func clearIsAtOnce() throws {
        let scratch = try ScratchDirectory()
        let handle = try StoreHandle(directory: scratch.path, options: StoreOptions(), environment: .system)
        for i in 0..<1000 { try Self.set(handle, "\(i)", "x") }
        #expect(try handle.withStore { (s) throws(EngineError) in try s.clear(timeout: StoreClient.timeout) } == 1000)
        #expect(try Self.get(handle, "5") == nil)
        try Self.set(handle, "5", "again")
        #expect(try Self.get(handle, "5") == "again")
        #expect(try handle.withStore { $0.count } == 1)
        handle.close()
        #expect(try Self.get(handle, "5") == "again")
        #expect(try Self.get(handle, "6") == nil)
    }

    @Test func rebuildsFromTheLogAfterAnotherBoot() throws {
        let scratch = try ScratchDirectory()
        var environment = Environment.system
        environment.bootIdentity = { "first" }
        let handle = try StoreHandle(directory: scratch.path, options: StoreOptions(), environment: environment)
        for i in 0..<3000 { try Self.set(handle, "\(i)", "value \(i)") }
        for i in 0..<1000 { try Self.set(handle, "\(i)", "newer \(i)") }
        handle.close()
        // With its seal the index would be believed.
        let meta = try scratch.files.open(scratch.path + "/meta", in: nil, [.write])
        try scratch.files.write(meta, [UInt8](repeating: 0, count: Seal.size), at: CommitBlock.sealOffset)
        environment.bootIdentity = { "second" }
        let second = try StoreHandle(directory: scratch.path, options: StoreOptions(), environment: environment)
        #expect(try second.withStore { $0.recovery }?.keys == 3000)
        for i in 0..<3000 { #expect(try Self.get(second, "\(i)") == (i < 1000 ? "newer \(i)" : "value \(i)")) }
        try Self.set(second, "more", "m")
        #expect(try second.withStore { $0.count } == 3001)
    }

    /// The second frees what the first retired, while it installs its own.
    @Test func clearByOneThreadAfterAnother() throws {
        let scratch = try ScratchDirectory()
        let handle = try StoreHandle(directory: scratch.path, options: StoreOptions(), environment: .system)
        for round in 0..<20 {
            TestThreads.run(1) { _ in
                try? Self.set(handle, "\(round)", "x")
                _ = try? handle.withStore { (store) throws(EngineError) in
                    try store.clear(timeout: StoreClient.timeout)
                }
            }
        }
        #expect(try handle.withStore { $0.count } == 0)
    }
}
