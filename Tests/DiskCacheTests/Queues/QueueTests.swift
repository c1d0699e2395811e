import Synchronization
import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// What the model test doesn't get to: values that are gone or of another type, threads, waiting.
@Suite struct QueueTests {
    private static let start: Int64 = 500_000_000_000_000

    @Test func whatGoesInComesOut() throws {
        let cache = try Cache()
        #expect(try cache.pull(as: Int.self) == nil)
        #expect(try cache.peek(as: Int.self) == nil)
        let first = try cache.push(1)
        #expect(first == QueueKey(number: Self.start))
        try cache.push("two", tag: "numbers")
        try cache.push(Int?.none)
        try cache.push(["four": 4], expire: .after(.seconds(1000)))
        #expect(try cache.push(0, side: .front).number == Self.start - 1)
        #expect(try cache.count == 5)
        #expect(try cache.get(first, as: Int.self) == 1)
        #expect(try cache.pull(as: Int.self)?.value == 0)
        #expect(try cache.pull(as: Int.self)?.value == 1)
        let second = try #require(try cache.peekEntry(as: String.self))
        #expect(second.entry.value == "two" && second.entry.tag == "numbers" && second.entry.expires == nil)
        #expect(second.key.number == Self.start + 1)
        let last = try #require(try cache.pullEntry(as: [String: Int].self, side: .back))
        #expect(last.entry.value == ["four": 4] && last.entry.expires != nil)
        #expect(try cache.pull(as: String.self)?.value == "two")
        // A stored nil is a value.
        let none = try #require(try cache.pull(as: Int?.self))
        #expect(none.value == nil)
        #expect(try cache.pull(as: Int?.self) == nil)
        #expect(try cache.count == 0)
        #expect(try cache.check().isEmpty)
    }

    /// Prefixes are queues of their own; DiskCache mixes up "a" with "a-5", and numbers and texts with items.
    @Test func queuesDontMeet() throws {
        let cache = try Cache()
        try cache.set(Int(Self.start), "number")
        try cache.set("a-\(Self.start)", "text")
        let prefixes: [String?] = [nil, "", "a", "a-5", "e\u{301}", "\u{e9}"]
        for prefix in prefixes { #expect(try cache.push(prefix ?? "nil", prefix: prefix).number == Self.start) }
        for prefix in prefixes {
            let found = try #require(try cache.pull(as: String.self, prefix: prefix))
            #expect(found.value == prefix ?? "nil" && found.key == QueueKey(prefix: prefix, number: Self.start))
            #expect(try cache.pull(as: String.self, prefix: prefix) == nil)
        }
        #expect(try cache.count == 2)
    }

    /// A file that somebody took away: the item is skipped and lost, and the next one comes.
    @Test(arguments: ["pull", "peek"]) func fileIsGone(_ verb: String) throws {
        let world = try ModelWorld()
        var settings = Cache.Configuration()
        settings.minFileSize = 10
        let cache = try world.open(settings)
        for number in 0..<3 { try cache.push("a value in a file, \(number)") }
        let path = try #require(try cache.peekEntry(as: String.self)?.entry.path)
        try SystemFiles().unlink(path, in: nil, isDirectory: false)
        if verb == "peek" {
            #expect(try cache.peek(as: String.self)?.value == "a value in a file, 1")
        }
        #expect(try cache.pull(as: String.self)?.value == "a value in a file, 1")
        #expect(try cache.count == 1)
        #expect(try cache.pull(as: String.self)?.value == "a value in a file, 2")
        #expect(try cache.check().isEmpty)
    }

    /// A source that fails, and a queue that isn't touched by it.
    @Test func failingSource() throws {
        struct Failure: Error {}
        struct Source: ByteSource {
            var count = 0
            mutating func next(maximum: Int) throws -> [UInt8]? {
                count += 1
                if count == 3 { throw Failure() }
                return [1, 2, 3]
            }
        }
        let cache = try Cache()
        #expect(throws: Failure.self) { try cache.push(reading: Source()) }
        #expect(try cache.count == 0)
        #expect(try cache.push(1).number == Self.start)
    }

    /// A decoder that uses the cache itself, and takes away what it is shown.
    struct Meddler: Codable {
        nonisolated(unsafe) static var cache: Cache?
        init() {}
        init(from decoder: any Decoder) throws {
            // Part of the same transaction: it sees its own writes, and doesn't wait for what nobody else can push.
            try Self.cache?.set("met", true)
            #expect(try Self.cache?.get("met", as: Bool.self) == true)
            #expect(try Self.cache?.pull(as: Int.self, prefix: "none", timeout: .seconds(3600)) == nil)
            try Self.cache?.push("more", prefix: "another")
            if let key = try Self.cache?.get("remove", as: Int64.self) {
                try Self.cache?.delete(QueueKey(number: key))
            }
        }
        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode("meddler")
        }
    }

