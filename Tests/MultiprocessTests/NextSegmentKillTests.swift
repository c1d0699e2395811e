import DiskCacheEngine
import TestSupport
import Testing

#if FAILPOINTS

    /// Kills around the segment that is made ahead: while it is made, when it is there, and when it becomes a segment.
    @Suite(.serialized) struct NextSegmentKillTests {
        private static let keys = 4000

        /// Reads to the end of what a child says; the last number. One that writes and writes, and never comes to its point, is stopped.
        private static func last(_ child: ChildProcess, from begin: Int) -> Int {
            var number = begin
            while let line = child.line(), number < begin + 1_000_000 { number = Int(line) ?? number }
            if number >= begin + 1_000_000 { child.release() }
            return number
        }

        /// What a child wrote is there, whole, and nothing older.
        private static func check(_ client: StoreClient, _ acknowledged: Int) throws -> String? {
            for key in 0..<keys {
                let newest = (acknowledged - 1 - key) / keys * keys + key
                if acknowledged <= key { continue }
                guard case .bytes(let bytes) = try client.get("\(key)"), bytes.count == 1000 else {
                    return "key \(key) is missing"
                }
                let number = bytes.withUnsafeBytes { $0.load(as: Int.self) }
                let isWhole = bytes.withUnsafeBytes { raw in
                    stride(from: 0, to: 1000, by: 8).allSatisfy { raw.load(fromByteOffset: $0, as: Int.self) == number }
                }
                if !isWhole || number % keys != key || number < newest {
                    return "key \(key) holds write \(number), whole: \(isWhole); \(newest) was acknowledged"
                }
            }
            return nil
        }

        @Test func atEachPoint() throws {
            let scratch = try TestDirectory("next")
            let path = scratch.path + "/store"
            let seed = ReplayableRandom.seed(for: "kills around the next segment")
            var random = ReplayableRandom(seed: seed)
            let client = try StoreClient(path)
            try client.configure { $0.evictionPolicy = .none }
            client.handle.close()
            var number = 0
            var hasNext = 0
            let points: [FaultPoint] = [
                .nextFilled, .nextPlaced, .segmentCreated, .segmentHeaderWritten, .segmentMapped, .headMoved,
            ]
            for round in 0..<environmentNumber("NEXT_KILLS", default: 3) {
                for point in points {
                    let hit = round == 0 ? 1 : Int.random(in: 2...8, using: &random)
                    let child = try ChildProcess([
                        "fill", "directory=\(path)", "from=\(number)", "point=\(point.rawValue)", "hit=\(hit)",
                    ])
                    number = Self.last(child, from: number)
                    #expect(child.finish().end == .signalled(9), "seed \(seed), \(point) \(hit)")
                    let names = TestDirectory.filesBelow(path).filter { $0.contains("/next") }
                    if !names.isEmpty { hasNext += 1 }
                    // Two at once go on, with what the dead one left.
                    let others = try (0..<2).map { _ in
                        try ChildProcess(["fill", "directory=\(path)", "from=\(number)"])
                    }
                    pass(microseconds: 200_000)
                    for other in others { other.release() }
                    let ends = others.map { Self.last($0, from: number) }
                    for other in others { #expect(other.finish().end == .exited(0)) }
                    let least = ends.min() ?? number
                    let problem = try Self.check(client, least)
                    #expect(problem == nil, "seed \(seed), \(point) \(hit): \(problem ?? "")")
                    number = (ends.max() ?? number) + Self.keys
                    let findings = try client.findings()
                    #expect(findings.isEmpty, "seed \(seed), \(point) \(hit): \(findings)")
                    client.handle.close()
                    // Whoever closes it as the last takes it away.
                    #expect(!TestDirectory.filesBelow(path).contains { $0.hasSuffix("/next") }, "\(point) \(hit)")
                    // Every key anew, so that what is older counts as lost.
                    for key in number..<number + Self.keys {
                        try client.set("\(key % Self.keys)", Self.value(key))
                    }
                    number += Self.keys
                    client.handle.close()
                }
            }
            print("kills around the next segment: one was there after \(hasNext)")
            #expect(hasNext > 0)
        }

        private static func value(_ number: Int) -> [UInt8] {
            withUnsafeBytes(of: number) { word in (0..<125).flatMap { _ in word } }
        }
    }
#endif
