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

func hex(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}

/// Bytes of a string of hexadecimal digits; spaces don't count.
func unhex(_ text: some StringProtocol) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// SplitMix64: random numbers that a printed seed brings back. Set `FORMAT_SEED` to replay a run.
struct Seeded: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// A generator for a test, with its seed printed.
    init(for test: String) {
        let given = ProcessInfo.processInfo.environment["FORMAT_SEED"].flatMap { UInt64($0) }
        let seed = given ?? UInt64.random(in: .min ... .max)
        print("\(test): FORMAT_SEED=\(seed)")
        self.init(seed: seed)
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}
