import DiskCacheEngine
import TestSupport
import Testing

#if FAILPOINTS

    /// T2b, P12: a process is killed inside a recovery, the next one inside the recovery that follows, and the third finds everything.
    /// By default each point once as the first and once as the second; `RECOVERY_KILLS=1`: all pairs.
    @Suite(.serialized) struct RecoveryKillTests {
        enum Recovery: String, CaseIterable {
            /// The index is gone.
            case rebuild
            /// Another boot, without a seal.
            case reboot
            /// Another boot, with one.
            case sealed
            /// A sync had failed.
            case cure
        }

        private static func points(_ recovery: Recovery) -> [FaultPoint] {
            let rebuild: [FaultPoint] = [
                .indexCreated, .rebuildScanned, .indexFilled, .rebuildSegmentWritten, .coveredStored, .countersWritten,
                .committed, .indexPublished, .settleBegun, .settleFinished,
            ]
            let segment: [FaultPoint] = [.segmentCreated, .segmentHeaderWritten, .segmentMapped]
            switch recovery {
            case .rebuild: return [.lockTaken] + rebuild
            case .reboot: return rebuild + segment
            case .sealed: return segment + [.sealBelieved, .sealCleared, .settleBegun, .settleFinished]
            case .cure: return [.storedAnew] + rebuild + [.poisonLifted]
            }
        }

        @Test(arguments: Recovery.allCases) func killedTwice(_ recovery: Recovery) throws {
            let seed = ReplayableRandom.seed(for: "kills in recovery, \(recovery)")
            var random = ReplayableRandom(seed: seed)
            let points = Self.points(recovery)
            let isWhole = environmentNumber("RECOVERY_KILLS", default: 0) != 0
            var kills = 0
            var missed = Set(points.map(\.rawValue))
            // Where nothing is synced a seal isn't believed in another boot.
            let site = try KillSite(seed: random.next(), random: &random, syncs: recovery == .sealed)
            for first in points {
                for second in isWhole ? points : [points[Int.random(in: 0..<points.count, using: &random)]] {
                    let before = site.kills
                    try site.killInRecovery(recovery, [first, second], boot: random.next())
                    if site.kills > before { missed.remove(first.rawValue) }
                    kills += site.kills - before
                    if !site.problems.isEmpty {
                        let text = site.problems.joined(separator: "\n")
                        Issue.record("seed \(seed), \(recovery), \(first) then \(second):\n\(text)")
                        return
                    }
                }
            }
            print("kills in recovery, \(recovery): \(kills)")
            #expect(missed.isEmpty, "never reached: \(missed)")
        }
    }

    extension KillSite {
        func killInRecovery(_ recovery: RecoveryKillTests.Recovery, _ points: [FaultPoint], boot: UInt64) throws {
            // Written in another boot than that in which it is recovered.
            let isReboot = recovery == .reboot || recovery == .sealed
            try seedIfEmpty(isReboot ? ["boot=\(boot)"] : [])
            switch recovery {
            case .rebuild:
                for name in TestDirectory.filesBelow(path) where name.hasPrefix("index.") {
                    TestDirectory.remove(path + "/" + name)
                }
            case .reboot: try clearSeal()
            case .sealed: break
            case .cure:
                // As if nothing had been synced yet: everything is stored anew.
                try patchMeta(at: 64, [0, 0, 0, 0, 0, 0, 0, 0])
                try patchMeta(at: 32, [0, 0, 0, 0, 0, 0, 5, 0])
            }
            let idle = workload(writer: 0, clears: true)
            for point in points {
                let child = try ChildProcess(["settle", "directory=\(path)", "point=\(point.rawValue)"])
                finish(child, idle, count: 0)
            }
            verify(nil)
        }

        /// As a process leaves it that was killed.
        func clearSeal() throws { try patchMeta(at: 640, [0, 0, 0, 0, 0, 0, 0, 0]) }

        private func patchMeta(at offset: Int, _ bytes: [UInt8]) throws {
            let file = try SystemFiles().open(path + "/meta", in: nil, [.write])
            try SystemFiles().write(file, bytes, at: offset)
        }
    }
#endif
