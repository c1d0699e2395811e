import DiskCache
import TestSupport
import Testing

@testable import DiskCacheEngine

/// Processes that write, some of which are killed, and processes that follow them, which are killed too and go on.
@Suite(.serialized) struct ChangeProcessTests {
    private static func lines(_ output: [UInt8]) -> [String] {
        // What a killed process hadn't written whole doesn't count as said.
        output.split(separator: 10, omittingEmptySubsequences: false).dropLast().map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    /// What is wrong with the keys of one writer as a follower met them.
    private static func problems(_ writer: String, met: [String], said: [String], wasKilled: Bool) -> [String] {
        var problems: [String] = []
        let expected = (0..<met.count).map { "\(writer).\($0)" }
        if met != expected { problems.append("\(writer): met \(met.prefix(40))…") }
        if met.count < said.count { problems.append("\(writer): \(said.count) said, \(met.count) met") }
        // One transaction of two keys at most was committed and not said.
        if met.count > said.count + (wasKilled ? 2 : 0) {
            problems.append("\(writer): \(met.count) met, \(said.count) said")
        }
        return problems
    }

    /// A follower that is killed again and again, and goes on from the last position that it said.
    private final class Follower {
        let path: String
        private(set) var position: String?
        private(set) var changes: [(kind: String, key: String)] = []
        private var child: ChildProcess
        private(set) var kills = 0

        init(_ path: String) throws {
            self.path = path
            child = try ChildProcess(["follow", "directory=\(path)"])
            // Follows from before the first write on.
            let line = child.line() ?? ""
            #expect(line.hasPrefix("at "))
            position = String(line.dropFirst(3))
        }

        func kill() throws {
            child.kill()
            take(child.finish().0)
            kills += 1
            child = try ChildProcess(["follow", "directory=\(path)", "from=\(position ?? "")"])
        }

        /// After the key `end` was written.
        func finish() -> ChildProcess.End {
            let (output, end) = child.finish()
            take(output)
            return end
        }

        private func take(_ output: [UInt8]) {
            for line in ChangeProcessTests.lines(output) {
                let words = line.split(separator: " ", maxSplits: 2).map(String.init)
                guard words.count == 3 else {
                    Issue.record("the follower said: \(line)")
                    continue
                }
                position = words[0]
                changes.append((words[1], words[2]))
            }
        }
    }

    @Test func killedWritersAndFollowers() throws {
        let seed = ReplayableRandom.seed(for: "killed writers and followers")
        var random = ReplayableRandom(seed: seed)
        let scratch = try TestDirectory("feedkills")
        let path = scratch.path + "/store"
        let cache = try Cache(directory: path)
        let own = try cache.readChanges()
        let follower = try Follower(path)
        var said: [String: [String]] = [:]
        var killed: Set<String> = []
        for round in 0..<environmentNumber("CHANGE_ROUNDS", default: 10) {
            var writers: [(ChildProcess, String)] = []
            for number in 0..<3 {
                let name = "w\(round)-\(number)"
                var words = ["change", "directory=\(path)", "writer=\(name)", "count=60"]
                #if FAILPOINTS
                    if number > 0 {
                        let points: [FaultPoint] = [
                            .lockTaken, .recordHalfCopied, .recordCopied, .slotStored, .coveredStored, .countersWritten,
                            .committed, .pushersSignalled, .valueFileRenamed, .voidWritten, .settleBegun,
                            .transactionRedone,
                        ]
                        let point = points[Int.random(in: 0..<points.count, using: &random)]
                        words += ["point=\(point.rawValue)", "hit=\(Int.random(in: 1...40, using: &random))"]
                    }
                #endif
                writers.append((try ChildProcess(words), name))
            }
            if random.oneIn(2) { try follower.kill() }
            for (writer, name) in writers {
                let (output, end) = writer.finish()
                said[name] = Self.lines(output)
                if end == .signalled(9) { killed.insert(name) } else { #expect(end == .exited(0)) }
            }
        }
        try cache.set("end", 1)
        #expect(follower.finish() == .exited(0))
        var mine: [(kind: String, key: String)] = []
        while let change = try own.next() {
            mine.append((change.kind.rawValue, try change.key?.decode(String.self) ?? "-"))
        }
        #expect(mine.map(\.key) == follower.changes.map(\.key))
        #expect(mine.allSatisfy { $0.kind == "set" })
        let met = Dictionary(grouping: mine.dropLast().map(\.key)) { String($0.prefix { $0 != "." }) }
        for (name, keys) in said {
            #expect(
                Self.problems(name, met: met[name] ?? [], said: keys, wasKilled: killed.contains(name)) == [],
                "seed \(seed)")
        }
        #expect(Set(met.keys).isSubset(of: said.keys))
        print("\(mine.count) changes, \(killed.count) writers and \(follower.kills) followers killed")
    }

    /// A writer that is killed after it has taken the sleepers' word and before it wakes them: they find out by themselves.
    #if FAILPOINTS
        @Test func aWriterThatDiesBeforeItWakesAnybody() throws {
            let scratch = try TestDirectory("feedwake")
            let path = scratch.path + "/store"
            let client = try StoreClient(path)
            let follower = try Follower(path)
            while try client.handle.withStore({ $0.block.follows.sleepers.acquire() }) != 1 {
                SystemCalls.yieldThread()
            }
            let writer = try ChildProcess([
                "change", "directory=\(path)", "writer=w", "count=1", "point=pushersSignalled", "hit=1",
            ])
            #expect(writer.finish().1 == .signalled(9))
            try Cache(directory: path).set("end", 1)
            #expect(follower.finish() == .exited(0))
            #expect(follower.changes.map(\.key) == ["w.0", "end"])
        }
    #endif
}
