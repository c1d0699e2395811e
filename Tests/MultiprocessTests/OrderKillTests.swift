import DiskCacheEngine
import TestSupport
import Testing

#if FAILPOINTS

    /// Processes that die while they bring the ordered views up to date: what the next one lists is what there is.
    @Suite(.serialized) struct OrderKillTests {
        static let points = FaultPoint.allCases.filter { $0.rawValue.hasPrefix("trees") }

        @Test func atEachPointOfTheTrees() throws {
            let seed = ReplayableRandom.seed(for: "kills in the ordered views")
            var random = ReplayableRandom(seed: seed)
            var kills = 0
            var missed: [String] = []
            for point in Self.points {
                var isReached = false
                let site = try KillSite(
                    seed: random.next(), random: &random, keys: point == .treesGrown ? 3000 : 300,
                    syncs: point.rawValue.contains("Sync"))
                site.grows = point == .treesGrown
                site.readsOrders = true
                for hit in [1, 2, Int.random(in: 3...8, using: &random), Int.random(in: 3...40, using: &random)] {
                    let before = site.kills
                    if point == .treesCreated || point == .treesInstalled, hit < 3 { site.forget() }
                    let workload = site.workload(writer: 0, clears: true)
                    var more = ["point=\(point.rawValue)", "hit=\(hit)", "close=1", "lag=0", "interval=1000"]
                    // The next one finds trees of another boot of the system: it goes on from those that were synced.
                    if random.oneIn(3) { more.append("boot=\(hit)") }
                    let child = try site.start(workload, count: 700, more)
                    site.finish(child, workload, count: 700)
                    site.verify(nil)
                    kills += site.kills - before
                    isReached = isReached || site.kills > before
                    if !site.problems.isEmpty {
                        Issue.record("seed \(seed), \(point) hit \(hit):\n\(site.problems.joined(separator: "\n"))")
                        return
                    }
                }
                if !isReached { missed.append(point.rawValue) }
            }
            print("kills in the ordered views: \(kills)")
            #expect(missed.isEmpty, "never reached: \(missed)")
        }

        /// At any instant, while orders are read all the time.
        @Test func atAnyInstant() throws {
            let seed = ReplayableRandom.seed(for: "kills of readers of orders")
            let wanted = environmentNumber("KILLS", default: 800) / 8
            var random = ReplayableRandom(seed: seed)
            var kills = 0
            while kills < wanted {
                let site = try KillSite(seed: random.next(), random: &random, keys: 200)
                site.readsOrders = true
                for _ in 0..<20 {
                    let before = site.kills
                    let workload = site.workload(writer: 0, clears: true)
                    let child = try site.start(
                        workload, count: 1000, ["lag=\(random.oneIn(2) ? 0 : 4000)", "interval=1000"])
                    _ = child.isReadable(seconds: 60)
                    pass(microseconds: Int.random(in: 0..<20_000, using: &random))
                    child.kill()
                    site.finish(child, workload, count: 1000)
                    site.verify(nil)
                    kills += site.kills - before
                    if !site.problems.isEmpty {
                        Issue.record("seed \(seed), after \(kills) kills:\n\(site.problems.joined(separator: "\n"))")
                        return
                    }
                }
            }
            print("kills of readers of orders: \(kills)")
        }
    }
#endif
