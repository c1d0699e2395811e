import DiskCacheEngine
import TestSupport
import Testing

#if FAILPOINTS

    /// T2: processes that kill themselves at each named point of the engine, the first time it is reached, the second, and some
    /// later time; and, T2b, others that die while they settle or rebuild what those left.
    @Suite(.serialized) struct FaultPointTests {
        /// What a child does so that it gets to a point.
        enum Scenario: String, CaseIterable {
            /// Sets, deletes, transactions, large values, clears, syncs, and an orderly end.
            case work
            /// Thousands of keys: pages split, the directory doubles, segments follow one another.
            case growth
            /// A directory in which nothing is yet.
            case creation
            /// The index is gone.
            case rebuild
            /// The index is of another boot.
            case reboot
            /// A maintenance thread that is always busy.
            case maintenance
        }

        static func scenarios(_ point: FaultPoint) -> [Scenario] {
            // Where orders are read: `OrderKillTests`.
            if point.rawValue.hasPrefix("trees") { return [] }
            // So have backups (`BackupProcessTests`).
            if point.rawValue.hasPrefix("backup") { return [] }
            // So has the segment that is made ahead (`NextSegmentKillTests`).
            if point == .nextFilled || point == .nextPlaced { return [] }
            // So have queues (`QueueProcessTests`).
            if point == .queueItemsWritten || point == .pushersSignalled { return [] }
            switch point {
            // Eviction has its own.
            case .stampsCreated, .stampsWritten, .stampsCarried, .cullBegun, .victimRemoved, .copied, .headMoved,
                .floorRaised, .slotsVacated:
                return []
            // Recovery's (`RecoveryKillTests`); a hint that is cut short is believed no more than a damaged one (`HintTests`).
            case .storedAnew, .poisonLifted, .sealBelieved, .hintWritten: return []
            case .splitFilled, .splitIntentStored, .splitEntryStored, .splitEntriesStored, .splitSpareStored,
                .splitDone,
                .directoryFilled, .directoryDoubled:
                return [.growth]
            case .metaWritten, .metaRenamed: return [.creation]
            case .indexCreated, .indexFilled, .indexPublished: return [.creation, .rebuild, .reboot]
            case .rebuildScanned, .rebuildSegmentWritten: return [.rebuild, .reboot]
            case .segmentUnlinked, .segmentsUnlinked, .deadFileUnlinked: return [.maintenance]
            case .segmentHeaderWritten: return [.growth, .work]
            case .syncBegun, .syncDone: return [.work, .maintenance]
            // Two processes' ends of a settling, which `secondKills` gets to.
            case .transactionRedone: return []
            default: return [.work]
            }
        }

        @Test func atEachPoint() throws {
            let seed = ReplayableRandom.seed(for: "kills at fault points")
            var random = ReplayableRandom(seed: seed)
            var kills = 0
            var missed: [String] = []
            for point in FaultPoint.allCases {
                for scenario in Self.scenarios(point) {
                    let site = try KillSite(seed: random.next(), random: &random, keys: scenario == .growth ? 3000 : 48)
                    site.grows = scenario == .growth
                    let hits = [1, 2, Int.random(in: 3...20, using: &random), Int.random(in: 3...60, using: &random)]
                    for hit in hits {
                        let before = site.kills
                        try site.killAt(point, hit: hit, scenario)
                        kills += site.kills - before
                        if site.kills == before && hit == 1 { missed.append("\(scenario) \(point)") }
                        if !site.problems.isEmpty {
                            Issue.record(
                                "seed \(seed), \(point) hit \(hit), \(scenario):\n\(site.problems.joined(separator: "\n"))"
                            )
                            return
                        }
                    }
                }
            }
            print("kills at fault points: \(kills)")
            #expect(missed.isEmpty, "never reached: \(missed)")
        }

        /// T2b: one process dies in a commit, the next one in the settling of that, the third looks.
        @Test func secondKills() throws {
            let seed = ReplayableRandom.seed(for: "second kills")
            var random = ReplayableRandom(seed: seed)
            let firsts: [FaultPoint] = [
                .recordHalfCopied, .recordCopied, .slotStored, .coveredStored, .countersWritten, .committed, .undoSlot,
                .undoSlots,
                .voidWritten, .segmentHeaderWritten, .segmentMapped, .splitFilled, .splitIntentStored,
                .splitEntryStored,
                .splitEntriesStored, .splitSpareStored, .valueFileRenamed,
            ]
            let seconds: [FaultPoint] = [
                .lockTaken, .settleBegun, .undoSlot, .undoSlots, .voidWritten, .transactionRedone, .slotStored,
                .coveredStored,
                .countersWritten, .committed, .settleFinished, .segmentHeaderWritten,
            ]
            let repairs: [FaultPoint] = [
                .lockTaken, .splitEntryStored, .splitEntriesStored, .splitSpareStored, .splitDone, .settleFinished,
            ]
            var kills = 0
            var reached: Set<String> = []
            for first in firsts {
                let isSplit = "\(first)".hasPrefix("split")
                let site = try KillSite(seed: random.next(), random: &random, keys: isSplit ? 3000 : 48)
                site.grows = isSplit
                for second in isSplit ? repairs : seconds {
                    let before = site.kills
                    try site.killAt(
                        first, hit: Int.random(in: 1...(isSplit ? 2 : 30), using: &random), isSplit ? .growth : .work,
                        second)
                    kills += site.kills - before
                    if site.kills - before == 2 { reached.insert("\(second)") }
                    if !site.problems.isEmpty {
                        Issue.record("seed \(seed), \(first) then \(second):\n\(site.problems.joined(separator: "\n"))")
                        return
                    }
                }
            }
            print("second kills: \(kills) kills, second ones at \(reached.sorted())")
            #expect(
                reached.contains("transactionRedone") && reached.contains("undoSlots") && reached.contains("splitDone"))
        }
    }

    extension KillSite {
        /// A child that dies at a point, and perhaps another one that dies at a second point while it settles.
        func killAt(
            _ point: FaultPoint, hit: Int, _ scenario: FaultPointTests.Scenario, _ second: FaultPoint? = nil
        ) throws {
            if scenario == .creation { forget() }
            if point == .sealCleared { try seedIfEmpty() }
            if scenario == .reboot {
                // Without the seal the index of another boot isn't believed.
                try seedIfEmpty(["boot=\(kills) \(hit)"])
                try clearSeal()
            }
            if scenario == .rebuild {
                try seedIfEmpty()
                for name in TestDirectory.filesBelow(path) where name.hasPrefix("index.") {
                    TestDirectory.remove(path + "/" + name)
                }
            }
            let workload = workload(writer: 0, clears: true)
            let count = scenario == .growth ? 700 : scenario == .maintenance ? 2500 : 250
            var more = ["point=\(point.rawValue)", "hit=\(hit)", "close=1"]
            if scenario == .maintenance { more.append("interval=1000") }
            let child = try start(workload, count: count, more)
            finish(child, workload, count: count)
            if let second {
                // It settles by its first write, which changes nothing that the model knows of.
                let settler = try ChildProcess(["settle", "directory=\(path)", "point=\(second.rawValue)"])
                finish(settler, workload, count: 0)
            }
            verify(nil)
        }
    }
#endif
