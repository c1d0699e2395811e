import DiskCache
import Synchronization
import Testing

@testable import DiskCacheTool

/// The README's examples compile, run, and are what the README shows.
@Suite struct ReadmeExampleTests {
    /// In the examples `Cache` opens a directory of the test's own, whatever directory they name.
    private static func open(_ directory: String) throws -> Cache {
        let parent = Platform.environment("TMPDIR") ?? Array("/tmp".utf8)
        let folder = try Platform.makeTemporaryFolder(in: parent, prefix: "diskcache-readme-")
        return try Cache(directory: String(decoding: folder, as: UTF8.self))
    }

    private static func remove(_ cache: Cache) throws {
        try cache.close()
        Platform.remove(Array(cache.directory.utf8))
    }

    @Test func first() throws {
        func Cache(directory: String) throws -> DiskCache.Cache { try Self.open(directory) }
        // first example
        struct Page: Codable, Equatable {
            var title: String
            var links: [String]
        }

        let cache = try Cache(directory: "~/.cache/pages")  // takes 1 GiB at most, unless you say otherwise

        let home = Page(title: "Home", links: ["/about"])
        try cache.set("/", home, expire: .after(.seconds(3600)))
        let page = try cache.get("/", as: Page.self)  // in every thread and every process; nil once it has expired

        let visits = try cache.incr("visits")  // everybody's increments count
        try cache.set(404, "not found")  // keys are text, numbers, bytes, or any type of yours

        do {
            try cache.incr(404)
        } catch CacheError.Code.notANumber {
            print("a text isn't counted up")
        }
        // end
        #expect(page == home && visits == 1)
        #expect(try cache.settings.sizeLimit == 1 << 30)
        #expect(try Set([cache.settings.evictionPolicy]) == [.leastRecentlyStored])
        #expect(try cache.check().isEmpty)
        try Self.remove(cache)
    }

    @Test func many() throws {
        let cache = try Self.open("")
        let film: [[UInt8]] = [[UInt8](repeating: 1, count: 70_000), [2, 3]]
        func send(_ bytes: [UInt8]) { sent += bytes.count }
        func use(_ bytes: RawSpan) { used = bytes.byteCount }
        var (sent, used) = (0, 0)
        // second example
        // Everybody sees all of these at one instant, or, after a crash, none.
        try cache.setMany([("width", 1920), ("height", 1080)])

        // Read, change, store: one step that no other process can come between.
        try cache.update("seen", default: [String]()) { $0.append("trailer") }

        // Large values go through in pieces. Each lies in a file of its own, which can be handed to others by its path.
        try cache.set("film", reading: ChunkSource(film))
        if let reader = try cache.open("film") {
            while let piece = try reader.next(maximum: 1 << 16) { send(piece) }
        }

        // The bytes where they lie, without a copy.
        try cache.withValue("film") { use($0) }

        // Settings are stored in the cache, and hold for every process.
        try cache.configure {
            $0.sizeLimit = 200 << 20
            $0.evictionPolicy = .leastRecentlyUsed
            $0.durability = .full
        }
        // end
        #expect(sent == 70_002 && used == 70_002)
        #expect(try cache.getMany(["width", "height"], as: Int.self) == [1920, 1080])
        #expect(try cache.get("seen", as: [String].self) == ["trailer"])
        #expect(try Set([cache.settings.durability]) == [.full])
        try Self.remove(cache)
    }

    @Test func transactions() throws {
        let cache = try Self.open("")
        try cache.setMany([("a", 70), ("b", 30)])
        // third example
        // All of it or nothing, for everybody, after a kill too. Subscripts may be assigned here; a failure is thrown at the end.
        try cache.transact { transaction in
            transaction["a", default: 100] -= 10
            transaction["b", default: 100] += 10
        }

        // Several reads that agree, whatever others write meanwhile.
        let sum = try cache.snapshot { snapshot in
            try snapshot.get("a", default: 0) + snapshot.get("b", default: 0)
        }
        // end
        #expect(sum == 100)
        #expect(try cache.getMany(["a", "b"], as: Int.self) == [60, 40])
        try Self.remove(cache)
    }

