import TestSupport
import Testing

@testable import DiskCacheEngine

#if FAILPOINTS
    /// Value files that a killed process was about to unlink are unlinked by the next one that writes.
    @Suite struct LeftFileTests {
        private func values(_ path: String) -> [String] { TestDirectory.filesBelow(path + "/files") }

        private func waitForNoOthers(_ client: StoreClient) throws {
            var found: [String] = []
            for _ in 0..<1000 {
                try client.set("small", [1])
                try client.sync()
                found = try StoreCheck.problems(client.handle, files: true)
                if found.isEmpty { break }
                SystemCalls.sleep(nanoseconds: 10_000_000)
            }
            #expect(found == [])
        }

        /// Its files were replaced, and durably so, but a snapshot was in the way.
        @Test func heldUpByASnapshot() throws {
            let seed = ReplayableRandom.seed(for: "files left for a snapshot")
            let scratch = try TestDirectory("left")
            let path = scratch.path + "/store"
            let client = try StoreClient(path, syncInterval: 1000)
            defer { client.handle.close() }
            // Else compaction would find them.
            try client.configure { $0.compaction = 0 }
            let system = SystemFiles()
            let lock = SnapshotLock(files: system, directory: try system.open(path, in: nil, [.directory]))
            let held = try #require(lock.share())
            let child = try ChildProcess([
                "write", "directory=\(path)", "seed=\(seed)", "keys=8", "clears=0", "count=1000", "interval=1000",
            ])
            var done = 0
            while done < 4000, let bytes = child.read() { done += bytes.count }
            try client.sync()
            child.kill()
            #expect(child.finish().end == .signalled(9))
            lock.end(held)
            try waitForNoOthers(client)
        }

        /// It cleared the store, and was killed before that could be seen.
        @Test func killedInAClear() throws {
            let scratch = try TestDirectory("clearkill")
            let path = scratch.path + "/store"
            var random = ReplayableRandom(seed: ReplayableRandom.seed(for: "files left by a clear"))
            var workload = Workload(seed: random.next(), writer: 0)
            while workload.operation(100).kind != .clear { workload = Workload(seed: random.next(), writer: 0) }
            let arguments = ["write", "directory=\(path)", "seed=\(workload.seed)"]
            // One large value at least.
            let first = try StoreClient(path)
            try first.set("large", [UInt8](repeating: 7, count: Workload.minFileSize))
            first.handle.close()
            let child = try ChildProcess(arguments + ["first=100", "count=1", "point=coveredStored"])
            #expect(child.finish().end == .signalled(9))
            #expect(values(path).count == 1)
            let client = try StoreClient(path)
            defer { client.handle.close() }
            try client.settle()
            #expect(try client.count() == 0)
            try client.sync()
            #expect(values(path) == [])
        }

        /// The index was made again after a restart of the machine, and with that it was to be seen what else lies there.
        @Test func killedBeforeItSwept() throws {
            let scratch = try TestDirectory("unswept")
            let path = scratch.path + "/store"
            let first = try StoreClient(path)
            for number in 0..<4 { try first.set("key \(number)", [UInt8](repeating: 7, count: Workload.minFileSize)) }
            first.handle.close()
            let kept = values(path)
            #expect(kept.count == 4)
            // What a power loss leaves of a record that was cut off.
            let stray = path + "/files/00"
            let system = SystemFiles()
            try system.makeDirectory(stray, in: nil, mode: 0o700)
            try system.makeDirectory(stray + "/11", in: nil, mode: 0o700)
            _ = try system.open(
                stray + "/11/" + String(repeating: "2", count: 28) + ".val", in: nil, [.write, .create], mode: 0o600)
            for name in TestDirectory.filesBelow(path) where name.hasPrefix("index.") {
                TestDirectory.remove(path + "/" + name)
            }
            let child = try ChildProcess([
                "write", "directory=\(path)", "seed=1", "count=0", "point=indexPublished",
            ])
            #expect(child.finish().end == .signalled(9))
            #expect(values(path).count == 5)
            let client = try StoreClient(path, syncInterval: 1000)
            defer { client.handle.close() }
            #expect(try client.handle.withStore { (store) throws(EngineError) in store.recovery } == nil)
            try waitForNoOthers(client)
            #expect(values(path) == kept)
        }
    }
#endif
