import DiskCacheEngine
import Testing

@testable import DiskCacheCore

/// Random operations on queues, against an exact model of DiskCache's rules.
///
/// `MODEL_SEED` replays the runs of a seed, `MODEL_OPERATIONS` sets how many operations each configuration does.
@Suite struct QueueModelTests {
    static let seed = environmentVariable("MODEL_SEED").flatMap { UInt64($0) } ?? UInt64.random(in: .min ... .max)

    static let configurations: [QueueModelRun.Configuration] = [
        .init(name: "all prefixes", operations: 20_000),
        .init(name: "one queue", operations: 12_000, prefixes: [nil]),
        .init(name: "everything is a file", operations: 3_000, prefixes: [nil, "a"], minFileSize: 0, isShort: true),
        .init(name: "written, not mapped", operations: 10_000, prefixes: ["a", "a-5"], forcesWriting: true),
    ]

    @Test(arguments: configurations)
    func queuesDoWhatTheModelDoes(_ configuration: QueueModelRun.Configuration) throws {
        var configuration = configuration
        if let count = environmentVariable("MODEL_OPERATIONS").flatMap({ Int($0) }) { configuration.operations = count }
        print("queues, \(configuration.name): MODEL_SEED=\(Self.seed)")
        let run = try QueueModelRun(configuration, seed: Self.seed)
        do {
            try run.run()
        } catch {
            Issue.record(
                "MODEL_SEED=\(Self.seed), operation \(run.done): \(error)\n\(run.history.joined(separator: "\n"))")
        }
    }
}