    @Test func queues() throws {
        let cache = try Self.open("")
        var order: [String] = []
        func print(_ number: Int64, _ job: String) { order.append(job) }
        // fourth example
        try cache.push("first", prefix: "jobs")
        try cache.push("urgent", side: .front, prefix: "jobs")
        while let (key, job) = try cache.pull(as: String.self, prefix: "jobs", timeout: .milliseconds(10)) {
            print(key.number, job)  // each item in exactly one thread of one process
        }
        // end
        #expect(order == ["urgent", "first"])
        try Self.remove(cache)
    }

    @Test func orders() throws {
        let cache = try Self.open("")
        try cache.setMany([("page/2", "Two"), ("page/1", "One"), ("other", "-")])
        try cache.setMany([(150, 1), (99, 1), (100, 1), (200, 1)])
        var titles: [String] = []
        func print(_ key: String, _ title: String) { titles.append(title) }
        // fifth example
        for (key, title) in try Array(cache.items(prefix: "page/", as: String.self)) { print(key, title) }
        let numbers = try Array(cache.keys(in: 100..<200, reversed: true))  // 1.5 among them would be an error
        let newest = try cache.last()  // the key that came last

        try cache.configure { $0.tagIndex = true }
        try cache.set("page/1", "One", tag: "en")
        try cache.evict(tag: "en")
        // end
        #expect(titles == ["One", "Two"] && numbers == [150, 100] && newest == .int(200))
        #expect(try cache.get("page/1", as: String.self) == nil)
        try Self.remove(cache)
    }

    /// A directory of a test's own.
    private final class Folder {
        let path: String

        init() throws {
            let parent = Platform.environment("TMPDIR") ?? Array("/tmp".utf8)
            path = String(
                decoding: try Platform.makeTemporaryFolder(in: parent, prefix: "diskcache-readme-"), as: UTF8.self)
        }

        deinit { Platform.remove(Array(path.utf8)) }
    }

    @Test func backups() throws {
        let cache = try Self.open("")
        try cache.set("page/1", "One")
        let place = try Folder()
        let folder = place.path
        // sixth example
        let backup = try cache.backup(to: folder + "/monday")  // as of one instant; nobody waits
        print(backup.count, backup.sharedBytes, backup.copiedBytes)

        let restored = try Cache(directory: folder + "/monday")  // restoring is opening
        try cache.merge(from: restored)  // or: take over what is newer there, or missing here
        // end
        #expect(try restored.get("page/1", as: String.self) == "One")
        try restored.close()
        try Self.remove(cache)
    }

    @Test func shards() throws {
        let place = try Folder()
        let folder = place.path
        var keys: [String] = []
        func print(_ key: String) { keys.append(key) }
        // seventh example
        let sessions = try FanoutCache(directory: folder + "/sessions")
        try sessions.set("user/7", "signed in", expire: .after(.seconds(3600)))  // false: dropped
        try sessions.incr("logins", retry: true)  // waits for its turn
        for key in try Array(sessions.keys(prefix: "user/")) { print(key) }  // sorted, merged over the shards
        // end
        #expect(keys == ["user/7"])
        #expect(try sessions.get("logins", as: Int.self) == 1)
        try sessions.close()
    }

    private struct Page: Codable, Equatable {
        var title: String
        var links: [String]
    }

