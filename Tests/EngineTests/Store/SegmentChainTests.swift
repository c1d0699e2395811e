import TestSupport
import Testing

@testable import DiskCacheEngine

/// What a power loss or a kill leaves of a log of several segments.
@Suite struct SegmentChainTests {
    /// A store of 200 keys with 1000 bytes each, in several segments, in the boot "first"; closed, and nothing of it synced.
    private func makeStore(_ path: String) throws -> Environment {
        var environment = Environment.system
        environment.bootIdentity = { "first" }
        let handle = try StoreHandle(directory: path, options: StoreOptions(), environment: environment)
        try handle.withStore { (store) throws(EngineError) in
            try store.configure(timeout: StoreClient.timeout) { (settings) throws(EngineError) in
                settings.durability = .none
                settings.compaction = 0
            }
        }
        let value = String(repeating: "v", count: 1000)
        for i in 0..<200 { try StoreTests.set(handle, "\(i)", value) }
        handle.close()
        return environment
    }

    private func present(_ handle: StoreHandle, upTo count: Int = 200) throws -> [Bool] {
        try (0..<count).map { try StoreTests.get(handle, "\($0)") != nil }
    }

    /// A power loss may tear an older segment and spare a newer one. What comes back must be a prefix, and stay one: it was
    /// once a hole, since the first bad record ended the log in the newest segment alone.
    @Test func tornOlderSegmentCutsWhatFollows() throws {
        let scratch = try ScratchDirectory()
        var environment = try makeStore(scratch.path)
        let log = try scratch.files.open(scratch.path + "/log", in: nil, [.directory])
        let firsts = try Log.firsts(scratch.files, log)
        #expect(firsts.count >= 3)
        let torn = try scratch.files.open(SegmentHeader.name(firsts[1]), in: log, [.write])
        try scratch.files.write(torn, [UInt8](repeating: 0, count: 4096), at: 8192)

        environment.bootIdentity = { "second" }
        let second = try StoreHandle(directory: scratch.path, options: StoreOptions(), environment: environment)
        let found = try present(second)
        let kept = found.prefix { $0 }.count
        #expect(kept > 60 && kept < 100)
        #expect(!found[kept...].contains(true))
        #expect(try second.withStore { $0.recovery }?.cut != nil)
        try StoreTests.set(second, "after", "more")
        second.close()

        for boot in ["third", "fourth"] {
            environment.bootIdentity = { boot }
            let again = try StoreHandle(directory: scratch.path, options: StoreOptions(), environment: environment)
            #expect(try present(again) == found)
            #expect(try StoreTests.get(again, "after") == "more")
            again.close()
        }
    }

    /// What was cut off keeps its names for a while. Who finds that the last sync was cut short stores the log anew, without those:
    /// they seemed to be its continuation, and the store was poisoned.
    @Test func cutOffSegmentsAreNotStoredAnew() throws {
        let scratch = try ScratchDirectory()
        var environment = try makeStore(scratch.path)
        let log = try scratch.files.open(scratch.path + "/log", in: nil, [.directory])
        let firsts = try Log.firsts(scratch.files, log)
        let torn = try scratch.files.open(SegmentHeader.name(firsts[1]), in: log, [.write])
        try scratch.files.write(torn, [UInt8](repeating: 0, count: 4096), at: 8192)
        environment.bootIdentity = { "second" }
        let second = try StoreHandle(directory: scratch.path, options: StoreOptions(), environment: environment)
        defer { second.close() }
        try StoreTests.set(second, "after", "more")
        #expect(try Log.firsts(scratch.files, log).contains(firsts[2]))
        try second.withStore { (store) throws(EngineError) in
            store.block.syncing.store(1)
            try store.sync()
            #expect(store.block.poison.acquire() == 0)
            #expect(store.block.synced.acquire() == CommitBlock.tail(store.block.word.acquire()))
        }
    }

    /// A writer that is killed between a new segment's header and its entry in `meta` leaves a successor behind the active
    /// segment. What was then appended to the active one lay behind the end which that header names, and was lost in the
    /// next rebuild.
    @Test func abandonedSegmentIsEntered() throws {
        let scratch = try ScratchDirectory()
        var environment = try makeStore(scratch.path)
        let first = try StoreHandle(directory: scratch.path, options: StoreOptions(), environment: environment)
        let (block, active, identity) = try first.withStore { store in
            (store.block.read(), store.block.active.acquire(), store.identity)
        }
        let limit = try #require(try first.withStore { store in store.log.segments.last?.limit })
        first.close()
        // As it stands in `meta` while the segment is made.
        let meta = try scratch.files.open(scratch.path + "/meta", in: nil, [.write])
        try scratch.files.write(meta, (0..<8).map { UInt8(truncatingIfNeeded: limit >> (8 * $0)) }, at: 128)
        let log = try scratch.files.open(scratch.path + "/log", in: nil, [.directory])
        guard
            case .segment(let newest) = try Segment.open(
                active, in: log, files: scratch.files, storeID: nil, salt: nil, writable: false)
        else {
            Issue.record("no newest segment")
            return
        }
        let header = SegmentHeader(
            salt: identity.salt, storeID: identity.storeID, first: newest.limit, length: 65536, predecessor: active,
            predecessorEnd: CommitBlock.tail(block.word), head: 0, settings: 0, epoch: identity.epoch)
        let abandoned = try scratch.files.open(
            SegmentHeader.name(newest.limit), in: log, [.write, .create, .exclusive])
        try scratch.files.truncate(abandoned, to: 65536)
        try scratch.files.write(abandoned, header.encoded(), at: 0)

        let second = try StoreHandle(directory: scratch.path, options: StoreOptions(), environment: environment)
        for i in 200..<210 { try StoreTests.set(second, "\(i)", "small") }
        #expect(try second.withStore { $0.block.active.acquire() } == newest.limit)
        second.close()

        environment.bootIdentity = { "second" }
        let third = try StoreHandle(directory: scratch.path, options: StoreOptions(), environment: environment)
        #expect(try present(third, upTo: 210).allSatisfy { $0 })
    }

    /// The log is gone, the rest isn't: the store is empty, and can be used.
    @Test func logRemoved() throws {
        let scratch = try ScratchDirectory()
        let environment = try makeStore(scratch.path)
        let first = try StoreHandle(directory: scratch.path, options: StoreOptions(), environment: environment)
        _ = try first.withStore { (store) throws(EngineError) in try store.clear(timeout: StoreClient.timeout) }
        first.close()
        let log = try scratch.files.open(scratch.path + "/log", in: nil, [.directory])
        for name in try scratch.files.list(log) { try scratch.files.unlink(name, in: log, isDirectory: false) }
        for round in 0..<3 {
            let handle = try StoreHandle(directory: scratch.path, options: StoreOptions(), environment: environment)
            #expect(try handle.withStore { $0.count } == round)
            try StoreTests.set(handle, "round \(round)", "x")
            #expect(try StoreTests.get(handle, "round 0") == "x")
            handle.close()
        }
    }
}
