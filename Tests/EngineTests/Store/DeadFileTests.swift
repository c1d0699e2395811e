import TestSupport
import Testing

@testable import DiskCacheEngine

/// Value files that nothing names any more go, whoever replaced them and whatever became of that process: the next one that writes sees
/// to it, once no snapshot is in the way (DESIGN 10).
@Suite struct DeadFileTests {
    private let scratch: TestDirectory
    private let path: String

    init() throws {
        scratch = try TestDirectory("deadfiles")
        path = scratch.path + "/store"
    }

    private var files: [String] { TestDirectory.filesBelow(path + "/files") }

    private static func large(_ number: Int) -> [UInt8] {
        TestValue.make(key: "large", writer: 0, index: number, part: 0, size: Workload.minFileSize)
    }

    /// Compaction would find them too, in time.
    private func open() throws -> StoreClient {
        let client = try StoreClient(path, syncInterval: 1000)
        try client.configure { $0.compaction = 0 }
        return client
    }

    /// What another process holds that reads as of one commit.
    private func withSnapshot(_ body: () throws -> Void) throws {
        let system = SystemFiles()
        let lock = SnapshotLock(files: system, directory: try system.open(path, in: nil, [.directory]))
        let held = try #require(lock.share())
        defer { lock.end(held) }
        try body()
    }

    /// Waits until the maintenance thread of a store that is written to has left so many files.
    private func waitForFiles(_ count: Int, _ client: StoreClient) throws {
        for _ in 0..<1000 where files.count != count {
            try client.set("small", [1])
            SystemCalls.sleep(nanoseconds: 10_000_000)
        }
        #expect(files.count == count, "\(files)")
    }

    @Test func whatClearRemovedGoesWithTheNextSync() throws {
        let client = try StoreClient(path)
        defer { client.handle.close() }
        for number in 0..<5 { try client.set("key \(number)", Self.large(number)) }
        #expect(files.count == 5)
        try client.clear()
        try client.sync()
        #expect(files == [])
        #expect(try client.findings() == [])
    }

    @Test func whatASnapshotHeldUpAtTheEndGoesLater() throws {
        let client = try open()
        try client.set("key", Self.large(1))
        try withSnapshot {
            // Here, for on a slow machine the maintenance thread syncs before the next line.
            try client.set("key", Self.large(2))
            try client.sync()
            client.handle.close()
            #expect(files.count == 2)
        }
        let next = try open()
        defer { next.handle.close() }
        try waitForFiles(1, next)
        #expect(try next.findings() == [])
    }

    @Test func whatASnapshotHeldUpGoesWhenThatIsOver() throws {
        let client = try open()
        defer { client.handle.close() }
        try withSnapshot {
            for number in 0..<10 {
                try client.set("key \(number % 3)", Self.large(number))
                try client.sync()
            }
            #expect(files.count == 10)
        }
        try waitForFiles(3, client)
        #expect(try client.findings() == [])
    }
}
