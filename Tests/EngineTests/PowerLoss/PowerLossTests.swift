import Testing

@testable import DiskCacheEngine

#if FAILPOINTS && !os(macOS)
    /// A machine loses power at any instant of a store's life, and keeps any part of what wasn't synced (RELIABILITY T3).
    ///
    /// They run in a process of their own, since they take the engine's fault points for themselves. To repeat a failure, or for a
    /// long run: `DISKCACHE_POWERLOSS_SEED`, `DISKCACHE_POWERLOSS_ONLY=instant:damage`, `DISKCACHE_POWERLOSS_LIVES` (more lives,
    /// each with every instant); with `SWIFT_DETERMINISTIC_HASHING=1`, events come in the same order each time.
    @Suite struct PowerLossTests {
        private static let verdict = "every image is as it should be"

        @Test func whatComesBackIsAPrefixOfTheCommits() async throws {
            let result = try await #require(processExitsWith: .success, observing: [\.standardOutputContent]) {
                let campaign = try PowerLossCampaign()
                let seed = environmentVariable("DISKCACHE_POWERLOSS_SEED").flatMap { UInt64($0) } ?? 1
                if let only = environmentVariable("DISKCACHE_POWERLOSS_ONLY")?.split(separator: ":"), only.count == 2 {
                    let damage = Damage.allCases.first { "\($0)" == only[1] }
                    campaign.only = (Int(only[0]) ?? 0, damage ?? .written)
                }
                let lives = environmentVariable("DISKCACHE_POWERLOSS_LIVES").flatMap { Int($0) }
                let started = SystemCalls.monotonicClock()
                for life in 0..<(lives ?? 2) {
                    let isLarge = life % 4 == 1
                    let operations = lives == nil ? (isLarge ? 60 : 300) : 1000
                    let plan = PowerLossActor.Plan(operations: operations, isLarge: isLarge)
                    let instants = lives == nil && campaign.only == nil ? (isLarge ? 20 : 200) : Int.max
                    try campaign.live(seed: seed &+ UInt64(life), plan: plan, instants: instants, nestedEvery: 64)
                    if campaign.failures.count >= 12 { break }
                }
                let seconds = (SystemCalls.monotonicClock() - started) / 1_000_000_000
                let verdict = campaign.failures.isEmpty ? Self.verdict : "something is wrong"
                TestMemory.say("power loss, seed \(seed), \(seconds) s: \(campaign.summary)\n\(verdict)")
            }
            let output = String(decoding: result.standardOutputContent, as: UTF8.self)
            TestMemory.say(output)
            #expect(output.contains(Self.verdict), "\(output)")
        }
    }
#endif
