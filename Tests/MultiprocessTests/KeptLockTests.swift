import TestSupport
import Testing

@testable import DiskCacheEngine

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The write lock, kept between writes by a process that is alone (DESIGN 7.1): nobody is kept out by it for longer than a moment.
@Suite(.serialized) struct KeptLockTests {
    private let scratch: TestDirectory
    private let path: String
    private let files = SystemFiles()

    init() throws {
        scratch = try TestDirectory("kept")
        path = scratch.path + "/store"
    }

    /// As another process that only asks the kernel, without a knock; whether it got the lock.
    private func triesTheLock() throws -> Bool {
        let file = try files.open(path + "/lock", in: nil, [.write])
        guard try files.lock(file, .exclusive) else { return false }
        _ = try files.lock(file, .unlock)
        return true
    }

    /// Writes back to back until the lock is kept between two of them.
    private func writeUntilKept(_ client: StoreClient) throws {
        let deadline = monotonicSeconds() + 60
        repeat {
            for _ in 0..<20 { try client.add("counter", 1) }
            if try !triesTheLock() { return }
        } while monotonicSeconds() < deadline
        Issue.record("the lock was never kept")
    }

    private func becomesFree() throws -> Bool { try becomes(free: true) }

    /// Whether the lock is found free, or taken, before a minute has passed.
    private func becomes(free wanted: Bool) throws -> Bool {
        let deadline = monotonicSeconds() + 60
        while monotonicSeconds() < deadline {
            if try triesTheLock() == wanted { return true }
            pass(microseconds: 200)
        }
        return false
    }

    @Test func anIdleKeeperLetsGo() throws {
        let client = try StoreClient(path)
        for _ in 0..<5 {
            try writeUntilKept(client)
            #expect(try becomesFree())
        }
        try writeUntilKept(client)
        client.handle.close()
        #expect(try triesTheLock())
    }

    @Test func itIsNotKeptWhereThatIsOff() throws {
        var options = StoreOptions()
        options.keepsLock = false
        let client = StoreClient(try StoreHandle(directory: path, options: options))
        // Compaction takes the lock for moments too.
        try client.configure { $0.compaction = 0 }
        for _ in 0..<500 {
            for _ in 0..<20 { try client.add("counter", 1) }
            #expect(try triesTheLock())
        }
    }

    /// A handle that wants no kept lock is enough for all of a process.
    @Test func oneHandleTurnsItOff() throws {
        let client = try StoreClient(path)
        // Compaction takes the lock for moments too.
        try client.configure { $0.compaction = 0 }
        try writeUntilKept(client)
        var options = StoreOptions()
        options.keepsLock = false
        let other = try StoreHandle(directory: path, options: options)
        for _ in 0..<200 {
            for _ in 0..<20 { try client.add("counter", 1) }
            #expect(try triesTheLock())
        }
        other.close()
    }

    /// Who can't knock finds the lock free now and then, though the keeper writes all the time.
    @Test func whoCannotKnockGetsInToo() throws {
        let client = try StoreClient(path)
        let writer = try ChildProcess(["increment", "directory=\(path)"])
        #expect(writer.line() == "ready")
        for _ in 0..<10 {
            try #require(try becomes(free: false))
            try #require(try becomes(free: true))
        }
        writer.release()
        let count = Int64(writer.line() ?? "") ?? -1
        #expect(writer.finish().end == .exited(0))
        #expect(try client.get("counter") == .integer(count))
    }

    @Test func aWriterBesideABusyKeeperGetsItsTurns() throws {
        let client = try StoreClient(path)
        let writer = try ChildProcess(["increment", "directory=\(path)"])
        #expect(writer.line() == "ready")
        for _ in 0..<200 {
            try client.add("counter", 1)
            pass(microseconds: 500)
        }
        // Opening takes the lock, and knocks.
        for _ in 0..<3 {
            let opener = try ChildProcess(["open", "directory=\(path)"])
            #expect(opener.line() == "count 1")
            #expect(opener.finish().end == .exited(0))
        }
        writer.release()
        let count = Int64(writer.line() ?? "") ?? -1
        #expect(writer.finish().end == .exited(0))
        #expect(try client.get("counter") == .integer(count + 200))
    }

    @Test func aKilledKeeperHoldsNothing() throws {
        let client = try StoreClient(path)
        for _ in 0..<20 {
            let writer = try ChildProcess(["increment", "directory=\(path)"])
            #expect(writer.line() == "ready")
            // Its writes are seen here, so it writes back to back by now.
            let begun = try client.get("counter")
            let deadline = monotonicSeconds() + 60
            while try client.get("counter") == begun, monotonicSeconds() < deadline { pass(microseconds: 100) }
            writer.kill()
            #expect(writer.finish().end == .signalled(SIGKILL))
            #expect(try triesTheLock())
            try client.add("counter", 1)
        }
        #if FAILPOINTS
            #expect(try StoreCheck.problems(client.handle).isEmpty)
        #endif
    }

    /// A stopped keeper blocks writers, who are told by whom; readers go on, and so does everybody when it goes on.
    @Test func aStoppedKeeperBlocksWritersAlone() throws {
        let client = try StoreClient(path)
        try client.set("before", [1])
        let writer = try ChildProcess(["increment", "directory=\(path)"])
        #expect(writer.line() == "ready")
        var own: Int64 = 0
        var refusals = 0
        let deadline = monotonicSeconds() + 60
        while refusals < 3, monotonicSeconds() < deadline {
            pass(microseconds: 20_000)
            writer.signal(SIGSTOP)
            do throws(EngineError) {
                try client.handle.withStore { (store) throws(EngineError) in
                    try store.write(timeout: 100_000_000) { () throws(EngineError) in
                        try client.add("counter", 1)
                    }
                }
                own += 1
            } catch {
                #expect(error.code == .timeout && error.message.contains("\(writer.id)"), "\(error.message)")
                refusals += 1
            }
            #expect(try client.get("before") == .bytes([1]))
            writer.signal(SIGCONT)
        }
        #expect(refusals > 0)
        try client.add("counter", 1)
        writer.release()
        let count = Int64(writer.line() ?? "") ?? -1
        #expect(writer.finish().end == .exited(0))
        #expect(try client.get("counter") == .integer(count + own + 1))
    }

    /// A child that is forked while the lock is kept neither has it nor frees it.
    @Test func aForkWhileTheLockIsKept() throws {
        let child = try ChildProcess(["keptfork", "directory=\(path)"])
        #expect(child.line(seconds: 120) == "8000")
        #expect(child.finish().end == .exited(0))
        #expect(try StoreClient(asItIs: path).get("counter") == .integer(8000))
    }
}
