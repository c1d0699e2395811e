import TestSupport
import Testing

@testable import DiskCacheEngine

/// The index, the counters and `meta` made again from the log (DESIGN 7.4, 9): after another boot of the system, after damage, after
/// deletion.
@Suite struct RebuildTests {
    private func environment(boot: String) -> Environment {
        var environment = Environment.system
        environment.bootIdentity = { boot }
        return environment
    }

    /// A store with keys of every fate, and what it must hold.
    private func fill(_ path: String, boot: String, seed: UInt64) throws -> StoreModel {
        let client = try StoreClient(path, environment: environment(boot: boot))
        var workload = Workload(seed: seed, writer: 0)
        workload.syncEvery = 0
        var model = StoreModel()
        for index in 0..<800 {
            try client.perform(workload.operation(index), writer: 0, index: index)
            model.apply(workload.operation(index), writer: 0, index: index)
        }
        client.handle.close()
        return model
    }

    private func compare(_ client: StoreClient, _ model: StoreModel) throws {
        for key in Workload(seed: 0, writer: 0).universe + [Workload.sharedCounter] {
            #expect(try client.get(key) == model.expected(key), "\(key)")
        }
        #expect(try client.count() == model.count)
        #expect(try StoreCheck.problems(client.handle) == [])
    }

    @Test(arguments: ["nothing", "index", "meta", "index and meta", "seal"]) func deletedAndRebooted(_ what: String)
        throws
    {
        let seed = ReplayableRandom.seed(for: "rebuild without \(what)")
        let scratch = try TestDirectory("rebuild")
        let path = scratch.path + "/store"
        let model = try fill(path, boot: "first", seed: seed)
        for name in TestDirectory.filesBelow(path) {
            if what.contains("index") && name.hasPrefix("index.") { TestDirectory.remove(path + "/" + name) }
            if what.contains("meta") && name == "meta" { TestDirectory.remove(path + "/" + name) }
        }
        if what == "seal" {
            let file = try SystemFiles().open(path + "/meta", in: nil, [.write])
            try SystemFiles().write(file, [UInt8](repeating: 0, count: Seal.size), at: CommitBlock.sealOffset)
        }
        let boot = what == "nothing" || what == "seal" ? "second" : "first"
        let client = try StoreClient(asItIs: path, environment: environment(boot: boot))
        try compare(client, model)
        if let report = try client.handle.withStore({ (store) throws(EngineError) in store.recovery }) {
            #expect(report.quarantined.isEmpty && report.gaps.isEmpty && report.cut == nil, "\(report)")
        }
        try client.set("new", [1])
        client.handle.close()
        #expect(try client.get("new") == .bytes([1]))
    }

