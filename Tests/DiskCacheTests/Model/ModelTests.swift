import DiskCacheEngine
import Testing

@testable import DiskCacheCore

/// Random operations on a cache and on a plain model of it.
///
/// `MODEL_SEED` replays the runs of a seed, `MODEL_OPERATIONS` sets how many operations each configuration does.
@Suite struct ModelTests {
    static let seed = environmentVariable("MODEL_SEED").flatMap { UInt64($0) } ?? UInt64.random(in: .min ... .max)

    static let configurations: [ModelConfiguration] = [
        ModelConfiguration(name: "plain", operations: 24_000),
        ModelConfiguration(
            name: "plain, on the disk", operations: 6_000, minFileSize: 1000, onDisk: true, checkEvery: 2000),
        ModelConfiguration(name: "small files", operations: 14_000, minFileSize: 40, tagIndex: true, viewLag: 0),
        ModelConfiguration(name: "everything is a file", operations: 6_000, keys: 60, minFileSize: 0),
        ModelConfiguration(name: "written, not mapped", operations: 16_000, minFileSize: 400, forcesWriting: true),
        ModelConfiguration(
            name: "long values in the log", operations: 8_000, minFileSize: 16 << 20,
            durability: DiskCacheCore.Durability.none, largeEvery: 10,
            windowSize: 64 << 20),
        ModelConfiguration(
            name: "two handles", operations: 14_000, handles: 2, minFileSize: 100,
            durability: DiskCacheCore.Durability.none, tagIndex: true, closeEvery: 30),
        ModelConfiguration(name: "many keys", operations: 16_000, keys: 20_000, minFileSize: 1000, longest: 4000),
        ModelConfiguration(
            name: "full durability", operations: 400, handles: 2, minFileSize: 60,
            durability: DiskCacheCore.Durability.full,
            onDisk: true, closeEvery: 50, checkEvery: 100),
        ModelConfiguration(
            name: "positions around 2^42", operations: 6_000, minFileSize: 300, largeEvery: 40,
            firstPosition: 4_398_046_511_104 - 196_608),
        ModelConfiguration(
            name: "positions around 2^44", operations: 6_000, minFileSize: 300, forcesWriting: true,
            firstPosition: 17_592_186_044_416 - 196_608),
    ]

    @Test(arguments: configurations)
    func cacheDoesWhatTheModelDoes(_ configuration: ModelConfiguration) throws {
        var configuration = configuration
        if let count = environmentVariable("MODEL_OPERATIONS").flatMap({ Int($0) }) { configuration.operations = count }
        print("model, \(configuration.name): MODEL_SEED=\(Self.seed)")
        let run = try ModelRun(configuration, seed: Self.seed)
        do {
            try run.run()
        } catch {
            Issue.record("MODEL_SEED=\(Self.seed), operation \(run.count): \(error)\n\(run.history)")
        }
    }
}
