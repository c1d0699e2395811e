import TestSupport
import Testing

@testable import DiskCacheEngine

#if FAILPOINTS
    /// Orders of a store whose trees end before rows that compaction has copied since, though the head has moved behind the originals. Who then asks
    /// for another order builds its tree from the head on: that isn't all as of where the other trees end.
    @Suite struct CopiedRowsInTreesTests {
        private let scratch: TestDirectory
        private let path: String

        init() throws {
            scratch = try TestDirectory("copied-rows")
            path = scratch.path + "/store"
        }

        private func value(_ key: Int) -> [UInt8] { [UInt8](repeating: UInt8(truncatingIfNeeded: key), count: 100) }

        private func open(_ environment: Environment) throws -> StoreClient {
            let client = try StoreClient(path, environment: environment, viewLag: 1)
            try client.configure {
                $0.evictionPolicy = .none
                $0.compaction = 0
            }
            return client
        }

        /// 500 rows in segments that hold nothing else that counts, and 1000 behind them.
        private func fill(_ client: StoreClient) throws -> [String] {
            var keys: [String] = []
            for number in 0..<500 {
                keys.append("old \(number)")
                try client.set("old \(number)", value(number))
            }
            keys.append("often")
            for number in 0..<5000 { try client.set("often", value(number)) }
            try client.handle.withStoreThrowing { store in try store.beginSegment() }
            return try keys + add(1000, "behind", client)
        }

        private func add(_ count: Int, _ name: String, _ client: StoreClient) throws -> [String] {
            try (0..<count).map { number in
                try client.set("\(name) \(number)", value(number))
                return "\(name) \(number)"
            }
        }

        /// Another segment, and one round: copies the old rows.
        private func compactFirst(_ client: StoreClient) throws {
            try client.handle.withStoreThrowing { store in
                try store.beginSegment()
                let gained = try store.compactOneRound(copying: .max)
                #expect(gained != nil)
            }
        }

        private func end(_ client: StoreClient) throws -> (trees: Position, head: Position) {
            try client.handle.withStoreThrowing { store in
                let pager = try #require(
                    try store.views.locked { () throws(EngineError) in try store.views.currentPager(store) })
                return (try pager.fileRoot().position, store.block.read().head)
            }
        }

        private func expectAll(_ keys: [String], _ client: StoreClient) throws {
            // What was copied keeps its place.
            #expect(try client.keys(.insertion) == keys)
            #expect(try client.keys(.key) == keys.sorted())
            #expect(try client.findings() == [])
        }

        /// Another boot goes back to the root that is on the disk.
        @Test func anotherBoot() throws {
            var environment = Environment.system
            environment.bootIdentity = { "first" }
            var client = try open(environment)
            var keys = try fill(client)
            #expect(try client.keys(.key).count == keys.count)
            try client.sync()
            try client.handle.withStoreThrowing { store in try store.maintainTrees() }
            let synced = try end(client).trees
            try client.configure { $0.durability = .none }
            keys += try add(20_000, "far behind", client)
            try compactFirst(client)
            client.handle.close()
            environment.bootIdentity = { "second" }
            client = try open(environment)
            #expect(try end(client).trees == synced, "the test tests nothing")
            #expect(try end(client).head < synced, "the test tests nothing")
            try expectAll(keys, client)
        }

        /// The trees can't be brought past the copies, nor can an empty file take their place.
        @Test func aFullDisk() throws {
            let files = FailingFiles()
            var environment = Environment.system
            environment.files = files
            let client = try open(environment)
            var keys = try fill(client)
            #expect(try client.keys(.key).count == keys.count)
            let before = try end(client)
            keys += try add(20_000, "far behind", client)
            files.fail { _, call in call == "allocate trees" ? ErrorNumber.noSpace : nil }
            try compactFirst(client)
            files.fail { _, _ in nil }
            let after = try end(client)
            #expect(after.trees == before.trees && after.head > before.head, "the test tests nothing")
            try expectAll(keys, client)
        }
    }
#endif
