import TestSupport
import Testing

@testable import DiskCacheEngine

/// When the maintenance thread syncs without waiting for the interval, which is an hour here.
@Suite struct SyncTimingTests {
    private func open(
        _ scratch: TestDirectory, _ environment: Environment = .system,
        _ configure: @escaping @Sendable (inout Settings) -> Void
    ) throws -> StoreClient {
        var options = StoreOptions()
        options.windowSize = 256 << 20
        options.configure = { (settings: inout Settings, _: Bool) throws(EngineError) in
            settings.syncInterval = 3_600_000_000
            // It syncs too.
            settings.compaction = 0
            configure(&settings)
        }
        return StoreClient(try StoreHandle(directory: scratch.path, options: options, environment: environment))
    }

    private func synced(_ client: StoreClient) -> Position {
        (try? client.handle.withStore { $0.block.synced.acquire() }) ?? 0
    }

    /// `normal`: when 64 MiB wait for it.
    @Test func soMuchLogIsSyncedAtOnce() throws {
        let scratch = try TestDirectory("timing")
        let client = try open(scratch) { $0.minFileSize = 16 << 20 }
        let value = [UInt8](repeating: 7, count: 1 << 20)
        for number in 0..<40 { try client.set("key \(number)", value) }
        #expect(synced(client) == 0)
        for number in 40..<75 { try client.set("key \(number)", value) }
        #expect(eventually { synced(client) > 40 << 20 })
        client.handle.close()
    }

    /// `none`: when replaced value files, which go after a sync only, take more than a tenth of the limit.
    @Test func soManyDeadFilesBringASync() throws {
        let scratch = try TestDirectory("timing")
        let client = try open(scratch) {
            $0.durability = .none
            $0.minFileSize = 1000
            $0.sizeLimit = 8 << 20
        }
        func files() -> Int { TestDirectory.filesBelow(scratch.path).filter { $0.hasSuffix(".val") }.count }
        for number in 0..<50 { try client.set("key", [UInt8](repeating: UInt8(number), count: 8000)) }
        #expect(synced(client) == 0 && files() == 50)
        for number in 0..<150 { try client.set("key", [UInt8](repeating: UInt8(number), count: 8000)) }
        #expect(eventually { files() < 110 })
        client.handle.close()
    }

    /// A value's file that was replaced before it was durable is unlinked, and not synced.
    @Test func replacedFilesAreNotSynced() throws {
        let scratch = try TestDirectory("timing")
        let failing = FailingFiles()
        let client = try open(scratch, Environment(files: failing)) { $0.minFileSize = 1000 }
        func files() -> Int { TestDirectory.filesBelow(scratch.path).filter { $0.hasSuffix(".val") }.count }
        for key in ["a", "b"] {
            for number in 0..<20 { try client.set(key, [UInt8](repeating: UInt8(number), count: 8000)) }
        }
        failing.fail { _, _ in nil }
        try client.sync()
        // Two files and a segment.
        #expect(failing.calls.count { $0 == "sync" } == 3)
        #expect(files() == 2)
        #expect(try client.get("a") == .bytes([UInt8](repeating: 19, count: 8000)))
        client.handle.close()
    }
}