    @Test func decoderUsesTheCache() throws {
        let cache = try Cache()
        try cache.push(Meddler())
        try cache.push(Meddler())
        Meddler.cache = cache
        defer { Meddler.cache = nil }
        #expect(try cache.pull(as: Meddler.self)?.key.number == Self.start)
        #expect(try cache.get("met", as: Bool.self) == true)
        try cache.set("remove", Self.start + 1)
        #expect(try cache.pull(as: Meddler.self)?.key.number == Self.start + 1)
        #expect(try cache.pull(as: Meddler.self) == nil)
        #expect(try cache.check().isEmpty)
        #expect(try cache.pull(as: String.self, prefix: "another")?.value == "more")
        #expect(try cache.pull(as: String.self, prefix: "another")?.value == "more")
    }

    // MARK: Waiting

    @Test func waitingEndsInTime() throws {
        let cache = try Cache()
        #expect(try cache.pull(as: Int.self, timeout: .zero) == nil)
        #expect(try cache.pull(as: Int.self, timeout: .seconds(-1)) == nil)
        let begun = ContinuousClock.now
        #expect(try cache.pull(as: Int.self, timeout: .milliseconds(30)) == nil)
        #expect(ContinuousClock.now - begun >= .milliseconds(30))
        // Nobody else can push inside a transaction.
        #expect(try cache.transact { try cache.pull(as: Int.self, timeout: .seconds(3600)) } == nil)
        try cache.push(5)
        #expect(try cache.pull(as: Int.self, timeout: .seconds(3600))?.value == 5)
    }

    /// Whatever makes an item visible wakes who waits for one.
    @Test(arguments: ["push", "front", "stream", "file", "transaction", "inner level", "revived", "update"])
    func isWoken(by means: String) throws {
        let world = try ModelWorld()
        let cache = try world.open()
        let key = try cache.push("old", prefix: "q", expire: .after(.seconds(1)))
        world.now += 2_000_000
        let done = ParkingWord(0)
        let found = Mutex<QueueKey?>(nil)
        try SystemCalls.startThread {
            let item = try? cache.pull(as: [UInt8].self, prefix: "q", timeout: .seconds(60))
            found.withLock { $0 = item?.key }
            done.store(1)
            done.wake()
        }
        let handle = cache.handle
        func isAsleep() throws -> Bool {
            try handle.withStore { $0.block.pulls.sleepers.acquire() } == 1
        }
        while try !isAsleep() { SystemCalls.yieldThread() }
        let value: [UInt8] = [1, 2, 3]
        switch means {
        case "push": try cache.push(value, prefix: "q")
        case "front": try cache.push(value, side: .front, prefix: "q")
        case "stream":
            try cache.push(reading: OneByte(), prefix: "q")
        case "file": try cache.push([UInt8](repeating: 1, count: 100_000), prefix: "q")
        case "transaction":
            try cache.transact {
                try cache.push(value, prefix: "q")
                try cache.set("other", 1)
            }
        case "inner level": try cache.transact { try cache.transact { try cache.push(value, prefix: "q") } }
        case "update": _ = try cache.update("key", default: 0) { _ in try cache.push(value, prefix: "q") }
        default:
            // Who waits may have removed it already: then there is nothing to revive.
            do { try cache.set(key, value) } catch CacheError.Code.keyNotFound { try cache.push(value, prefix: "q") }
        }
        while done.load() == 0 { done.wait(while: 0, nanoseconds: 100_000_000) }
        #expect(found.withLock { $0 } != nil)
    }

    private struct OneByte: ByteSource {
        var isDone = false
        mutating func next(maximum: Int) throws -> [UInt8]? {
            defer { isDone = true }
            return isDone ? nil : [7]
        }
    }

    /// Eight threads push and pull, in two queues: each item comes out once, those of one thread in their order.
    @Test func eightThreads() throws {
        let world = try ModelWorld()
        let cache = try world.open()
        let count = 600
        let taken = Mutex<[[Int]]>([])
        ThreadTests.run { thread in
            if thread % 2 == 0 {
                for number in 0..<count {
                    let value = thread * 1_000_000 + number
                    if number % 50 == 0 {
                        try cache.transact { try cache.push(value, prefix: "jobs") }
                    } else {
                        try cache.push(value, prefix: "jobs")
                    }
                }
                return
            }
            var mine: [Int] = []
            while mine.count < count,
                let (_, value) = try cache.pull(as: Int.self, prefix: "jobs", timeout: .seconds(60))
            {
                mine.append(value)
            }
            taken.withLock { $0.append(mine) }
        }
        let lists = taken.withLock { $0 }
        #expect(Set(lists.joined()).count == 4 * count && lists.joined().count == 4 * count)
        for list in lists {
            for thread in stride(from: 0, to: 8, by: 2) {
                let ofThread = list.filter { $0 / 1_000_000 == thread }
                #expect(ofThread == ofThread.sorted())
            }
        }
        #expect(try cache.count == 0)
        #expect(try cache.check().isEmpty)
    }
}
