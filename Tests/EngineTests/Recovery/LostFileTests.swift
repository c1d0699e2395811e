import TestSupport
import Testing

@testable import DiskCacheEngine

/// A power loss may take any of the value files that no sync has passed: the store comes back as of the last commit all of whose rows
/// have theirs.
@Suite struct LostFileTests {
    private struct Row: Equatable {
        let value: [UInt8]
        let file: String?
    }

    /// `CRASH_SEED` replays.
    @Test func theLastCommitThatIsWhole() throws {
        let seed = ReplayableRandom.seed(for: "lost value files")
        var random = ReplayableRandom(seed: seed)
        var cuts = Set<Int>()
        for round in 0..<60 {
            let scratch = try TestDirectory("lostfiles")
            let path = scratch.path + "/store"
            let states = try write(path, &random)
            let lost = Int.random(in: 1...3, using: &random)
            for name in TestDirectory.filesBelow(path + "/files") where Int.random(in: 0..<8, using: &random) < lost {
                TestDirectory.remove(path + "/files/" + name)
            }
            let left = Set(TestDirectory.filesBelow(path + "/files"))
            let whole = try #require(
                states.indices.last { states[$0].values.allSatisfy { $0.file.map { left.contains($0) } ?? true } })
            var environment = Environment.system
            environment.bootIdentity = { "another" }
            let client = try StoreClient(asItIs: path, environment: environment)
            #expect(try client.count() == states[whole].count, "seed \(seed), round \(round)")
            for (key, row) in states[whole] {
                #expect(try client.get(key) == .bytes(row.value), "seed \(seed), round \(round)")
            }
            client.handle.close()
            cuts.insert(states.count - whole)
        }
        #expect(cuts.count > 5)
    }

    /// Writes and syncs nothing; what the store holds after each commit.
    private func write(_ path: String, _ random: inout ReplayableRandom) throws -> [[String: Row]] {
        let client = try StoreClient(path, durability: .none)
        defer { client.handle.close() }
        // That would sync.
        try client.configure { $0.compaction = 0 }
        var rows: [String: Row] = [:]
        var states = [rows]
        for number in 0..<60 {
            let key = "key \(Int.random(in: 0..<6, using: &random))"
            switch Int.random(in: 0..<20, using: &random) {
            case 0:
                try client.clear()
                rows = [:]
            case 1...2:
                try client.delete(key)
                rows[key] = nil
            case 3...4:
                let other = "key \(Int.random(in: 0..<6, using: &random))"
                try client.handle.withStoreThrowing { store in
                    try store.transact(timeout: StoreClient.timeout) {
                        if number % 4 == 0 {
                            try client.clear()
                            rows = [:]
                        }
                        for key in [key, other] { rows[key] = try set(key, number, isLarge: true, client) }
                    }
                }
            default: rows[key] = try set(key, number, isLarge: Bool.random(using: &random), client)
            }
            states.append(rows)
        }
        return states
    }

    private func set(_ key: String, _ number: Int, isLarge: Bool, _ client: StoreClient) throws -> Row {
        let value = TestValue.make(
            key: key, writer: 0, index: number, part: 0, size: isLarge ? Workload.minFileSize : 50)
        try client.set(key, value)
        guard isLarge else { return Row(value: value, file: nil) }
        let name = try client.handle.withStoreThrowing { store in
            try StoreClient.withBytes(Array(key.utf8)) { (bytes) throws(EngineError) in
                try store.write(timeout: StoreClient.timeout) { () throws(EngineError) in
                    try store.findAsWriter(KeyClass.text, bytes).flatMap { ValueFileReference($0.value)?.name.path }
                }
            }
        }
        return Row(value: value, file: try #require(name).split(separator: "/").dropFirst().joined(separator: "/"))
    }
}
