import DiskCache
import TestSupport
import Testing

/// Transactions and snapshots of several processes, some of which are killed.
@Suite(.serialized) struct ProcessTransactionTests {
    /// Money moves between accounts while writers die at any instant: every snapshot of every process adds up, and no account goes
    /// back to an earlier version (T2, P44).
    @Test func theSumStays() throws {
        let scratch = try TestDirectory("accounts")
        let path = scratch.path + "/store"
        let seed = ReplayableRandom.seed(for: "accounts")
        var random = ReplayableRandom(seed: seed)
        let cache = try Cache(directory: path)
        func start(_ verb: String) throws -> ChildProcess {
            let child = try ChildProcess([verb, "directory=\(path)", "seed=\(random.next() & 0xFFFF_FFFF)"])
            #expect(child.line() == "ready")
            return child
        }
        let auditors = try (0..<2).map { _ in try start("audit") }
        var writers = try (0..<3).map { _ in try start("transfer") }
        let kills = environmentNumber("KILLS", default: 25)
        for _ in 0..<kills {
            pass(microseconds: 20_000 + Int.random(in: 0..<80_000, using: &random))
            let victim = Int.random(in: 0..<writers.count, using: &random)
            writers[victim].kill()
            #expect(writers[victim].finish().end == .signalled(9))
            writers[victim] = try start("transfer")
        }
        for child in writers + auditors { child.release() }
        for writer in writers {
            #expect(Int(writer.line() ?? "") != nil)
            #expect(writer.finish().end == .exited(0))
        }
        for auditor in auditors {
            let line = auditor.line() ?? "nothing"
            let counts = line.split(separator: " ").compactMap { Int($0) }
            #expect(counts.count == 2 && counts[0] > 0, "\(line)")
            print("accounts: \(kills) kills; an auditor found \(line) snapshots right and expired")
            #expect(auditor.finish().end == .exited(0))
        }
        try cache.sync()
        #expect(try cache.check().isEmpty)
    }

    /// The same while another process fills, compacts and clears: then the index holds slots that name what some processes have mapped still,
    /// and others not (Decisions, "Slots below the head").
    @Test func theSumStaysThroughClears() throws {
        let scratch = try TestDirectory("accounts")
        let path = scratch.path + "/store"
        let seed = ReplayableRandom.seed(for: "accounts and clears")
        var random = ReplayableRandom(seed: seed)
        func start(_ verb: String) throws -> ChildProcess {
            let child = try ChildProcess([verb, "directory=\(path)", "clears=1", "seed=\(random.next() & 0xFFFF_FFFF)"])
            #expect(child.line() == "ready")
            return child
        }
        let churn = try start("recycle")
        let auditor = try start("audit")
        var writers = try (0..<4).map { _ in try start("transfer") }
        let kills = environmentNumber("CLEAR_KILLS", default: 12)
        for _ in 0..<kills {
            pass(microseconds: 500_000)
            let victim = Int.random(in: 0..<writers.count, using: &random)
            writers[victim].kill()
            #expect(writers[victim].finish().end == .signalled(9))
            writers[victim] = try start("transfer")
        }
        for child in writers + [churn, auditor] { child.release() }
        for writer in writers {
            #expect(Int(writer.line() ?? "") != nil)
            #expect(writer.finish().end == .exited(0))
        }
        for child in [churn, auditor] {
            let line = child.line() ?? "nothing"
            let counts = line.split(separator: " ").compactMap { Int($0) }
            #expect(counts.count == 2 && counts[0] > 0, "\(line)")
            print("accounts and clears: \(line)")
            #expect(child.finish().end == .exited(0), "\(line)")
        }
        let cache = try Cache(directory: path)
        let findings = try cache.check()
        #expect(findings.allSatisfy { $0.kind == .unknownFile }, "\(findings)")
    }
}
