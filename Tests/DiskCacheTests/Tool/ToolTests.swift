import DiskCache
import TestSupport
import Testing

@testable import DiskCacheTool

/// The tool as a process: what it prints, and its exit status.
@Suite struct ToolTests {
    @Test func textGoesInAndComesOut() throws {
        let tool = try ToolRunner()
        #expect(try tool.run("set", tool.cache, "greeting", "grüß dich").status == 0)
        let got = try tool.run("get", tool.cache, "greeting")
        #expect(got.status == 0 && got.text == "grüß dich" && got.errors.isEmpty)
        #expect(try Cache(directory: tool.cache).get("greeting", as: String.self) == "grüß dich")
    }

    @Test func missingKeysAreStatusOne() throws {
        let tool = try ToolRunner()
        try tool.run("set", tool.cache, "here", "x").requireSuccess()
        let got = try tool.run("get", tool.cache, "nowhere")
        #expect(got.status == 1 && got.output.isEmpty && got.errors.contains("nowhere"))
        #expect(try tool.run("delete", tool.cache, "nowhere", "here").status == 1)
        #expect(try tool.run("get", tool.cache, "here").status == 1)
        try tool.run("set", "--int-key", tool.cache, "-7", "seven").requireSuccess()
        #expect(try tool.run("get", tool.cache, "-7").status == 1)
        #expect(try tool.run("get", "--int-key", tool.cache, "-7").text == "seven")
        #expect(try tool.run("delete", "--int-key", tool.cache, "-7").status == 0)
    }

    @Test func bytesOfAnyKindComeThroughStandardInput() throws {
        let tool = try ToolRunner()
        let bytes = (0..<70_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }
        for (key, value) in [("empty", []), ("short", Array(bytes[..<300])), ("long", bytes)] {
            try tool.run("set", tool.cache, key, input: value).requireSuccess()
            #expect(try tool.run("get", tool.cache, key).output == value)
        }
        try tool.run("set", tool.cache, "dash", "-", input: [0, 255]).requireSuccess()
        #expect(try tool.run("get", tool.cache, "dash").output == [0, 255])
        #expect(try tool.run("check", tool.cache).status == 0)
    }

