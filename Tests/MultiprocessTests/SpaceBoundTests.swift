import DiskCacheEngine
import TestSupport
import Testing

#if FAILPOINTS
    /// Twice the live bytes plus three segments, with several processes that overwrite and delete, value files among it.
    @Suite(.serialized) struct SpaceBoundTests {
        @Test func fourProcessesStayWithinTheBound() throws {
            let scratch = try TestDirectory("space")
            let path = scratch.path + "/store"
            let seed = ReplayableRandom.seed(for: "space of four processes")
            var random = ReplayableRandom(seed: seed)
            let client = try StoreClient(path)
            try client.configure { $0.evictionPolicy = .none }
            let children = try (0..<4).map { _ in
                try ChildProcess(["churn", "directory=\(path)", "seed=\(Int.random(in: 0..<1 << 40, using: &random))"])
            }
            let end = monotonicSeconds() + Double(environmentNumber("SPACE_SECONDS", default: 5))
            var worst = 0.0
            var looks = 0
            while monotonicSeconds() < end {
                for child in children where child.isReadable(seconds: 0.001) { _ = child.read() }
                let excess = try SpaceBound.excess(client, path)
                worst = max(worst, excess)
                looks += 1
                if excess > 1 {
                    let figures = try SpaceBound.description(client, path)
                    Issue.record("CRASH_SEED=\(seed): \(excess) of the bound: \(figures)")
                    break
                }
            }
            for child in children { #expect(child.finish().end == .exited(0)) }
            let metrics = try client.metrics()
            print(
                "space of four processes: at most \(worst) of the bound in \(looks) looks, \(metrics.commits) commits, "
                    + "\(metrics.compactedBytes >> 20) MiB compacted")
            #expect(metrics.compactedBytes > 0)
            try client.sync()
            #expect(try client.findings() == [])
        }
    }
#endif
