import TestSupport
import Testing

@testable import DiskCacheEngine

/// The smallest cases of what the images of `PowerLossTests` have found.
@Suite struct PowerLossRegressionTests {
    private let scratch: ScratchDirectory
    private let path: String

    init() throws {
        scratch = try ScratchDirectory()
        path = scratch.path + "/store"
    }

    private func open(_ boot: String, files: any FileSystem = SystemFiles()) throws -> StoreHandle {
        var environment = Environment(files: files)
        environment.bootIdentity = { boot }
        let handle = try StoreHandle(directory: path, options: StoreOptions(), environment: environment)
        try handle.withStore { (store) throws(EngineError) in
            try store.configure(timeout: StoreClient.timeout) { (settings) throws(EngineError) in
                settings.durability = .none
                settings.minFileSize = 2000
                // Nothing is compacted but where a test does it.
                settings.compaction = 0
            }
        }
        return handle
    }

    private static let large = String(repeating: "v", count: 2500)

    private func has(_ handle: StoreHandle, _ keys: [String]) throws -> [Bool] {
        try keys.map { try StoreTests.get(handle, $0) != nil }
    }

    /// The path of the file that holds a key's value.
    private func file(_ handle: StoreHandle, _ key: String) throws -> String {
        let found = try StoreTests.withBytes(key) { (k) throws(EngineError) in try handle.find(KeyClass.text, k) }
        defer { handle.end(found.access) }
        let record = try #require(found.record)
        return try #require(handle.withStoreOf(found.access) { $0.file(of: record)?.path })
    }

    private func segments() throws -> [String] {
        try scratch.tree().filter { $0.hasSuffix(".seg") }.map { scratch.path + "/" + $0 }
    }

    /// A power loss may leave anything in a sector of `meta`. Where segments begin was believed from it, and the process trapped.
    @Test func hintsOfAnotherBootAreForgotten() throws {
        let handle = try open("first")
        for key in ["a", "b"] { try StoreTests.set(handle, key, "1") }
        handle.close()
        let meta = try scratch.files.open(path + "/meta", in: nil, [.write])
        var dice = ReplayableRandom(seed: 5)
        for sector in [0..<512] {
            try scratch.files.write(
                meta, sector.map { _ in UInt8(truncatingIfNeeded: dice.next()) }, at: sector.lowerBound)
        }
        let again = try open("second")
        #expect(try has(again, ["a", "b"]) == [true, true])
        try StoreTests.set(again, "c", "1")
        again.close()
        #expect(try has(again, ["a", "b", "c"]) == [true, true, true])
        #expect(try scratch.tree().filter { $0.contains("index.") }.count == 1)
    }

    /// A record that wasn't synced may be on the disk while its value's file isn't: the log ends before it, and later keys that
    /// lie whole behind it don't come back either, then or after one more boot.
    @Test func aLostValueFileEndsTheLog() throws {
        let handle = try open("first")
        try StoreTests.set(handle, "a", Self.large)
        try StoreTests.set(handle, "b", Self.large)
        try StoreTests.set(handle, "c", "1")
        let lost = try file(handle, "b")
        handle.close()
        try scratch.files.unlink(lost, in: nil, isDirectory: false)
        for boot in ["second", "third"] {
            let again = try open(boot)
            #expect(try has(again, ["a", "b", "c"]) == [true, false, false])
            try StoreTests.set(again, boot, "1")
            again.close()
            #expect(try has(again, ["a", "b", "c", boot]) == [true, false, false, true])
            let findings = try again.withStore { store throws(EngineError) in
                try store.check(timeout: StoreClient.timeout)
            }
            #expect(findings == [])
        }
    }

    /// A file that is shorter or has other bytes is no better.
    @Test func aDamagedValueFileEndsTheLog() throws {
        let handle = try open("first")
        for key in ["a", "b", "c"] { try StoreTests.set(handle, key, Self.large) }
        let damaged = try scratch.files.open(try file(handle, "c"), in: nil, [.write])
        handle.close()
        try scratch.files.write(damaged, [0], at: 1000)
        #expect(try has(open("second"), ["a", "b", "c"]) == [true, true, false])
    }

