import TestSupport
import Testing

@testable import DiskCacheEngine

/// Hints beside sealed segments: a rebuild that doesn't read values, and believes no hint that isn't this segment's (P18, P19).
@Suite struct HintTests {
    private let scratch: TestDirectory
    private let path: String
    private let files = FailingFiles()

    init() throws {
        scratch = try TestDirectory("hint")
        path = scratch.path + "/store"
    }

    private func open(_ boot: String = "first") throws -> StoreClient {
        var environment = Environment(files: files)
        environment.bootIdentity = { boot }
        return try StoreClient(path, environment: environment, syncInterval: 3_600_000_000)
    }

    private func value(_ key: String, _ index: Int, size: Int) -> [UInt8] {
        TestValue.make(key: key, writer: 0, index: index, part: 0, size: size)
    }

    /// Several segments of records of all kinds, synced, with hints; closed, without a seal. What it holds.
    private func fill(size: Int = 1200, count: Int = 220) throws -> [String: StoredValue] {
        let client = try open()
        // The segments are to stay where they are.
        try client.handle.withStore { (store) throws(EngineError) in
            try store.configure(timeout: StoreClient.timeout) { (settings) throws(EngineError) in
                settings.compaction = 0
            }
        }
        var expected: [String: StoredValue] = [:]
        for index in 0..<count {
            let key = "key \(index % 90)"
            switch index % 11 {
            case 3:
                try client.delete(key)
                expected[key] = nil
            case 7:
                try client.add("number \(index % 3)", 2)
                if case .integer(let before) = expected["number \(index % 3)"] {
                    expected["number \(index % 3)"] = .integer(before + 2)
                } else {
                    expected["number \(index % 3)"] = .integer(2)
                }
            case 9:
                let bytes = value(key, index, size: index % 2 == 0 ? 6000 : size)
                try client.set(key, bytes)
                expected[key] = .bytes(bytes)
                struct Undone: Error {}
                #expect(throws: Undone.self) {
                    try client.handle.withStoreThrowing { store in
                        try store.transact(timeout: StoreClient.timeout) {
                            try client.set("key 1", [1])
                            try client.set("undone", [UInt8](repeating: 1, count: size))
                            throw Undone()
                        }
                    }
                }
            default:
                let bytes = value(key, index, size: size)
                try client.set(key, bytes)
                expected[key] = .bytes(bytes)
            }
        }
        try client.sync()
        _ = try client.handle.withStore { (store) throws(EngineError) in store.writeHints() }
        client.handle.close()
        try clearSeal()
        return expected
    }

    /// So that another boot reads the log.
    private func clearSeal() throws {
        let meta = try SystemFiles().open(path + "/meta", in: nil, [.write])
        try SystemFiles().write(meta, [UInt8](repeating: 0, count: Seal.size), at: CommitBlock.sealOffset)
    }

    private var hints: [String] { TestDirectory.filesBelow(path).filter { $0.hasSuffix(".hint") } }

    private func report(_ client: StoreClient) throws -> RecoveryReport? {
        try client.handle.withStore { (store) throws(EngineError) in store.recovery }
    }

    private func differences(_ client: StoreClient, _ expected: [String: StoredValue]) -> [String] {
        var found: [String] = []
        for number in 0..<90 { compare(client, expected, "key \(number)", &found) }
        for key in ["number 0", "number 1", "number 2", "undone"] { compare(client, expected, key, &found) }
        return found
    }

    private func compare(
        _ client: StoreClient, _ expected: [String: StoredValue], _ key: String, _ found: inout [String]
    ) {
        do throws(EngineError) {
            if try client.get(key) != expected[key] { found.append(key) }
        } catch {
            found.append("\(key): \(error.code)")
        }
    }

    @Test func aRebuildWithHintsComesToTheSame() throws {
        let expected = try fill()
        let written = hints
        #expect(written.count >= 3)
        for (round, keeps) in [true, false, true].enumerated() {
            if !keeps { for name in hints { TestDirectory.remove(path + "/" + name) } }
            files.fail { _, _ in nil }
            let client = try open("boot \(round)")
            let found = try #require(try report(client))
            #expect(found.quarantined.isEmpty && found.gaps.isEmpty && found.cut == nil)
            #expect(found.keys == expected.count)
            #expect(differences(client, expected) == [])
            #expect(try StoreCheck.problems(client.handle, files: true) == [])
            _ = try client.handle.withStore { (store) throws(EngineError) in store.writeHints() }
            // The segment that a recovery cuts is sealed by that.
            #expect(Set(hints).isSuperset(of: written), "round \(round)")
            client.handle.close()
            try clearSeal()
        }
    }

    /// That hints are used is seen by what isn't read: damage to a value is met by who reads it, and is no end of the log.
    @Test(arguments: [true, false]) func valuesArentRead(_ hasHints: Bool) throws {
        let expected = try fill()
        if !hasHints { for name in hints { TestDirectory.remove(path + "/" + name) } }
        let client = try open()
        // The newest version of a key, in a segment with a hint.
        let hinted = hasHints ? hints : segments().map { "log/" + $0.dropLast(3) + "hint" }.dropLast()
        var damaged: (key: String, position: Position)?
        for key in expected.keys.sorted() {
            let position = try client.handle.withStore { (store) throws(EngineError) in
                try StoreTests.withBytes(key) { (k) throws(EngineError) in
                    try store.find(KeyClass.text, k).map { $0.value.count > 1000 ? $0.position : 0 }
                }
            }
            guard let position, position != 0 else { continue }
            // The last one of a segment is looked at.
            if position & 0xFFFF < 50_000, hinted.contains("log/" + SegmentHint.name(position & ~0xFFFF)) {
                damaged = (key, position)
            }
        }
        let (key, position) = try #require(damaged)
        let first = position & ~0xFFFF
        client.handle.close()
        try clearSeal()
        let segment = try SystemFiles().open(path + "/log/" + SegmentHeader.name(first), in: nil, [.write])
        try SystemFiles().write(segment, [0xFF, 0xFF, 0xFF], at: Int(position - first) + 600)
        let again = try open("second")
        let found = try #require(try report(again))
        #expect(found.quarantined.isEmpty == hasHints)
        // Without, it is an older version or none, and on record.
        #expect(
            differences(again, expected).allSatisfy {
                $0 == (hasHints ? "\(key): corrupted" : key) || $0 == "\(key): corrupted"
            })
        #expect(differences(again, expected).count == 1)
        again.handle.close()
    }

    private func segments() -> [String] {
        TestDirectory.filesBelow(path + "/log").filter { $0.hasSuffix(".seg") }
    }

    /// What `meta` says of `synced` may be old: below the end of a segment with a hint, damage is damage and no torn end.
    @Test(arguments: [true, false]) func whatHasAHintWasDurable(_ hasHints: Bool) throws {
        let expected = try fill()
        let meta = try SystemFiles().open(path + "/meta", in: nil, [.write])
        try SystemFiles().write(meta, [UInt8](repeating: 0, count: 8), at: 64)
        let segment = try SystemFiles().open(path + "/log/" + segments()[0], in: nil, [.write])
        try SystemFiles().write(segment, [0xFF, 0xFF, 0xFF], at: 20_000)
        TestDirectory.remove(path + "/" + hints[0])
        if !hasHints { for name in hints { TestDirectory.remove(path + "/" + name) } }
        let client = try open("second")
        let found = try #require(try report(client))
        #expect((found.cut == nil) == hasHints)
        #expect((found.quarantined.count == 1) == hasHints)
        #expect((differences(client, expected).count <= 1) == hasHints)
        client.handle.close()
    }

    /// Only where they are small beside their segment.
    @Test func smallRecordsHaveNone() throws {
        _ = try fill(size: 100, count: 2000)
        #expect(segments().count > 2)
        #expect(hints == [])
    }

    @Test func theyTakeLittle() throws {
        _ = try fill()
        for name in hints {
            let size = try TestDirectory.content(path + "/" + name).count
            #expect(size * 20 <= 65536, "\(name): \(size)")
        }
    }

    /// They go with their segments.
    @Test func theyGoWithTheirSegments() throws {
        _ = try fill()
        let client = try open()
        try client.clear()
        try client.handle.withStore { (store) throws(EngineError) in try store.dropDead() }
        #expect(hints == [])
        client.handle.close()
    }

    // MARK: What isn't believed

    private func restore(_ name: String, _ bytes: [UInt8]) throws {
        TestDirectory.remove(path + "/" + name)
        let file = try SystemFiles().open(path + "/" + name, in: nil, [.write, .create, .exclusive])
        try SystemFiles().write(file, bytes, at: 0)
    }

    private func parsed(_ name: String, _ bytes: [UInt8], end: Position? = nil) throws -> SegmentHint? {
        try restore(name, bytes)
        let system = SystemFiles()
        let log = try system.open(path + "/log", in: nil, [.directory])
        let first = try #require(SegmentHint.position(ofName: String(name.dropFirst(4))))
        let chain = try LogScanner.chain(files: system, directory: log, storeID: nil)
        let link = try #require(chain.links.first { $0.segment.first == first })
        return SegmentHint.open(
            link.segment, end: try end ?? #require(link.end), in: log, files: system, salt: link.segment.header.salt)
    }

    /// Every single bit, every length, another segment's, another end.
    @Test func noDamagedHintIsBelieved() throws {
        _ = try fill()
        let name = try #require(hints.first)
        let whole = try TestDirectory.content(path + "/" + name)
        let believed = try #require(try parsed(name, whole))
        #expect(believed.count > 10)
        for bit in 0..<whole.count * 8 where bit < 2048 || bit % 13 == 0 {
            var bytes = whole
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(try parsed(name, bytes) == nil, "bit \(bit)")
        }
        for count in 0..<whole.count where count < 200 || count % 7 == 0 {
            #expect(try parsed(name, Array(whole[..<count])) == nil, "length \(count)")
        }
        #expect(try parsed(name, whole + [0]) == nil)
        #expect(try parsed(name, whole + whole) == nil)
        let other = try TestDirectory.content(path + "/" + hints[1])
        #expect(try parsed(name, other) == nil)
        #expect(try parsed(name, whole, end: believed.end - 4) == nil)
        #expect(try parsed(name, whole, end: believed.end + 4) == nil)
    }

    /// The segment isn't the one that the hint was made from.
    @Test(arguments: ["header", "last record"]) func anotherSegmentsHintIsNotBelieved(_ what: String) throws {
        _ = try fill()
        let name = try #require(hints.first)
        let whole = try TestDirectory.content(path + "/" + name)
        let end = try #require(try parsed(name, whole)).end
        let first = try #require(SegmentHint.position(ofName: String(name.dropFirst(4))))
        let segment = try SystemFiles().open(path + "/log/" + SegmentHeader.name(first), in: nil, [.write])
        if what == "header" {
            let bytes = try SystemFiles().read(segment, count: SegmentHeader.size, at: 0)
            var header = try #require(bytes.withUnsafeBytes { SegmentHeader($0) })
            header.epoch += 1
            try SystemFiles().write(segment, header.encoded(), at: 0)
        } else {
            try SystemFiles().write(segment, [0xFF], at: Int(end - first) - 8)
        }
        #expect(try parsed(name, whole) == nil)
    }

    /// Hostile hints, with checks that are right: no crash, no wrong value, whatever they say; and where what they say can't be, the
    /// log is read instead.
    @Test func hostileHints() throws {
        let expected = try fill()
        let seed = ReplayableRandom.seed(for: "hostile hints")
        var random = ReplayableRandom(seed: seed)
        let name = try #require(hints.first)
        let whole = try TestDirectory.content(path + "/" + name)
        let others = try hints.dropFirst().map { ($0, try TestDirectory.content(path + "/" + $0)) }
        let salt = whole.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 16, as: UInt64.self) }
        let first = whole.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 40, as: UInt64.self) }
        var fewer = 0
        for round in 0..<environmentNumber("HOSTILE_HINTS", default: 120) {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let at = Int.random(in: SegmentHint.headerSize..<bytes.count, using: &random)
                bytes[at] = random.oneIn(2) ? UInt8.random(in: 0...255, using: &random) : bytes[at] ^ 1
            }
            bytes.withUnsafeMutableBytes { raw in
                let entries = UnsafeRawBufferPointer(rebasing: raw[SegmentHint.headerSize...])
                raw.storeBytes(of: XXH64.hash(entries, seed: salt &+ first), toByteOffset: 112, as: UInt64.self)
                let header = UnsafeRawBufferPointer(rebasing: raw[0..<120])
                raw.storeBytes(of: XXH64.hash(header, seed: 0), toByteOffset: 120, as: UInt64.self)
            }
            try restore(name, bytes)
            for (name, bytes) in others { try restore(name, bytes) }
            let client = try open("round \(round)")
            for key in differences(client, expected) {
                // A wrong hash hides a key, wrong bits a deletion; what is found is a value of that key.
                fewer += 1
                if case .bytes(let bytes)? = try? client.get(key) {
                    #expect(TestValue.isWhole(bytes, key: key), "seed \(seed), round \(round): \(key)")
                }
            }
            client.handle.close()
            try clearSeal()
        }
        print("hostile hints: \(fewer) keys found in another version, or not")
    }
}
