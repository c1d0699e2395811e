import DiskCache
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

        let cache = try Cache(directory: "~/.cache/pages")

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
        try cache.configure { $0.durability = .full }
        // end
        #expect(sent == 70_002 && used == 70_002)
        #expect(try cache.getMany(["width", "height"], as: Int.self) == [1920, 1080])
        #expect(try cache.get("seen", as: [String].self) == ["trailer"])
        #expect(try Set([cache.settings.durability]) == [.full])
        try Self.remove(cache)
    }

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
        #expect(shown.count == 2)
        #expect(shown.first == ["import DiskCache", ""] + example("first", in: tests))
        #expect(shown.dropFirst().first == example("second", in: tests))
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
