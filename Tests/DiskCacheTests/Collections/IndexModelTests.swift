import DiskCacheEngine
import Testing

@testable import DiskCacheCore

/// Random operations on an index, against a list of pairs.
///
/// `MODEL_SEED` replays the runs of a seed, `MODEL_OPERATIONS` sets how many operations each configuration does.
@Suite struct IndexModelTests {
    static let seed = environmentVariable("MODEL_SEED").flatMap { UInt64($0) } ?? UInt64.random(in: .min ... .max)

    @Test func textKeys() throws {
        try check(.init(name: "texts", operations: 20_000, key: { "key \($0)" }, queueKey: { _ in nil }))
    }

    /// Where a key may be anything, items of queues are items like all others.
    @Test func keysOfAllSorts() throws {
        try check(
            .init(
                name: "all sorts", operations: 8_000,
                key: { number -> AnyCacheKey in
                    switch number % 4 {
                    case 0: .int(Int64(number))
                    case 1: .string("key \(number)")
                    case 2: .double(Double(number) / 2)
                    default: .bytes([UInt8(truncatingIfNeeded: number), UInt8(truncatingIfNeeded: number >> 8)])
                    }
                }, queueKey: { .queue($0) }))
    }

    private func check<Key>(_ configuration: IndexModelRun<Key>.Configuration) throws {
        var configuration = configuration
        if let count = environmentVariable("MODEL_OPERATIONS").flatMap({ Int($0) }) { configuration.operations = count }
        print("index, \(configuration.name): MODEL_SEED=\(Self.seed)")
        let run = try IndexModelRun(configuration, seed: Self.seed)
        do {
            try run.run()
        } catch {
            Issue.record(
                "MODEL_SEED=\(Self.seed), operation \(run.log.done): \(error)\n\(run.log.history.joined(separator: "\n"))"
            )
        }
    }
}