    /// A log that was torn above what was synced is cut at the end of a transaction, wherever it was torn.
    @Test func tornTailIsCutAtATransaction() throws {
        let scratch = try TestDirectory("torn")
        let seed = ReplayableRandom.seed(for: "torn tail")
        var random = ReplayableRandom(seed: seed)
        for round in 0..<60 {
            let path = scratch.path + "/\(round)"
            let client = try StoreClient(path, environment: environment(boot: "first"))
            for number in 0..<40 { try setPair(client, number) }
            let synced = try client.handle.withStore { (store) throws(EngineError) in
                CommitBlock.tail(store.block.word.acquire())
            }
            for number in 40..<80 { try setPair(client, number) }
            let tail = try client.handle.withStore { (store) throws(EngineError) in
                CommitBlock.tail(store.block.word.acquire())
            }
            client.handle.close()
            let meta = try SystemFiles().open(path + "/meta", in: nil, [.write])
            try SystemFiles().write(meta, (0..<8).map { UInt8(truncatingIfNeeded: synced >> UInt64(8 * $0)) }, at: 64)
            try SystemFiles().write(meta, [UInt8](repeating: 0, count: Seal.size), at: CommitBlock.sealOffset)
            let from = Int.random(in: Int(synced)..<Int(tail), using: &random)
            let segment = try SystemFiles().open(path + "/log/" + SegmentHeader.name(Log.origin), in: nil, [.write])
            let offset = from - Int(Log.origin)
            let garbage = random.oneIn(2)
            let bytes = (0..<Int.random(in: 1...2000, using: &random)).map { _ in
                garbage ? UInt8.random(in: 1...255, using: &random) : 0
            }
            try SystemFiles().write(segment, bytes, at: offset)
            let again = try StoreClient(asItIs: path, environment: environment(boot: "second"))
            var ended = false
            var pairs = 0
            for number in 0..<80 {
                let (a, b) = (try again.get("a \(number)"), try again.get("b \(number)"))
                #expect((a == nil) == (b == nil), "seed \(seed), round \(round): transaction \(number) in part")
                if a == nil {
                    ended = true
                } else {
                    #expect(!ended, "seed \(seed), round \(round): \(number) is there, one before it isn't")
                    pairs += 1
                }
                if number < 40 { #expect(a != nil, "seed \(seed), round \(round): \(number) was synced") }
            }
            let report = try again.handle.withStore { (store) throws(EngineError) in store.recovery }
            // Zeros that begin where a transaction ends look like a log that ends there.
            #expect(pairs == 80 || report?.cut != nil || !garbage, "seed \(seed), round \(round)")
            try setPair(again, 100)
            #expect(try StoreCheck.problems(again.handle) == [])
            again.handle.close()
            #expect(try again.get("b 100") != nil)
            #expect(try again.count() == 2 * pairs + 2)
            again.handle.close()
        }
    }

    private func setPair(_ client: StoreClient, _ number: Int) throws {
        try client.handle.withStoreThrowing { store in
            try store.transact(timeout: StoreClient.timeout) {
                try client.set(
                    "a \(number)", TestValue.make(key: "a \(number)", writer: 0, index: 0, part: 0, size: 30))
                try client.set(
                    "b \(number)", TestValue.make(key: "b \(number)", writer: 0, index: 0, part: 1, size: 50))
            }
        }
    }

    /// P9, P10: damage below what was synced loses one record at most, is put on record, and costs nothing that follows.
    @Test(arguments: [true, false]) func damageInTheMiddle(_ sameBoot: Bool) throws {
        let scratch = try TestDirectory("middle")
        let seed = ReplayableRandom.seed(for: "damage in the middle")
        var random = ReplayableRandom(seed: seed)
        for round in 0..<40 {
            let path = scratch.path + "/\(round)"
            let client = try StoreClient(path, environment: environment(boot: "first"))
            func value(_ number: Int, _ version: Int) -> [UInt8] {
                TestValue.make(key: "key \(number)", writer: 0, index: version, part: 0, size: 40)
            }
            for version in 0..<2 { for number in 0..<50 { try client.set("key \(number)", value(number, version)) } }
            let tail = try client.handle.withStore { (store) throws(EngineError) in
                CommitBlock.tail(store.block.word.acquire())
            }
            client.handle.close()
            for name in TestDirectory.filesBelow(path) where name.hasPrefix("index.") {
                TestDirectory.remove(path + "/" + name)
            }
            let segmentPath = path + "/log/" + SegmentHeader.name(Log.origin)
            let content = try TestDirectory.content(segmentPath)
            let offset = Int.random(in: SegmentHeader.size..<Int(tail - Log.origin), using: &random)
            let segment = try SystemFiles().open(segmentPath, in: nil, [.write])
            try SystemFiles().write(
                segment, [content[offset] ^ UInt8(1 << Int.random(in: 0..<8, using: &random))], at: offset)
            let again = try StoreClient(asItIs: path, environment: environment(boot: sameBoot ? "first" : "second"))
            let report = try again.handle.withStore { (store) throws(EngineError) in store.recovery }
            let context = "seed \(seed), round \(round), byte \(offset)"
            var lost = 0
            for number in 0..<50 {
                do throws(EngineError) {
                    let found = try again.get("key \(number)")
                    if found != .bytes(value(number, 1)) {
                        lost += 1
                        // Damage in the key itself leaves nothing that tells whose version was lost.
                        #expect(found == nil || found == .bytes(value(number, 0)), "\(context)")
                    }
                } catch {
                    #expect(error.code == .corrupted, "\(context)")
                    lost += 1
                }
            }
            #expect(lost <= 1, "\(context): \(lost) lost")
            // Nothing is lost by damage in the bytes that only fill a record up.
            #expect(report?.quarantined.isEmpty == false || lost == 0, "\(context): \(String(describing: report))")
            try again.set("new", [1])
            again.handle.close()
            #expect(try again.get("new") == .bytes([1]))
            again.handle.close()
        }
    }

    /// Positions of the log's records that `fits`.
    private func positions(_ path: String, _ fits: (Record) -> Bool) throws -> [Position] {
        let log = try SystemFiles().open(path + "/log", in: nil, [.directory])
        let chain = try LogScanner.chain(files: SystemFiles(), directory: log, storeID: nil)
        let salt = try #require(chain.links.last?.segment.header.salt)
        let scanner = LogScanner(files: SystemFiles(), salt: salt, links: chain.links, believedEnd: 0)
        var found: [Position] = []
        try scanner.scan(from: Log.origin) { outcome in
            if case .record(let record) = outcome, fits(record) { found.append(record.position) }
        }
        return found
    }

    private func damage(_ path: String, _ position: Position) throws {
        let segment = try SystemFiles().open(path + "/log/" + SegmentHeader.name(Log.origin), in: nil, [.write])
        try SystemFiles().write(segment, [0xFF, 0xFF], at: Int(position - Log.origin) + 16)
        for name in TestDirectory.filesBelow(path) where name.hasPrefix("index.") {
            TestDirectory.remove(path + "/" + name)
        }
    }

    private func transact(_ client: StoreClient, _ value: UInt8, undone: Bool) throws {
        struct Undone: Error {}
        do {
            try client.handle.withStoreThrowing { store in
                try store.transact(timeout: StoreClient.timeout) {
                    for key in ["a", "b", "c"] { try client.set(key, [value]) }
                    if undone { throw Undone() }
                }
            }
        } catch is Undone {}
    }

    /// A transaction that was taken back, with a damaged record in it, doesn't come back in part: the void record behind the damage tells.
    @Test(arguments: ["a", "b", "c"]) func damageInWhatWasTakenBack(_ key: String) throws {
        let scratch = try TestDirectory("taken-back")
        let path = scratch.path + "/store"
        let client = try StoreClient(path, environment: environment(boot: "first"))
        try client.set("a", [1])
        try transact(client, 2, undone: true)
        try client.set("after", [1])
        client.handle.close()
        let found = try positions(path) { $0.key.elementsEqual(key.utf8) && $0.kind == RecordKind.put.rawValue }
        try damage(path, try #require(found.last))
        let again = try StoreClient(asItIs: path, environment: environment(boot: "first"))
        #expect(try again.handle.withStore { $0.recovery }?.quarantined.count == 1)
        #expect(try again.get("a") == .bytes([1]))
        #expect(try again.get("b") == nil && again.get("c") == nil)
        #expect(try again.get("after") == .bytes([1]))
        again.handle.close()
    }

    /// The record that ends a transaction is lost: all below T was committed, so what it ended counts, with something behind it or not.
    @Test(arguments: [true, false]) func damagedEndOfATransaction(_ goesOn: Bool) throws {
        let scratch = try TestDirectory("end")
        let path = scratch.path + "/store"
        let client = try StoreClient(path, environment: environment(boot: "first"))
        try client.set("a", [1])
        try transact(client, 2, undone: false)
        if goesOn { try client.set("after", [1]) }
        client.handle.close()
        try damage(path, try #require(try positions(path) { $0.kind == RecordKind.commit.rawValue }.last))
        let again = try StoreClient(asItIs: path, environment: environment(boot: "first"))
        #expect(try again.handle.withStore { $0.recovery }?.quarantined.count == 1)
        for key in ["a", "b", "c"] { #expect(try again.get(key) == .bytes([2]), "\(key)") }
        #expect(try again.count() == (goesOn ? 4 : 3))
        try again.set("new", [1])
        again.handle.close()
        #expect(try again.get("c") == .bytes([2]))
        again.handle.close()
    }
}
