import DiskCache
import Testing

@testable import DiskCacheTool

/// `diskcache shell` as a process: its answers, line by line.
@Suite struct ShellTests {
    /// Runs lines through a shell in JSON; its answers.
    private func answers(_ tool: ToolRunner, _ lines: [String], _ settings: String...) throws -> [JSON] {
        try tool.run(["shell", "--json"] + settings + [tool.cache], input: Array(lines.joined(separator: "\n").utf8))
            .answers(lines.count)
    }

    @Test func valuesOfEveryKindComeBack() throws {
        let tool = try ToolRunner()
        let values = [
            "0", "-9223372036854775808", "9223372036854775807", "1.0", "-0.0", "5e-324", "\"\"", "\"é\\u0000\"", "null",
            "true",
            "false", "[]", "{}", #"[1, 1.0, "a", {"$bytes": "AA=="}]"#, #"{"a": {"b": [null]}, "c": 1}"#,
            #"{"$bytes": ""}"#,
            #"{"$bytes": "AP+A"}"#, #"{"$float": "inf"}"#, #"{"$float": "-inf"}"#, #"{"$float": "nan"}"#,
            #"{"x": 1, "$bytes": "AA=="}"#, #"{"$unknown": 1}"#,
        ]
        let lines = values.enumerated().flatMap { number, value in
            [#"{"do": "set", "key": \#(number), "value": \#(value)}"#, #"{"do": "get", "key": \#(number)}"#]
        }
        let answers = try answers(tool, lines)
        for (number, value) in values.enumerated() {
            #expect(answers[2 * number].line == #"{"ok": true}"#)
            #expect(answers[2 * number + 1].line == #"{"ok": \#(value)}"#)
        }
        #expect(try Cache(directory: tool.cache).get(1, as: Int64.self) == .min)
    }

    @Test func keysOfEveryKindAreTheirOwn() throws {
        let tool = try ToolRunner()
        let keys = [
            "1", "\"1\"", #"{"$bytes": "MQ=="}"#, "true", "null", "[1]", "[1.0]", #"{"a": 1, "b": 2}"#, "1.5",
            #"{"$float": "-inf"}"#, "\"\"",
        ]
        var lines = keys.enumerated().map { #"{"do": "set", "key": \#($1), "value": \#($0)}"# }
        lines += keys.map { #"{"do": "get", "key": \#($0)}"# }
        lines += [#"{"do": "get", "key": {"b": 2, "a": 1}}"#, #"{"do": "get", "key": 1.0}"#, #"{"do": "count"}"#]
        let answers = try answers(tool, lines).map { $0["ok"] }
        for number in keys.indices { #expect(answers[keys.count + number] == .integer(Int64(number))) }
        #expect(answers[(2 * keys.count)...] == [.integer(7), .integer(0), .integer(Int64(keys.count))])
    }

    @Test func whatMakesNoSenseIsABadRequestAndNotTheEnd() throws {
        let tool = try ToolRunner()
        let lines = [
            "", "  ", "{", "[]", "3", "null", "{}", #"{"do": 1}"#, #"{"do": "nothing"}"#, #"{"do": "get"}"#,
            #"{"do": "get", "key": 1, "more": 2}"#, #"{"do": "get", "key": 1e400}"#, #"{"do": "get", "key": "\udc00"}"#,
            #"{"do": "get", "key": 9223372036854775808}"#, #"{"do": "get", "key": 1, "key": 1}"#,
            #"{"do": "get", "key": {"$bytes": "?"}}"#,
            #"{"do": "get", "key": {"$float": "1"}}"#, #"{"do": "get", "key": {"$large": 1}}"#,
            #"{"do": "set", "key": 1, "value": {"$large": -1}}"#,
            #"{"do": "set", "key": 1, "value": 1, "expire": "soon"}"#,
            #"{"do": "set", "key": 1, "value": 1, "tag": [1]}"#,
            #"{"do": "incr", "key": 1, "by": "a"}"#, #"{"do": "setMany", "items": [[1]]}"#,
            #"{"do": "getMany", "keys": 1}"#,
            #"{"do": "now", "set": "noon"}"#, #"{"do": "settings", "set": {"sizelimit": 1}}"#, #"{"do": "commit"}"#,
            #"{"do": "rollback"}"#,
            #"{"do": "get", "key": \#(String(repeating: "[", count: 600) + String(repeating: "]", count: 600))}"#,
        ]
        let answers = try answers(tool, lines + [#"{"do": "count", "id": null}"#])
        for (line, answer) in zip(lines, answers) { #expect(answer.code == "badRequest", "\(line)") }
        #expect(answers.last?.line == #"{"ok": 0, "id": null}"#)
        let garbled = try tool.run(
            ["shell", "--json", tool.cache], input: [0x22, 0xff, 0x22, 0x0a] + Array(#"{"do": "count"}"#.utf8))
        #expect(try garbled.answers(2).map { $0.code } == ["badRequest", nil])
    }

    @Test func anAnswerHasTheIdOfItsRequest() throws {
        let tool = try ToolRunner()
        let answers = try answers(
            tool,
            [
                #"{"id": {"a": [1.0, "\u00e9"]}, "do": "count"}"#, #"{"id": "x", "do": "nothing"}"#,
                #"{"do": "get", "key": 1e400, "id": 5}"#, #"{"do": "count", "id": 1e400}"#, #"{"id": 1}"#,
            ])
        #expect(
            answers.map { $0["id"] } == [
                .object(["a": .array([.float(1), .text("é")])]), .text("x"), .integer(5), nil, .integer(1),
            ])
    }

    @Test func errorsHaveTheirCodes() throws {
        let tool = try ToolRunner()
        let answers = try answers(
            tool,
            [
                #"{"do": "set", "key": {"$float": "nan"}, "value": 1}"#,
                #"{"do": "incr", "key": "k", "default": null}"#,
                #"{"do": "set", "key": "k", "value": "text"}"#, #"{"do": "incr", "key": "k"}"#,
                #"{"do": "set", "key": "k", "value": 9223372036854775807}"#, #"{"do": "incr", "key": "k"}"#,
                #"{"do": "settings", "set": {"minFileSize": -1}}"#,
                #"{"do": "set", "key": 1, "value": {"$file": "/nowhere/at/all"}}"#,
                #"{"do": "set", "key": {"$queue": "q", "number": 3}, "value": 1}"#,
            ])
        #expect(
            answers.map(\.code) == [
                "keyInvalid", "keyNotFound", nil, "notANumber", nil, "overflow", "invalidSetting", "io", "keyNotFound",
            ])
    }

    @Test func theClockStandsWhereItIsSet() throws {
        let tool = try ToolRunner()
        let answers = try answers(
            tool,
            [
                #"{"do": "now", "set": 2000000000}"#,
                #"{"do": "set", "key": "k", "value": "v", "expire": 0.5, "tag": 1.5}"#,
                #"{"do": "get", "key": "k", "entry": true}"#, #"{"do": "now", "set": 2000000000.499999}"#,
                #"{"do": "get", "key": "k"}"#,
                #"{"do": "now", "set": 2000000000.5}"#, #"{"do": "get", "key": "k"}"#,
                #"{"do": "get", "key": "k", "entry": true}"#,
                #"{"do": "now", "set": null}"#, #"{"do": "touch", "key": "k"}"#,
                #"{"do": "pop", "key": "k", "entry": true}"#,
            ])
        #expect(
            answers[2]["ok"]?.line == """
                {"key": "k", "value": "v", "expires": 2000000000.5, "tag": 1.5, "storedAt": 2000000000.0, "bytes": 1, "path": null}
                """)
        #expect(answers[4]["ok"] == .text("v") && answers[6]["ok"] == .absent && answers[7]["ok"] == .absent)
        #expect(answers[9]["ok"] == .bool(true) && answers[10]["ok"]?["expires"] == .null)
    }

    @Test func largeValuesAreStreamed() throws {
        let tool = try ToolRunner()
        let source = tool.folder + "/source"
        try tool.write(source, Array("from a file".utf8))
        let answers = try answers(
            tool,
            [
                #"{"do": "set", "key": 1, "value": {"$large": 1500000}}"#, #"{"do": "get", "key": 1}"#,
                #"{"do": "add", "key": 2, "value": {"$large": 255}}"#, #"{"do": "get", "key": 2}"#,
                #"{"do": "set", "key": 3, "value": {"$file": "\#(source)"}}"#,
                #"{"do": "get", "key": 3, "entry": true}"#,
                #"{"do": "setMany", "items": [[4, {"$file": "\#(source)"}], [5, {"$large": 2000000}], [6, 6]]}"#,
                #"{"do": "getMany", "keys": [4, 6, 7]}"#, #"{"do": "check"}"#,
            ])
        let large = (0..<1_500_000).map { UInt8($0 % 251) }
        #expect(answers[1]["ok"] == JSON(bytes: large) && answers[3]["ok"] == JSON(bytes: Array(large[..<255])))
        let entry = try #require(answers[5]["ok"])
        #expect(entry["value"] == JSON(bytes: Array("from a file".utf8)) && entry["bytes"] == .integer(11))
        guard case .text(let path) = entry["path"] else { throw BadRequest("a stream has no file of its own") }
        #expect(try tool.read(path) == Array("from a file".utf8))
        #expect(answers[7]["ok"]?.line == #"[{"$bytes": "ZnJvbSBhIGZpbGU="}, 6, {"$absent": true}]"#)
        #expect(answers[8]["ok"] == .array([]))
    }

    @Test func settingsAreStoredButTimeout() throws {
        let tool = try ToolRunner()
        let first = try answers(
            tool, [#"{"do": "settings"}"#, #"{"do": "settings", "set": {"defaultExpire": 2.5, "timeout": 3}}"#],
            "cullLimit=4",
            "evictionPolicy=none", "statistics=true", "durability=none", "sizeLimit=1e6", "timeout=0.25")
        #expect(
            first[0]["ok"]?.line == """
                {"sizeLimit": 1000000, "evictionPolicy": "none", "cullLimit": 4, "minFileSize": 32768, "statistics": true, \
                "tagIndex": false, "durability": "none", "syncInterval": 1.0, "defaultExpire": null, "compaction": 40, \
                "serializer": "cbor", \
                "timeout": 0.25}
                """)
        #expect(first[1]["ok"]?["timeout"] == .float(3))
        let second = try answers(tool, [#"{"do": "settings"}"#])
        #expect(second[0]["ok"]?["defaultExpire"] == .float(2.5) && second[0]["ok"]?["timeout"] == .float(60))
        #expect(second[0]["ok"]?["cullLimit"] == .integer(4))
    }

    @Test func statisticsAreAskedForAndSet() throws {
        let tool = try ToolRunner()
        let answers = try answers(
            tool,
            [
                #"{"do": "stats"}"#, #"{"do": "get", "key": 1}"#, #"{"do": "stats", "enable": true}"#,
                #"{"do": "get", "key": 1}"#,
                #"{"do": "stats", "reset": true}"#, #"{"do": "stats"}"#, #"{"do": "settings"}"#,
                #"{"do": "set", "key": 1, "value": 1}"#,
                #"{"do": "metrics"}"#, #"{"do": "check", "fix": true}"#,
            ])
        #expect([0, 2, 4, 5].map { answers[$0]["ok"]?["misses"] } == [0, 0, 1, 0].map(JSON.integer))
        #expect(answers[6]["ok"]?["statistics"] == .bool(true))
        guard case .integer(let commits) = answers[8]["ok"]?["commits"] else { throw BadRequest("no metrics") }
        #expect(commits > 0 && answers[9]["ok"] == .array([]))
    }

    @Test func whatCannotBeOpenedIsOneErrorAndStatusTwo() throws {
        let tool = try ToolRunner()
        try tool.write(tool.folder + "/file", [1])
        for (arguments, code) in [
            (["bogus=1", tool.cache], "badRequest"), (["statistics=maybe", tool.cache], "badRequest"),
            (["evictionPolicy=fifo", tool.cache], "badRequest"), (["cullLimit=-1", tool.cache], "invalidSetting"),
            (["--kind", "tree", tool.cache], "badRequest"), ([tool.folder], "foreignDirectory"),
            ([tool.folder + "/file/deeper"], "io"), ([""], "nameInvalid"),
            (["--kind", "fanout", "--shards", "abc", tool.cache], "badRequest"),
        ] {
            let result = try tool.run(["shell", "--json"] + arguments, input: Array(#"{"do": "count"}"#.utf8))
            #expect(result.status == 2 && !result.errors.isEmpty, "\(arguments)")
            let answer = try JSON(result.text)
            #expect(answer.code == code && answer["id"] == nil, "\(arguments): \(result.text)")
        }
        #expect(try tool.run("shell", "--json", "--nonsense", tool.cache).status == 2)
    }

    @Test func peopleMayWriteWords() throws {
        let tool = try ToolRunner()
        let input = """
            # a comment

            set greeting "hello world" expire=500
              get greeting
            set key=n value=5
            incr n 3
            incr n by=2
            set list [1, "two  words"] tag=red
            get list
            get word entry=false
            set word word
            get word
            get
            get word word word
            fly
            set list [100000000000000000000]

            """
        let result = try tool.run(["shell", tool.cache], input: Array(input.utf8))
        #expect(result.status == 0)
        let lines = result.text.split(separator: "\n").map(String.init)
        #expect(
            lines.prefix(10) == [
                "true", "\"hello world\"", "true", "8", "10", "true", "[1, \"two  words\"]", "absent", "true",
                "\"word\"",
            ])
        #expect(lines.count == 14 && lines.suffix(4).allSatisfy { $0.hasPrefix("error badRequest: ") })
    }

    @Test func everyVerbIsInTheHelp() {
        for kind in ShellKind.allCases {
            let verbs = ShellVerb.all(kind)
            for verb in verbs { #expect(ShellCommand.help.contains(verb.name)) }
            #expect(Set(verbs.map(\.name)).count == verbs.count)
        }
    }
}

extension ToolRunner.Result {
    /// The answers of a shell that ended well.
    func answers(_ count: Int) throws -> [JSON] {
        try requireSuccess()
        let answers = try text.split(separator: "\n").map { try JSON(String($0)) }
        try #require(answers.count == count, "\(text)")
        return answers
    }
}