    @Test func largeValuesAreStreamedFromAndIntoFiles() throws {
        let tool = try ToolRunner()
        let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 / 251 ^ $0) }
        let (source, target) = (tool.folder + "/source", tool.folder + "/target")
        try tool.write(source, bytes)
        try tool.run("set", "--file", source, "--tag", "films", "--expire", "1000", tool.cache, "film").requireSuccess()
        try tool.run("get", "--output=\(target)", tool.cache, "film").requireSuccess()
        #expect(try tool.read(target) == bytes)
        #expect(try tool.run("set", "--add", "--file", source, tool.cache, "film").status == 1)
        #expect(try tool.run("set", "--add", "--file", source, tool.cache, "film 2").status == 0)
        let entry = try tool.run("get", "--entry", tool.cache, "film").text
        for part in ["bytes", "3,000,000", "expires  2", "\"films\"", "/cache/files/"] { #expect(entry.contains(part)) }
        #expect(try tool.run("check", tool.cache).status == 0)
    }

    @Test func whatIsDeadIsGivenBack() throws {
        let tool = try ToolRunner()
        var configuration = Cache.Configuration()
        configuration.compaction = .off
        let cache = try Cache(directory: tool.cache, configuration: configuration)
        for round in 0..<100 { for key in 0..<10 { try cache.set(key, [UInt8](repeating: UInt8(round), count: 1000)) } }
        try cache.close()
        let compacted = try tool.run("compact", tool.cache)
        let figures = compacted.text.split(separator: " ").compactMap { Int($0) }
        #expect(compacted.status == 0 && figures.count == 2, "\(compacted.text)")
        #expect(figures[0] > 1_000_000 && figures[1] < 200_000, "\(compacted.text)")
        for key in 0..<10 { #expect(try cache.get(key) == [UInt8](repeating: 99, count: 1000)) }
        #expect(try cache.settings.compaction == .off)
        #expect(try tool.run("check", tool.cache).status == 0)
        #expect(try tool.run("compact", tool.folder + "/nowhere").status == 2)
    }

    @Test func numbersAreCounted() throws {
        let tool = try ToolRunner()
        try tool.run("set", "--int", tool.cache, "n", "40").requireSuccess()
        #expect(try tool.run("incr", tool.cache, "n").text == "41\n")
        #expect(try tool.run("incr", tool.cache, "n", "-50").text == "-9\n")
        #expect(try tool.run("incr", "--default", "100", tool.cache, "new", "5").text == "105\n")
        try tool.run("set", "--float", tool.cache, "f", "1.5").requireSuccess()
        #expect(try tool.run("incr", tool.cache, "f", "0.25").text == "1.75\n")
        #expect(try tool.run("get", tool.cache, "f").text == "1.75\n")
        try tool.run("set", tool.cache, "text", "1").requireSuccess()
        let failed = try tool.run("incr", tool.cache, "text")
        #expect(failed.status == 2 && failed.errors.hasPrefix("diskcache: notANumber: "))
        #expect(try tool.run("set", "--add", "--int", tool.cache, "n", "1").status == 1)
        #expect(try tool.run("get", tool.cache, "n").text == "-9\n")
    }

    @Test func valuesOfAllTypesArePrinted() throws {
        struct Point: Codable {
            var x = -1
            var y = 2.5
            var name = "a \"b\"\n"
            var tags = ["one", "two"]
            var none: Int?
        }
        let tool = try ToolRunner()
        let cache = try Cache(directory: tool.cache)
        try cache.set("point", Point())
        try cache.set("null", Int?.none)
        try cache.set("true", true)
        try cache.set("huge", UInt64.max)
        try cache.close()
        let point = try tool.run("get", tool.cache, "point").text
        for part in [#""x": -1"#, #""y": 2.5"#, #""name": "a \"b\"\n""#, #""tags": ["one", "two"]"#] {
            #expect(point.contains(part), "\(point)")
        }
        #expect(try tool.run("get", tool.cache, "null").text == "null\n")
        #expect(try tool.run("get", tool.cache, "true").text == "true\n")
        #expect(try tool.run("get", tool.cache, "huge").text == "18446744073709551615\n")
    }

    @Test func nothingIsMadeWhereThereIsNoCache() throws {
        let tool = try ToolRunner()
        for command in [["get", "k"], ["delete", "k"], ["incr", "k"], ["stat"], ["check"]] {
            let result =
                command.count == 1
                ? try tool.run(command[0], tool.cache) : try tool.run(command[0], tool.cache, command[1])
            #expect(result.status == 2 && result.errors.contains("no cache") && result.errors.contains(tool.cache))
            #expect(!tool.exists(tool.cache))
        }
        #expect(try tool.run("check", tool.folder).status == 2)
        #expect(!tool.exists(tool.folder + "/meta"))
    }

    @Test func pathsAreTakenAsTheyAreOrNot() throws {
        let tool = try ToolRunner()
        let empty = try tool.run("set", "", "k", "v")
        #expect(empty.status == 2 && empty.errors.hasPrefix("diskcache: nameInvalid: "))
        // The shell makes a byte of it that isn't UTF-8.
        let repaired = try tool.runInShell("\"$TOOL\" set \"$FOLDER\"/d$(printf '\\377') k v")
        #expect(repaired.status == 2 && repaired.errors.contains("isn't UTF-8"), "\(repaired.errors)")
        let files = TestDirectory.filesBelow(tool.folder).filter { !$0.hasPrefix("std") }
        #expect(files.isEmpty, "\(files)")
    }

    @Test func aCacheOfShardsIsCalledThat() throws {
        let tool = try ToolRunner()
        try FanoutCache(directory: tool.cache, shards: 2).close()
        for command in [["get", tool.cache, "k"], ["stat", tool.cache], ["check", tool.cache]] {
            let result = try tool.run(command)
            #expect(result.status == 2 && result.errors.contains("shell --kind fanout"), "\(result.errors)")
        }
    }

    @Test func anEntryIsntWrittenIntoAFile() throws {
        let tool = try ToolRunner()
        try tool.run("set", tool.cache, "k", "v").requireSuccess()
        let target = tool.folder + "/target"
        let result = try tool.run("get", "--entry", "--output", target, tool.cache, "k")
        #expect(result.status == 2 && result.errors.contains("--output") && !tool.exists(target))
    }

    @Test func statTellsItemsAndSettings() throws {
        let tool = try ToolRunner()
        try tool.run("set", tool.cache, "a", "1").requireSuccess()
        let text = try tool.run("stat", tool.cache).text
        for part in ["items              1\n", "least-recently-stored", "normal", "cbor", tool.cache] {
            #expect(text.contains(part), "\(text)")
        }
    }

    @Test func damageIsAFindingOfCheckAndAnErrorOfGet() throws {
        let tool = try ToolRunner()
        let bytes = [UInt8](repeating: 7, count: 100_000)
        try tool.run("set", tool.cache, "large", input: bytes).requireSuccess()
        let entry = try tool.run("get", "--entry", tool.cache, "large").text
        let path = try #require(entry.split(separator: "\n").last?.split(separator: " ").last)
        var damaged = bytes
        damaged[50_000] ^= 1
        try tool.write(String(path), damaged)
        let found = try tool.run("check", tool.cache)
        #expect(
            found.status == 1 && found.text.hasPrefix("damagedFile: ") && found.text.split(separator: "\n").count == 1)
        let got = try tool.run("get", tool.cache, "large")
        #expect(got.status == 2 && got.errors.hasPrefix("diskcache: corrupted: "))
    }

    @Test func wrongUsageIsStatusTwoAndSaysWhatIsRight() throws {
        let tool = try ToolRunner()
        #expect(try tool.run().status == 2)
        #expect(try tool.run("frobnicate").errors.contains("no command frobnicate"))
        #expect(try tool.run("get", tool.cache).errors.contains("KEY is missing"))
        #expect(try tool.run("get", "--wrong", tool.cache, "k").errors.contains("unknown option --wrong"))
        #expect(try tool.run("get", tool.cache, "k", "more").errors.contains("unexpected argument more"))
        #expect(try tool.run("set", "--int", tool.cache, "k", "many").errors.contains("VALUE: many is not an integer"))
        #expect(try tool.run("set", "--file", tool.folder + "/none", tool.cache, "k").status == 2)
        #expect(try tool.run("set", "--expire", tool.cache).status == 2)
        #expect(!tool.exists(tool.cache))
        for command in Main.commands {
            let help = try tool.run(command.name, "--help")
            #expect(help.status == 0 && help.text == command.help + "\n")
        }
        #expect(try tool.run("help", "set").status == 0)
        let nobody = try tool.run("help", "frobnicate")
        #expect(nobody.status == 2 && nobody.output.isEmpty && nobody.errors.contains("no command frobnicate"))
        let overview = try tool.run("--help")
        #expect(overview.status == 0 && Main.commands.allSatisfy { overview.text.contains($0.summary) })
        #expect(try tool.run("version").text.hasPrefix("diskcache "))
    }
}

extension ToolRunner.Result {
    /// Fails unless the status is 0.
    func requireSuccess() throws { try #require(status == 0, "\(errors)") }
}
