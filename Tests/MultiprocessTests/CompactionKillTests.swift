import DiskCacheEngine
import TestSupport
import Testing

#if FAILPOINTS
    /// Processes killed at each point of compaction: nothing that was acknowledged is lost, nothing that was deleted comes back, and an
    /// index made again from the log says the same.
    @Suite(.serialized) struct CompactionKillTests {
        private static let points: [FaultPoint] = [
            .copied, .recordHalfCopied, .recordCopied, .slotStored, .coveredStored, .countersWritten, .committed,
            .headMoved, .floorRaised, .slotsVacated, .syncBegun, .syncDone, .segmentUnlinked, .segmentsUnlinked,
            .treesMerged, .treesRootWritten, .segmentMapped, .segmentHeaderWritten,
        ]

        private func makeStore(_ path: String) throws {
            let client = try StoreClient(path)
            try client.configure {
                $0.evictionPolicy = .none
                $0.minFileSize = 6000
            }
            client.handle.close()
        }

        /// The one that writes dies while it compacts.
        @Test func whoWritesDies() throws {
            let seed = ReplayableRandom.seed(for: "kills in compaction")
            var random = ReplayableRandom(seed: seed)
            var kills = 0
            var missed: [String] = []
            for point in Self.points {
                let scratch = try TestDirectory("compactkill")
                let path = scratch.path + "/store"
                try makeStore(path)
                for hit in [1, Int.random(in: 2...9, using: &random), Int.random(in: 10...400, using: &random)] {
                    let churn = Int.random(in: 0..<1 << 40, using: &random)
                    let child = try ChildProcess([
                        "churn", "directory=\(path)", "seed=\(churn)", "count=900", "compactEvery=100",
                        "point=\(point.rawValue)", "hit=\(hit)",
                    ])
                    let (output, end) = child.finish()
                    if end == .signalled(9) { kills += 1 } else { #expect(end == .exited(0)) }
                    if hit == 1 && end != .signalled(9) { missed.append(point.rawValue) }
                    let problems = try check(path, UInt64(churn), done: output.count / 4)
                    #expect(problems.isEmpty, "CRASH_SEED=\(seed), \(point) hit \(hit): \(problems.prefix(5))")
                    if !problems.isEmpty { return }
                    // The next one begins with an empty store: what is there isn't its own.
                    let client = try StoreClient(asItIs: path)
                    try client.clear()
                    client.handle.close()
                }
            }
            print("kills in compaction: \(kills)")
            #expect(missed.isEmpty, "never reached: \(missed)")
        }

        /// One writes; another one compacts and dies, again and again.
        @Test func whoCompactsForAnotherDies() throws {
            let seed = ReplayableRandom.seed(for: "kills of compactors")
            var random = ReplayableRandom(seed: seed)
            let scratch = try TestDirectory("compactors")
            let path = scratch.path + "/store"
            try makeStore(path)
            let churn = Int.random(in: 0..<1 << 40, using: &random)
            let writer = try ChildProcess(["churn", "directory=\(path)", "seed=\(churn)"])
            var written: [UInt8] = []
            var kills = 0
            for point in Self.points {
                for _ in 0..<3 {
                    let child = try ChildProcess([
                        "compactor", "directory=\(path)", "count=20", "point=\(point.rawValue)",
                        "hit=\(Int.random(in: 1...30, using: &random))",
                    ])
                    while !child.isReadable(seconds: 0.001) {
                        if writer.isReadable(seconds: 0.001) { written += writer.read() ?? [] }
                    }
                    let end = child.finish().end
                    if end == .signalled(9) { kills += 1 } else { #expect(end == .exited(0), "\(point)") }
                }
            }
            let (output, end) = writer.finish()
            #expect(end == .exited(0))
            written += output
            print("kills of compactors: \(kills), while \(written.count / 4) writes were done")
            #expect(kills > 0)
            let problems = try check(path, UInt64(churn), done: written.count / 4)
            #expect(problems.isEmpty, "CRASH_SEED=\(seed): \(problems.prefix(5))")
        }

        /// What the store holds after so many writes of a churn, one more allowed; then the same from the log alone.
        private func check(_ path: String, _ seed: UInt64, done: Int) throws -> [String] {
            var churn = Churn(seed: seed)
            var rows: [String: [UInt8]] = [:]
            for _ in 0..<done {
                let write = churn.next()
                rows[write.key] = write.value
            }
            let next = churn.next()
            var problems: [String] = []
            for round in ["", "rebuilt: "] {
                let client = try StoreClient(asItIs: path)
                try client.settle()
                for key in (0..<Churn.keys).map({ "key \($0)" }) {
                    let found = try client.get(key)
                    let isRight =
                        found == rows[key].map { .bytes($0) }
                        || (key == next.key && found == next.value.map { .bytes($0) })
                    if !isRight { problems.append("\(round)\(key) is wrong") }
                }
                try client.sync()
                problems += try client.findings().map { round + $0 }
                problems += try StoreCheck.problems(client.handle).map { round + $0 }
                client.handle.close()
                for name in TestDirectory.filesBelow(path) where name.hasPrefix("index.") {
                    TestDirectory.remove(path + "/" + name)
                }
            }
            return problems
        }
    }
#endif
