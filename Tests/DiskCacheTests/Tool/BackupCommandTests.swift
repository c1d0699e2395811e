import DiskCache
import Testing

@testable import DiskCacheTool

/// `backup` and `merge`, as commands and as verbs of the shell.
@Suite struct BackupCommandTests {
    @Test func aBackupIsPrintedAndOpens() throws {
        let tool = try ToolRunner()
        try tool.run("set", tool.cache, "greeting", "hello").requireSuccess()
        let large = [UInt8](repeating: 7, count: 40_000)
        try tool.run("set", tool.cache, "large", input: large).requireSuccess()
        let target = tool.folder + "/copy"
        let made = try tool.run("backup", tool.cache, target)
        #expect(made.status == 0 && made.errors.isEmpty)
        for part in ["items", "files", "bytes shared", "bytes copied", "log position"] {
            #expect(made.text.contains(part), "\(made.text)")
        }
        #expect(try tool.run("get", target, "large").output == large)
        #expect(try tool.run("check", target).status == 0)
        let again = try tool.run("backup", tool.cache, target)
        #expect(again.status == 2 && again.errors.hasPrefix("diskcache: targetExists: "))
        #expect(try tool.run("backup", "--copy", tool.cache, tool.folder + "/second").text.contains("bytes shared  0"))
        #expect(try tool.run("backup", tool.folder + "/nowhere", tool.folder + "/third").status == 2)
        #expect(!tool.exists(tool.folder + "/nowhere") && !tool.exists(tool.folder + "/third"))
        #expect(try tool.run("backup", tool.cache).status == 2)
    }

    @Test func mergesTakeWhatIsNewer() throws {
        let tool = try ToolRunner()
        let other = tool.folder + "/other"
        try tool.run("set", tool.cache, "both", "older").requireSuccess()
        try tool.run("set", other, "both", "newer").requireSuccess()
        try tool.run("set", other, "there", "x").requireSuccess()
        let kept = try tool.run("merge", "--policy", "keep", tool.cache, other)
        #expect(kept.status == 0 && kept.text.contains("taken              1"), "\(kept.text)")
        #expect(try tool.run("get", tool.cache, "both").text == "older")
        try tool.run("merge", "--policy=replace", tool.cache, other).requireSuccess()
        #expect(try tool.run("get", tool.cache, "both").text == "newer")
        #expect(try tool.run("merge", "--policy", "oldest", tool.cache, other).status == 2)
        #expect(try tool.run("merge", tool.cache, tool.folder + "/nowhere").status == 2)
        #expect(!tool.exists(tool.folder + "/nowhere"))
    }

    @Test func verbsOfTheShell() throws {
        let tool = try ToolRunner()
        let target = tool.folder + "/copy"
        let lines = """
            {"do": "set", "key": "a", "value": 1}
            {"do": "backup", "to": "\(target)"}
            {"do": "backup", "to": "\(target)"}
            {"do": "delete", "key": "a"}
            {"do": "merge", "from": "\(target)"}
            {"do": "get", "key": "a"}
            {"do": "merge", "from": "\(target)", "policy": "oldest"}
            {"do": "begin"}
            {"do": "backup", "to": "\(target) 2"}
            {"do": "commit"}
            """
        let shell = try tool.run("shell", "--json", tool.cache, input: Array((lines + "\n").utf8))
        let answers = shell.text.split(separator: "\n")
        try #require(answers.count == 10, "\(shell.text)")
        #expect(answers[1].contains("\"count\": 1") && answers[1].contains("\"losses\": []"))
        #expect(answers[2].contains("targetExists"))
        #expect(answers[4].contains("\"taken\": 1"))
        #expect(answers[5] == "{\"ok\": 1}")
        #expect(answers[6].contains("badRequest"))
        #expect(answers[8].contains("inTransaction"))
        #expect(!tool.exists(target + " 2"))
    }
}
