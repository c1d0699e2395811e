import TestSupport
import Testing

@testable import DiskCacheEngine

/// Whole files, their checks right, with content that no writer leaves: nothing of it may end the process.
@Suite struct SenselessContentTests {
    private let scratch: TestDirectory
    private let path: String
    private static let filling = [UInt8](repeating: 1, count: 1000)

    init() throws {
        scratch = try TestDirectory("senseless")
        path = scratch.path + "/store"
    }

    private func open(_ path: String? = nil) throws -> StoreClient {
        let client = try StoreClient(path ?? self.path, environment: environment, timeout: 2_000_000_000)
        return client
    }

    private var environment: Environment {
        var environment = Environment.system
        environment.bootIdentity = { "first" }
        return environment
    }

    /// Whatever a store can do; errors are fine.
    private func use(_ client: StoreClient) {
        let large = [UInt8](repeating: 7, count: Workload.minFileSize)
        for number in 0..<300 { try? client.set("key \(number % 3)", Self.filling) }
        try? client.set("large", large)
        try? client.set("large", large)
        for order in [RowOrder.insertion, .key] { _ = try? client.keys(order) }
        try? client.handle.withStoreThrowing { store in
            try store.transact(timeout: 2_000_000_000) {
                try client.set("a", [1])
                try client.set("b", [2])
            }
        }
        try? client.delete("a")
        _ = try? client.handle.withStoreThrowing { store in
            _ = try? store.volume()
            _ = try? store.takeRow(timeout: 2_000_000_000, first: false, skipsQueues: true) { _, _ in true }
            _ = try? store.takeRow(timeout: 2_000_000_000, first: true, skipsQueues: true) { _, _ in true }
            _ = try? store.expire(timeout: 2_000_000_000)
            _ = try? store.cull(timeout: 2_000_000_000)
            _ = try? store.reclaimAll(timeout: 2_000_000_000)
            _ = try? store.compact(timeout: 2_000_000_000)
            _ = try? store.check(timeout: 2_000_000_000)
        }
        try? client.sync()
    }

    private static let values: [UInt64] = [1, 1 << 44, 1 << 58, 1 << 62, 1 << 63, .max]

    /// The words of `meta` that no check covers.
    @Test(arguments: [24, 32, 40, 48, 56, 64, 72, 80, 112, 120, 128, 136, 144, 152, 160, 168, 176, 184, 216])
    func hints(offset: Int) throws {
        for value in Self.values {
            let place = scratch.path + "/\(value)"
            let client = try open(place)
            try client.set("key", Self.filling)
            try client.handle.withStore { (store) throws(EngineError) in
                SharedWord(store.metaBase, offset).store(value)
                store.block.owner.store(0)
            }
            use(client)
            client.handle.close()
            use(client)
            client.handle.close()
        }
    }

    /// The words of the index's header that no check covers.
    @Test(arguments: [136, 144, 152, 192, 200, 208, 216])
    func indexes(offset: Int) throws {
        for value in Self.values {
            let place = scratch.path + "/\(value)"
            let client = try open(place)
            try client.set("key", Self.filling)
            try client.handle.withStore { (store) throws(EngineError) in
                SharedWord(store.index.base, offset).store(value)
                store.block.owner.store(0)
            }
            use(client)
            client.handle.close()
            use(client)
            client.handle.close()
        }
    }

    /// The counters, with the check that belongs to them.
    @Test(arguments: 0..<9) func counters(number: Int) throws {
        for value in Self.values {
            let place = scratch.path + "/\(value)"
            let client = try open(place)
            try client.set("key", Self.filling)
            try client.handle.withStore { (store) throws(EngineError) in
                try store.write(timeout: StoreClient.timeout) { () throws(EngineError) in }
                let slot = CommitBlock.slot(store.block.word.relaxed())
                SharedWord(store.metaBase, 256 + Int(slot) * 128 + number * 8).store(value)
                let state = store.block.read()
                SharedWord(store.metaBase, 256 + Int(slot) * 128 + 72).store(
                    state.counters.check(CommitBlock.tail(state.word), head: state.head))
                store.block.owner.store(0)
            }
            use(client)
            client.handle.close()
            use(client)
            client.handle.close()
        }
    }

