import Synchronization
import TestSupport
import Testing

@testable import DiskCacheEngine

/// Handles: closing and opening again, and what a store costs.
@Suite struct HandleTests {
    /// Closed and opened again from several threads at once while others read and write.
    @Test func closingWhileOthersWork() throws {
        let scratch = try TestDirectory("closing")
        let client = try StoreClient(scratch.path + "/store")
        for number in 0..<50 { try client.set("key \(number)", [UInt8(number)]) }
        let failures = Mutex<[String]>([])
        TestThreads.run(6) { thread in
            for round in 0..<150 {
                do {
                    switch thread {
                    case 0, 1: client.handle.close()
                    case 2, 3:
                        let number = round % 50
                        let found = try client.get("key \(number)")
                        if found != .bytes([UInt8(number)]) {
                            failures.withLock { $0.append("key \(number): \(String(describing: found))") }
                        }
                    default: try client.add("counter", 1)
                    }
                } catch {
                    failures.withLock { $0.append("\(error)") }
                }
            }
        }
        #expect(failures.withLock { $0 } == [])
        #expect(try client.get("counter") == .integer(300))
        #expect(try StoreCheck.problems(client.handle) == [])
    }

    /// What comes late doesn't bring the tasks of a closed store back.
    @Test func aClosedStoreHasNoTasks() throws {
        let scratch = try TestDirectory("closed")
        let client = try StoreClient(scratch.path + "/store")
        try client.set("key", [1])
        let store = try client.handle.withStore { $0 }
        client.handle.close()
        store.isDirty.store(0, ordering: .relaxed)
        store.markDirty()
        store.signalEviction()
        #expect(store.maintenance.withLock { $0 == nil })
        #expect(store.eviction.task.withLock { $0 == nil })
    }

    /// A thread between two verbs of a long transaction holds up neither who closes the store nor itself.
    @Test func closingBesideALongTransaction() throws {
        let scratch = try TestDirectory("long")
        let path = scratch.path + "/store"
        let client = try StoreClient(path)
        for number in 0..<50 { try client.set("key \(number)", [UInt8(number)]) }
        let isClosed = Atomic<Bool>(false)
        let isOpen = Atomic<Bool>(false)
        let group = TestThreads.Group()
        group.start {
            try? client.handle.withStoreThrowing { store in
                try store.transact(timeout: StoreClient.timeout) {
                    isOpen.store(true, ordering: .releasing)
                    #expect(eventually(seconds: 60) { isClosed.load(ordering: .acquiring) })
                }
            }
        }
        #expect(eventually { isOpen.load(ordering: .acquiring) })
        client.handle.close()
        isClosed.store(true, ordering: .releasing)
        group.join()
        // The transaction's end has let go of the lock: nobody waits for it.
        let other = try ChildProcess(["open", "directory=\(path)", "timeout=20000"])
        #expect(other.line() == "count 50")
        #expect(other.finish().end == .exited(0))
        try client.set("after", [1])
        #expect(try client.get("after") == .bytes([1]))
    }

    @Test func twoHandlesShareAnEngine() throws {
        let scratch = try TestDirectory("shared")
        let path = scratch.path + "/store"
        let first = try StoreClient(path)
        let second = try StoreClient(
            scratch.path + "/../" + path.split(separator: "/").suffix(2).joined(separator: "/"))
        try first.handle.withStore { (a) throws(EngineError) in
            try second.handle.withStore { (b) throws(EngineError) in #expect(a === b) }
        }
        try first.set("key", [1])
        #expect(try second.get("key") == .bytes([1]))
        first.handle.close()
        try second.set("key", [2])
        #expect(try first.get("key") == .bytes([2]))
    }

    /// In a process of its own, where nobody else opens files.
    @Test func descriptorsDoNotLeak() throws {
        let scratch = try TestDirectory("leak")
        let child = try ChildProcess(["cycles", "directory=\(scratch.path)/store", "count=1000"])
        let result = child.finish(seconds: 120)
        let text = String(decoding: result.output, as: UTF8.self)
        #expect(result.end == .exited(0))
        #expect(text == "0 more\n", "\(text)")
    }

    @Test func freshStoreIsSmall() throws {
        let scratch = try TestDirectory("small")
        let path = scratch.path + "/store"
        let client = try StoreClient(path)
        #expect(try TestDirectory.allocated(path) < 100_000)
        try client.set("key", [1])
        client.handle.close()
        let size = try TestDirectory.allocated(path)
        print("a store with one small key takes \(size) bytes")
        #expect(size < 100_000)
    }

    @Test func openingChangesNothing() throws {
        let scratch = try TestDirectory("unchanged")
        let path = scratch.path + "/store"
        let client = try StoreClient(path)
        for number in 0..<100 { try client.set("key \(number)", [UInt8](repeating: 1, count: number == 7 ? 6000 : 20)) }
        client.handle.close()
        let names = TestDirectory.filesBelow(path)
        let before = try names.map { try TestDirectory.content(path + "/" + $0) }
        let again = try StoreClient(asItIs: path)
        let open = TestDirectory.filesBelow(path)
        for (name, bytes) in zip(names, before) {
            #expect(try TestDirectory.content(path + "/" + name) == bytes, "\(name), open")
        }
        for number in 0..<100 { #expect(try again.get("key \(number)") != nil) }
        again.handle.close()
        #expect(open == names)
        #expect(TestDirectory.filesBelow(path) == names)
        for (name, bytes) in zip(names, before) {
            #expect(try TestDirectory.content(path + "/" + name) == bytes, "\(name), closed")
        }
    }
}
