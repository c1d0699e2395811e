import Synchronization
import TestSupport
import Testing

@testable import DiskCacheEngine

/// Durability `full`: visible when appended, acknowledged when durable (DESIGN 4).
@Suite struct GroupCommitTests {
    private let scratch: ScratchDirectory
    private let files = FailingFiles()
    private let handle: StoreHandle

    init() throws {
        scratch = try ScratchDirectory(inMemory: true)
        var options = StoreOptions()
        options.configure = { (settings: inout Settings, _: Bool) throws(EngineError) in
            settings.durability = .full
            settings.syncInterval = 3_600_000_000
        }
        handle = try StoreHandle(
            directory: scratch.path + "/store", options: options, environment: Environment(files: files))
    }

    private var tail: Position { (try? handle.withStore { CommitBlock.tail($0.block.word.acquire()) }) ?? 0 }
    private var synced: Position { (try? handle.withStore { $0.block.synced.acquire() }) ?? 0 }

    /// While one thread's sync is under way the others append; one more sync is enough for all of them.
    @Test func concurrentCommittersShareASync() throws {
        let writers = 8
        let record = UInt64(try recordSize())
        let before = tail
        let isFirst = Atomic<Bool>(true)
        let hasHung = Atomic<Bool>(false)
        let handle = self.handle
        files.fail { _, _ in nil }
        files.intervene { call in
            guard call == "sync", isFirst.exchange(false, ordering: .relaxed) else { return }
            // All of them have appended: their commits don't wait for this sync to end.
            let all = eventually {
                let now = (try? handle.withStore { CommitBlock.tail($0.block.word.acquire()) }) ?? 0
                return now >= before + UInt64(writers) * record
            }
            if !all { hasHung.store(true, ordering: .relaxed) }
        }
        let unsynced = Atomic<Int>(0)
        TestThreads.run(writers) { number in
            do {
                try StoreTests.set(handle, "key \(number)", "1")
                // A record of this thread lies below what is durable, wherever it is.
                let position = try handle.withStore { (store) throws(EngineError) in
                    try StoreTests.withBytes("key \(number)") { (k) throws(EngineError) in
                        try store.find(KeyClass.text, k)?.position ?? .max
                    }
                }
                if try handle.withStore({ $0.block.synced.acquire() }) <= position {
                    unsynced.add(1, ordering: .relaxed)
                }
            } catch {
                unsynced.add(1, ordering: .relaxed)
            }
        }
        files.intervene { _ in }
        let (hung, late) = (hasHung.load(ordering: .relaxed), unsynced.load(ordering: .relaxed))
        #expect(!hung)
        #expect(late == 0)
        #expect(files.calls.filter { $0 == "sync" }.count == 2)
        #expect(synced == tail)
    }

    /// Bytes that one of the writers' records takes.
    private func recordSize() throws -> Int {
        try StoreTests.set(handle, "key 0", "0")
        let start = tail
        try StoreTests.set(handle, "key 0", "0")
        return Int(tail - start)
    }

    /// `synced` as a kill between a commit and its sync leaves it.
    private func forgetSync() throws {
        try handle.withStore { (store) throws(EngineError) in store.block.synced.store(Log.origin + 128) }
    }

    /// A call that took the lock returns when what it saw is durable, though it wrote nothing: another may not be done with its sync.
    @Test(arguments: ["add", "delete", "transaction", "failure"]) func whoWritesNothingWaitsToo(_ verb: String) throws {
        try StoreTests.set(handle, "a", "1")
        try forgetSync()
        #expect(synced < tail)
        struct Thrown: Error {}
        let access = try handle.open()
        defer { handle.end(access) }
        let timeout = StoreClient.timeout
        try handle.withStoreOf(access) { store in
            switch verb {
            case "add":
                let added = try StoreTests.withBytes("a") { (k) throws(EngineError) in
                    try store.put(
                        timeout: timeout, KeyClass.text, k, form: ValueFormCode.null,
                        value: UnsafeRawBufferPointer(start: nil, count: 0), RecordAttributes(),
                        condition: .onlyIfMissing)
                }
                #expect(!added)
            case "delete":
                _ = try StoreTests.withBytes("nobody") { (k) throws(EngineError) in
                    try store.delete(timeout: timeout, KeyClass.text, k)
                }
            case "transaction": try store.transact(timeout: timeout) {}
            default: #expect(throws: Thrown.self) { try store.transact(timeout: timeout) { throw Thrown() } }
            }
        }
        #expect(synced == tail)
    }

    @Test func plainReadsDontWait() throws {
        try StoreTests.set(handle, "a", "1")
        try forgetSync()
        files.fail { _, _ in nil }
        #expect(try StoreTests.get(handle, "a") == "1")
        #expect(synced < tail)
        #expect(!files.calls.contains("sync"))
    }

    /// A sync of a directory flushes the drive once more: it is asked for only where a name may be new.
    @Test func oneFlushACommit() throws {
        try StoreTests.set(handle, "a", "1")
        files.fail { _, _ in nil }
        for number in 0..<10 { try StoreTests.set(handle, "a", "\(number)") }
        let calls = files.calls
        #expect(calls.filter { $0 == "sync" }.count == 10)
        #expect(!calls.contains("syncDirectory"))
        // A new segment has a new name.
        files.fail { _, _ in nil }
        for number in 0..<100 { try StoreTests.set(handle, "\(number)", String(repeating: "v", count: 1500)) }
        #expect(files.calls.filter { $0 == "syncDirectory" }.count == 2)
    }

    /// What another process syncs counts: `synced` is looked at before the disk is asked.
    @Test func whatIsDurableIsNotSyncedAgain() throws {
        try StoreTests.set(handle, "a", "1")
        files.fail { _, _ in nil }
        try handle.withStore { (store) throws(EngineError) in try store.sync() }
        #expect(!files.calls.contains("sync") && !files.calls.contains("lock"))
    }
}