    /// The head, with that check.
    @Test func heads() throws {
        for value in Self.values {
            let place = scratch.path + "/\(value)"
            let client = try open(place)
            try client.set("key", Self.filling)
            try client.handle.withStore { (store) throws(EngineError) in
                try store.write(timeout: StoreClient.timeout) { () throws(EngineError) in }
                let slot = CommitBlock.slot(store.block.word.relaxed())
                store.block.head(slot).store(value)
                let state = store.block.read()
                SharedWord(store.metaBase, 256 + Int(slot) * 128 + 72).store(
                    state.counters.check(CommitBlock.tail(state.word), head: state.head))
                store.block.owner.store(0)
            }
            use(client)
            client.handle.close()
            use(client)
            client.handle.close()
        }
    }

    /// A segment that lies farther away than any log is long: an error, and without it the store is as it was.
    @Test func farSegment() throws {
        let client = try open()
        try client.set("key", Self.filling)
        let (identity, tail) = try client.handle.withStore { (store) throws(EngineError) in
            (store.identity, store.log.tail)
        }
        client.handle.close()
        for first in [1 << 61, 1 << 62 - 1 << 26, 1 << 40] as [Position] {
            let header = SegmentHeader(
                salt: identity.salt, storeID: identity.storeID, first: first, length: 65536,
                predecessor: Log.origin, predecessorEnd: tail, head: 0, settings: 0, epoch: identity.epoch)
            let file = path + "/log/" + SegmentHeader.name(first)
            try TestDirectory.write(
                header.encoded() + [UInt8](repeating: 0, count: 65536 - SegmentHeader.size), to: file)
            TestDirectory.remove(path + "/meta")
            #expect(throws: EngineError.self) { try open() }
            TestDirectory.remove(file)
            TestDirectory.remove(path + "/meta")
            #expect(try client.get("key") == .bytes(Self.filling))
            client.handle.close()
        }
    }

