import TestSupport
import Testing

@testable import DiskCacheEngine

/// Processes that push and pull, some of which are killed.
@Suite(.serialized) struct QueueProcessTests {
    /// What the processes of a run said.
    private struct Tally {
        var pushed: [String] = []
        var pulled: [[String]] = []
        /// Items whose producer was killed before it could say that they were pushed.
        var unsaid: Set<String> = []
        /// Consumers that were killed: each may have had one item that it couldn't tell of.
        var killed = 0

        /// What is wrong with all that.
        func problems(_ isOrdered: Bool = true) -> [String] {
            var problems: [String] = []
            let all = pulled.flatMap { $0 }
            if Set(all).count != all.count { problems.append("items were pulled twice") }
            let foreign = Set(all).subtracting(pushed).subtracting(unsaid)
            if !foreign.isEmpty { problems.append("nobody pushed \(foreign.sorted())") }
            let lost = Set(pushed).subtracting(all)
            if lost.count > killed { problems.append("\(lost.count) items are lost, \(killed) consumers were killed") }
            for list in pulled where isOrdered {
                var last: [Substring: Int] = [:]
                for item in list {
                    let parts = item.split(separator: ".")
                    let number = Int(parts[1]) ?? -1
                    if let before = last[parts[0]], before >= number { problems.append("\(item) came after \(before)") }
                    last[parts[0]] = number
                }
            }
            return problems
        }
    }

