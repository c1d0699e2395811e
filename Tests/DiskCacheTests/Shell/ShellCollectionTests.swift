import Testing

@testable import DiskCacheTool

/// Deques and indexes through the shell.
@Suite struct ShellCollectionTests {
    @Test func aDeque() throws {
        let tool = try ToolRunner()
        let shell = try ShellProcess(tool, "--kind", "deque")
        func result(_ line: String) throws -> String? {
            let answer = try shell.ask(line)
            return answer?["ok"]?.line ?? answer?.code
        }
        #expect(try result(#"{"do": "extend", "values": [1, "two", [3], null]}"#) == "true")
        #expect(try result(#"{"do": "extendFront", "values": [0, -1]}"#) == "true")
        #expect(try result(#"{"do": "items"}"#) == #"[-1, 0, 1, "two", [3], null]"#)
        #expect(try result(#"{"do": "at", "index": -2}"#) == "[3]")
        #expect(try result(#"{"do": "at", "index": 6}"#) == "keyNotFound")
        #expect(try result(#"{"do": "at", "index": "a"}"#) == "badRequest")
        #expect(try result(#"{"do": "setAt", "index": 0, "value": {"$large": 2000000}}"#) == "true")
        #expect(try result(#"{"do": "removeAt", "index": 1}"#) == "0")
        #expect(try result(#"{"do": "removeAt", "index": -7}"#) == "keyNotFound")
        #expect(try result(#"{"do": "first"}"#)?.count ?? 0 > 2_000_000)
        #expect(try result(#"{"do": "rotate", "by": -1}"#) == "true")
        #expect(try result(#"{"do": "removeAt", "index": -1}"#)?.count ?? 0 > 2_000_000)
        #expect(try result(#"{"do": "reverse"}"#) == "true")
        #expect(try result(#"{"do": "items", "reversed": true}"#) == #"[1, "two", [3], null]"#)
        #expect(try result(#"{"do": "countOf", "value": [3]}"#) == "1")
        #expect(try result(#"{"do": "contains", "value": "three"}"#) == "false")
        #expect(try result(#"{"do": "remove", "value": "two"}"#) == "true")
        #expect(try result(#"{"do": "remove", "value": "two"}"#) == "false")
        #expect(try result(#"{"do": "begin"}"#) == "true")
        #expect(try result(#"{"do": "maxLength", "set": 1}"#) == "1")
        #expect(try result(#"{"do": "items"}"#) == "[1]")
        #expect(try result(#"{"do": "rollback"}"#) == "true")
        #expect(try result(#"{"do": "maxLength"}"#) == "null")
        #expect(try result(#"{"do": "maxLength", "set": 2}"#) == "2")
        #expect(try result(#"{"do": "append", "value": 9}"#) == "true")
        #expect(try result(#"{"do": "prepend", "value": 8}"#) == "true")
        #expect(try result(#"{"do": "maxLength", "set": null}"#) == "null")
        #expect(try result(#"{"do": "maxLength", "set": -1}"#) == "invalidSetting")
        #expect(try result(#"{"do": "last"}"#) == "1")
        #expect(try result(#"{"do": "popLast"}"#) == "1")
        #expect(try result(#"{"do": "popFirst", "timeout": 1}"#) == "8")
        #expect(try result(#"{"do": "popFirst", "timeout": 0.01}"#) == #"{"$absent": true}"#)
        #expect(try result(#"{"do": "last"}"#) == #"{"$absent": true}"#)
        #expect(try result(#"{"do": "count"}"#) == "0")
        #expect(try result(#"{"do": "check"}"#) == "[]")
        #expect(
            try result(#"{"do": "settings", "set": {"evictionPolicy": "least-recently-used"}}"#) == "invalidSetting")
        #expect(try result(#"{"do": "set", "key": 1, "value": 1}"#) == "badRequest")
        #expect(try shell.end() == .exited(0))
        // A deque is nothing else.
        #expect(try tool.run(["shell", "--kind", "index", tool.cache]).status == 2)
        #expect(try tool.run(["shell", tool.cache]).status == 2)
        #expect(try tool.run(["set", tool.cache, "key", "value"]).status == 2)
        #expect(try tool.run(["check", tool.cache]).status == 0)
    }

    @Test func anIndex() throws {
        let tool = try ToolRunner()
        let shell = try ShellProcess(tool, "--kind", "index")
        func result(_ line: String) throws -> String? {
            let answer = try shell.ask(line)
            return answer?["ok"]?.line ?? answer?.code
        }
        #expect(try result(#"{"do": "set", "key": "b", "value": 1}"#) == "true")
        #expect(try result(#"{"do": "set", "key": 5, "value": {"x": null}}"#) == "true")
        #expect(try result(#"{"do": "setDefault", "key": "b", "value": 2}"#) == "1")
        #expect(try result(#"{"do": "setDefault", "key": [1], "value": 2}"#) == "2")
        #expect(try result(#"{"do": "push", "value": 3}"#) == #"{"$queue": null, "number": 500000000000000}"#)
        #expect(
            try result(#"{"do": "keys"}"#) == #"["b", 5, [1], {"$queue": null, "number": 500000000000000}]"#)
        #expect(try result(#"{"do": "items", "order": "sorted", "limit": 2}"#) == #"[[5, {"x": null}], ["b", 1]]"#)
        #expect(try result(#"{"do": "contains", "key": [1]}"#) == "true")
        #expect(try result(#"{"do": "peekItem", "last": false}"#) == #"["b", 1]"#)
        #expect(try result(#"{"do": "popFirst"}"#) == #"["b", 1]"#)
        #expect(try result(#"{"do": "pull"}"#) == #"[{"$queue": null, "number": 500000000000000}, 3]"#)
        #expect(try result(#"{"do": "popLast"}"#) == "[[1], 2]")
        #expect(try result(#"{"do": "pop", "key": 5}"#) == #"{"x": null}"#)
        #expect(try result(#"{"do": "delete", "key": 5}"#) == "false")
        #expect(try result(#"{"do": "popLast"}"#) == #"{"$absent": true}"#)
        // Nothing expires.
        #expect(try result(#"{"do": "set", "key": 1, "value": 1, "expire": 1}"#) == "badRequest")
        #expect(try result(#"{"do": "push", "value": 1, "tag": "t"}"#) == "badRequest")
        #expect(try result(#"{"do": "settings", "set": {"defaultExpire": 1}}"#) == "invalidSetting")
        #expect(try result(#"{"do": "evict", "tag": 1}"#) == "badRequest")
        #expect(try shell.end() == .exited(0))
        #expect(try tool.run(["shell", "--kind", "cache", tool.cache]).status == 2)
    }
}
