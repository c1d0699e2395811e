import DiskCacheEngine
import TestSupport
import Testing

@testable import DiskCacheCore

/// Directories: what may be one, and what `close` says of what was written there.
@Suite struct DirectoryTests {
    private let scratch: TestDirectory

    init() throws { scratch = try TestDirectory("directories") }

    @Test func pathsThatTheSystemWouldReadOtherwise() throws {
        let cache = try Cache(directory: scratch.path + "/cache")
        let fanout = try FanoutCache(directory: scratch.path + "/fanout", shards: 2)
        for path in ["", scratch.path + "/cut\0off"] {
            expectError(.nameInvalid) { try Cache(directory: path) }
            expectError(.nameInvalid) { try FanoutCache(directory: path) }
            expectError(.nameInvalid) { try Deque<Int>(directory: path) }
            expectError(.nameInvalid) { try Index<Int, Int>(directory: path) }
            expectError(.nameInvalid) { try cache.backup(to: path) }
            expectError(.nameInvalid) { try fanout.backup(to: path) }
            expectError(.nameInvalid) { try cache.merge(from: path) }
            expectError(.nameInvalid) { try fanout.merge(from: path) }
        }
        #expect(try SystemFiles().status(of: scratch.path + "/cut", in: nil) == nil)
    }

    @Test func aDirectoryOfShardsIsMergedByItsPath() throws {
        let fanout = try FanoutCache(directory: scratch.path + "/fanout", shards: 3)
        for key in 0..<50 { try fanout.set(key, key * 2, retry: true) }
        let cache = try Cache(directory: scratch.path + "/cache")
        #expect(try cache.merge(from: fanout.directory).taken == 50)
        #expect(try (0..<50).allSatisfy { try cache.get($0, as: Int.self) == $0 * 2 })
        expectError(.io) { try cache.merge(from: scratch.path + "/nowhere") }
    }
}
