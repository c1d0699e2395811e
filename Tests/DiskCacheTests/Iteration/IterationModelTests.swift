import DiskCacheEngine
import Synchronization
import TestSupport
import Testing

@testable import DiskCacheCore

/// Random writes, and every order compared with a plain model after each few. `MODEL_SEED` replays a run.
@Suite struct IterationModelTests {
    static let seed = environmentVariable("MODEL_SEED").flatMap { UInt64($0) } ?? UInt64.random(in: .min ... .max)

    struct Setup: Sendable, CustomTestStringConvertible {
        var name: String
        var lag: UInt64?
        var keys = 120
        var handles = 1
        var tagIndex = false
        var operations = 3000
        var forcesWriting = false
        var firstPosition: UInt64?
        var testDescription: String { name }
    }

    static let setups = [
        Setup(name: "from the log alone"),
        Setup(name: "trees at each use", lag: 0, tagIndex: true),
        Setup(name: "trees now and then", lag: 20_000, tagIndex: true),
        Setup(name: "two handles", lag: 3000, handles: 2),
        Setup(name: "many keys", lag: 60_000, keys: 4000, tagIndex: true, forcesWriting: true),
        Setup(name: "far positions", lag: 5000, tagIndex: true, firstPosition: 4_398_046_511_104 - 196_608),
    ]

    /// What is stored: key, rowid, value, tag.
    struct Row {
        var key: AnyCacheKey
        var value: Int
        var tag: DiskCacheCore.Tag?
    }

    struct Failure: Error, CustomStringConvertible { let description: String }
    struct Undo: Error {}

    @Test(arguments: setups)
    func ordersAreThoseOfTheModel(_ setup: Setup) throws {
        print("iteration, \(setup.name): MODEL_SEED=\(Self.seed)")
        let run = try Run(setup, seed: Self.seed)
        do {
            try run.run()
        } catch {
            Issue.record("MODEL_SEED=\(Self.seed), operation \(run.count): \(error)")
        }
    }

    final class Run {
        let setup: Setup
        let world = try? ModelWorld()
        var random: ReplayableRandom
        var caches: [Cache] = []
        var rows: [Row] = []
        var count = 0
        var pool: [AnyCacheKey] = []

        init(_ setup: Setup, seed: UInt64) throws {
            self.setup = setup
            random = ReplayableRandom(seed: seed)
            for number in 0..<setup.keys {
                switch number % 6 {
                case 0: pool.append(.int(Int64(number - 50)))
                case 1: pool.append(.double(Double(number) / 4 - 20.125))
                case 2: pool.append(.string("key \(number)"))
                case 3: pool.append(.string(String(repeating: "long ", count: number % 40) + "\(number)"))
                case 4:
                    pool.append(.bytes([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: number % 9 + 1)))
                default: pool.append(.encoded([0x82, 0x18, UInt8(30 + number % 200), 0x18, UInt8(30 + number / 200)]))
                }
            }
            pool.append(.null)
            for _ in 0..<setup.handles { try open() }
        }

        func open() throws {
            var configuration = Cache.Configuration()
            configuration.tagIndex = setup.tagIndex
            configuration.syncInterval = .milliseconds(5)
            guard let world else { throw Failure(description: "no directory") }
            caches.append(
                try world.open(configuration) {
                    $0.viewLag = setup.lag
                    $0.forcesWriting = setup.forcesWriting
                    if let first = setup.firstPosition { $0.firstPosition = first }
                })
        }

        func pick<T>(_ array: [T]) -> T { array[Int.random(in: 0..<array.count, using: &random)] }
        func chance(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &random) == 0 }
        var tags: [DiskCacheCore.Tag?] { [nil, nil, 1, 2.5, "a", "ab", [0], [0, 0], [0, 255]] }

        func run() throws {
            while count < setup.operations {
                try write(pick(caches))
                if chance(12) { try compare(pick(caches)) }
                if chance(150) { try pick(caches).close() }
                if chance(400) {
                    for cache in caches { try cache.close() }
                    world?.restart()
                }
                if chance(600) {
                    let findings = try pick(caches).check()
                    if !findings.isEmpty { throw Failure(description: "check: \(findings)") }
                }
            }
            for cache in caches { try compare(cache) }
            let findings = try caches[0].check()
            if !findings.isEmpty { throw Failure(description: "check: \(findings)") }
        }

