import DiskCache
import TestSupport
import Testing

/// Eight processes on one cache of several shards.
@Suite(.serialized) struct FanoutProcessTests {
    /// What a writer said: the last number, and of each of its keys the last write that wasn't dropped.
    private struct Said {
        var last: Int
        var values: [String: Int?] = [:]
        var done = 0
        var dropped = 0

        mutating func take(_ output: [UInt8], writer: Int) {
            // What a killed process hadn't written whole doesn't count as said.
            for line in output.split(separator: 10, omittingEmptySubsequences: false).dropLast() {
                let words = String(decoding: line, as: UTF8.self).split(separator: " ")
                guard words.count == 2, let number = Int(words[1]) else { continue }
                last = number
                if words[0] == "done" {
                    done += 1
                    let (key, value) = FanoutProcessTests.operation(writer, number)
                    values[key] = .some(value)
                } else {
                    dropped += 1
                }
            }
        }
    }

    /// As in `TestChild`.
    private static func operation(_ writer: Int, _ number: Int) -> (key: String, value: Int?) {
        ("\(writer).\(number % 20)", number % 7 == 3 ? nil : number)
    }

    /// Eight writers, some of which are killed at any instant: what was acknowledged is found again, nothing that was dropped is, sums
    /// are right, and every shard is whole. `KILLS` asks for more, `CRASH_SEED` replays.
    @Test func writersThatAreKilled() throws {
        let scratch = try TestDirectory("fanout")
        let path = scratch.path + "/cache"
        var random = ReplayableRandom(seed: ReplayableRandom.seed(for: "fanout"))
        let cache = try FanoutCache(directory: path)
        var said = (0..<8).map { _ in Said(last: -1) }
        func start(_ writer: Int) throws -> ChildProcess {
            try ChildProcess(["fanout", "directory=\(path)", "writer=\(writer)", "first=\(said[writer].last + 1)"])
        }
        var children = try (0..<8).map(start)
        let kills = environmentNumber("KILLS", default: 40)
        for _ in 0..<kills {
            pass(microseconds: 5_000 + Int.random(in: 0..<60_000, using: &random))
            let writer = Int.random(in: 0..<8, using: &random)
            children[writer].kill()
            let (output, end) = children[writer].finish()
            #expect(end == .signalled(9))
            said[writer].take(output, writer: writer)
            // The next one goes on behind the write that was under way.
            said[writer].last += 1
            let lost = Self.operation(writer, said[writer].last)
            let found = try cache.get(lost.key, as: Int.self)
            #expect(
                found == said[writer].values[lost.key] ?? nil || found == lost.value,
                "\(lost.key) is \(String(describing: found))")
            said[writer].values[lost.key] = .some(found)
            children[writer] = try start(writer)
        }
        for (writer, child) in children.enumerated() {
            let (output, end) = child.finish()
            #expect(end == .exited(0))
            said[writer].take(output, writer: writer)
        }
        for (writer, said) in said.enumerated() {
            #expect(said.done > 0)
            for (key, value) in said.values {
                #expect(try cache.get(key, as: Int.self) == value, "\(key) of writer \(writer)")
            }
        }
        let (done, dropped) = (said.reduce(0) { $0 + $1.done }, said.reduce(0) { $0 + $1.dropped })
        let sum = try cache.get("sum", as: Int.self) ?? 0
        #expect((done + dropped...done + dropped + kills).contains(sum))
        // A kill between the commits of two shards may part them.
        let (left, right) = (try cache.get("left", default: 0), try cache.get("right", default: 0))
        #expect(abs(left + right) <= kills && left > 0)
        print("fanout: \(kills) kills, \(done) writes, \(dropped) dropped, left \(left), right \(right)")
        try cache.sync()
        #expect(try cache.check(fix: true).allSatisfy { $0.kind == .unknownFile })
        #expect(try cache.check().isEmpty)
    }

    /// Nobody is killed: every sum is exact.
    @Test func eightProcesses() throws {
        let scratch = try TestDirectory("fanout")
        let path = scratch.path + "/cache"
        let count = environmentNumber("FANOUT", default: 250)
        let children = try (0..<8).map {
            try ChildProcess(["fanout", "directory=\(path)", "writer=\($0)", "first=0", "count=\(count)"])
        }
        var dropped = 0
        let cache = try FanoutCache(directory: path)
        for (writer, child) in children.enumerated() {
            var lines: [UInt8] = []
            for _ in 0..<count { lines += Array((child.line() ?? "").utf8) + [10] }
            #expect(child.finish().end == .exited(0))
            var said = Said(last: -1)
            said.take(lines, writer: writer)
            #expect(said.done + said.dropped == count)
            dropped += said.dropped
            for (key, value) in said.values { #expect(try cache.get(key, as: Int.self) == value) }
        }
        #expect(try cache.get("sum", as: Int.self) == 8 * count)
        #expect(try cache.get("left", as: Int.self) == 8 * count / 10)
        #expect(try cache.get("right", as: Int.self) == -8 * count / 10)
        #expect(try cache.check().isEmpty)
        print("fanout: \(8 * count) writes by eight processes, \(dropped) dropped")
    }

    /// Eight processes fill it: it never holds more than its limit, looked at all the while, nor takes more room on disk in the end.
    @Test func theSizeIsThatOfAllShards() throws {
        let scratch = try TestDirectory("fanout")
        let path = scratch.path + "/cache"
        let limit = 36 << 20
        var configuration = Cache.Configuration()
        configuration.sizeLimit = Int64(limit)
        let cache = try FanoutCache(directory: path, configuration: configuration)
        let children = try (0..<8).map {
            try ChildProcess(["fanoutfill", "directory=\(path)", "writer=\($0)", "count=200"])
        }
        var stored = 0
        for child in children {
            while !child.isReadable(seconds: 0) { #expect(try cache.metrics.liveBytes <= limit) }
            let words = (child.line() ?? "").split(separator: " ").compactMap { Int($0) }
            #expect(words.count == 2 && words.reduce(0, +) == 200)
            stored += words.first ?? 0
            #expect(child.finish().end == .exited(0))
        }
        let metrics = try cache.metrics
        #expect(metrics.liveBytes <= limit && metrics.evicted > 0)
        try cache.cull()
        #expect(try cache.volume <= limit)
        #expect(try TestDirectory.allocated(path) <= limit)
        #expect(try cache.count > 500)
        #expect(try cache.check().isEmpty)
        print("fanout: \(stored) of 1600 values stored, \(try cache.count) there, \(try cache.volume >> 20) MiB")
    }
}
