import Testing

@testable import DiskCacheTool

/// Keys and items in their orders, through the shell.
@Suite struct ShellOrderTests {
    /// The results of lines that all go well.
    private func results(_ tool: ToolRunner, _ lines: [String]) throws -> [String] {
        try tool.run(["shell", "--json", tool.cache], input: Array(lines.joined(separator: "\n").utf8)).answers(
            lines.count
        )
        .map { try #require($0["ok"]).line }
    }

    private let filling = [
        #"{"do": "setMany", "items": [["b", 1], [2, 2], [null, 3], [{"$bytes": "AA=="}, 4], [true, 5], ["a", 6], [1.5, 7]]}"#
    ]

    @Test func bothOrdersAndTheirReverse() throws {
        let tool = try ToolRunner()
        let results = try results(
            tool,
            filling + [
                #"{"do": "keys"}"#, #"{"do": "keys", "reversed": true}"#, #"{"do": "keys", "order": "sorted"}"#,
                #"{"do": "items", "order": "sorted", "reversed": true}"#,
            ])
        #expect(results[1] == #"["b", 2, null, {"$bytes": "AA=="}, true, "a", 1.5]"#)
        #expect(results[2] == #"[1.5, "a", true, {"$bytes": "AA=="}, null, 2, "b"]"#)
        #expect(results[3] == #"[null, 1.5, 2, "a", "b", {"$bytes": "AA=="}, true]"#)
        #expect(results[4] == #"[[true, 5], [{"$bytes": "AA=="}, 4], ["b", 1], ["a", 6], [2, 2], [1.5, 7], [null, 3]]"#)
    }

    @Test func rangesPrefixesAndPages() throws {
        let tool = try ToolRunner()
        let results = try results(
            tool,
            filling + [
                #"{"do": "setMany", "items": [["ab", 8], ["abc", 9]]}"#, #"{"do": "keys", "from": 2, "to": "ab"}"#,
                #"{"do": "keys", "from": "ab", "to": {"$bytes": ""}, "reversed": true}"#,
                #"{"do": "keys", "prefix": "ab"}"#,
                #"{"do": "items", "prefix": "a", "after": "a", "limit": 1}"#,
                #"{"do": "keys", "order": "sorted", "after": "a", "limit": 2}"#,
                #"{"do": "keys", "order": "sorted", "after": "a", "limit": 2, "reversed": true}"#,
                #"{"do": "keys", "after": "a", "limit": 2}"#, #"{"do": "keys", "after": 2, "reversed": true}"#,
                #"{"do": "keys", "order": "insertion", "from": "a", "to": "abc"}"#,
                #"{"do": "keys", "prefix": {"$bytes": ""}}"#,
                #"{"do": "keys", "limit": 0}"#,
                #"{"do": "keys", "after": "b", "order": "sorted", "from": 1, "to": "b"}"#,
            ])
        #expect(
            results[2...] == [
                #"[2, "a"]"#, #"["b", "abc", "ab"]"#, #"["ab", "abc"]"#, #"[["ab", 8]]"#, #"["ab", "abc"]"#, "[2, 1.5]",
                #"[1.5, "ab"]"#, #"["b"]"#, #"["a", "ab"]"#, #"[{"$bytes": "AA=="}]"#, "[]", "[]",
            ])
    }

    @Test func whatCannotBeGoneOnFrom() throws {
        let tool = try ToolRunner()
        let lines = [
            #"{"do": "keys", "after": "nowhere"}"#, #"{"do": "keys", "order": "random"}"#,
            #"{"do": "keys", "prefix": 1}"#,
            #"{"do": "keys", "limit": -1}"#, #"{"do": "evict"}"#, #"{"do": "evict", "tag": null}"#,
            #"{"do": "keys", "order": "sorted", "after": "nowhere"}"#, #"{"do": "peekItem"}"#,
        ]
        let answers = try tool.run(["shell", "--json", tool.cache], input: Array(lines.joined(separator: "\n").utf8))
            .answers(lines.count)
        #expect(
            answers.map(\.code) == [
                "keyNotFound", "badRequest", "badRequest", "badRequest", "badRequest", "badRequest", nil, nil,
            ])
        #expect(answers[7]["ok"] == .absent)
    }

    @Test func tagsAndEnds() throws {
        let tool = try ToolRunner()
        let results = try results(
            tool,
            [
                #"{"do": "set", "key": "b", "value": 1, "tag": 1}"#, #"{"do": "set", "key": "c", "value": 2}"#,
                #"{"do": "set", "key": "a", "value": 3, "tag": 1.0}"#, #"{"do": "keys", "tag": 1}"#,
                #"{"do": "items", "tag": 1.0, "order": "sorted"}"#, #"{"do": "peekItem"}"#,
                #"{"do": "peekItem", "last": false}"#,
                #"{"do": "evict", "tag": 1}"#, #"{"do": "peekItem", "entry": true}"#, #"{"do": "evictUntagged"}"#,
                #"{"do": "count"}"#,
            ])
        #expect(results[3...7] == [#"["b", "a"]"#, #"[["a", 3], ["b", 1]]"#, #"["a", 3]"#, #"["b", 1]"#, "2"])
        #expect(results[8].hasPrefix(#"{"key": "c", "value": 2, "expires": null, "tag": null, "storedAt": "#))
        #expect(results[9...] == ["1", "0"])
    }
}
