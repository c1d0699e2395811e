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
        for name in try names(in: path) { try remove("\(path)/\(name)") }
        guard rmdir(path) == 0 else { throw error("rmdir", path) }
    }

    /// The names of what is in the folder `path`, sorted.
    public static func names(in path: String) throws -> [String] {
        guard let directory = opendir(path) else { throw error("opendir", path) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// The bytes of the disk that `path` and all that is in it take.
    public static func space(_ path: String) throws -> Int {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return 0 }
            throw error("lstat", path)
        }
        let own = Int(status.st_blocks) * 512
        guard status.st_mode & S_IFMT == S_IFDIR else { return own }
        return try names(in: path).reduce(own) { try $0 + space("\(path)/\($1)") }
    }

    /// Takes the contents of `path` and all that is in it out of the system's memory, after having them written; where the
    /// system can do that.
    public static func forget(_ path: String) throws {
        #if os(Linux)
            var status = stat()
            guard lstat(path, &status) == 0 else { throw error("lstat", path) }
            if status.st_mode & S_IFMT == S_IFDIR {
                for name in try names(in: path) { try forget("\(path)/\(name)") }
            } else if status.st_mode & S_IFMT == S_IFREG {
                let descriptor = try openFile(path, O_RDONLY)
                defer { closeFile(descriptor) }
                fsync(descriptor)
                posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
            }
        #endif
    }

    /// The bytes that this process made dirty in files, or wrote to them, so far; 0 where the system doesn't tell.
    public static func written() -> Int {
        guard let text = try? read("/proc/self/io") else { return 0 }
        let line = text.split(separator: "\n").first { $0.hasPrefix("write_bytes: ") }
        return line.flatMap { Int($0.dropFirst(13)) } ?? 0
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

    /// Writes bytes to a file, replacing what it held.
    public static func write(_ bytes: UnsafeRawBufferPointer, to path: String) throws {
        let descriptor = try openFile(path, O_WRONLY | O_CREAT | O_TRUNC)
        defer { closeFile(descriptor) }
        guard write(bytes, to: descriptor) else { throw error("write", path) }
    }

    /// Reads as many bytes from the start of a file as `buffer` has.
    public static func read(_ path: String, into buffer: UnsafeMutableRawBufferPointer) throws {
        let descriptor = try openFile(path, O_RDONLY)
        defer { closeFile(descriptor) }
        var filled = 0
        while filled < buffer.count {
            let count = readFile(descriptor, UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
            guard count > 0 else { throw error("read", path) }
            filled += count
        }
    }

    /// Writes `text` to standard error.
    public static func log(_ text: String) {
        _ = write(text, to: STDERR_FILENO)
    }

    private static func write(_ text: String, to descriptor: Int32) -> Bool {
        var text = text
        return text.withUTF8 { write(UnsafeRawBufferPointer($0), to: descriptor) }
    }

    static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let written = writeFile(descriptor, rest)
            guard written > 0 else { return false }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(written))
        }
        return true
    }
}
