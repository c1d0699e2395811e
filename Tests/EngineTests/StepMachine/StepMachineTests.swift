import Testing

@testable import DiskCacheEngine

@Suite(.serialized) struct StepMachineTests {
    @Test(arguments: StepScenario.all.map(\.name)) func holds(_ name: String) throws {
        let scenario = StepScenario.all.first { $0.name == name }!
        let begun = SystemCalls.monotonicClock()
        let result = try StepSearch(budget: Int(SystemCalls.environment("BUDGET") ?? "") ?? 1500).search(scenario)
        print("== \(name): \(result.runs) runs, \(result.steps / max(1, result.runs)) steps each, exhausted \(result.isExhausted), \(Double(SystemCalls.monotonicClock() - begun) / 1e9) s")
        if let failure = result.failure {
            print("   FAILS: \(failure)\n   \(result.schedule)")
            let again = try StepSearch.replay(scenario, result.schedule)
            print("   again: \(again.failure ?? "holds") \n", again.trace.suffix(Int(SystemCalls.environment("TRACE") ?? "") ?? 5).joined(separator: "\n"))
        }
        #expect(result.failure == nil)
    }
}
