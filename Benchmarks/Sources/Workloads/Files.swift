#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The few calls on files that the harness needs.
public enum Files {
    /// What the last system call failed with.
    public static func error(_ call: String, _ path: String) -> EngineError {
        EngineError("\(call) \(path): \(String(cString: strerror(errno)))")
    }

    /// Makes an empty folder with a name of its own in `parent`.
    public static func makeTemporaryDirectory(in parent: String) throws -> String {
        var template = Array("\(parent)/bench-XXXXXX".utf8CString)
        let path: UnsafeMutablePointer<CChar>? = mkdtemp(&template)
        guard path != nil else { throw error("mkdtemp", parent) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Makes the folder `path`.
    public static func makeDirectory(_ path: String) throws {
        guard mkdir(path, 0o700) == 0 else { throw error("mkdir", path) }
    }

    /// Removes `path` and all that is in it.
    public static func remove(_ path: String) throws {
        if unlink(path) == 0 { return }
        guard let directory = opendir(path) else { throw error("opendir", path) }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { try remove("\(path)/\(name)") }
        }
        guard rmdir(path) == 0 else { throw error("rmdir", path) }
    }

    /// The text of a file.
    public static func read(_ path: String) throws -> String {
        let descriptor = try openFile(path, O_RDONLY)
        defer { closeFile(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = piece.withUnsafeMutableBytes { readFile(descriptor, $0) }
            if count < 0 { throw error("read", path) }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += piece[..<count]
        }
    }

    /// Writes `text` to a file, replacing what it held.
    public static func write(_ text: String, to path: String) throws {
        let descriptor = try openFile(path, O_WRONLY | O_CREAT | O_TRUNC)
        defer { closeFile(descriptor) }
        guard write(text, to: descriptor) else { throw error("write", path) }
    }

    /// Writes `text` to standard error.
    public static func log(_ text: String) {
        _ = write(text, to: STDERR_FILENO)
    }

    private static func write(_ text: String, to descriptor: Int32) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let written = writeFile(descriptor, rest)
                guard written > 0 else { return false }
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(written))
            }
            return true
        }
    }
}