    private static func lines(_ output: [UInt8]) -> [String] {
        // What a killed process hadn't written whole doesn't count as said.
        output.split(separator: 10, omittingEmptySubsequences: false).dropLast().map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    /// Four processes push and four pull, all at once: each item comes out exactly once, each producer's in order.
    @Test func eightProcesses() throws {
        let scratch = try TestDirectory("queue")
        let path = scratch.path + "/store"
        let count = environmentNumber("QUEUE", default: 700)
        var tally = Tally()
        let consumers = try (0..<4).map { _ in try ChildProcess(["consume", "directory=\(path)"]) }
        for consumer in consumers { #expect(consumer.line() == "ready") }
        let producers = try (0..<4).map {
            try ChildProcess(["produce", "directory=\(path)", "writer=\($0)", "count=\(count)"])
        }
        for producer in producers {
            let (output, end) = producer.finish()
            #expect(end == .exited(0))
            tally.pushed += Self.lines(output)
        }
        for consumer in consumers { consumer.release() }
        for consumer in consumers {
            let (output, end) = consumer.finish()
            #expect(end == .exited(0))
            tally.pulled.append(Self.lines(output))
        }
        #expect(tally.pushed.count == 4 * count)
        #expect(tally.problems() == [])
        print("four consumers pulled \(tally.pulled.map(\.count))")
        let client = try StoreClient(asItIs: path)
        #expect(try client.count() == 4)
        #expect(try StoreCheck.problems(client.handle, files: true) == [])
    }

    #if FAILPOINTS
        private static let points: [FaultPoint] = [
            .lockTaken, .recordHalfCopied, .recordCopied, .slotStored, .queueItemsWritten, .coveredStored,
            .countersWritten, .committed, .pushersSignalled, .valueFileWritten, .valueFileRenamed, .segmentCreated,
            .segmentHeaderWritten, .segmentMapped, .settleBegun, .settleFinished, .undoSlot, .undoSlots, .voidWritten,
            .transactionRedone,
        ]

        /// Producers and consumers that die at each point of their work while others go on: nothing that was acknowledged is lost,
        /// nothing comes out twice.
        @Test func killed() throws {
            let seed = ReplayableRandom.seed(for: "killed producers and consumers")
            var random = ReplayableRandom(seed: seed)
            let scratch = try TestDirectory("queuekills")
            let path = scratch.path + "/store"
            var tally = Tally()
            var kills = 0
            for round in 0..<environmentNumber("QUEUE_ROUNDS", default: 24) {
                var producers: [(ChildProcess, Int)] = []
                var consumers: [ChildProcess] = []
                for number in 0..<3 {
                    var words = ["produce", "directory=\(path)", "writer=\(round)-\(number)", "count=60"]
                    if number > 0 { words += Self.death(round * 4 + number, &random) }
                    producers.append((try ChildProcess(words), number))
                }
                for number in 0..<3 {
                    var words = ["consume", "directory=\(path)", "timeout=2000"]
                    if number > 0 { words += Self.death(round * 4 + number + 1, &random) }
                    consumers.append(try ChildProcess(words))
                }
                for (producer, number) in producers {
                    let (output, end) = producer.finish()
                    let said = Self.lines(output)
                    tally.pushed += said
                    if end == .signalled(9) {
                        tally.unsaid.insert("\(round)-\(number).\(said.count)")
                        kills += 1
                    } else {
                        #expect(end == .exited(0), "\(said.last ?? "nothing")")
                    }
                }
                // Now and then some are still asleep, and one of them is killed in that.
                if random.oneIn(2) { consumers[0].kill() }
                for consumer in consumers { consumer.release() }
                for consumer in consumers {
                    let (output, end) = consumer.finish()
                    tally.pulled.append(Array(Self.lines(output).drop { $0 == "ready" }))
                    if end == .signalled(9) {
                        tally.killed += 1
                        kills += 1
                    } else {
                        #expect(end == .exited(0), "\(tally.pulled.last?.last ?? "nothing")")
                    }
                }
            }
            let client = try StoreClient(asItIs: path)
            try client.settle()
            #expect(try StoreCheck.problems(client.handle) == [])
            let findings = try client.handle.withStore { (store) throws(EngineError) in
                try store.check(timeout: StoreClient.timeout)
            }
            #expect(findings.filter { $0.kind != .unknownFile } == [])
            let rest = try ChildProcess(["consume", "directory=\(path)", "timeout=0"])
            let (output, end) = rest.finish()
            #expect(end == .exited(0))
            tally.pulled.append(Array(Self.lines(output).drop { $0 == "ready" }))
            let problems = tally.problems()
            #expect(problems == [], "CRASH_SEED=\(seed)")
            print("queues: \(kills) kills, \(tally.pushed.count) pushed, \(tally.pulled.joined().count) pulled")
            #expect(kills > 20)
        }

        private static func death(_ number: Int, _ random: inout ReplayableRandom) -> [String] {
            ["point=\(points[number % points.count].rawValue)", "hit=\(Int.random(in: 1...40, using: &random))"]
        }
    #endif

    /// A push of one process wakes the sleeping pull of another. Were it not so, each round would take the second that a sleep lasts.
    @Test func wokenAcrossProcesses() throws {
        let scratch = try TestDirectory("wake")
        let path = scratch.path + "/store"
        let consumer = try ChildProcess(["consume", "directory=\(path)", "timeout=60000"])
        #expect(consumer.line() == "ready")
        let client = try StoreClient(asItIs: path)
        // What says that somebody sleeps stays when he has taken an item, or was killed: so it is cleared first. Whoever sleeps by then
        // says so again within the second that a sleep lasts.
        func waitUntilAsleep() throws {
            try client.handle.withStore { $0.block.pulls.sleepers.release(0) }
            let limit = monotonicSeconds() + 60
            while try client.handle.withStore({ $0.block.pulls.sleepers.acquire() }) != 1 {
                guard monotonicSeconds() < limit else { throw NeverAsleep() }
                pass(microseconds: 100)
            }
        }
        try waitUntilAsleep()
        var longest = 0.0
        let begun = monotonicSeconds()
        for round in 0..<30 {
            // Asleep indeed, not just about to be.
            pass(microseconds: 2000)
            let pushed = monotonicSeconds()
            try Self.push(client, "\(round).0")
            #expect(consumer.line() == "\(round).0")
            longest = max(longest, monotonicSeconds() - pushed)
        }
        print("woken within \(Int(longest * 1e6)) µs at most")
        #expect(monotonicSeconds() - begun < 25)
        // One that is killed in its sleep harms nobody: neither who pushes, nor who sleeps after it.
        try waitUntilAsleep()
        consumer.kill()
        _ = consumer.finish()
        #expect(try client.handle.withStore { $0.block.pulls.sleepers.acquire() } == 1)
        try Self.push(client, "alone.0")
        let other = try ChildProcess(["consume", "directory=\(path)", "timeout=60000"])
        #expect(other.line() == "ready")
        #expect(other.line() == "alone.0")
        try waitUntilAsleep()
        try Self.push(client, "last.0")
        #expect(other.line() == "last.0")
        // Not sooner: it looks whether it is released before each pull.
        try waitUntilAsleep()
        other.release()
        try Self.push(client, "end.0")
        let rest = other.finish()
        #expect(rest.end == .exited(0))
        #expect(Self.lines(rest.output) == ["end.0"])
    }

    private struct NeverAsleep: Error {}

    private static func push(_ client: StoreClient, _ text: String) throws {
        let (prefix, bytes): ([UInt8], [UInt8]) = ([1] + Array("jobs".utf8) + [0, 1], Array(text.utf8))
        _ = try withUnsafeTemporaryAllocation(byteCount: prefix.count + QueueName.extra, alignment: 8) { buffer in
            let name = QueueName(buffer) { target in
                prefix.withUnsafeBytes { target.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
                return prefix.count
            }
            return try bytes.withUnsafeBytes {
                try client.handle.push(name, atFront: false, form: ValueFormCode.text, value: $0, RecordAttributes())
            }
        }
    }

    /// Waiting costs next to no processor time.
    @Test func sleepingCostsNothing() throws {
        let scratch = try TestDirectory("sleep")
        let path = scratch.path + "/store"
        let children = try (0..<3).map { _ in
            try ChildProcess(["sleep", "directory=\(path)", "timeout=2500"])
        }
        for child in children {
            let spent = child.line().flatMap { Int($0) }
            #expect(child.finish().end == .exited(0))
            print("2.5 s of waiting took \(spent ?? -1) µs of a processor")
            #expect(spent.map { $0 < 500_000 } == true)
        }
    }
}
