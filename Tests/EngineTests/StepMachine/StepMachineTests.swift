#if FAILPOINTS
    import Synchronization
    import Testing

    @testable import DiskCacheEngine

    /// The protocols of DESIGN 4, 5, 7.1 and 8 in the real code, at every interleaving that there is time for.
    ///
    /// `DISKCACHE_STEP_FACTOR=20` searches twenty times as far. A failure tells the schedule; `StepSearch.replay` runs it again.
    @Suite(.serialized) struct StepMachineTests {
        private static let factor = Int(SystemCalls.environment("DISKCACHE_STEP_FACTOR") ?? "") ?? 1
        private static let schedules = Atomic<Int>(0)

        /// What is searched in CI. A planted mutant must be found within as much.
        static func budget(_ scenario: StepScenario) -> Int {
            scenario.makesFiles ? 400 : scenario.movesPages ? 1000 : 9500
        }

        static func preemptions(_ scenario: StepScenario) -> Int { scenario.movesPages ? 2 : 3 }

        private static func check(_ scenario: StepScenario, _ search: StepSearch) throws -> StepSearch.Result {
            let result = try search.search(scenario)
            let sum = schedules.add(result.runs, ordering: .relaxed).newValue
            let extent = result.isExhausted ? ", all" : ""
            print("step machine: \(scenario.name): \(result.runs) schedules\(extent); \(sum) so far")
            if let failure = result.failure {
                let again = try StepSearch.replay(scenario, result.schedule)
                Issue.record(
                    """
                    \(scenario.name), seed \(search.seed): \(failure)
                    schedule \(result.schedule)
                    \(again.trace.suffix(60).joined(separator: "\n"))
                    """)
            }
            return result
        }

        /// Few preemptions and kills in order, then random schedules.
        @Test(arguments: StepScenario.all.indices) func holds(_ index: Int) throws {
            let scenario = StepScenario.all[index]
            _ = try Self.check(
                scenario,
                StepSearch(
                    preemptions: Self.preemptions(scenario), budget: Self.budget(scenario) * Self.factor,
                    seed: UInt64(index + 1)))
        }

        /// A kill at every store of a writer, and at every store of who settles after it.
        @Test(arguments: StepScenario.killings.indices) func settles(_ index: Int) throws {
            let result = try Self.check(
                StepScenario.killings[index], StepSearch(preemptions: 0, kills: 2, budget: 60_000, seed: 1))
            #expect(result.isExhausted)
        }
    }
#endif
