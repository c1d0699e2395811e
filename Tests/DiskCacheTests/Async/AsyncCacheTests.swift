import DiskCacheCore
import Synchronization
import TestSupport
import Testing

@testable import DiskCache
@testable import DiskCacheEngine

@Suite struct AsyncCacheTests {
    private func open(_ name: String) throws -> (TestDirectory, Cache) {
        let scratch = try TestDirectory(name)
        var configuration = Cache.Configuration()
        configuration.minFileSize = 1 << 15
        return (scratch, try Cache(directory: scratch.path + "/cache", configuration: configuration))
    }

    struct OwnError: Error {}

    // MARK: Verbs

    @Test func everyVerbDoesWhatThePlainOneDoes() async throws {
        let (scratch, cache) = try open("async-verbs")
        let async = cache.async
        #expect(try await async.set("a", 1, tag: "odd"))
        #expect(try await async.add("a", 5) == false)
        #expect(try await async.add("b", 2))
        #expect(try await async.get("a", as: Int.self) == 1)
        #expect(try await async["b", as: Int.self] == 2)
        #expect(try await async.get("c", as: Int.self) == nil)
        #expect(try await async.get("c", default: 9) == 9)
        #expect(try await async.contains("a"))
        #expect(try await async.contains("c") == false)
        #expect(try await async.entry("a", as: Int.self)?.tag == "odd")
        #expect(try await async.incr("a", by: 4) == 5)
        #expect(try await async.decr("a") == 4)
        #expect(try await async.incr("x", by: 0.5) == 0.5)
        #expect(try await async.decr("x", by: 0.25) == 0.25)
        #expect(
            try await async.update("a", default: 0) { value in
                value *= 10
                return value + 1
            } == 41)
        #expect(try await async.touch("a", expire: .after(.seconds(1000))))
        #expect(try cache.entry("a", as: Int.self)?.expires != nil)
        #expect(try await async.pop("a", as: Int.self) == 40)
        #expect(try await async.popEntry("b", as: Int.self)?.value == 2)
        #expect(try await async.delete("x"))
        #expect(try await async.delete("x") == false)
        try await async.setMany([("k1", 1), ("k2", 2), ("k3", 3)], tag: "many")
        #expect(try await async.getMany(["k3", "none", "k1"], as: Int.self) == [3, nil, 1])
        #expect(try await async.deleteMany(["k2", "none"]) == 1)
        #expect(try async.count == 2)
        #expect(try await async.snapshot { try $0.get("k1", as: Int.self) } == 1)
        #expect(try await async.run { try $0.get("k3", as: Int.self) } == 3)

        let key = try await async.push("first", prefix: "q")
        #expect(key == QueueKey(prefix: "q", number: 500_000_000_000_000))
        try await async.push("second", prefix: "q")
        #expect(try await async.peek(as: String.self, prefix: "q")?.value == "first")
        #expect(try await async.peekEntry(as: String.self, side: .back, prefix: "q")?.entry.value == "second")
        #expect(try await async.pull(as: String.self, prefix: "q")?.value == "first")
        #expect(try await async.pullEntry(as: String.self, prefix: "q")?.entry.value == "second")
        #expect(try await async.pull(as: String.self, prefix: "q") == nil)

