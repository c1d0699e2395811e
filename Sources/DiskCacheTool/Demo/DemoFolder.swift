/// The demo's temporary folder: the cache, the list of files, and what each process stored.
struct DemoFolder {
    /// What its name begins with.
    static let prefix = "diskcache-demo-"

    /// Where it is.
    let path: [UInt8]

    /// Makes one: in TMPDIR, /tmp, the folder whose files are stored or the one that this runs in, whichever can be written.
    static func make(besides folder: [UInt8]) throws -> DemoFolder {
        let here = try Platform.currentFolder()
        var failure: (any Error)?
        for parent in [Platform.environment("TMPDIR"), Array("/tmp".utf8), folder, here] {
            guard var parent, !parent.isEmpty else { continue }
            if parent.first != Platform.slash { parent = here + [Platform.slash] + parent }
            do {
                return DemoFolder(path: try Platform.makeTemporaryFolder(in: parent, prefix: prefix))
            } catch {
                failure = failure ?? error
            }
        }
        throw failure ?? Platform.failure("mkdtemp", folder)
    }

    /// The cache's directory.
    var store: String { String(decoding: path, as: UTF8.self) + "/store" }

    /// Keeps the list of files.
    func write(list: [[UInt8]]) throws {
        try write("list", Array(list.joined(separator: [0])))
    }

    /// The list of files.
    func list() throws -> [[UInt8]] {
        let bytes = try read("list")
        return bytes.isEmpty ? [] : bytes.split(separator: 0, omittingEmptySubsequences: false).map { Array($0) }
    }

    /// Keeps what a process stored.
    func write(stored: [StoredFile], by process: Int) throws {
        let words = stored.flatMap { [$0.state.rawValue, UInt64($0.size), $0.sum] }
        try write("stored.\(process)", words.littleEndianBytes)
    }

    /// What all processes stored, in the order of the list.
    func stored(processes: Int, count: Int) throws -> [StoredFile] {
        var result = [StoredFile](repeating: StoredFile(state: .unread, size: 0, sum: 0), count: count)
        for process in 0..<processes {
            let words = [UInt64](littleEndianBytes: try read("stored.\(process)"))
            for (index, place) in stride(from: process, to: count, by: processes).enumerated() {
                guard index * 3 + 2 < words.count, let state = StoredFile.State(rawValue: words[index * 3]) else {
                    continue
                }
                result[place] = StoredFile(state: state, size: Int(words[index * 3 + 1]), sum: words[index * 3 + 2])
            }
        }
        return result
    }

    private func write(_ name: String, _ bytes: [UInt8]) throws {
        let path = path + Array("/\(name)".utf8)
        try Platform.write(try Platform.createFile(path), bytes, path)
    }

    private func read(_ name: String) throws -> [UInt8] {
        let path = path + Array("/\(name)".utf8)
        let file = try Platform.openFile(path)
        let size = try Platform.status(file, path).size
        return try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            count = try Platform.read(file, into: UnsafeMutableRawBufferPointer(buffer), path)
        }
    }
}

/// What became of one file of the list.
struct StoredFile {
    /// Raw values are passed between processes.
    enum State: UInt64 {
        /// It couldn't be read.
        case unread = 0
        /// It lies in the cache.
        case stored = 1
    }
    let state: State
    /// How many bytes were stored.
    let size: Int
    /// XXH64 of the bytes that were stored: tells a file that has changed since from a value that isn't what was stored.
    let sum: UInt64
}

extension [UInt64] {
    /// The words as bytes.
    var littleEndianBytes: [UInt8] {
        flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
    }

    /// The words that bytes are; what is left over is dropped.
    init(littleEndianBytes bytes: [UInt8]) {
        self = stride(from: 0, to: bytes.count - bytes.count % 8, by: 8).map { start in
            (0..<8).reduce(0) { $0 | UInt64(bytes[start + $1]) << (8 * UInt64($1)) }
        }
    }
}
