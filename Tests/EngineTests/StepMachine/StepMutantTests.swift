#if FAILPOINTS
    import Testing

    @testable import DiskCacheEngine

    extension StepMachineTests {
        /// Where each mutant of the models is looked for, planted in the real code.
        static let hunts: [(Mutant, StepScenario)] = [
            (.slotFirst, .rollBack), (.tailLate, .rollBack), (.tailLate, .killedTransaction),
            (.undoLate, .rollBack), (.undoLate, .killedTransaction), (.noReput, .twoWriters), (.noVoid, .rollBack),
            (.noVoid, .killedTransaction), (.noSettle, .killedTransaction), (.noReload, .blockReading),
            (.sameTail, .blockReading),
            (.shared, .twoWriters), (.wordFirst, .blockReading), (.slotBeforeRecord, .overwrite),
            (.noReread, .clearAfterSet),
            (.directoryFirst, .splitRolledBack), (.superseded, .renewal), (.superseded, .replacement),
            (.noRecheck, .twoSplits),
            (.noRoot, .doubling), (.noDepth, .twoSplits), (.early, .twoSplits), (.zeroEarly, .splitUnderReader),
            (.fillAfter, .splitUnderReader), (.recopy, .splitKilled), (.noIntent, .splitKilled),
            (.keepUnused, .rollKilled), (.copiesReplaced, .compactionOfOne), (.copyWithoutPrevious, .compaction),
            (.headBeforeCopies, .compaction), (.unlinksBeforeSync, .compaction),
            (.copiesCleared, .compactionAfterClear), (.vacatesBeforeFloor, .compactionBehindSnapshot),
            (.dropsTombstones, .compactionUnsparing), (.byMapping, .clearAndMappings),
            (.firstSlot, .clearBehindSnapshot),
        ]

        @Test(arguments: hunts.indices) func finds(_ index: Int) throws {
            let (mutant, scenario) = Self.hunts[index]
            Mutant.planted = mutant
            defer { Mutant.planted = nil }
            let result = try StepSearch(preemptions: Self.preemptions(scenario), budget: Self.budget(scenario)).search(
                scenario)
            let found = result.failure ?? "not found"
            print("step machine: \(mutant) in \(scenario.name): after \(result.runs) schedules: \(found)")
            #expect(result.failure != nil, "\(mutant) was not found in \(scenario.name)")
        }
    }
#endif