        #expect(try await async.peekItem(as: Int.self)?.value == 3)
        #expect(try await async.first()?.decode(String.self) == "k1")
        #expect(try await async.last(sorted: true)?.decode(String.self) == "k3")
        try await async.set("late", 0, expire: .after(.seconds(1)))
        #expect(try await async.expire(asOf: 32_503_680_000) == 1)
        #expect(try await async.expire() == 0)
        #expect(try await async.cull() == 0)
        #expect(try await async.evict(tag: "many") == 2)
        try await async.set("plain", 1)
        #expect(try await async.evictUntagged() == 1)
        try await async.set("plain", 1)
        try await async.configure { $0.cullLimit = 7 }
        #expect(try cache.settings.cullLimit == 7)
        try await async.sync()
        #expect(try await async.volume > 0)
        #expect(try await async.clear() == 1)
        #expect(try await async.check() == [])
        try await async.close()
        #expect(scratch.path.isEmpty == false)
    }

    @Test func whatIsThrownIsWhatThePlainVerbThrows() async throws {
        let (_scratch, cache) = try open("async-errors")
        try cache.set("text", "x")
        for attempt in 0..<2 {
            await expectCode(.typeMismatch) { try await cache.async.get("text", as: Int.self) }
            await expectCode(.notANumber) { try await cache.async.incr("text") }
            await expectCode(.keyNotFound) { try await cache.async.incr("none", default: nil) }
            await expectCode(.keyInvalid) { try await cache.async.get(Double.nan, as: Int.self) }
            await #expect(throws: OwnError.self) {
                try await cache.async.update("n", default: 0) { _ in throw OwnError() }
            }
            #expect(try cache.contains("n") == false, "\(attempt)")
        }
        withExtendedLifetime(_scratch) {}
    }

    @Test func aCancelledTaskDoesNothing() async throws {
        let (_scratch, cache) = try open("async-cancelled")
        try cache.set("here", 1)
        func cancelled<R: Sendable>(_ body: @escaping @Sendable (AsyncCache<Cache>) async throws -> R) async {
            let task = Task {
                while !Task.isCancelled { await Task.yield() }
                return try await body(cache.async)
            }
            task.cancel()
            await expectCancelled { try await task.value }
        }
        await cancelled { try await $0.get("here", as: Int.self) }
        await cancelled { try await $0.contains("here") }
        await cancelled { try await $0.set("new", 1) }
        await cancelled { try await $0.delete("here") }
        await cancelled { try await $0.transact { try cache.set("new", 2) } }
        await cancelled { try await $0.clear() }
        await cancelled { try await $0.push(1) }
        await cancelled { try await $0.pull(as: Int.self, timeout: .seconds(3600)) }
        await cancelled { for try await _ in $0.keys() {} }
        await cancelled { try await $0.set("new", reading: Pieces(3)) }
        #expect(try cache.keys().next()?.decode(String.self) == "here")
        #expect(try cache.count == 1)
        withExtendedLifetime(_scratch) {}
    }

    @Test func transactionsAreWhole() async throws {
        let (_scratch, cache) = try open("async-transact")
        try await cache.async.transact { transaction in
            transaction["a", default: 0] += 5
            transaction["b", default: 0] -= 5
        }
        await #expect(throws: OwnError.self) {
            try await cache.async.transact {
                try cache.set("a", 100)
                throw OwnError()
            }
        }
        #expect(try cache.getMany(["a", "b"], as: Int.self) == [5, -5])
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                group.addTask {
                    try await cache.async.transact { transaction in
                        transaction["a", default: 0] += 1
                        transaction["b", default: 0] -= 1
                    }
                }
                group.addTask {
                    let pair = try await cache.async.snapshot { snapshot in
                        (try snapshot.get("a", as: Int.self), try snapshot.get("b", as: Int.self))
                    }
                    #expect((pair.0 ?? 0) + (pair.1 ?? 0) == 0)
                }
            }
            try await group.waitForAll()
        }
        #expect(try cache.getMany(["a", "b"], as: Int.self) == [205, -205])
        withExtendedLifetime(_scratch) {}
    }

    // MARK: Iteration

    @Test func cursorsGiveWhatThePlainOnesGive() async throws {
        let (_scratch, cache) = try open("async-cursors")
        try cache.setMany((0..<500).map { (String(($0 * 7919) % 500), $0) }, tag: "all")
        func all<E>(_ sequence: AsyncCursor<E>) async throws -> [E] {
            var elements: [E] = []
            for try await element in sequence { elements.append(element) }
            return elements
        }
        let async = cache.async
        #expect(try await all(async.keys()) == Array(cache.keys()))
        #expect(try await all(async.keys(reversed: true)) == Array(cache.keys(reversed: true)))
        #expect(try await all(async.sortedKeys()) == Array(cache.sortedKeys()))
        #expect(try await all(async.keys(in: "2"..<"3")) == Array(cache.keys(in: "2"..<"3")))
        #expect(try await all(async.keys(prefix: "4")) == Array(cache.keys(prefix: "4")))
        #expect(try await all(async.keys(prefix: [4])) == [])
        #expect(try await all(async.keys(tag: "all")).count == 500)
        #expect(try await all(async.items(as: Int.self)).map(\.value) == Array(0..<500))
        #expect(try await all(async.sortedItems(as: Int.self)).map(\.key) == Array(cache.sortedKeys()))
        #expect(try await all(async.items(in: "2"..<"3", as: Int.self)).count == 111)
        #expect(try await all(async.items(prefix: "4", as: Int.self)).count == 111)
        #expect(try await all(async.items(prefix: [4], as: Int.self)).count == 0)
        #expect(try await all(async.items(tag: "all", as: Int.self)).count == 500)
        // Each iteration begins anew.
        let keys = async.keys()
        #expect(try await all(keys) == all(keys))
        withExtendedLifetime(_scratch) {}
    }

    @Test func anErrorComesAfterWhatWasReadBeforeIt() async throws {
        let (_scratch, cache) = try open("async-cursor-error")
        for number in 0..<100 { try cache.set(number, number) }
        try cache.set("text", "x")
        for number in 101..<120 { try cache.set(number, number) }
        var read: [Int] = []
        do {
            for try await (_, value) in cache.async.items(as: Int.self) { read.append(value) }
            Issue.record("nothing was thrown")
        } catch {
            #expect((error as? CacheError)?.code == .typeMismatch)
        }
        var plain: [Int] = []
        let cursor = try cache.items(as: Int.self)
        while let item = try? cursor.next() { plain.append(item.value) }
        #expect(read == plain)
        #expect(read.count >= 64)
        withExtendedLifetime(_scratch) {}
    }

    // MARK: Streams

    /// A source of pieces that counts how many were asked for, and fails or stops at one.
    struct Pieces: AsyncSequence {
        let sizes: [Int]
        var asked = Counter()
        var failsAfter = Int.max
        var gate: (@Sendable (Int) async -> Void)?

        init(_ count: Int, size: Int = 100_000) { sizes = Array(repeating: size, count: count) }
        init(sizes: [Int]) { self.sizes = sizes }

        static func piece(_ index: Int, _ size: Int) -> [UInt8] {
            (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ index &* 7) }
        }

        var bytes: [UInt8] { sizes.enumerated().flatMap { Self.piece($0, $1) } }

        struct AsyncIterator: AsyncIteratorProtocol {
            let pieces: Pieces
            var index = 0

            mutating func next() async throws -> [UInt8]? {
                pieces.asked.add()
                await pieces.gate?(index)
                if index >= pieces.failsAfter { throw OwnError() }
                guard index < pieces.sizes.count else { return nil }
                defer { index += 1 }
                return Pieces.piece(index, pieces.sizes[index])
            }
        }

        func makeAsyncIterator() -> AsyncIterator { AsyncIterator(pieces: self) }
    }

    @Test func largeValuesStreamThereAndBack() async throws {
        let (_scratch, cache) = try open("async-streams")
        let seed = ReplayableRandom.seed(for: "largeValuesStreamThereAndBack")
        var random = ReplayableRandom(seed: seed)
        for round in 0..<12 {
            let count = Int.random(in: 0..<12, using: &random)
            let source = Pieces(
                sizes: (0..<count).map { _ in
                    random.oneIn(3)
                        ? Int.random(in: 0..<300_000, using: &random) : Int.random(in: 0..<9, using: &random)
                })
            try await cache.async.set(round, reading: source, tag: "stream")
            #expect(try cache.get(round, as: [UInt8].self) == source.bytes)
            let reader = try #require(
                try await cache.async.open(round, pieceSize: Int.random(in: 1000...90000, using: &random)))
            #expect(reader.count == source.bytes.count)
            #expect(reader.path != nil)
            var read: [UInt8] = []
            for try await piece in reader { read += piece }
            #expect(read == source.bytes)
        }
        #expect(try await cache.async.open("none") == nil)
        try cache.set("small", [1, 2, 3] as [UInt8])
        #expect(try await cache.async.open("small")?.readAll() == [1, 2, 3])
        #expect(try await cache.async.add(0, reading: Pieces(2)) == false)
        #expect(try await cache.async.add("added", reading: Pieces(2)))
        let key = try await cache.async.push(reading: Pieces(3), prefix: "files")
        #expect(try cache.pull(as: [UInt8].self, prefix: "files")?.key == key)
        #expect(try cache.check() == [])
        withExtendedLifetime(_scratch) {}
    }

    /// The source isn't asked for more than was written, and a slow one takes no thread.
    @Test func streamsAreReadAsTheyAreWritten() async throws {
        let (_scratch, cache) = try open("async-pressure")
        let executor = AsyncResources.kept(in: cache.companion).executor
        let gate = Counter()
        var source = Pieces(6, size: 200_000)
        source.gate = { index in while gate.value <= index { try? await Task.sleep(for: .microseconds(100)) } }
        let slow = source
        let task = Task { try await cache.async.set("key", reading: slow) }
        // The last one is told that there is none.
        for index in 0...6 {
            try await eventually { slow.asked.value == index + 1 }
            // It waits for its source.
            try await eventually {
                executor.pool(.reading).idleCount == executor.pool(.reading).threadCount
                    && executor.pool(.lasting).threadCount == 0
            }
            #expect(try cache.contains("key") == false)
            gate.add()
        }
        try await task.value
        #expect(try cache.get("key", as: [UInt8].self) == slow.bytes)
        withExtendedLifetime(_scratch) {}
    }

    @Test func aStreamThatFailsOrIsCancelledLeavesNothing() async throws {
        let (scratch, cache) = try open("async-abandoned")
        try cache.set("key", "before")
        var failing = Pieces(10, size: 200_000)
        failing.failsAfter = 5
        let source = failing
        await #expect(throws: OwnError.self) { try await cache.async.set("key", reading: source) }

        var endless = Pieces(1000, size: 200_000)
        endless.gate = { index in
            // After the third piece nothing comes any more, until the task is cancelled.
            if index == 3 { while !Task.isCancelled { try? await Task.sleep(for: .milliseconds(50)) } }
        }
        let waiting = endless
        let task = Task { try await cache.async.set("key", reading: waiting) }
        try await eventually { waiting.asked.value == 4 }
        task.cancel()
        await expectCancelled { try await task.value }
        #expect(try cache.get("key", as: String.self) == "before")
        try await eventually {
            TestDirectory.filesBelow(scratch.path + "/cache").allSatisfy { !$0.hasPrefix("files/") }
        }
        #expect(try cache.check() == [])
    }

    // MARK: Where reads are done

    @Test func whatIsInMemoryIsReadAtOnce() async throws {
        let (_scratch, cache) = try open("async-memory")
        try cache.set("small", 1)
        try cache.set("large", [UInt8](repeating: 1, count: 200_000))
        #expect(try cache.isInMemory("small"))
        #expect(try cache.isInMemory("missing"))
        #expect(try cache.isInMemory("large") == false)
        let executor = AsyncResources.kept(in: cache.companion).executor
        #expect(try await cache.async.get("small", as: Int.self) == 1)
        #expect(executor.pool(.reading).threadCount == 0)
        #expect(try await cache.async.get("large", as: [UInt8].self)?.count == 200_000)
        try cache.close()
        #expect(try cache.isInMemory("small") == false)
        withExtendedLifetime(_scratch) {}
    }

    @Test func manyTasksReadAndWrite() async throws {
        let (_scratch, cache) = try open("async-many")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<64 {
                group.addTask {
                    for step in 0..<50 {
                        try await cache.async.set("\(task).\(step)", step)
                        #expect(try await cache.async.get("\(task).\(step)", as: Int.self) == step)
                        try await cache.async.incr("sum")
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try cache.get("sum", as: Int.self) == 3200)
        #expect(try cache.count == 3201)
        withExtendedLifetime(_scratch) {}
    }
}
