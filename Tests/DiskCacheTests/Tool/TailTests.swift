import DiskCache
import TestSupport
import Testing

@testable import DiskCacheTool

/// `diskcache tail` as a process.
@Suite struct TailTests {
    private func lines(_ text: String) -> [Substring] { text.split(separator: "\n") }

    @Test func printsChangesBehindAPosition() throws {
        let tool = try ToolRunner()
        try tool.run("set", tool.cache, "before", "x").requireSuccess()
        let start = try tool.run("tail", "--position", tool.cache)
        #expect(start.status == 0)
        let position = try #require(lines(start.text).first.map(String.init))
        #expect(try tool.run("tail", "--until-now", tool.cache).output == [])
        try tool.run("set", tool.cache, "a \"b\"\n", "x").requireSuccess()
        try tool.run("set", "--int-key", tool.cache, "7", "x").requireSuccess()
        try tool.run("delete", "--int-key", tool.cache, "7").requireSuccess()
        let plain = try tool.run("tail", "--from", position, "--until-now", tool.cache)
        #expect(plain.status == 0)
        let words = lines(plain.text).map { $0.split(separator: "  ", maxSplits: 1).map(String.init) }
        #expect(words.map(\.last) == [#"set  "a \"b\"\n""#, "set  7", "deleted  7"])
        // Behind the first of them.
        let next = try tool.run("tail", "--until-now", "--json", "--from=\(words[0][0])", tool.cache)
        let objects = try lines(next.text).map { try JSONReader.read(Array($0.utf8)[...]) }
        #expect(objects.map { $0["change"] } == [.text("set"), .text("deleted")])
        #expect(objects.map { $0["key"] } == [.integer(7), .integer(7)])
        #expect(objects.map { $0["position"] } == words.dropFirst().map { .text($0[0]) })
        try Cache(directory: tool.cache).clear()
        let cleared = try tool.run("tail", "--from", position, "--until-now", tool.cache)
        #expect(lines(cleared.text).map { $0.hasSuffix("  cleared") } == [true])
    }

    @Test func saysWhatIsWrong() throws {
        let tool = try ToolRunner()
        try tool.run("set", tool.cache, "a", "x").requireSuccess()
        let bad = try tool.run("tail", "--from", "yesterday", tool.cache)
        #expect(bad.status == 2 && bad.errors.contains("yesterday is no position"))
        let other = try tool.run("tail", "--from", "00000000.4096", "--until-now", tool.cache)
        #expect(other.status == 2 && other.errors.contains("positionGone"))
        #expect(try tool.run("tail", tool.folder + "/nothing").status == 2)
    }

    /// It prints as things happen, until it is killed.
    @Test func followsUntilItIsEnded() throws {
        let tool = try ToolRunner()
        let cache = try Cache(directory: tool.cache)
        let output = tool.folder + "/tail"
        let child = try Platform.spawn(
            Array(try ToolRunner.executable().utf8), ["diskcache", "tail", tool.cache], environment: [],
            input: Platform.openFile(Array("/dev/null".utf8)), output: Platform.createFile(Array(output.utf8)),
            error: Platform.createFile(Array((tool.folder + "/errors").utf8)))
        // Until it follows nobody knows from where on.
        var count = 0
        while try tool.read(output).isEmpty {
            try cache.set("early \(count)", 1)
            count += 1
        }
        let begun = try lines(String(decoding: tool.read(output), as: UTF8.self)).count
        for number in 0..<20 {
            try cache.set("late \(number)", 1)
            let line = "set  \"late \(number)\"\n"
            while try !String(decoding: tool.read(output), as: UTF8.self).hasSuffix(line) {}
        }
        #expect(begun > 0)
        // The threads of a test have all other signals blocked, and a child inherits that.
        Platform.kill(child)
        #expect(try Platform.wait(child) == .killed(signal: Platform.killSignal))
    }
}
