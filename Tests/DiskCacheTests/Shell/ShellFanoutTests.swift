import DiskCacheCore
import Testing

@testable import DiskCacheTool

/// `diskcache shell --json --kind fanout`.
@Suite struct ShellFanoutTests {
    @Test func theVerbsAreThoseOfACache() throws {
        let tool = try ToolRunner()
        let shell = try ShellProcess(tool, "--kind", "fanout", "--shards", "3", "sizeLimit=9000000")
        func result(_ line: String) throws -> String? { try shell.ask(line)?["ok"]?.line }
        for number in 0..<20 {
            #expect(try result(#"{"do": "set", "key": "k\#(number)", "value": \#(number), "tag": "t"}"#) == "true")
        }
        #expect(try result(#"{"do": "get", "key": "k7"}"#) == "7")
        #expect(try result(#"{"do": "add", "key": "k7", "value": 1}"#) == "false")
        #expect(try result(#"{"do": "incr", "key": "k7", "by": 2}"#) == "9")
        #expect(try result(#"{"do": "decr", "key": "f", "by": 0.5}"#) == "-0.5")
        #expect(try result(#"{"do": "pop", "key": "f"}"#) == "-0.5")
        #expect(try result(#"{"do": "get", "key": "f"}"#) == #"{"$absent": true}"#)
        #expect(try result(#"{"do": "setMany", "items": [[1, "a"], [2, {"$large": 50000}], [3, "c"]]}"#) == "true")
        #expect(try result(#"{"do": "getMany", "keys": [3, 4, 1]}"#) == #"["c", {"$absent": true}, "a"]"#)
        #expect(try result(#"{"do": "keys", "order": "sorted", "limit": 4}"#) == #"[1, 2, 3, "k0"]"#)
        #expect(try result(#"{"do": "keys", "from": 1, "to": 3, "reversed": true}"#) == "[2, 1]")
        #expect(try result(#"{"do": "keys", "prefix": "k1", "after": "k11", "limit": 2}"#) == #"["k12", "k13"]"#)
        #expect(try result(#"{"do": "items", "order": "sorted", "prefix": "k18"}"#) == #"[["k18", 18]]"#)
        let keys = try shell.ask(#"{"do": "keys"}"#)?["ok"]
        guard case .array(let all) = keys else { throw BadRequest("no keys") }
        #expect(all.count == 23)
        let later = try shell.ask(#"{"do": "keys", "after": \#(all[9].line)}"#)?["ok"]
        #expect(later == .array(Array(all[10...])))
        #expect(try shell.ask(#"{"do": "keys", "reversed": true}"#)?["ok"] == .array(all.reversed()))
        #expect(try result(#"{"do": "peekItem", "last": false}"#)?.hasPrefix("[\(all[0].line), ") == true)
        #expect(try result(#"{"do": "deleteMany", "keys": [1, 2, 9]}"#) == "2")
        #expect(try result(#"{"do": "push", "value": 1, "prefix": "q"}"#) != nil)
        #expect(try result(#"{"do": "peek", "prefix": "q"}"#) == #"[{"$queue": "q", "number": 500000000000000}, 1]"#)
        #expect(try result(#"{"do": "pull", "prefix": "q"}"#) == #"[{"$queue": "q", "number": 500000000000000}, 1]"#)
        #expect(try result(#"{"do": "count"}"#) == "21")
        let settings = try shell.ask(#"{"do": "settings", "set": {"sizeLimit": 9000001}}"#)?["ok"]
        #expect(settings?["sizeLimit"] == .integer(9_000_001) && settings?["timeout"] == .float(0.01))
        #expect(try result(#"{"do": "stats", "enable": true}"#) == #"{"hits": 0, "misses": 0}"#)
        let backup = try shell.ask(#"{"do": "backup", "to": "\#(tool.cache).copy"}"#)?["ok"]
        #expect(backup?["count"] == .integer(21) && backup?["losses"] == .array([]))
        guard case .array(let positions) = backup?["positions"] else { throw BadRequest("no positions") }
        #expect(positions.count == 3)
        #expect(try FanoutCache(directory: tool.cache + ".copy").count == 21)
        let merged = try shell.ask(#"{"do": "merge", "from": "\#(tool.cache).copy"}"#)?["ok"]
        #expect(merged?["kept"] == .integer(21) && merged?["taken"] == .integer(0))
        #expect(try result(#"{"do": "evict", "tag": "t"}"#) == "20")
        #expect(try result(#"{"do": "check"}"#) == "[]")
        #expect(try result(#"{"do": "clear"}"#) == "1")
        #expect(try shell.end() == .exited(0))
        // Without numbers it has what it had.
        #expect(try FanoutCache(directory: tool.cache).shardCount == 3)
        for (options, code) in [
            (["--kind", "fanout", "--shards", "4"], "shardCountMismatch"), ([], "wrongKind"),
            (["--shards", "3"], "badRequest"),
        ] {
            let run = try tool.run(["shell", "--json"] + options + [tool.cache])
            #expect(try run.status == 2 && JSON(run.text).code == code, "\(options): \(run.text)")
        }
    }

    @Test func aTransactionIsOfAllShards() throws {
        let tool = try ToolRunner()
        let shell = try ShellProcess(tool, "--kind", "fanout")
        func result(_ line: String) throws -> String? { try shell.ask(line)?["ok"]?.line }
        for verb in ["rollback", "commit"] {
            #expect(try result(#"{"do": "begin"}"#) == "true")
            for number in 0..<10 { _ = try result(#"{"do": "set", "key": \#(number), "value": 1}"#) }
            #expect(try result(#"{"do": "begin"}"#) == "true")
            #expect(try result(#"{"do": "clear"}"#) == "10")
            #expect(try result(#"{"do": "rollback"}"#) == "true")
            #expect(try result(#"{"do": "\#(verb)"}"#) == "true")
            #expect(try result(#"{"do": "count"}"#) == (verb == "commit" ? "10" : "0"))
        }
        let other = try ShellProcess(tool, "--kind", "fanout")
        #expect(try result(#"{"do": "snapshot"}"#) == "true")
        _ = try other.ask(#"{"do": "set", "key": 3, "value": 2}"#)
        _ = try other.ask(#"{"do": "deleteMany", "keys": [5, 6]}"#)
        #expect(try result(#"{"do": "get", "key": 3}"#) == "1")
        #expect(try result(#"{"do": "contains", "key": 5}"#) == "true")
        #expect(try result(#"{"do": "count"}"#) == "10")
        #expect(try result(#"{"do": "keys", "order": "sorted", "reversed": true}"#) == "[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]")
        #expect(try result(#"{"do": "items", "from": 3, "to": 6}"#) == "[[3, 1], [4, 1], [5, 1]]")
        for last in [true, false] {
            let keys = try #require(try shell.ask(#"{"do": "keys", "reversed": \#(last)}"#)?["ok"])
            guard case .array(let all) = keys, let first = all.first else { continue }
            #expect(try result(#"{"do": "peekItem", "last": \#(last)}"#) == "[\(first.line), 1]")
        }
        #expect(try result(#"{"do": "end"}"#) == "true")
        #expect(try result(#"{"do": "items", "from": 3, "to": 6}"#) == "[[3, 2], [4, 1]]")
    }

    @Test func aWriteThatIsDroppedSaysSo() throws {
        let tool = try ToolRunner()
        let (holder, shell) = (
            try ShellProcess(tool, "--kind", "fanout"), try ShellProcess(tool, "--kind", "fanout", "timeout=0.02")
        )
        _ = try holder.ask(#"{"do": "set", "key": "k", "value": 1}"#)
        _ = try holder.ask(#"{"do": "begin"}"#)
        for verb in [
            #""set", "key": "k", "value": 2"#, #""add", "key": "n", "value": 2"#, #""delete", "key": "k""#,
            #""touch", "key": "k""#, #""incr", "key": "k""#, #""decr", "key": "k""#, #""pop", "key": "k""#,
            #""setMany", "items": [["a", 1], ["b", 1], ["c", 1]]"#, #""deleteMany", "keys": ["k", "a"]"#,
        ] {
            #expect(try shell.ask(#"{"do": \#(verb), "id": 1}"#)?.line == #"{"ok": false, "dropped": true, "id": 1}"#)
        }
        #expect(try shell.ask(#"{"do": "get", "key": "k"}"#)?.line == #"{"ok": 1}"#)
        #expect(try shell.ask(#"{"do": "push", "value": 1}"#)?.code == "timeout")
        #expect(try shell.ask(#"{"do": "begin"}"#)?.code == "timeout")
        #expect(try shell.ask(#"{"do": "commit"}"#)?.code == "timeout")
        _ = try holder.ask(#"{"do": "commit"}"#)
        #expect(try shell.ask(#"{"do": "set", "key": "k", "value": 2}"#)?.line == #"{"ok": true}"#)
    }
}
