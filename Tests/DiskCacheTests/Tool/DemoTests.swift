import DiskCache
import Testing

@testable import DiskCacheTool

/// `diskcache demo` on small folders.
@Suite struct DemoTests {
    @Test func aFolderIsStoredAndFoundAgain() throws {
        let tool = try ToolRunner()
        let source = tool.folder + "/source"
        try Platform.makeFolder(Array(source.utf8))
        try Platform.makeFolder(Array((source + "/.git").utf8))
        try Platform.makeFolder(Array((source + "/deep").utf8))
        try tool.write(source + "/.git/ignored", [1])
        try tool.write(source + "/empty", [])
        try tool.write(source + "/deep/\u{65}\u{301} name", [1, 2, 3])
        try Platform.write(Platform.createFile(Array(source.utf8) + Array("/not text ".utf8) + [0xff, 0xfe]), [4])
        for number in 0..<20 {
            try tool.write(source + "/\(number)", [UInt8](repeating: UInt8(number), count: number * 999))
        }
        try tool.write(source + "/large", (0..<2_500_000).map { UInt8(truncatingIfNeeded: $0 >> 3) })
        let result = try tool.run("demo", source, environment: ["TMPDIR": tool.folder])
        #expect(result.status == 0, "\(result.text)\(result.errors)")
        #expect(result.errors.isEmpty, "\(result.errors)")
        for line in [
            "files                        24\n", "bytes                        2,689,814\n",
            "left out                     1 folders of tools (.git, .build)\n", "acknowledged writes lost     0\n",
            "values missing or different  0\n", "findings of the check        0\n", "writers killed               5\n",
        ] {
            #expect(result.text.contains(line), "\(result.text)")
        }
        #expect(try Platform.names(in: Array(tool.folder.utf8)).count == 4, "the temporary folder is gone")
    }

    @Test func anEmptyFolderIsNoProblem() throws {
        let tool = try ToolRunner()
        let source = tool.folder + "/source"
        try Platform.makeFolder(Array(source.utf8))
        let result = try tool.run("demo", "--keep", source, environment: ["TMPDIR": tool.folder])
        #expect(result.status == 0 && result.text.contains("files                        0\n"), "\(result.errors)")
        let path = try #require(result.text.split(separator: "The cache is in ").last?.split(separator: "\n").first)
        #expect(try Cache(directory: String(path)).get("reopened", as: Int.self) == 4)
    }

    @Test func withoutAFolderItSaysSo() throws {
        let tool = try ToolRunner()
        let missing = try tool.run("demo", tool.folder + "/none")
        #expect(missing.status == 2 && missing.errors.contains("/none"))
        try tool.write(tool.folder + "/file", [1])
        #expect(try tool.run("demo", tool.folder + "/file").status == 2)
    }

    @Test func temporaryFoldersAreMadeWhereTheyCanBe() throws {
        let tool = try ToolRunner()
        let source = tool.folder + "/source"
        try Platform.makeFolder(Array(source.utf8))
        try tool.write(source + "/file", [1, 2, 3])
        let result = try tool.run("demo", source, environment: ["TMPDIR": tool.folder + "/none"])
        #expect(result.status == 0, "\(result.errors)")
        #expect(try Platform.names(in: Array(source.utf8)).count == 1)
    }

    /// Where a program can't see its arguments, one that starts itself by them would multiply without end.
    @Test func aMarkedProcessStartsNoOther() throws {
        let tool = try ToolRunner()
        let result = try tool.run("demo", tool.folder, environment: [DemoChild.roleVariable: "nothing"])
        #expect(result.status == 2 && result.errors.contains(DemoChild.roleVariable))
        let early = try tool.run("demo", tool.folder, environment: [DemoChild.roleVariable: "store"])
        #expect(early.status == 2)
    }
}
