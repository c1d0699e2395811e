import TestSupport
import Testing

@testable import DiskCacheEngine

/// What compaction gives back, and what it keeps.
#if FAILPOINTS
    @Suite struct CompactionTests {
        private let scratch: TestDirectory
        private let path: String
        private let client: StoreClient
        private let seed = ReplayableRandom.seed(for: "compaction")

        init() throws {
            scratch = try TestDirectory("compaction")
            path = scratch.path + "/store"
            client = try StoreClient(path)
            try client.configure {
                $0.evictionPolicy = .none
                $0.minFileSize = 20_000
            }
        }

        private func value(_ key: Int, _ version: Int, _ size: Int) -> [UInt8] {
            var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: key ^ version), count: max(size, 16))
            withUnsafeBytes(of: (key, version)) { head in bytes.replaceSubrange(0..<16, with: head) }
            return bytes
        }

        // MARK: The bound

        /// One way to make garbage.
        enum Pattern: String, CaseIterable {
            case overwrites, hotKeys, deletes, growing, files, expiring
        }

        /// Twice the live bytes plus three segments, looked at again and again while a store is overwritten, emptied, filled.
        @Test(arguments: Pattern.allCases) func directoryStaysWithinItsBound(_ pattern: Pattern) throws {
            var random = ReplayableRandom(seed: seed)
            let count = pattern == .files ? 40 : 3000
            func size() -> Int {
                pattern == .files
                    ? Int.random(in: 15_000...40_000, using: &random) : Int.random(in: 16...400, using: &random)
            }
            for key in 0..<count { try client.set("\(key)", value(key, 0, size())) }
            var live = Set(0..<count)
            var worst = 0.0
            for round in 1...(pattern == .files ? 600 : 30_000) {
                let key: Int
                switch pattern {
                case .overwrites, .files, .expiring: key = Int.random(in: 0..<count, using: &random)
                case .hotKeys: key = Int.random(in: 0..<20, using: &random)
                case .deletes: key = round % count
                case .growing: key = Int.random(in: 0..<(count + round / 10), using: &random)
                }
                if pattern == .deletes && round / count % 2 == 0 {
                    try client.delete("\(key)")
                    live.remove(key)
                } else {
                    try client.set("\(key)", value(key, round, size()))
                    live.insert(key)
                }
                if round % 16 == 0 {
                    let excess = try SpaceBound.excess(client, path)
                    worst = max(worst, excess)
                    if excess > 1 {
                        let figures = try SpaceBound.description(client, path)
                        Issue.record("seed \(seed), \(pattern), round \(round): \(figures)")
                        return
                    }

                }
            }
            print(
                "space of \(pattern): at most \(worst) of the bound, \(try client.metrics().compactedBytes) bytes compacted"
            )
            #expect(try client.metrics().compactedBytes > 0)
            #expect(try client.count() == live.count)
            for key in live { #expect(try client.get("\(key)") != nil) }
            #expect(try client.findings() == [])
        }
    }
#endif