    /// A file that was replaced may be gone rightly, and so may one below a `clear`.
    @Test func aReplacedValueFileIsNotMissed() throws {
        let handle = try open("first")
        try StoreTests.set(handle, "a", Self.large)
        let cleared = try file(handle, "a")
        _ = try handle.withStore { (store) throws(EngineError) in try store.clear(timeout: StoreClient.timeout) }
        try StoreTests.set(handle, "b", Self.large)
        let replaced = try file(handle, "b")
        for key in ["b", "c"] { try StoreTests.set(handle, key, "1") }
        handle.close()
        for path in [cleared, replaced] { try scratch.files.unlink(path, in: nil, isDirectory: false) }
        #expect(try has(open("second"), ["a", "b", "c"]) == [false, true, true])
    }

    /// The first segment's name may be lost while later ones are there: what they hold without it is no prefix.
    @Test func nothingCountsWithoutTheFirstSegment() throws {
        let handle = try open("first")
        for number in 0..<100 { try StoreTests.set(handle, "\(number)", String(repeating: "v", count: 1500)) }
        handle.close()
        #expect(try segments().count > 2)
        try scratch.files.unlink(try segments()[0], in: nil, isDirectory: false)
        for boot in ["second", "third"] {
            let again = try open(boot)
            #expect(try again.withStore { $0.count } == (boot == "second" ? 0 : 1))
            try StoreTests.set(again, "new", "1")
            again.close()
            #expect(try has(again, ["99", "new"]) == [false, true])
            let findings = try again.withStore { store throws(EngineError) in
                try store.check(timeout: StoreClient.timeout)
            }
            #expect(findings == [])
            again.close()
        }
    }

    /// Segments below a `clear` are unlinked once its head record is durable, and a power loss brings some of them back. `synced`
    /// in `meta` may be older than that: the gap between them is still no end of the log.
    @Test func segmentsBelowAClearMayBeGone() throws {
        let handle = try open("first")
        let value = String(repeating: "v", count: 1500)
        for number in 0..<150 { try StoreTests.set(handle, "\(number)", value) }
        let below = try segments()
        try #require(below.count >= 4)
        _ = try handle.withStore { (store) throws(EngineError) in try store.clear(timeout: StoreClient.timeout) }
        try StoreTests.set(handle, "new", "1")
        handle.close()
        try scratch.files.unlink(below[1], in: nil, isDirectory: false)
        try scratch.files.unlink(below[2], in: nil, isDirectory: false)
        let again = try open("second")
        #expect(try has(again, ["0", "149", "new"]) == [false, false, true])
        #expect(try again.withStore { $0.count } == 1)
    }

    /// A segment's header was on the disk, and names the head of a `clear` that was lost with the end of the segment before: then nothing
    /// was cleared.
    @Test func aHeaderMayNameAHeadThatWasLost() throws {
        let handle = try open("first")
        for number in 0..<20 { try StoreTests.set(handle, "\(number)", "1") }
        try handle.withStore { (store) throws(EngineError) in try store.sync() }
        let tail = try handle.withStore { CommitBlock.tail($0.block.word.acquire()) }
        _ = try handle.withStore { (store) throws(EngineError) in try store.clear(timeout: StoreClient.timeout) }
        for number in 0..<60 { try StoreTests.set(handle, "new \(number)", String(repeating: "v", count: 1500)) }
        #expect(try segments().count > 1)
        handle.close()
        let meta = try scratch.files.open(path + "/meta", in: nil, [.write])
        try scratch.files.write(meta, [UInt8](repeating: 0, count: Seal.size), at: CommitBlock.sealOffset)
        let first = try scratch.files.open(path + "/log/" + SegmentHeader.name(Log.origin), in: nil, [.write])
        let offset = Int(tail - Log.origin)
        try scratch.files.write(first, [UInt8](repeating: 0, count: 65536 - offset), at: offset)
        for boot in ["second", "third"] {
            let again = try open(boot)
            #expect(try again.withStore { $0.count } == 20)
            #expect(try has(again, ["0", "19", "new 0"]) == [true, true, false])
            again.close()
        }
    }

