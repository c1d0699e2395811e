import TestSupport
import Testing

@testable import DiskCacheEngine

/// A sync that fails stops all writing, since a second one could be told "done" while the pages are lost (P5); the next opener that is
/// alone stores anew what may be lacking.
@Suite struct PoisonTests {
    private let scratch: ScratchDirectory
    private let path: String
    private let files = FailingFiles()

    init() throws {
        scratch = try ScratchDirectory(inMemory: true)
        path = scratch.path + "/store"
    }

    private func open(boot: String = "first") throws -> StoreHandle {
        var options = StoreOptions()
        options.keepsLock = false
        options.configure = { (settings: inout Settings, isNew: Bool) throws(EngineError) in
            settings.minFileSize = 2000
            settings.syncInterval = 3_600_000_000
        }
        var environment = Environment(files: files)
        environment.bootIdentity = { boot }
        return try StoreHandle(directory: path, options: options, environment: environment)
    }

    /// As it is: where nothing may be written.
    private func reopen(boot: String = "first") throws -> StoreHandle {
        var environment = Environment(files: files)
        environment.bootIdentity = { boot }
        return try StoreHandle(directory: path, options: StoreOptions(), environment: environment)
    }

    private static let large = String(repeating: "v", count: 2500)

    private func fill(_ handle: StoreHandle, _ numbers: Range<Int>) throws {
        for number in numbers {
            try StoreTests.set(handle, "key \(number)", number % 5 == 4 ? Self.large : "value \(number)")
        }
    }

    private func sync(_ handle: StoreHandle) throws {
        try handle.withStore { (store) throws(EngineError) in try store.sync() }
    }

    private func code(_ body: () throws -> Void) -> EngineError.Code? {
        do {
            try body()
            return nil
        } catch {
            return (error as? EngineError)?.code
        }
    }

    /// Synced up to 20, poisoned with 40 written.
    private func poisoned(_ call: String = "sync", errno: Int32 = ErrorNumber.inputOutput) throws -> StoreHandle {
        let handle = try open()
        try fill(handle, 0..<20)
        try sync(handle)
        try fill(handle, 20..<40)
        files.fail { _, name in name == call ? errno : nil }
        #expect(code { try sync(handle) } != nil)
        files.fail { _, _ in nil }
        return handle
    }

    private func has(_ handle: StoreHandle, _ numbers: Range<Int>) throws -> Int {
        try numbers.count { number in
            let found = try StoreTests.withBytes("key \(number)") { (k) throws(EngineError) in
                try handle.find(KeyClass.text, k)
            }
            defer { handle.end(found.access) }
            return found.record != nil
        }
    }

    @Test(arguments: [ErrorNumber.inputOutput, ErrorNumber.noSpace, ErrorNumber.quota])
    func everybodyStopsWritingAndSaysWhy(_ errno: Int32) throws {
        let handle = try poisoned(errno: errno)
        for _ in 0..<2 {
            let error = #expect(throws: EngineError.self) { try fill(handle, 40..<41) }
            #expect(error?.code == .poisoned && error?.errno == errno)
            #expect(error?.message.contains("errno \(errno)") ?? false)
            #expect(code { try sync(handle) } == .poisoned)
        }
        #expect(try has(handle, 0..<41) == 40)
        let (word, synced) = try handle.withStore { ($0.block.poison.acquire(), $0.block.synced.acquire()) }
        #expect(word == UInt64(errno) << 48 | synced >> 2)
        // Another process opens it, reads, and may not write either: it isn't alone.
        let child = try ChildProcess(["open", "directory=\(path)"])
        let (output, end) = child.finish()
        #expect(String(decoding: output, as: UTF8.self).contains("count 40") && end == .exited(0))
        let writer = try ChildProcess(["write", "directory=\(path)", "seed=1", "count=5", "calls=0"])
        let said = String(decoding: writer.finish().output, as: UTF8.self)
        #expect(said.contains("error poisoned errno \(errno)"), "\(said)")
        handle.close()
    }

    /// Under `none` nothing is synced but before something is unlinked; if that fails, nothing is, and writing stops too.
    @Test func anySyncThatFailsStopsWriting() throws {
        let handle = try open()
        try handle.withStore { (store) throws(EngineError) in
            try store.configure(timeout: StoreClient.timeout) { $0.durability = .none }
        }
        for number in 0..<100 { try StoreTests.set(handle, "\(number)", String(repeating: "v", count: 1500)) }
        let before = TestDirectory.filesBelow(path + "/log")
        try handle.withStore { (store) throws(EngineError) in _ = try store.clear(timeout: StoreClient.timeout) }
        try StoreTests.set(handle, "after", "1")
        files.fail { _, name in name == "sync" ? ErrorNumber.inputOutput : nil }
        #expect(code { try handle.withStore { (store) throws(EngineError) in try store.dropDead() } } == .io)
        files.fail { _, _ in nil }
        #expect(TestDirectory.filesBelow(path + "/log") == before)
        #expect(code { try fill(handle, 0..<1) } == .poisoned)
        handle.close()
        let again = try reopen()
        #expect(try again.withStore { $0.count } == 1)
        try fill(again, 0..<1)
        again.close()
    }

    /// Under `full` the error goes to who waited for that sync; what it wrote is visible, and in doubt.
    @Test func whoWaitedForItIsTold() throws {
        let handle = try open()
        try handle.withStore { (store) throws(EngineError) in
            try store.configure(timeout: StoreClient.timeout) { $0.durability = .full }
        }
        try fill(handle, 0..<10)
        files.fail { _, name in name == "sync" ? ErrorNumber.inputOutput : nil }
        #expect(code { try fill(handle, 10..<11) } == .io)
        files.fail { _, _ in nil }
        #expect(code { try fill(handle, 11..<12) } == .poisoned)
        #expect(try has(handle, 0..<12) == 11)
        handle.close()
        let again = try reopen()
        #expect(try has(again, 0..<10) == 10)
        try fill(again, 11..<12)
        again.close()
    }

