#if FAILPOINTS
    import TestSupport

    @testable import DiskCacheEngine

    /// Looks for a schedule that breaks a promise: first all with few preemptions and kills, in order; then random ones.
    struct StepSearch {
        var preemptions = 2
        var kills = 1
        /// Runs in all.
        var budget: Int
        var seed: UInt64 = 1

        struct Result {
            var runs = 0
            var steps = 0
            /// Whether every schedule up to the bounds was run.
            var isExhausted = false
            var failure: String?
            var schedule: [Deviation] = []
        }

        private struct Item {
            var deviations: [Deviation]
            var preemptions: Int
            var kills: Int
        }

        func search(_ scenario: StepScenario) throws -> Result {
            let trial = try StepTrial(scenario)
            defer { trial.stop() }
            var result = Result()
            var random = ReplayableRandom(seed: seed)

            func run(_ mode: StepMachine.Mode) throws -> Bool {
                result.runs += 1
                defer { result.steps = trial.machine.totalSteps }
                guard let failure = try trial.run(mode) else { return true }
                result.failure = failure
                result.schedule = trial.machine.taken
                return false
            }

            // What the words are that several meet, a few random runs tell.
            for turn in 0..<min(24, budget / 4) {
                let mode = StepMachine.Mode.random(
                    seed: seed &* 1000 &+ UInt64(turn), rarity: 6, killRarity: 60, kills: min(kills, scenario.kills))
                if try !run(mode) { return result }
            }
            // Two thirds in order, level by level; a level that is too large is sampled.
            let ordered = budget * 2 / 3
            var level = [Item(deviations: [], preemptions: 0, kills: 0)]
            var wasCut = false
            while !level.isEmpty && result.runs < ordered {
                var next: [Item] = []
                let room = ordered - result.runs
                if level.count > room {
                    wasCut = true
                    for at in 0..<room { level.swapAt(at, at + random.below(level.count - at)) }
                    level.removeSubrange(room...)
                }
                for item in level {
                    if try !run(.replay(item.deviations)) { return result }
                    let last = item.deviations.last?.step ?? 0
                    let limit = 4 * budget
                    for choice in trial.machine.choices where choice.step > last {
                        if next.count > limit {
                            // A fair share of what doesn't fit.
                            wasCut = true
                            if !random.oneIn(4) { continue }
                            next.swapAt(random.below(next.count), next.count - 1)
                            next.removeLast()
                        }
                        if choice.others != 0, choice.isForced || item.preemptions < preemptions {
                            var mask = choice.others
                            while mask != 0 {
                                let other = mask.trailingZeroBitCount
                                mask &= mask - 1
                                next.append(
                                    Item(
                                        deviations: item.deviations + [
                                            Deviation(step: choice.step, choice: .run(other))
                                        ],
                                        preemptions: item.preemptions + (choice.isForced ? 0 : 1), kills: item.kills))
                            }
                        }
                        if choice.canDie, item.kills < min(kills, scenario.kills) {
                            let deaths: [Deviation.Choice] =
                                choice.canDieInside ? [.kill, .killInside(0), .killInside(2)] : [.kill]
                            for death in deaths {
                                next.append(
                                    Item(
                                        deviations: item.deviations + [Deviation(step: choice.step, choice: death)],
                                        preemptions: item.preemptions, kills: item.kills + 1))
                            }
                        }
                    }
                }
                level = next
            }
            result.isExhausted = level.isEmpty && !wasCut
            // The rest at random, rare switches and frequent ones.
            while result.runs < budget && !result.isExhausted {
                let rarity = [3, 10, 40][random.below(3)]
                let mode = StepMachine.Mode.random(
                    seed: random.next(), rarity: rarity, killRarity: 10 + random.below(100), kills: scenario.kills)
                if try !run(mode) { return result }
            }
            return result
        }

        /// One schedule again, step by step.
        static func replay(_ scenario: StepScenario, _ schedule: [Deviation]) throws -> (
            failure: String?, trace: [String]
        ) {
            let trial = try StepTrial(scenario)
            defer { trial.stop() }
            trial.machine.traces = true
            let failure = try trial.run(.replay(schedule))
            return (failure, trial.machine.trace)
        }
    }
#endif
