import Testing

@testable import DiskCacheEngine

@Suite(.serialized) struct StepMachineTests {
    static let overwrite = StepScenario(
        name: "overwrite", keys: [1, 2], setup: [.set(1), .set(2)],
        actors: [[.set(1), .set(1)], [.get(1), .get(1)]], kills: 1)

    @Test func overwriting() throws {
        let begun = SystemCalls.monotonicClock()
        let result = try StepSearch(budget: 2000).search(Self.overwrite)
        print("overwrite", result, Double(SystemCalls.monotonicClock() - begun) / 1e9)
        #expect(result.failure == nil)
    }
}