    /// Whoever is alone then stores the range anew, and the store goes on.
    @Test func reopeningLiftsIt() throws {
        let handle = try poisoned()
        handle.close()
        files.fail { _, _ in nil }
        let again = try reopen()
        let report = try #require(try again.withStore { $0.recovery })
        #expect(report.reason.contains("a sync had failed (errno 5)"))
        #expect(report.cut == nil && report.quarantined.isEmpty && report.keys == 40)
        // The segment, and each value file of what wasn't synced, were written and synced again.
        #expect(files.calls.filter { $0 == "write" }.count >= 5)
        #expect(files.calls.filter { $0 == "sync" }.count >= 5)
        try again.withStore { store in
            #expect(store.block.poison.acquire() == 0 && store.block.syncing.acquire() == 0)
        }
        #expect(try has(again, 0..<40) == 40)
        try fill(again, 40..<60)
        try sync(again)
        let findings = try again.withStore { (store) throws(EngineError) in
            try store.check(timeout: StoreClient.timeout)
        }
        #expect(findings == [])
        again.close()
        #expect(try has(again, 0..<60) == 60)
        again.close()
    }

    /// While the disk goes on failing, every opening tries again, and reads go on.
    @Test(arguments: ["sync", "write", "syncDirectory"]) func itStaysWhileTheDiskFails(_ call: String) throws {
        let handle = try open()
        try fill(handle, 0..<40)
        files.fail { _, name in name == "sync" ? ErrorNumber.inputOutput : nil }
        #expect(code { try sync(handle) } == .io)
        handle.close()
        files.fail { _, name in name == call ? ErrorNumber.inputOutput : nil }
        for _ in 0..<2 {
            let again = try reopen()
            #expect(try has(again, 0..<40) == 40)
            #expect(code { try fill(again, 40..<41) } == .poisoned)
            again.close()
        }
        files.fail { _, _ in nil }
        let healed = try reopen()
        try fill(healed, 40..<41)
        #expect(try has(healed, 0..<41) == 41)
        healed.close()
    }

    /// What the sync was to cover is verified: at the first bad record the log is cut, and stays cut.
    @Test func itIsCutAtTheFirstBadRecord() throws {
        let handle = try poisoned()
        let bad = try StoreTests.withBytes("key 30") { (k) throws(EngineError) in
            try handle.withStore { (store) throws(EngineError) in try store.find(KeyClass.text, k)?.position ?? 0 }
        }
        handle.close()
        let segment = try scratch.files.open(path + "/log/" + SegmentHeader.name(Log.origin), in: nil, [.write])
        try scratch.files.write(segment, [0xFF, 0xFF], at: Int(bad - Log.origin) + 30)
        for boot in ["first", "second"] {
            let again = try reopen(boot: boot)
            #expect(try has(again, 0..<30) == 30)
            #expect(try has(again, 30..<40) == 0)
            try StoreTests.set(again, boot, "1")
            let findings = try again.withStore { (store) throws(EngineError) in
                try store.check(timeout: StoreClient.timeout)
            }
            // Files of rows that were cut off go in the background.
            #expect(findings.filter { $0.kind != .unknownFile } == [])
            again.close()
        }
    }

    /// Another boot reads what is on the disk: nothing need be stored anew.
    @Test func anotherBootLiftsIt() throws {
        try poisoned().close()
        let again = try reopen(boot: "second")
        #expect(try again.withStore { $0.block.poison.acquire() } == 0)
        try fill(again, 40..<41)
        #expect(try has(again, 0..<41) == 41)
        again.close()
    }

    /// A failure before anything was asked of the disk leaves nothing in doubt.
    @Test func noDescriptorIsNoPoison() throws {
        let handle = try open()
        try fill(handle, 0..<10)
        files.fail { _, name in name == "open" ? ErrorNumber.tooManyOpenFiles : nil }
        #expect(code { try sync(handle) } == .tooManyOpenFiles)
        files.fail { _, _ in nil }
        try fill(handle, 10..<20)
        try sync(handle)
        handle.close()
    }

    /// Its owner was killed in a sync, perhaps when it had just been told of an error: the next one stores the range anew first.
    @Test func aSyncThatWasCutShortIsStoredAnew() throws {
        let handle = try open()
        try fill(handle, 0..<20)
        try sync(handle)
        try fill(handle, 20..<40)
        try handle.withStore { (store) throws(EngineError) in store.block.syncing.store(1) }
        let before = try TestDirectory.content(path + "/log/" + SegmentHeader.name(Log.origin))
        files.fail { _, _ in nil }
        try sync(handle)
        // The segment once, and four value files.
        #expect(files.calls.filter { $0 == "write" }.count == 5)
        #expect(try TestDirectory.content(path + "/log/" + SegmentHeader.name(Log.origin)) == before)
        try handle.withStore { store in
            #expect(store.block.syncing.acquire() == 0)
            #expect(store.block.synced.acquire() == CommitBlock.tail(store.block.word.acquire()))
        }
        handle.close()
    }

    /// A seal would say that all is well.
    @Test func noSealWhilePoisoned() throws {
        let handle = try poisoned()
        handle.close()
        let meta = try TestDirectory.content(path + "/meta")
        #expect(meta.withUnsafeBytes { Seal($0.baseAddress!) } == nil)
    }
}
