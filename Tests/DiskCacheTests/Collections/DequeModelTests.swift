import DiskCacheEngine
import Testing

@testable import DiskCacheCore

/// Random operations on a deque, against Swift's `Array`.
///
/// `MODEL_SEED` replays the runs of a seed, `MODEL_OPERATIONS` sets how many operations each configuration does.
@Suite struct DequeModelTests {
    static let seed = environmentVariable("MODEL_SEED").flatMap { UInt64($0) } ?? UInt64.random(in: .min ... .max)

    static let configurations: [DequeModelRun.Configuration] = [
        .init(name: "short", length: 12),
        .init(name: "long", operations: 6_000, length: 300),
        .init(name: "many in files", operations: 2_000, length: 15, files: 2),
    ]

    @Test(arguments: configurations)
    func aDequeDoesWhatAnArrayDoes(_ configuration: DequeModelRun.Configuration) throws {
        var configuration = configuration
        if let count = environmentVariable("MODEL_OPERATIONS").flatMap({ Int($0) }) { configuration.operations = count }
        print("deque, \(configuration.name): MODEL_SEED=\(Self.seed)")
        let run = try DequeModelRun(configuration, seed: Self.seed)
        do {
            try run.run()
        } catch {
            Issue.record(
                "MODEL_SEED=\(Self.seed), operation \(run.log.done): \(error)\n\(run.log.history.joined(separator: "\n"))"
            )
        }
    }
}
