import DiskCache
import DiskCacheEngine
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

#if FAILPOINTS
    /// T8: eight processes of four threads on one store, small segments so that compaction, growth and splits run all the time; one is
    /// killed every 100 ms and another takes its place, one is stopped for a while every 500 ms.
    ///
    /// `SOAK_SECONDS` (10) says how long; CI takes a minute.
    @Suite(.serialized) struct SoakTests {
        private static let processes = 8

        @Test func nothingIsEverWrong() throws {
            let scratch = try TestDirectory("soak")
            let path = scratch.path + "/store"
            let seed = ReplayableRandom.seed(for: "soak")
            var random = ReplayableRandom(seed: seed)
            let board = try SoakBoard(scratch.path + "/board")
            let client = try StoreClient(path)
            try client.configure {
                $0.evictionPolicy = .none
                $0.minFileSize = Soak.minFileSize
            }
            for key in 0..<Soak.keptKeys { try client.set("kept \(key)", Soak.value(key, 1, 100)) }
            func start() throws -> ChildProcess {
                try ChildProcess([
                    "soak", "directory=\(path)", "board=\(scratch.path)/board",
                    "seed=\(Int.random(in: 0..<1 << 40, using: &random))",
                ])
            }
            var children = try (0..<Self.processes).map { _ in try start() }
            for child in children { #expect(child.line() == "ready") }
            var problems: [String] = []
            func note(_ child: ChildProcess, _ finished: (output: [UInt8], end: ChildProcess.End), killed: Bool) {
                let output = String(decoding: finished.output, as: UTF8.self)
                let isRight = finished.end == .exited(0) || (killed && finished.end == .signalled(SIGKILL))
                if !isRight || output.contains("violation") { problems.append("\(finished.end): \(output)") }
            }
            let begun = monotonicSeconds()
            let end = begun + Double(environmentNumber("SOAK_SECONDS", default: 10))
            var (kills, stops, looks) = (0, 0, 0)
            var worst = 0.0
            var beyond = ""
            var stopped: (child: ChildProcess, until: Double)?
            var quietSince = begun
            var (nextKill, nextStop) = (begun + 0.1, begun + 0.5)
            while monotonicSeconds() < end, problems.isEmpty {
                pass(microseconds: 5000)
                let now = monotonicSeconds()
                if let pause = stopped, now >= pause.until {
                    pause.child.signal(SIGCONT)
                    stopped = nil
                    quietSince = now
                }
                if now >= nextKill {
                    nextKill += 0.1
                    let index = Int.random(in: 0..<Self.processes, using: &random)
                    if children[index] === stopped?.child {
                        stopped = nil
                        quietSince = now
                    }
                    children[index].kill()
                    note(children[index], children[index].finish(), killed: true)
                    children[index] = try start()
                    kills += 1
                }
                if now >= nextStop, stopped == nil {
                    nextStop += 0.5
                    let child = children[Int.random(in: 0..<Self.processes, using: &random)]
                    child.signal(SIGSTOP)
                    stopped = (child, now + Double.random(in: 0.05...0.4, using: &random))
                    stops += 1
                }
                // A process that was stopped while it read a snapshot holds compaction up, and a moment is what the rest needs to catch up.
                if stopped != nil || now < quietSince + 0.15 { continue }
                let excess = try SpaceBound.excess(client, path)
                if excess > max(worst, 1) { beyond = try SpaceBound.description(client, path) }
                worst = max(worst, excess)
                looks += 1
            }
            stopped?.child.signal(SIGCONT)
            for child in children { child.release() }
            for child in children { note(child, child.finish(seconds: 120), killed: false) }
            #expect(problems.isEmpty, "CRASH_SEED=\(seed): \(problems.joined(separator: "\n"))")
            try client.settle()
            for key in 0..<Soak.keptKeys {
                guard case .bytes(let value) = try client.get("kept \(key)"), let version = Soak.version(value, key)
                else {
                    Issue.record("CRASH_SEED=\(seed): key \(key) is missing or wrong at the end")
                    continue
                }
                #expect(version >= board.highest(key), "CRASH_SEED=\(seed): key \(key) went back")
            }
            try client.compact()
            #expect(try client.findings() == [], "CRASH_SEED=\(seed)")
            let metrics = try client.metrics()
            print(
                """
                soak: \(Int(monotonicSeconds() - begun)) s, \(kills) kills, \(stops) stops, \(board.total(.reads)) reads, \
                \(board.total(.writes)) writes, \(board.total(.scans)) scans, \(metrics.compactedBytes >> 20) MiB compacted, \
                at most \(worst) of the space bound in \(looks) looks, \(problems.count) problems
                """)
            #expect(kills > 0 && stops > 0 && metrics.compactedBytes > 0)
            // Files come and go while they are listed and what lives is counted.
            #expect(worst <= 1.05, "CRASH_SEED=\(seed): \(beyond)")
        }
    }
#endif
