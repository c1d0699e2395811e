import DiskCacheEngine
import TestSupport
import Testing

/// Processes side by side on one store.
@Suite(.serialized) struct ContentionTests {
    /// Eight processes count in one counter: none of the additions is lost, and none of the processes starves (P45), for each goes on
    /// until all have had their turns.
    @Test func eightProcessesCount() throws {
        let scratch = try TestDirectory("count")
        let path = scratch.path + "/store"
        let client = try StoreClient(path)
        let witness = scratch.path + "/witness"
        let words = try WitnessFile(witness)
        let children = try (0..<8).map {
            try ChildProcess(["increment", "directory=\(path)", "witness=\(witness)", "number=\($0)"])
        }
        for child in children { #expect(child.line() == "ready") }
        let deadline = monotonicSeconds() + 60
        while (0..<8).contains(where: { words[$0] < 500 }), monotonicSeconds() < deadline {
            pass(microseconds: 1000)
        }
        for child in children { child.release() }
        let counts = children.map { Int($0.line() ?? "") ?? -1 }
        for child in children { #expect(child.finish().end == .exited(0)) }
        #expect(try client.get("counter") == .integer(Int64(counts.reduce(0, +))))
        let (least, most) = (counts.min() ?? 0, counts.max() ?? 0)
        let ratio = Double(most) / Double(max(least, 1))
        print("eight processes counted \(counts), \(counts.reduce(0, +)) in all, one \(ratio) times as far as another")
        #expect(least >= 500, "\(counts)")
    }

    /// Two processes read while a third one writes keys from nothing to `GROWTH` (200,000): no key that is there is missed, none
    /// has another's value.
    @Test func readersWhileTheIndexGrows() throws {
        let scratch = try TestDirectory("grow")
        let path = scratch.path + "/store"
        let client = try StoreClient(path)
        let count = environmentNumber("GROWTH", default: 200_000)
        let seed = ReplayableRandom.seed(for: "readers while the index grows")
        let readers = try (0..<2).map {
            try ChildProcess(["readers", "directory=\(path)", "seed=\((seed &+ UInt64($0)) & 0xFFFF_FFFF)"])
        }
        let writer = try ChildProcess(["grow", "directory=\(path)", "count=\(count)"])
        #expect(writer.line(seconds: 300) == "written")
        #expect(writer.finish().end == .exited(0))
        var reads: [Int] = []
        for reader in readers {
            reader.release()
            let line = reader.line() ?? "nothing"
            #expect(Int(line) != nil, "\(line)")
            reads.append(Int(line) ?? 0)
            #expect(reader.finish().end == .exited(0))
        }
        print("readers made \(reads) reads while \(count) keys came")
        #expect(try client.count() == count + 1)
        #if FAILPOINTS
            #expect(try StoreCheck.problems(client.handle).isEmpty)
        #endif
    }

    /// The error of a lock that isn't to be had names the process that has it (T16), comes in time, and costs nothing.
    @Test func lockTimeoutNamesTheOwner() throws {
        let scratch = try TestDirectory("hold")
        let path = scratch.path + "/store"
        let client = try StoreClient(path, timeout: StoreClient.timeout)
        try client.set("before", [1])
        let holder = try ChildProcess(["hold", "directory=\(path)"])
        #expect(holder.line() == "held")
        let begun = monotonicSeconds()
        var failure: EngineError?
        do throws(EngineError) {
            try client.handle.withStore { (store) throws(EngineError) in
                try store.write(timeout: 200_000_000) { () throws(EngineError) in }
            }
        } catch {
            failure = error
        }
        let waited = monotonicSeconds() - begun
        #expect(failure?.code == .timeout)
        #expect(failure?.message.contains("\(holder.id)") == true, "\(failure?.message ?? "")")
        #expect(failure?.path != nil)
        #expect(waited > 0.15 && waited < 10)
        #expect(try client.get("before") == .bytes([1]))
        #expect(try client.get("held") == nil)
        // Opening takes the lock, too.
        let opener = try ChildProcess(["open", "directory=\(path)", "timeout=200"])
        #expect(opener.line()?.contains("timeout") == true)
        #expect(opener.finish().end == .exited(3))
        holder.release()
        #expect(holder.finish().end == .exited(0))
        try client.set("after", [2])
        #expect(try client.get("held") == .bytes([1]))
    }

    /// T16: a killed holder's lock is free at once.
    @Test func lockOfKilledHolder() throws {
        let scratch = try TestDirectory("held")
        let path = scratch.path + "/store"
        let client = try StoreClient(path)
        for _ in 0..<20 {
            let holder = try ChildProcess(["hold", "directory=\(path)"])
            #expect(holder.line() == "held")
            holder.kill()
            #expect(holder.finish().end == .signalled(9))
            try client.set("key", [1])
            #expect(try client.get("held") == nil)
        }
    }

    /// P27: parent and child of a fork use the store by the same handle.
    @Test func forkedChildUsesTheStore() throws {
        let scratch = try TestDirectory("fork")
        let child = try ChildProcess(["fork", "directory=\(scratch.path)/store"])
        let result = child.finish()
        let text = String(decoding: result.output, as: UTF8.self)
        #expect(result.end == .exited(0))
        #expect(text == "child 0\nboth integer 400\n", "\(text)")
    }

    /// P27: a child that does nothing doesn't keep the lock of its parent, which died while it had that.
    @Test func forkedChildDoesNothing() throws {
        let scratch = try TestDirectory("idlefork")
        let path = scratch.path + "/store"
        let parent = try ChildProcess(["idlefork", "directory=\(path)"])
        #expect(parent.line() == "forked")
        let client = try StoreClient(path)
        try client.set("after", [2])
        #expect(try client.get("before") == .bytes([1]))
        #expect(try client.get("unfinished") == nil)
        #expect(parent.finish().end == .signalled(9))
    }

    /// A store that couldn't be opened leaves nothing behind that a fork would close in the child.
    @Test func forkAfterFailedOpenings() throws {
        let scratch = try TestDirectory("failedfork")
        let path = scratch.path + "/store"
        try SystemFiles().makeDirectory(path, in: nil, mode: 0o700)
        try SystemFiles().makeDirectory(path + "/meta", in: nil, mode: 0o700)
        let child = try ChildProcess(["failedfork", "directory=\(path)"])
        let result = child.finish()
        let text = String(decoding: result.output, as: UTF8.self)
        #expect(result.end == .exited(0))
        #expect(text == "20 failures\n0 changed\n", "\(text)")
    }
}
