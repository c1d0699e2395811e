import TestSupport
import Testing

@testable import DiskCacheEngine

/// What `close` promises: what was written is durable, whoever else has the store open; and it says so if it isn't.
@Suite struct ClosingTests {
    private let scratch: ScratchDirectory
    private let path: String
    private let files = FailingFiles()

    init() throws {
        scratch = try ScratchDirectory(inMemory: true)
        path = scratch.path + "/store"
    }

    private func open(_ durability: Durability = .normal) throws -> StoreHandle {
        var options = StoreOptions()
        options.keepsLock = false
        options.configure = { (settings: inout Settings, isNew: Bool) throws(EngineError) in
            settings.durability = durability
            settings.syncInterval = 3_600_000_000
        }
        // Until the settings are stored syncs have the usual interval: a sync of theirs isn't to come in between.
        let environment = Environment(files: files)
        if try files.status(of: path, in: nil) == nil {
            try StoreHandle(directory: path, options: options, environment: environment).close()
        }
        return try StoreHandle(directory: path, options: options, environment: environment)
    }

    private func unsynced(_ handle: StoreHandle) throws -> UInt64 {
        try handle.withStore { CommitBlock.tail($0.block.word.acquire()) &- $0.block.synced.acquire() }
    }

    @Test func oneOfTwoSyncsAsWell() throws {
        let (a, b) = (try open(), try open())
        try StoreTests.set(a, "key", "value")
        #expect(try unsynced(b) > 0)
        #expect(a.close() == nil)
        #expect(try unsynced(b) == 0)
        // Nothing is left to do: the second one costs no sync.
        files.fail { _, _ in nil }
        #expect(a.close() == nil && b.close() == nil)
        #expect(!files.calls.contains("sync"))
    }

    @Test func withoutDurabilityNothingIsSynced() throws {
        let (a, b) = (try open(.none), try open(.none))
        try StoreTests.set(a, "key", "value")
        #expect(a.close() == nil)
        #expect(try unsynced(b) > 0)
        b.close()
    }

    /// A handle that goes by itself leaves it to the last one: nobody could be told of an error.
    @Test func theLastOneSyncsForThoseThatWereDropped() throws {
        let b = try open()
        do { try StoreTests.set(try open(), "key", "value") }
        #expect(try unsynced(b) > 0)
        files.fail { _, _ in nil }
        #expect(b.close() == nil)
        #expect(files.calls.contains("sync"))
    }

    @Test(arguments: [true, false], [ErrorNumber.inputOutput, ErrorNumber.noSpace])
    func aSyncThatFailsIsTold(_ isLast: Bool, _ errno: Int32) throws {
        let a = try open()
        let b = isLast ? nil : try open()
        try StoreTests.set(a, "key", "value")
        files.fail { _, name in name == "sync" ? errno : nil }
        let error = a.close()
        #expect(error?.errno == errno && error?.code == (errno == ErrorNumber.noSpace ? .diskFull : .io))
        files.fail { _, _ in nil }
        if let b {
            // What a failed sync was to cover is in doubt for everybody.
            #expect(b.close()?.code == .poisoned)
        }
        // Everything was let go of: who opens it now is alone, and stores anew what may be lacking.
        #expect(a.close() == nil)
        try StoreTests.set(a, "key 2", "value")
        #expect(a.close() == nil)
    }

    /// Another process is syncing for longer than it waits.
    @Test func aSyncThatIsLateIsTold() throws {
        let a = try open()
        try StoreTests.set(a, "key", "value")
        let other = SystemFiles()
        let file = try other.open(path + "/sync", in: nil, [.write, .create])
        #expect(try other.lock(file, .exclusive))
        #expect(a.close()?.code == .timeout)
        _ = try other.lock(file, .unlock)
        #expect(try a.withStore { $0.count } == 1)
        #expect(a.close() == nil)
    }

    /// What was written has gone with its directory; a large value and a sync say so as well.
    @Test func aDirectoryThatIsGone() throws {
        let a = try open()
        try StoreTests.set(a, "key", "value")
        TestDirectory.remove(path)
        // Whoever holds the lock looks whether it still counts every millisecond.
        SystemCalls.sleep(nanoseconds: 10_000_000)
        for count in [10, 100_000] {
            let error = #expect(throws: EngineError.self) {
                try StoreTests.set(a, "key", String(repeating: "v", count: count))
            }
            #expect(error?.code == .directoryRemoved, "\(count)")
        }
        let error = #expect(throws: EngineError.self) {
            try a.withStore { (store) throws(EngineError) in try store.sync() }
        }
        #expect(error?.code == .directoryRemoved)
        #expect(a.close() == nil)
    }
}
