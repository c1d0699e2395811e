import Testing

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The project's own source files, found from where this file stands.
struct SourceTree {
    struct File {
        /// From the project's folder on, with slashes.
        let path: String
        let text: String
        var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
    }

    let root: String
    let files: [File]

    /// All Swift files under `folder` of the project.
    init(_ folder: String, file: String = #filePath) throws {
        let root = file.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
        self.root = root
        files = try Self.paths(root + "/" + folder).filter { $0.hasSuffix(".swift") }.sorted().map { path in
            File(path: String(path.dropFirst(root.count + 1)), text: try Self.read(path))
        }
        try #require(!files.isEmpty, "no sources under \(root)/\(folder)")
    }

    private static func paths(_ folder: String) throws -> [String] {
        let directory = try #require(opendir(folder), "\(folder) can't be listed")
        defer { closedir(directory) }
        var found: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasPrefix(".") { continue }
            var status = stat()
            guard stat("\(folder)/\(name)", &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                found += try paths("\(folder)/\(name)")
            } else {
                found.append("\(folder)/\(name)")
            }
        }
        return found
    }

    static func read(_ path: String) throws -> String {
        let descriptor = open(path, O_RDONLY)
        try #require(descriptor >= 0, "\(path) can't be read")
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = piece.withUnsafeMutableBytes { systemRead(descriptor, $0.baseAddress, $0.count) }
            if count <= 0 { break }
            bytes += piece[0..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// `read` under a name that no method of ours hides.
private func systemRead(_ descriptor: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(descriptor, buffer, count)
}

/// Splits Swift text into its words, comments and string literals left out.
func words(of text: String) -> [Substring] {
    var code = ""
    for line in text.split(separator: "\n") {
        var isInString = false
        var previous: Character = " "
        for character in line {
            if !isInString, previous == "/", character == "/" { break }
            if character == "\"", previous != "\\" { isInString.toggle() }
            if !isInString { code.append(character) }
            previous = character
        }
        code.append("\n")
    }
    return code.split { !($0.isLetter || $0.isNumber || $0 == "_") }
}