    @Test func collections() throws {
        let place = try Folder()
        let folder = place.path
        let home = Page(title: "Home", links: [])
        var printed: [String] = []
        func print(_ job: String) { printed.append(job) }
        func print(_ key: Int, _ title: String) { printed.append("\(key) \(title)") }
        // eighth example
        let jobs = try Deque<String>(directory: folder + "/jobs")
        try jobs.append(contentsOf: ["sweep", "report"])
        while let job = try jobs.popFirst() { print(job) }  // each in exactly one process

        let users = try Index<Int, Page>(directory: folder + "/users")
        try users.set(1, Page(title: "Ada", links: []))
        try users.update(1, default: home) { $0.links.append("/ada") }
        for (key, page) in try Array(users.items()) { print(key, page.title) }  // as the keys came
        // end
        #expect(printed == ["sweep", "report", "1 Ada"])
        try jobs.close()
        try users.close()
    }

    @Test func recipes() throws {
        let cache = try Self.open("")
        // ninth example
        let area = cache.memoize("area", expire: .after(.seconds(3600))) { (width: Int, height: Int) in width * height }
        let twelve = try area(3, 4)  // computed once, for all processes, until it expires

        try Lock(cache, "nightly report").withLock { print("one process at a time") }

        let throttle = try Throttle(cache, "api", count: 10, per: .seconds(1))
        try throttle.wait()  // ten a second, over all processes
        // end
        #expect(twelve == 12)
        try Self.remove(cache)
    }

    @Test func tasks() async throws {
        let cache = try Self.open("")
        try cache.set("page/1", "One")
        let done = Mutex<[String]>([])
        func print(_ job: String) { done.withLock { $0.append(job) } }
        // tenth example
        let title = try await cache.async.get("page/1", as: String.self)
        try await cache.async.push("task", prefix: "jobs")
        while let (_, job) = try await cache.async.pull(as: String.self, prefix: "jobs", timeout: .milliseconds(10)) {
            print(job)
        }
        // end
        #expect(title == "One" && done.withLock { $0 } == ["task"])
        try Self.remove(cache)
    }

    @Test func changes() async throws {
        let cache = try Self.open("")
        // eleventh example
        let changes = cache.changes()
        try cache.set("page/1", "Uno")
        for try await change in changes {
            print(change.kind, change.key ?? .null)  // of every process, as they are committed
            break
        }
        // end
        try Self.remove(cache)
    }

    private static let names = [
        "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    ]

    @Test func theReadmeShowsWhatIsTested() throws {
        let tests = try lines(#filePath)
        let readme = try lines(
            #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
                + "/README.md")
        var shown: [[String]] = []
        var block: [String]?
        for line in readme {
            if line == "```swift" {
                block = []
            } else if line == "```", let finished = block {
                shown.append(finished)
                block = nil
            } else {
                block?.append(line)
            }
        }
        // Those of web frameworks stand beside what stands for the frameworks.
        let adapters = try lines(
            #filePath.dropLast("ReadmeExampleTests.swift".count) + "Frameworks/FrameworkAdapterTests.swift")
        var tested = Self.names.map { example($0, in: tests) }
        tested[0] = ["import DiskCache", ""] + tested[0]
        tested += adapters.indices.filter { adapters[$0].hasPrefix("    // adapter for ") }.map { start in
            adapters[(start + 1)...].prefix { $0 != "    // end of the adapter" }.map {
                String($0.dropFirst(4)).replacing(": EventLoop", with: ": any EventLoop")
            }
        }
        #expect(shown.count == tested.count)
        for (number, block) in tested.enumerated() where number < shown.count {
            #expect(!block.isEmpty)
            #expect(shown[number] == block)
        }
    }

    private func example(_ name: String, in lines: [String]) -> [String] {
        lines.drop { $0 != "        // \(name) example" }.dropFirst().prefix { $0 != "        // end" }
            .map { String($0.dropFirst(min($0.count, 8))) }
    }

    private func lines(_ path: String) throws -> [String] {
        let file = try Platform.openFile(Array(path.utf8))
        let bytes = try [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, count in
            count = try Platform.read(file, into: UnsafeMutableRawBufferPointer(buffer))
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).map {
            String($0)
        }
    }
}
