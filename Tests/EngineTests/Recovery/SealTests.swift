import TestSupport
import Testing

@testable import DiskCacheEngine

/// Views that were found complete when the last process closed the store are used in the next boot of the system (DESIGN 7.4 b).
@Suite struct SealTests {
    private let scratch: TestDirectory
    private let path: String

    init() throws {
        scratch = try TestDirectory("seal")
        path = scratch.path + "/store"
    }

    private func open(_ boot: String, lag: UInt64? = nil) throws -> StoreClient {
        var environment = Environment.system
        environment.bootIdentity = { boot }
        return try StoreClient(path, environment: environment, syncInterval: 3_600_000_000, viewLag: lag)
    }

    private func value(_ key: String, _ version: Int) -> [UInt8] {
        TestValue.make(key: key, writer: 0, index: version, part: 0, size: version % 10 == 9 ? 5000 : 60)
    }

    private func fill(_ client: StoreClient, _ numbers: Range<Int>, _ version: Int = 0) throws {
        for number in numbers { try client.set("key \(number)", value("key \(number)", version)) }
    }

    private func report(_ client: StoreClient) throws -> RecoveryReport? {
        try client.handle.withStore { (store) throws(EngineError) in store.recovery }
    }

    private func expect(_ client: StoreClient, _ numbers: Range<Int>, _ version: Int = 0) throws {
        for number in numbers {
            #expect(try client.get("key \(number)") == .bytes(value("key \(number)", version)), "key \(number)")
        }
        #expect(try client.count() == numbers.count)
        #expect(try StoreCheck.problems(client.handle, files: true) == [])
    }

    /// Index and trees: nothing is read again but the index, and nothing is lost by that, boot after boot.
    @Test func usedAfterAReboot() throws {
        var client = try open("first", lag: 0)
        try fill(client, 0..<400)
        #expect(try client.keys(.key).count == 400)
        let trees = try client.handle.withStore { $0.block.treesGeneration.acquire() }
        #expect(trees != 0)
        client.handle.close()
        for round in 1...3 {
            client = try open("boot \(round)", lag: 0)
            #expect(try report(client) == nil, "round \(round)")
            #expect(try client.handle.withStore { $0.block.treesGeneration.acquire() } == trees, "round \(round)")
            try expect(client, 0..<(400 + 20 * (round - 1)))
            try fill(client, (400 + 20 * (round - 1))..<(400 + 20 * round))
            #expect(try client.keys(.insertion).count == 400 + 20 * round)
            #expect(try client.keys(.key).count == 400 + 20 * round)
            client.handle.close()
        }
        // Believed by a process that wrote nothing, and then by another in the same boot.
        for _ in 0..<2 {
            client = try open("last")
            #expect(try report(client) == nil)
            client.handle.close()
        }
    }

    /// With no write after it: who only reads leaves what the next boot believes.
    @Test func readersKeepIt() throws {
        var client = try open("first")
        try fill(client, 0..<50)
        client.handle.close()
        for boot in ["second", "third"] {
            client = try open(boot)
            #expect(try report(client) == nil, "\(boot)")
            try expect(client, 0..<50)
            client.handle.close()
        }
    }

    private func restore(_ name: String, _ bytes: [UInt8]) throws {
        let file = try SystemFiles().open(path + "/" + name, in: nil, [.write])
        try SystemFiles().truncate(file, to: bytes.count)
        try SystemFiles().write(file, bytes, at: 0)
    }

    /// The first write clears a seal, without a sync. A power loss that leaves `meta` and index as of the seal, while the log went on
    /// and was synced, must cost nothing.
    @Test(arguments: [1, 300]) func anOldSealIsNotBelieved(_ more: Int) throws {
        var client = try open("first")
        try fill(client, 0..<100)
        client.handle.close()
        let index = try #require(TestDirectory.filesBelow(path).first { $0.hasPrefix("index.") })
        let old = (try TestDirectory.content(path + "/meta"), try TestDirectory.content(path + "/" + index))
        client = try open("first")
        try fill(client, 100..<100 + more)
        try client.sync()
        client.handle.close()
        try restore("meta", old.0)
        try restore(index, old.1)
        client = try open("second")
        #expect(try report(client) != nil)
        try expect(client, 0..<100 + more)
        client.handle.close()
    }

    /// What lies behind the seal's end, no record at its place, but whole ones further on, is never met.
    @Test func whatLiesBehindIsCutOff() throws {
        var client = try open("first")
        try fill(client, 0..<50)
        client.handle.close()
        let index = try #require(TestDirectory.filesBelow(path).first { $0.hasPrefix("index.") })
        let old = (try TestDirectory.content(path + "/meta"), try TestDirectory.content(path + "/" + index))
        client = try open("first")
        let tail = try client.handle.withStore { CommitBlock.tail($0.block.word.acquire()) }
        try fill(client, 0..<50, 1)
        client.handle.close()
        // The first record after the seal never reached the disk, those behind it did.
        let segment = try SystemFiles().open(path + "/log/" + SegmentHeader.name(Log.origin), in: nil, [.write])
        try SystemFiles().write(segment, [UInt8](repeating: 0, count: 32), at: Int(tail - Log.origin))
        try restore("meta", old.0)
        try restore(index, old.1)
        client = try open("second")
        #expect(try report(client) == nil)
        try expect(client, 0..<50)
        // Of the same length as what was lost.
        try client.set("key 0", value("key 0", 1))
        client.handle.close()
        for name in TestDirectory.filesBelow(path) where name.hasPrefix("index.") {
            TestDirectory.remove(path + "/" + name)
        }
        client = try open("third")
        #expect(try client.get("key 0") == .bytes(value("key 0", 1)))
        #expect(try client.get("key 1") == .bytes(value("key 1", 0)))
        client.handle.close()
    }

    /// Damage to the index, or a seal whose `synced` doesn't reach it (`none` syncs nothing).
    @Test(arguments: ["index", "synced", "seal"]) func otherwiseItIsMadeAgain(_ what: String) throws {
        var client = try open("first")
        try fill(client, 0..<100)
        client.handle.close()
        let index = try #require(TestDirectory.filesBelow(path).first { $0.hasPrefix("index.") })
        let file = try SystemFiles().open(path + "/" + (what == "index" ? index : "meta"), in: nil, [.write])
        let offset = what == "index" ? 2 * 4096 + 100 : what == "synced" ? 64 : CommitBlock.sealOffset + 32
        let byte = try SystemFiles().read(file, count: 1, at: offset)
        try SystemFiles().write(file, [byte[0] ^ 4], at: offset)
        client = try open("second")
        #expect(try report(client) != nil)
        try expect(client, 0..<100)
        client.handle.close()
    }
}
