import DiskCache
import Testing

@testable import DiskCacheTool

/// Transactions of the shell, and what it does when it can't go on.
@Suite struct ShellTransactionTests {
    private func values(_ shell: ShellProcess, _ keys: String...) throws -> [JSON?] {
        try keys.map { try shell.ask(#"{"do": "get", "key": "\#($0)"}"#)?["ok"] }
    }

    @Test func nobodyElseSeesWhatIsNotCommitted() throws {
        let tool = try ToolRunner()
        let (writer, reader) = (try ShellProcess(tool), try ShellProcess(tool))
        for line in [
            #"{"do": "begin"}"#, #"{"do": "set", "key": "a", "value": 1}"#, #"{"do": "setMany", "items": [["b", 2]]}"#,
        ] {
            #expect(try writer.ask(line)?.line == #"{"ok": true}"#)
        }
        #expect(try values(writer, "a", "b") == [.integer(1), .integer(2)])
        #expect(try values(reader, "a", "b") == [.absent, .absent])
        #expect(try writer.ask(#"{"do": "close"}"#)?.code == "inTransaction")
        #expect(try writer.ask(#"{"do": "commit"}"#)?.line == #"{"ok": true}"#)
        #expect(try values(reader, "a", "b") == [.integer(1), .integer(2)])
        #expect(try writer.end() == .exited(0))
        #expect(try reader.end() == .exited(0))
    }

    @Test func levelsAreUndoneAlone() throws {
        let tool = try ToolRunner()
        let shell = try ShellProcess(tool)
        let steps = [
            #"{"do": "set", "key": "a", "value": "before"}"#, #"{"do": "begin"}"#,
            #"{"do": "set", "key": "a", "value": "outer"}"#,
            #"{"do": "begin"}"#, #"{"do": "set", "key": "a", "value": "inner"}"#,
            #"{"do": "set", "key": "b", "value": "inner"}"#,
            #"{"do": "rollback"}"#, #"{"do": "begin"}"#, #"{"do": "set", "key": "c", "value": "inner"}"#,
            #"{"do": "commit"}"#,
        ]
        for step in steps { #expect(try shell.ask(step)?.line == #"{"ok": true}"#) }
        #expect(try values(shell, "a", "b", "c") == [.text("outer"), .absent, .text("inner")])
        // An error undoes its own verb alone.
        #expect(try shell.ask(#"{"do": "setMany", "items": [["d", 1], [{"$float": "nan"}, 1]]}"#)?.code == "keyInvalid")
        #expect(try values(shell, "d", "c") == [.absent, .text("inner")])
        #expect(try shell.ask(#"{"do": "rollback"}"#)?.line == #"{"ok": true}"#)
        #expect(try values(shell, "a", "b", "c") == [.text("before"), .absent, .absent])
        #expect(try shell.ask(#"{"do": "rollback"}"#)?.code == "badRequest")
        #expect(try shell.ask(#"{"do": "check"}"#)?["ok"] == .array([]))
        #expect(try shell.end() == .exited(0))
    }

    @Test func aSnapshotStaysAsItIs() throws {
        let tool = try ToolRunner()
        let (writer, reader) = (try ShellProcess(tool), try ShellProcess(tool))
        _ = try writer.ask(#"{"do": "set", "key": "a", "value": 1}"#)
        #expect(try reader.ask(#"{"do": "end"}"#)?.code == "badRequest")
        #expect(try reader.ask(#"{"do": "snapshot"}"#)?["ok"] == .bool(true))
        _ = try writer.ask(#"{"do": "setMany", "items": [["a", 2], ["b", 2]]}"#)
        #expect(try values(reader, "a", "b") == [.integer(1), .absent])
        #expect(try reader.ask(#"{"do": "getMany", "keys": ["a", "b"]}"#)?.line == #"{"ok": [1, {"$absent": true}]}"#)
        #expect(try reader.ask(#"{"do": "get", "key": "a", "entry": true}"#)?["ok"]?["value"] == .integer(1))
        #expect(try reader.ask(#"{"do": "contains", "key": "b"}"#)?["ok"] == .bool(false))
        #expect(try reader.ask(#"{"do": "count"}"#)?["ok"] == .integer(1))
        #expect(try reader.ask(#"{"do": "keys"}"#)?.line == #"{"ok": ["a"]}"#)
        #expect(try reader.ask(#"{"do": "keys", "prefix": "b"}"#)?.line == #"{"ok": []}"#)
        #expect(try reader.ask(#"{"do": "items", "order": "sorted", "limit": 5}"#)?.line == #"{"ok": [["a", 1]]}"#)
        #expect(try reader.ask(#"{"do": "peekItem"}"#)?.line == #"{"ok": ["a", 1]}"#)
        #expect(try reader.ask(#"{"do": "peekItem", "entry": true}"#)?["ok"]?["value"] == .integer(1))
        #expect(try reader.ask(#"{"do": "peek"}"#)?.code == "badRequest")
        #expect(try reader.ask(#"{"do": "close"}"#)?.code == "inTransaction")
        #expect(try reader.ask(#"{"do": "end"}"#)?["ok"] == .bool(true))
        #expect(try values(reader, "a", "b") == [.integer(2), .integer(2)])
        // One that nobody ends goes with the shell.
        #expect(try reader.ask(#"{"do": "snapshot"}"#)?["ok"] == .bool(true))
        #expect(try reader.end() == .exited(0))
        #expect(try writer.end() == .exited(0))
    }

    @Test func theEndOfInputUndoes() throws {
        let tool = try ToolRunner()
        let lines = [
            #"{"do": "begin"}"#, #"{"do": "begin"}"#, #"{"do": "set", "key": "a", "value": {"$large": 100000}}"#,
        ]
        let result = try tool.run(["shell", "--json", tool.cache], input: Array(lines.joined(separator: "\n").utf8))
        #expect(try result.answers(3).allSatisfy { $0["ok"] == .bool(true) })
        let cache = try Cache(directory: tool.cache)
        #expect(try !cache.contains("a") && cache.count == 0 && cache.check().isEmpty)
    }

    @Test func aTransactionThatCannotBeginIsNotExecuted() throws {
        let tool = try ToolRunner()
        let cache = try Cache(directory: tool.cache)
        let shell = try ShellProcess(tool)
        #expect(try shell.ask(#"{"do": "settings", "set": {"timeout": 0.05}}"#)?["ok"]?["timeout"] == .float(0.05))
        try cache.update("held", default: 0) { (_: inout Int) throws in
            for step in [
                #"{"do": "begin"}"#, #"{"do": "set", "key": "a", "value": 1}"#, #"{"do": "begin"}"#,
                #"{"do": "count"}"#,
                #"{"do": "commit"}"#, #"{"do": "get", "key": "a"}"#,
            ] {
                #expect(try shell.ask(step)?.code == "timeout", "\(step)")
            }
            // Reading waits for nobody, when it isn't part of what couldn't begin.
            #expect(try shell.ask(#"{"do": "rollback", "id": 1}"#)?["id"] == .integer(1))
            #expect(try shell.ask(#"{"do": "count"}"#)?["ok"] == .integer(0))
            #expect(try shell.ask(#"{"do": "set", "key": "a", "value": 1}"#)?.code == "timeout")
        }
        #expect(try shell.ask(#"{"do": "commit"}"#)?.code == "badRequest")
        #expect(try shell.ask(#"{"do": "begin"}"#)?["ok"] == .bool(true))
        #expect(try shell.ask(#"{"do": "set", "key": "a", "value": 1}"#)?["ok"] == .bool(true))
        #expect(try shell.ask(#"{"do": "commit"}"#)?["ok"] == .bool(true))
        #expect(try cache.get("a", as: Int.self) == 1)
        #expect(try shell.end() == .exited(0))
    }

    @Test func aKilledShellLeavesNothingOfItsTransaction() throws {
        let tool = try ToolRunner()
        do {
            let shell = try ShellProcess(tool)
            _ = try shell.ask(#"{"do": "set", "key": "a", "value": 1}"#)
            _ = try shell.ask(#"{"do": "begin"}"#)
            _ = try shell.ask(#"{"do": "set", "key": "a", "value": 2}"#)
        }
        let cache = try Cache(directory: tool.cache)
        #expect(try cache.incr("a") == 2 && cache.check().isEmpty)
    }

    @Test func aRemovedDirectoryIsAnAnswer() throws {
        let tool = try ToolRunner()
        let shell = try ShellProcess(tool)
        #expect(try shell.ask(#"{"do": "set", "key": "a", "value": 1}"#)?["ok"] == .bool(true))
        Platform.remove(Array(tool.cache.utf8))
        Platform.pause(nanoseconds: 5_000_000)
        #expect(try shell.ask(#"{"do": "set", "key": "a", "value": 2}"#)?.code == "directoryRemoved")
        #expect(try shell.ask(#"{"do": "nothing"}"#)?.code == "badRequest")
        #expect(try shell.end() == .exited(0))
    }

    @Test func closedIsOpenedByTheNextVerb() throws {
        let tool = try ToolRunner()
        let shell = try ShellProcess(tool)
        for step in [
            #"{"do": "set", "key": "a", "value": 1}"#, #"{"do": "sync"}"#, #"{"do": "close"}"#, #"{"do": "close"}"#,
            #"{"do": "pause", "seconds": 0}"#,
        ] {
            #expect(try shell.ask(step)?["ok"] == .bool(true))
        }
        #expect(try values(shell, "a") == [.integer(1)])
        #expect(try shell.end() == .exited(0))
    }
}
