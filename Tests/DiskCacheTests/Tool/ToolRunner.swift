@testable import DiskCacheTool

/// Runs the tool that was built beside this test runner, in a folder of its own that goes when the runner does.
final class ToolRunner {
    /// What a run came to.
    struct Result {
        let status: Int32
        let output: [UInt8]
        let errors: String
        var text: String { String(decoding: output, as: UTF8.self) }
    }

    /// The folder.
    let folder: String
    /// A place for a cache, not made yet.
    var cache: String { folder + "/cache" }

    init() throws {
        let parent = Platform.environment("TMPDIR") ?? Array("/tmp".utf8)
        folder = String(
            decoding: try Platform.makeTemporaryFolder(in: parent, prefix: "diskcache-tool-test-"), as: UTF8.self)
    }

    deinit { Platform.remove(Array(folder.utf8)) }

    /// Runs the tool to its end.
    func run(_ arguments: String..., input: [UInt8] = [], environment: [String: String] = [:]) throws -> Result {
        try run(arguments, input: input, environment: environment)
    }

    /// As above.
    func run(_ arguments: [String], input: [UInt8] = [], environment: [String: String] = [:]) throws -> Result {
        try run(Self.executable(), ["diskcache"] + arguments, input, environment)
    }

    /// Runs what a shell understands, to which the tool is `$TOOL` and the folder `$FOLDER`, to its end.
    func runInShell(_ script: String) throws -> Result {
        try run("/bin/sh", ["sh", "-c", script], [], ["TOOL": Self.executable(), "FOLDER": folder])
    }

    private func run(
        _ executable: String, _ words: [String], _ input: [UInt8], _ environment: [String: String]
    ) throws -> Result {
        let (given, output, errors) = (folder + "/stdin", folder + "/stdout", folder + "/stderr")
        try write(given, input)
        let child = try Platform.spawn(
            Array(executable.utf8), words,
            environment: environment.map { ($0.key, Array($0.value.utf8)) },
            input: Platform.openFile(Array(given.utf8)),
            output: Platform.createFile(Array(output.utf8)), error: Platform.createFile(Array(errors.utf8)))
        guard case .exited(let status) = try Platform.wait(child) else { throw Missing(what: "an exit status") }
        return Result(
            status: status, output: try read(output), errors: String(decoding: try read(errors), as: UTF8.self))
    }

    /// Makes a file.
    func write(_ path: String, _ bytes: [UInt8]) throws {
        try Platform.write(Platform.createFile(Array(path.utf8)), bytes)
    }

    /// The bytes of a file.
    func read(_ path: String) throws -> [UInt8] {
        let file = try Platform.openFile(Array(path.utf8))
        let size = try Platform.status(file, Array(path.utf8)).size
        return try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            count = try Platform.read(file, into: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    /// Whether something stands at a path.
    func exists(_ path: String) -> Bool { (try? Platform.status(Array(path.utf8))) != nil }

    private struct Missing: Error { let what: String }

    /// The tool's path: it lies in the runner's folder, or in one above it.
    static func executable() throws -> String {
        for argument in ["/proc/self/exe"] + CommandLine.arguments {
            guard let path = Platform.resolved(Array(argument.utf8)) else { continue }
            var parts = path.split(separator: Platform.slash)
            while parts.popLast() != nil {
                let folder = parts.map { "/" + String(decoding: $0, as: UTF8.self) }.joined()
                let candidate = folder + "/diskcache"
                if (try? Platform.status(Array(candidate.utf8)))?.kind == .regular { return candidate }
            }
        }
        throw Missing(what: "the executable diskcache, beside the test runner")
    }
}