    /// Settings out of their range count as the nearest in it: a share of 100 percent, and values in records that no reader takes.
    @Test func settings() throws {
        let client = try open()
        var settings = Settings()
        settings.compaction = 100
        settings.minFileSize = 64 << 20
        let encoded = settings.encoded()
        try client.handle.withStore { (store) throws(EngineError) in
            try store.write(timeout: StoreClient.timeout) { () throws(EngineError) in try store.appendSettings(encoded)
            }
        }
        client.handle.close()
        let again = try StoreClient(asItIs: path, environment: environment)
        for number in 0..<300 { try again.set("key \(number % 3)", Self.filling) }
        let large = [UInt8](repeating: 2, count: RecordLayout.maximumInlineValue + 1)
        try again.set("large", large)
        #expect(try again.get("large") == .bytes(large))
        #expect(
            try again.handle.withStore { (store) throws(EngineError) in try store.currentSettings() }.compaction == 90)
        again.handle.close()
    }

    /// References to value files of lengths that only their sum is too great for.
    @Test(arguments: [true, false]) func lengthsOfValueFiles(shares: Bool) throws {
        let client = try open()
        try client.set("key", Self.filling)
        try client.handle.withStoreThrowing { store in
            try store.write(timeout: StoreClient.timeout) { () throws(EngineError) in
                for number in 0..<3 {
                    let reference = ValueFileReference(
                        name: ValueFileName(random: SystemCalls.random), length: 1 << 62 + number, checksum: 7)
                    var bytes = [UInt8](repeating: 0, count: ValueFileReference.size)
                    bytes.withUnsafeMutableBytes { reference.store(into: $0) }
                    try StoreClient.withBytes(Array("file \(number)".utf8)) { (key) throws(EngineError) in
                        try StoreClient.withBytes(bytes) { (value) throws(EngineError) in
                            _ = try store.put(
                                KeyClass.text, key, form: ValueFormCode.bytesFile, value: value, RecordAttributes(),
                                isLast: false)
                        }
                    }
                    do throws(SystemError) {
                        try store.valueFiles.withParents(of: reference.name) { () throws(SystemError) in
                            let file = try store.files.open(
                                reference.name.path, in: store.directory, [.write, .create])
                            try store.files.write(file, [1, 2, 3], at: 0)
                        }
                    } catch {
                        throw EngineError(error)
                    }
                }
            }
        }
        let report = try client.handle.backUp(to: scratch.path + "/backup", shares: shares)
        #expect(report.count == 4)
        #expect(shares ? report.sharedBytes == .max : report.losses.count == 3, "\(report)")
        for path in [path, scratch.path + "/backup"] {
            let client = try open(path)
            #expect(try client.get("key") == .bytes(Self.filling))
            for number in 0..<3 { #expect(throws: EngineError.self) { try client.get("file \(number)") } }
            use(client)
            client.handle.close()
        }
    }

    /// Files of the last generation that a number can say.
    @Test func lastGenerations() throws {
        let client = try open()
        for number in 0..<2000 { try client.set("key \(number)", [1]) }
        try client.handle.withStore { (store) throws(EngineError) in
            _ = try Pager.create(
                generation: .max, in: store.directory, files: store.files, storeID: store.identity.storeID,
                boot: StoreIdentity.bootWords("first"), position: 0)
            store.block.treesGeneration.release(.max)
        }
        #expect(try client.keys(.key).count == 2000)
        for number in 0..<1990 { try client.delete("key \(number)") }
        #expect(try client.keys(.key).count == 10)
        try client.compact()
        let (generation, header) = try client.handle.withStore { (store) throws(EngineError) in
            let index = store.index
            let status = try Self.status(index)
            let header = HashIndex.Identity(
                storeID: store.identity.storeID, generation: .max, boot: StoreIdentity.bootWords("first"),
                device: status.device, inode: status.inode
            ).encoded()
            store.block.indexGeneration.release(.max)
            return (index.generation, header)
        }
        let file = try SystemFiles().open(path + "/" + IndexLayout.name(generation), in: nil, [.write])
        try SystemFiles().write(file, header, at: 0)
        try SystemFiles().rename(
            IndexLayout.name(generation), to: IndexLayout.name(.max),
            in: try SystemFiles().open(path, in: nil, [.directory]))
        #expect(throws: EngineError.self) { try client.clear() }
        client.handle.close()
        #expect(try client.count() == 10)
        try client.clear()
        #expect(try client.findings() == [])
        client.handle.close()
    }

    private static func status(_ index: HashIndex) throws(EngineError) -> FileStatus {
        do throws(SystemError) { return try index.files.status(index.file) } catch { throw EngineError(error) }
    }

    /// A record that names itself as the version before it, and isn't committed: it is taken back, and nobody waits for its end.
    @Test func previousIsItself() throws {
        let client = try open()
        let key = Array("key".utf8)
        for isCommitted in [false, true] {
            let snapshot = try client.handle.withStore { (store) throws(EngineError) in
                let snapshot = store.beginSnapshot()
                try store.write(timeout: StoreClient.timeout) { () throws(EngineError) in
                    try StoreClient.withBytes(key) { (key) throws(EngineError) in
                        let hash = store.hash(KeyClass.text, key)
                        guard case .free(let place) = try store.place(KeyClass.text, key, hash) else { return }
                        var draft = RecordDraft(kind: .put)
                        draft.keyClass = KeyClass.text
                        draft.key = key
                        draft.rowid = store.counters.nextRowid
                        draft.previous = store.log.tail
                        if isCommitted { draft.flags = RecordBits.commit }
                        try store.log.reserve(
                            draft.size + 64, head: store.head, settings: store.counters.settings)
                        let position = try store.log.append(draft, size: draft.size)
                        place.slot.release(place.value.pointing(to: position).raw)
                    }
                }
                store.block.owner.store(0)
                return snapshot
            }
            try client.settle()
            #expect(try client.get("key") == (isCommitted ? .bytes([]) : nil))
            try client.handle.withStore { (store) throws(EngineError) in
                let old = try StoreClient.withBytes(key) { (key) throws(EngineError) in
                    try store.find(KeyClass.text, key, in: snapshot)
                }
                #expect(old == nil)
                store.end(snapshot)
            }
            #expect(try client.findings() == [])
        }
        client.handle.close()
    }
}
