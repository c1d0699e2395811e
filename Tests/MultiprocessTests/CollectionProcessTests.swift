import DiskCache
import TestSupport
import Testing

@testable import DiskCacheEngine

/// Deques and indexes of several processes, some of which are killed.
@Suite(.serialized) struct CollectionProcessTests {
    private static func lines(_ output: [UInt8]) -> [String] {
        // What a killed process hadn't written whole doesn't count as said.
        output.split(separator: 10, omittingEmptySubsequences: false).dropLast().map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    /// Four processes take elements from both ends while this one adds them: each comes out once.
    @Test(arguments: ["deque", "index"]) func eachElementOnce(_ kind: String) throws {
        let scratch = try TestDirectory(kind)
        let path = scratch.path + "/store"
        let count = environmentNumber("COLLECTION", default: 1500)
        let deque = kind == "deque" ? try Deque<String>(directory: path) : nil
        let index = kind == "index" ? try Index<Int, String>(directory: path) : nil
        let takers = try (0..<4).map { _ in try ChildProcess(["take", "directory=\(path)", "kind=\(kind)"]) }
        for taker in takers { #expect(taker.line() == "ready") }
        for number in 0..<count {
            try deque?.append("\(number)")
            try index?.set(number, "\(number)")
            if number % 100 == 99 {
                try deque?.rotate(by: 3)
                try deque?.reverse()
            }
        }
        for taker in takers { taker.release() }
        var taken: [[String]] = []
        for taker in takers {
            let (output, end) = taker.finish()
            #expect(end == .exited(0))
            taken.append(Self.lines(output))
        }
        let all = taken.joined().compactMap { Int($0) }
        #expect(all.sorted() == Array(0..<count))
        print("\(kind): four processes took \(taken.map(\.count))")
        #expect(try deque?.isEmpty ?? true)
        #expect(try index?.isEmpty ?? true)
        #expect(try deque?.check() ?? [] == [])
        #expect(try index?.check() ?? [] == [])
    }

    /// A process that opened an unwritten directory as a cache doesn't write into the deque that another has made of it since.
    @Test func cacheInTheWay() throws {
        let scratch = try TestDirectory("kinds")
        let path = scratch.path + "/store"
        let child = try ChildProcess(["holdcache", "directory=\(path)"])
        #expect(child.line() == "ready")
        let deque = try Deque<Int>(directory: path, contents: [1, 2])
        child.release()
        #expect(child.line() == "wrongKind")
        #expect(child.finish().end == .exited(0))
        #expect(try deque.elementsEqual([1, 2]))
        #expect(try deque.count == 2)
        #expect(try deque.check() == [])
    }

    #if FAILPOINTS
        private static let points: [FaultPoint] = [
            .lockTaken, .recordHalfCopied, .recordCopied, .slotStored, .queueItemsWritten, .coveredStored,
            .countersWritten, .committed, .valueFileWritten, .valueFileRenamed, .segmentCreated, .segmentHeaderWritten,
            .segmentMapped, .settleBegun, .settleFinished, .undoSlot, .undoSlots, .voidWritten, .splitFilled,
            .splitEntriesStored, .splitDone, .deadFileUnlinked, .syncDone,
        ]

        /// At whatever point a process dies, each change is there as a whole or not at all: nothing is lost or doubled by half a `rotate`,
        /// `reverse`, `extend`, `merge` or `popFirst`.
        @Test(arguments: ["deque", "index"]) func killed(_ kind: String) throws {
            let seed = ReplayableRandom.seed(for: "killed in a \(kind)")
            var random = ReplayableRandom(seed: seed)
            let script = CollectionScript(seed: seed)
            let scratch = try TestDirectory("kills")
            let path = scratch.path + "/store"
            var (deque, index) = (CollectionScript.DequeModel(), CollectionScript.IndexModel())
            var number = 0
            var kills = 0
            var unsaid = 0
            for round in 0..<environmentNumber("COLLECTION_ROUNDS", default: 4 * Self.points.count) {
                let point = Self.points[round % Self.points.count]
                let child = try ChildProcess([
                    kind, "directory=\(path)", "seed=\(seed)", "first=\(number)", "count=40",
                    "point=\(point.rawValue)", "hit=\(Int.random(in: 1...(round % 3 == 0 ? 60 : 6), using: &random))",
                ])
                let (output, end) = child.finish()
                let said = Self.lines(output)
                for line in said {
                    #expect(line == "\(number)", "CRASH_SEED=\(seed), \(point)")
                    deque.apply(script.change(number, of: deque))
                    index.apply(script.change(number, of: index))
                    number += 1
                }
                let isKilled = end == .signalled(9)
                if isKilled { kills += 1 } else { #expect(end == .exited(0), "\(said.last ?? "nothing")") }
                // The change that was under way may have been done.
                var next = (deque, index)
                next.0.apply(script.change(number, of: deque))
                next.1.apply(script.change(number, of: index))
                let found: [String]
                let before = kind == "deque" ? deque.lines : index.lines
                let after = kind == "deque" ? next.0.lines : next.1.lines
                if kind == "deque" {
                    let deque = try Deque<String>(directory: path)
                    // Whoever has the lock first finishes or undoes what was under way.
                    try deque.transact {}
                    let elements = try Array(deque.elements())
                    for (place, element) in elements.enumerated() { #expect(try deque[place] == element) }
                    found = CollectionScript.DequeModel(elements, limit: try deque.maxLength).lines
                    try deque.close()
                } else {
                    let index = try Index<String, String>(directory: path)
                    try index.transact {}
                    found = try Array(index.items()).map { "\($0.key) = \($0.value)" }
                    try index.close()
                }
                let isNext = isKilled && found != before
                if found != (isNext ? after : before) {
                    func brief(_ lines: [String]) -> String {
                        lines.map { String($0.prefix(24)) }.joined(separator: " ")
                    }
                    Issue.record(
                        """
                        CRASH_SEED=\(seed), round \(round), \(point), \(end), change \(number)
                        found  \(brief(found))
                        before \(brief(before))
                        after  \(brief(after))
                        """)
                    return
                }
                if isNext {
                    (deque, index) = next
                    number += 1
                    unsaid += 1
                }
            }
            let cache = try StoreClient(asItIs: path)
            let findings = try cache.handle.withStore { (store) throws(EngineError) in
                try store.check(timeout: StoreClient.timeout)
            }
            #expect(findings.filter { $0.kind != .unknownFile } == [])
            #expect(try StoreCheck.problems(cache.handle) == [])
            print("\(kind): \(kills) kills in \(number) changes, \(unsaid) of them done though not said")
            #expect(kills > 30)
        }
    #endif
}
