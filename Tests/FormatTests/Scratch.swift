import Foundation

/// A directory of its own for one test, removed with all that is in it when the test is over.
final class Scratch: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/diskcache-format-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Files and folders as the tests see them.
enum Disk {
    /// The folder of these sources.
    static let here = (#filePath as NSString).deletingLastPathComponent

    /// FORMAT.md as a list of lines.
    static func specification() throws -> [String] {
        let text = try String(contentsOfFile: here + "/../../FORMAT.md", encoding: .utf8)
        return text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    static func read(_ path: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    static func write(_ bytes: [UInt8], to path: String) throws {
        let folder = (path as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    /// The names of all files below a folder, sorted.
    static func files(below path: String) -> [String] {
        let names = (FileManager.default.enumerator(atPath: path)?.allObjects as? [String]) ?? []
        return names.filter { isFile(path + "/" + $0) }.sorted()
    }

    private static func isFile(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && !isFolder.boolValue
    }
}

/// The reader in Python, which knows nothing but FORMAT.md.
enum PythonReader {
    struct Failure: Error, CustomStringConvertible { let description: String }

    /// What the reader prints for each of several lists of arguments.
    static func run(_ batch: [[String]]) throws -> [String] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try python())
        process.arguments = ["-B", Disk.here + "/reader.py", "--batch"]
        let input = Pipe()
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let lines = batch.map { $0.joined(separator: "\t") + "\n" }
        // Less than a pipe holds, so that nobody waits for the other.
        precondition(lines.joined().utf8.count < 16384)
        try input.fileHandleForWriting.write(contentsOf: Data(lines.joined().utf8))
        try input.fileHandleForWriting.close()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let answers = text.split(separator: "\0", omittingEmptySubsequences: false).dropLast().map(String.init)
        guard process.terminationStatus == 0, answers.count == batch.count else {
            throw Failure(description: "reader.py failed; it printed:\n" + text)
        }
        return answers
    }

    /// What the reader prints.
    static func run(_ arguments: [String]) throws -> String { try run([arguments])[0] }

    private static func python() throws -> String {
        for folder in (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":") {
            let path = String(folder) + "/python3"
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        throw Failure(description: "python3 is not on the PATH; the tests of the format need it to run reader.py")
    }
}
