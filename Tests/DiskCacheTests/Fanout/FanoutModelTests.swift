import DiskCacheEngine
import Testing

@testable import DiskCacheCore

/// Random operations on a cache of several shards and on a plain model of it. `MODEL_SEED` replays a run, `MODEL_OPERATIONS` sets its
/// length.
@Suite struct FanoutModelTests {
    @Test(arguments: [(8, 1, 8000), (3, 2, 5000), (1, 1, 2000), (17, 1, 2000)])
    func aFanoutCacheDoesWhatTheModelDoes(shards: Int, handles: Int, operations: Int) throws {
        let operations = environmentVariable("MODEL_OPERATIONS").flatMap { Int($0) } ?? operations
        print("model, \(shards) shards: MODEL_SEED=\(ModelTests.seed)")
        let run = try FanoutModelRun(seed: ModelTests.seed, shards: shards, handles: handles)
        do {
            try run.run(operations)
        } catch {
            Issue.record("MODEL_SEED=\(ModelTests.seed), operation \(run.count): \(error)\n\(run.history)")
        }
    }
}
