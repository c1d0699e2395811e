import Testing

@testable import DiskCacheEngine

#if FAILPOINTS && !os(macOS)
    /// A machine loses power at any instant of a store's life, and keeps any part of what wasn't synced (RELIABILITY T3).
    ///
    /// They run in processes of their own, since they take the engine's fault points for themselves. To repeat a failure, or for a
    /// long run: `DISKCACHE_POWERLOSS_SEED`, `DISKCACHE_POWERLOSS_ONLY=instant:damage`, `DISKCACHE_POWERLOSS_LIVES` (so many lives of
    /// each kind, every instant with every damage); with `SWIFT_DETERMINISTIC_HASHING=1`, events come in the same order each time.
    @Suite struct PowerLossTests {
        private static let verdict = "every image is as it should be"

        /// 1,500 operations on 40 keys: creation, segments one after the other, value files, clears, compaction, trees. Every instant, half
        /// of them here.
        @Test func whatComesBackIsAPrefixOfTheCommits() async throws {
            let result = try await #require(processExitsWith: .success, observing: [\.standardOutputContent]) {
                try Self.campaign(operations: 1500, isLarge: false, part: (0, 2))
            }
            Self.judge(result.standardOutputContent)
        }

        /// The same, the other half.
        @Test func soItDoesAtTheInstantsBetween() async throws {
            let result = try await #require(processExitsWith: .success, observing: [\.standardOutputContent]) {
                try Self.campaign(operations: 1500, isLarge: false, part: (1, 2))
            }
            Self.judge(result.standardOutputContent)
        }

        /// 500 operations on 640 keys, so that the index splits and grows.
        @Test func soItDoesWhileTheIndexGrows() async throws {
            let result = try await #require(processExitsWith: .success, observing: [\.standardOutputContent]) {
                try Self.campaign(operations: 500, isLarge: true, part: (0, 16))
            }
            Self.judge(result.standardOutputContent)
        }

        private static func judge(_ content: [UInt8]) {
            let output = String(decoding: content, as: UTF8.self)
            TestMemory.say(output)
            #expect(output.contains(verdict), "\(output)")
        }

        private static func campaign(operations: Int, isLarge: Bool, part: (index: Int, of: Int)) throws {
            let campaign = try PowerLossCampaign()
            let seed = environmentVariable("DISKCACHE_POWERLOSS_SEED").flatMap { UInt64($0) } ?? 1
            if let only = environmentVariable("DISKCACHE_POWERLOSS_ONLY")?.split(separator: ":"), only.count == 2 {
                let damage = Damage.allCases.first { "\($0)" == only[1] }
                campaign.only = (Int(only[0]) ?? 0, damage ?? .written)
            }
            let lives = environmentVariable("DISKCACHE_POWERLOSS_LIVES").flatMap { Int($0) }
            let isLong = lives != nil || campaign.only != nil
            let started = SystemCalls.monotonicClock()
            for life in 0..<(lives ?? 1) {
                let plan = PowerLossActor.Plan(operations: operations, isLarge: isLarge)
                try campaign.live(
                    seed: seed &+ UInt64(life), plan: plan, part: campaign.only == nil ? part : (0, 1),
                    damages: isLong ? Damage.allCases.count : 1, nestedEvery: 256)
                if campaign.failures.count >= 12 { break }
            }
            let seconds = (SystemCalls.monotonicClock() - started) / 1_000_000_000
            let verdict = campaign.failures.isEmpty ? Self.verdict : "something is wrong"
            TestMemory.say("power loss, seed \(seed), \(seconds) s: \(campaign.summary)\n\(verdict)")
        }
    }
#endif
