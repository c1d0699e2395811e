import TestSupport
import Testing

@testable import DiskCacheEngine

/// Where the log begins is told by a record that lies in it. What is told by one that turns out not to count isn't believed: what lies
/// below counts then, and if that is gone, it is known to be lost.
@Suite struct HeadProofTests {
    private let scratch: TestDirectory
    private let path: String
    private static let large = [UInt8](repeating: 7, count: 5000)
    private static let filling = [UInt8](repeating: 1, count: 1000)

    init() throws {
        scratch = try TestDirectory("heads")
        path = scratch.path + "/store"
    }

    private func open(_ boot: String, _ path: String? = nil) throws -> StoreClient {
        var environment = Environment.system
        environment.bootIdentity = { boot }
        let client = try StoreClient(path ?? self.path, environment: environment, durability: .none)
        try client.configure { $0.compaction = 0 }
        return client
    }

    private var segments: [String] {
        TestDirectory.filesBelow(path + "/log").filter { $0.hasSuffix(".seg") }
    }

    private func report(_ client: StoreClient) throws -> RecoveryReport? {
        try client.handle.withStore { (store) throws(EngineError) in store.recovery }
    }

    /// A transaction that clears everything and stores a large value, of which a power loss spared the records and not the file: then
    /// nothing was cleared. `grows`: whether the log went on in further segments, whose headers name the head.
    @Test(arguments: [false, true]) func aClearThatWasTakenBackClearsNothing(grows: Bool) throws {
        let first = try open("first")
        for number in 0..<200 { try first.set("key \(number)", Self.filling) }
        #expect(segments.count > 2)
        try first.handle.withStoreThrowing { store in
            try store.transact(timeout: StoreClient.timeout) {
                try first.clear()
                try first.set("large", Self.large)
            }
        }
        if grows { for number in 0..<200 { try first.set("later \(number)", Self.filling) } }
        first.handle.close()
        TestDirectory.remove(path + "/files")
        for boot in ["second", "third"] {
            let client = try open(boot)
            #expect(try client.count() == 200)
            for number in 0..<200 { #expect(try client.get("key \(number)") == .bytes(Self.filling)) }
            if boot == "second" { #expect(try report(client)?.gaps == []) }
            #expect(try client.findings() == [])
            client.handle.close()
        }
    }

    /// A store whose log begins behind what was copied, and the bytes of its files.
    private func compacted() throws -> StoreClient {
        let client = try open("first")
        try client.set("large", Self.large)
        for number in 0..<300 { try client.set("key \(number % 100)", Self.filling) }
        try client.compact()
        #expect(segments.first != "0000000000010000.seg")
        return client
    }

    /// A copy that has the record which says where the log begins, but not all that lies between, and nothing of what lay below.
    @Test(arguments: ["a value's file", "the end of a segment", "nothing"])
    func aCopyThatLacksWhatTheHeadReliesOn(lacks: String) throws {
        let first = try compacted()
        // A header names the head too.
        for number in 0..<100 { try first.set("key \(number)", Self.filling) }
        try first.sync()
        let copy = scratch.path + "/copy"
        let files = SystemFiles()
        try files.makeDirectory(copy, in: nil, mode: 0o700)
        try files.makeDirectory(copy + "/log", in: nil, mode: 0o700)
        for name in ["meta"] + segments.map({ "log/" + $0 }) {
            var bytes = try TestDirectory.content(path + "/" + name)
            if lacks == "the end of a segment", name == "log/" + segments[0] { bytes.removeLast(bytes.count / 2) }
            try TestDirectory.write(bytes, to: copy + "/" + name)
        }
        for name in TestDirectory.filesBelow(path + "/files") where lacks != "a value's file" {
            var made = copy + "/files"
            for part in name.split(separator: "/") {
                if !made.hasSuffix(".val") { try? files.makeDirectory(made, in: nil, mode: 0o700) }
                made += "/" + part
            }
            try TestDirectory.write(try TestDirectory.content(path + "/files/" + name), to: made)
        }
        first.handle.close()
        let client = try open("second", copy)
        let found = try #require(try report(client))
        #expect(found.quarantined == [])
        #expect(found.gaps.isEmpty == (lacks == "nothing"), "\(found)")
        #expect((found.cut != nil) == (lacks != "nothing"), "\(found)")
        #expect(try client.count() == 101 || lacks != "nothing")
        // What there is, is right.
        for number in 0..<100 {
            if let value = try client.get("key \(number)") { #expect(value == .bytes(Self.filling)) }
        }
        #expect(try client.findings() == [])
        client.handle.close()
    }
}