    /// Compaction's head record lies in the newest whole segment, what is below is gone, and above it a segment was being made when power
    /// was lost, so that its header is torn. That one hid the head, and with it all that there is.
    @Test func aTornHeaderAboveHidesNoHead() throws {
        let handle = try open("first")
        for number in 0..<150 { try StoreTests.set(handle, "\(number % 60)", String(repeating: "v", count: 1500)) }
        let before = try segments().count
        try handle.withStore { (store) throws(EngineError) in
            let pin = ReaderPins.enter(ReaderPins.base)
            defer { ReaderPins.leave(pin) }
            _ = try store.compactHead(
                freeing: 1, copying: .max, below: .max, evenIfNeeded: true, timeout: StoreClient.timeout)
            try store.dropDead()
        }
        #expect(try segments().count <= before)
        let newest = try handle.withStore { $0.block.active.acquire() }
        handle.close()
        let meta = try scratch.files.open(path + "/meta", in: nil, [.write])
        try scratch.files.write(meta, [UInt8](repeating: 0, count: Seal.size), at: CommitBlock.sealOffset)
        let torn = try scratch.files.open(
            path + "/log/" + SegmentHeader.name(newest + 65536), in: nil, [.write, .create, .exclusive])
        try scratch.files.write(torn, [UInt8](repeating: 0x89, count: 128), at: 0)
        let again = try open("second")
        #expect(try again.withStore { $0.count } == 60)
        again.close()
    }

    /// What a sync has made durable includes the names on the way to it: the directories that were made for the store too.
    @Test func theWayToWhatIsSyncedIsDurable() throws {
        let files = try RecordingFiles(root: scratch.path)
        var environment = Environment(files: files)
        environment.bootIdentity = { "first" }
        let handle = try StoreHandle(
            directory: scratch.path + "/some/where/store", options: StoreOptions(), environment: environment)
        try StoreTests.set(handle, "a", "1")
        try StoreTests.set(handle, "b", String(repeating: "v", count: 40000))
        try handle.withStore { (store) throws(EngineError) in try store.sync() }
        _ = files.mark()
        var model = DiskModel(files.trace)
        for event in files.trace.events { model.apply(event) }
        let image = DiskImage(model, .synced, ReplayableRandom(seed: 1))
        #expect(image.files.contains { $0.path.hasPrefix("some/where/store/log/") })
        #expect(image.files.contains { $0.path == "some/where/store/meta" })
        #expect(image.files.contains { $0.path.hasSuffix(".val") && $0.bytes.count == 40000 })
        handle.close()
    }

    /// Unlinks come back in any subset: segments below a `clear` stay until its head record is durable, at every durability.
    @Test func segmentsGoOnlyOnceTheClearIsDurable() throws {
        let files = try RecordingFiles(root: scratch.path)
        let handle = try open("first", files: files)
        for number in 0..<150 { try StoreTests.set(handle, "\(number)", String(repeating: "v", count: 1500)) }
        try handle.withStore { (store) throws(EngineError) in
            try store.sync()
            _ = try store.clear(timeout: StoreClient.timeout)
        }
        let cleared = files.mark()
        try handle.withStore { (store) throws(EngineError) in try store.dropDead() }
        handle.close()
        let trace = files.trace
        let gone = try #require(
            trace.events.firstIndex { event in
                if case .entry(let name, node: nil, movedTo: _) = event { return name.name.hasSuffix(".seg") }
                return false
            })
        let synced = try #require(
            trace.events.firstIndex { event in
                if case .sync(let node, let begun) = event {
                    return begun >= cleared && !trace.directories.contains(node)
                }
                return false
            })
        #expect(cleared < synced && synced < gone)
    }
}
