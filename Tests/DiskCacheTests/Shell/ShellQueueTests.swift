import Testing

@testable import DiskCacheTool

/// Queues through the shell.
@Suite struct ShellQueueTests {
    @Test func whatIsPushedIsPulled() throws {
        let tool = try ToolRunner()
        let shell = try ShellProcess(tool)
        func result(_ line: String) throws -> String? { try shell.ask(line)?["ok"]?.line }

        #expect(try result(#"{"do": "push", "value": "a"}"#) == #"{"$queue": null, "number": 500000000000000}"#)
        #expect(
            try result(#"{"do": "push", "value": "b", "side": "front"}"#)
                == #"{"$queue": null, "number": 499999999999999}"#)
        #expect(
            try result(#"{"do": "push", "value": [1], "prefix": "q", "tag": "t"}"#)
                == #"{"$queue": "q", "number": 500000000000000}"#)
        #expect(try result(#"{"do": "get", "key": {"$queue": "q", "number": 500000000000000}}"#) == "[1]")
        #expect(try result(#"{"do": "peek"}"#) == #"[{"$queue": null, "number": 499999999999999}, "b"]"#)
        #expect(
            try result(#"{"do": "pull", "side": "back"}"#) == #"[{"$queue": null, "number": 500000000000000}, "a"]"#)
        #expect(try result(#"{"do": "pull"}"#) == #"[{"$queue": null, "number": 499999999999999}, "b"]"#)
        #expect(try result(#"{"do": "pull"}"#) == #"{"$absent": true}"#)
        #expect(try result(#"{"do": "peek", "timeout": 0.01}"#) == #"{"$absent": true}"#)
        #expect(try result(#"{"do": "pull", "timeout": 0.01}"#) == #"{"$absent": true}"#)
        // With the lock held nobody can push what would be waited for.
        #expect(try result(#"{"do": "begin"}"#) == "true")
        #expect(try result(#"{"do": "peek", "timeout": 1e9}"#) == #"{"$absent": true}"#)
        #expect(try result(#"{"do": "rollback"}"#) == "true")
        let entry = try #require(try shell.ask(#"{"do": "pull", "prefix": "q", "entry": true}"#)?["ok"])
        #expect(entry["key"]?.line == #"{"$queue": "q", "number": 500000000000000}"# && entry["value"]?.line == "[1]")
        #expect(entry["tag"] == .text("t") && entry["expires"] == .null && entry["path"] == .null)
        #expect(try shell.ask(#"{"do": "push", "value": 1, "side": "top"}"#)?.code == "badRequest")
        #expect(try shell.end() == .exited(0))
    }

    @Test func aPullWaitsForAPushOfAnotherProcess() throws {
        let tool = try ToolRunner()
        let (puller, pusher) = (try ShellProcess(tool), try ShellProcess(tool))
        try puller.send(#"{"do": "pull", "prefix": "q", "timeout": 60}"#)
        _ = try pusher.ask(#"{"do": "push", "prefix": "q", "value": {"$large": 1100000}}"#)
        #expect(try puller.answer()?["ok"] != .absent)
        #expect(try pusher.ask(#"{"do": "pull", "prefix": "q"}"#)?["ok"] == .absent)
        #expect(try puller.end() == .exited(0))
        #expect(try pusher.end() == .exited(0))
    }

    @Test func aNumberThatIsGoneStaysGone() throws {
        let tool = try ToolRunner()
        let shell = try ShellProcess(tool)
        let key = try #require(try shell.ask(#"{"do": "push", "value": 1}"#)?["ok"]).line
        #expect(try shell.ask(#"{"do": "incr", "key": \#(key)}"#)?["ok"] == .integer(2))
        #expect(try shell.ask(#"{"do": "delete", "key": \#(key)}"#)?["ok"] == .bool(true))
        for arguments in ["", #", "expire": 0"#, #", "expire": -1"#] {
            for verb in ["set", "add"] {
                for value in ["1", #"{"$file": "/dev/null"}"#] {
                    let line = #"{"do": "\#(verb)", "key": \#(key), "value": \#(value)\#(arguments)}"#
                    #expect(try shell.ask(line)?.code == "keyNotFound", "\(line)")
                }
            }
        }
        #expect(try shell.ask(#"{"do": "count"}"#)?["ok"] == .integer(0))
        #expect(try shell.ask(#"{"do": "check"}"#)?["ok"] == .array([]))
        #expect(try shell.end() == .exited(0))
    }
}