        func write(_ cache: Cache, depth: Int = 0) throws {
            count += 1
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<55:
                let key = pick(pool)
                let tag = pick(tags)
                try cache.set(key, count, tag: tag)
                if let at = rows.firstIndex(where: { $0.key == key }) {
                    rows[at].value = count
                    rows[at].tag = tag
                } else {
                    rows.append(Row(key: key, value: count, tag: tag))
                }
            case 55..<80:
                let key = pick(pool)
                let isThere = try cache.delete(key)
                let at = rows.firstIndex { $0.key == key }
                if isThere != (at != nil) { throw Failure(description: "delete says \(isThere)") }
                if let at { rows.remove(at: at) }
            case 80..<83:
                let tag = pick(tags)
                let removed = try tag.map { try cache.evict(tag: $0) } ?? cache.evictUntagged()
                let before = rows.count
                rows.removeAll { $0.tag == tag }
                if removed != before - rows.count {
                    throw Failure(
                        description: "evict(\(String(describing: tag))): \(removed), not \(before - rows.count)")
                }
            case 83..<84:
                try cache.clear()
                rows.removeAll()
            default:
                if depth > 2 { return }
                let before = rows
                let fails = chance(3)
                do {
                    // What it updates is a row like others.
                    _ = try cache.update(AnyCacheKey.int(-1000), default: 0) { (value: inout Int) in
                        for _ in 0..<Int.random(in: 1...8, using: &random) { try write(cache, depth: depth + 1) }
                        if chance(2) { try compare(cache) }
                        if fails { throw Undo() }
                        value = count
                    }
                    if let at = rows.firstIndex(where: { $0.key == .int(-1000) }) {
                        rows[at].value = count
                        // As it was when the update began.
                        rows[at].tag = before.first { $0.key == .int(-1000) }?.tag
                    } else {
                        rows.append(Row(key: AnyCacheKey.int(-1000), value: count, tag: nil))
                    }
                } catch is Undo {
                    rows = before
                }
            }
        }

        static func precedes(_ a: AnyCacheKey, _ b: AnyCacheKey) -> Bool {
            func bytes(_ key: AnyCacheKey) -> [UInt8] {
                (try? withKeyBytes(key) { [KeyClass.identity(of: $0)] + Array($1) }) ?? []
            }
            return bytes(a).lexicographicallyPrecedes(bytes(b))
        }

        func expect<T: Equatable>(_ what: String, _ got: [T], _ wanted: [T]) throws {
            if got != wanted { throw Failure(description: "\(what): \(got) instead of \(wanted)") }
        }

        func compare(_ cache: Cache) throws {
            let keys = rows.map(\.key)
            let reversed = chance(2)
            func direct<T>(_ array: [T]) -> [T] { reversed ? array.reversed() : array }
            try expect("keys", Array(cache.keys(reversed: reversed)), direct(keys))
            try expect(
                "values", Array(cache.items(as: Int.self, reversed: reversed)).map(\.value), direct(rows.map(\.value)))
            let sorted = keys.sorted(by: Self.precedes)
            try expect("sorted", Array(cache.sortedKeys(reversed: reversed)), direct(sorted))
            var bounds = [pick(pool), pick(pool)]
            bounds.sort(by: Self.precedes)
            let includesLast = chance(2)
            let range =
                includesLast
                ? KeyRange(from: bounds[0], through: bounds[1]) : KeyRange(from: bounds[0], upTo: bounds[1])
            let inRange = sorted.filter {
                !Self.precedes($0, bounds[0])
                    && (includesLast ? !Self.precedes(bounds[1], $0) : Self.precedes($0, bounds[1]))
            }
            try expect("range", Array(cache.keys(in: range, reversed: reversed)), direct(inRange))
            let prefix = pick(["", "k", "key 1", "long ", "long long "])
            let texts = sorted.compactMap { key -> String? in
                if case .string(let text) = key, text.hasPrefix(prefix) { text } else { nil }
            }
            try expect("prefix", Array(cache.keys(prefix: prefix, reversed: reversed)), direct(texts))
            if let tag = pick(tags) {
                let tagged = rows.filter { $0.tag == tag }.map(\.key)
                try expect("tag \(tag)", Array(cache.keys(tag: tag, reversed: reversed)), direct(tagged))
            }
            if try cache.first() != keys.first || cache.last() != keys.last || cache.last(sorted: true) != sorted.last {
                throw Failure(description: "first or last")
            }
            if try cache.peekItem(as: Int.self)?.value != rows.last?.value {
                throw Failure(description: "peekItem")
            }
        }
    }

    /// Keys that stay throughout are met by every scan, once, while another thread sets, removes and clears others.
    @Test(arguments: [UInt64?.none, 0, 10_000])
    func keysThatStayAreAlwaysMet(lag: UInt64?) throws {
        let world = try ModelWorld()
        var configuration = Cache.Configuration()
        configuration.syncInterval = .milliseconds(2)
        let cache = try world.open(configuration) { $0.viewLag = lag }
        let other = try world.open()
        let staying = (0..<300).map { AnyCacheKey.int(Int64($0 * 7)) }
        for key in staying { try cache.set(key, 0) }
        let writers = Atomic<Int>(2)
        ThreadTests.run { thread in
            if thread < 2 {
                defer { writers.subtract(1, ordering: .releasing) }
                var random = ReplayableRandom(seed: Self.seed &+ UInt64(thread))
                for round in 0..<4000 {
                    let number = Int.random(in: 0..<2100, using: &random)
                    if number % 7 == 0 || round % 3 == 0 {
                        try other.set(number, round)
                    } else {
                        try other.delete(number)
                    }
                }
                return
            }
            var scans = thread
            let isStaying = Set(staying)
            while writers.load(ordering: .acquiring) > 0 || scans < thread + 4 {
                let isSorted = scans % 2 == 0
                let isReversed = scans % 4 < 2
                let met = try Array(
                    isSorted ? cache.sortedKeys(reversed: isReversed) : cache.keys(reversed: isReversed))
                let wanted = isReversed ? staying.reversed() : staying
                if met.filter({ isStaying.contains($0) }) != wanted || Set(met).count != met.count {
                    Issue.record("MODEL_SEED=\(Self.seed): \(met)")
                    return
                }
                scans += 1
            }
        }
        #expect(try cache.check() == [])
    }

    /// Long keys stand in the log alone, so an entry of an order leads to a record, which compaction takes away. Every scan meets all
    /// of them, once, while other threads replace their rows and compact.
    @Test(arguments: [UInt64?.none, 0])
    func longKeysAreMetWhileTheirRecordsMove(lag: UInt64?) throws {
        let world = try ModelWorld()
        let cache = try world.open { $0.viewLag = lag }
        let other = try world.open()
        let staying = (0..<150).map { AnyCacheKey.string(String(repeating: "long ", count: 20) + "\($0)") }
        let tag: DiskCacheCore.Tag = "t"
        for key in staying { try cache.set(key, 0, tag: tag) }
        let scanners = Atomic<Int>(2)
        ThreadTests.run { thread in
            switch thread {
            case 0:
                var random = ReplayableRandom(seed: Self.seed)
                while scanners.load(ordering: .acquiring) > 0 {
                    let key = staying[Int.random(in: staying.indices, using: &random)]
                    try other.set(key, String(repeating: "x", count: 300), tag: tag)
                }
            case 1: while scanners.load(ordering: .acquiring) > 0 { try other.compact() }
            default:
                defer { scanners.subtract(1, ordering: .releasing) }
                for scan in 0..<300 {
                    let isReversed = scan % 2 == 0
                    let met = try Array(
                        scan % 3 == 0
                            ? cache.keys(tag: tag, reversed: isReversed) : cache.keys(reversed: isReversed))
                    if met != (isReversed ? staying.reversed() : staying) {
                        let missed = Set(staying).subtracting(met)
                        Issue.record("MODEL_SEED=\(Self.seed): scan \(scan): \(met.count) keys, missed: \(missed)")
                        return
                    }
                }
            }
        }
        #expect(try cache.check() == [])
    }
}
