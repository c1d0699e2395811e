import Testing

@testable import DiskCacheTool

/// Named locks through the shell: each shell is a holder.
@Suite struct ShellLockTests {
    @Test func oneShellHoldsALock() throws {
        let tool = try ToolRunner()
        let (a, b) = (try ShellProcess(tool), try ShellProcess(tool))
        #expect(try a.ask(#"{"do": "lock", "name": "x"}"#)?["ok"] == .bool(true))
        #expect(try a.ask(#"{"do": "lock", "name": "x"}"#)?.code == "lockNotHeld")
        #expect(try b.ask(#"{"do": "lock", "name": "x"}"#)?["ok"] == .bool(false))
        #expect(try b.ask(#"{"do": "lock", "name": "x", "timeout": 0.01}"#)?["ok"] == .bool(false))
        #expect(try b.ask(#"{"do": "unlock", "name": "x"}"#)?.code == "lockNotHeld")
        #expect(try b.ask(#"{"do": "lock", "name": "y"}"#)?["ok"] == .bool(true))
        #expect(try b.ask(#"{"do": "lock"}"#)?.code == "badRequest")
        try b.send(#"{"do": "lock", "name": "x", "timeout": 60}"#)
        // Canonical equivalents are two names.
        #expect(try a.ask(#"{"do": "lock", "name": "\u00e9"}"#)?["ok"] == .bool(true))
        #expect(try a.ask(#"{"do": "unlock", "name": "e\u0301"}"#)?.code == "lockNotHeld")
        #expect(try a.ask(#"{"do": "lock", "name": "e\u0301"}"#)?["ok"] == .bool(true))
        #expect(try a.ask(#"{"do": "unlock", "name": "x"}"#)?["ok"] == .bool(true))
        #expect(try b.answer()?["ok"] == .bool(true))
        #expect(try a.ask(#"{"do": "lock", "name": "x"}"#)?["ok"] == .bool(false))
        // A lock ends with its process.
        try a.send(#"{"do": "lock", "name": "x", "timeout": 60}"#)
        #expect(try b.end() == .exited(0))
        #expect(try a.answer()?["ok"] == .bool(true))
        #expect(try a.end() == .exited(0))
    }
}
