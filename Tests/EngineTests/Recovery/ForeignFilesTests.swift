import TestSupport
import Testing

@testable import DiskCacheEngine

/// Directories in which somebody else's files have a store's names: nothing of them is changed. And what a store leaves when its
/// making is cut short, or when `meta` is damaged: that opens.
@Suite struct ForeignFilesTests {
    private let scratch: TestDirectory

    init() throws { scratch = try TestDirectory("foreign") }

    private func make(_ name: String, _ files: [String: [UInt8]], folders: [String] = []) throws -> String {
        let path = scratch.path + "/" + name
        try SystemFiles().makeDirectory(path, in: nil, mode: 0o700)
        for folder in folders { try SystemFiles().makeDirectory(path + "/" + folder, in: nil, mode: 0o700) }
        for (name, bytes) in files { try TestDirectory.write(bytes, to: path + "/" + name) }
        return path
    }

    @Test func filesOfOthersStay() throws {
        let text = Array("somebody's notes\n".utf8)
        // Zeros where an identity would stand, and longer than a store's.
        let long = [UInt8](repeating: 0, count: CommitBlock.fileSize) + text
        let whole = [UInt8](repeating: 65, count: CommitBlock.fileSize)
        let cases: [(files: [String: [UInt8]], folders: [String], named: String)] = [
            (["meta": whole], [], "meta"), (["meta": text], [], "meta"),
            (["meta": long], [], "meta"), (["meta.new": text], [], "meta.new"),
            (["meta": text], ["log"], "meta"), (["log": text], [], "log"),
            (["log/app.log": text], ["log"], "log/app.log"),
            (["log/app.log": text, "meta": []], ["log"], "log/app.log"), (["index.html": text], [], "index.html"),
            (["trees.txt": text], [], "trees.txt"), ([:], ["log", "log/deep"], "log/deep"),
        ]
        for (number, (contents, folders, named)) in cases.enumerated() {
            let path = try make("\(number)", contents, folders: folders)
            for allowsOthers in named.hasPrefix("meta") || named.hasPrefix("log") ? [false, true] : [false] {
                var options = StoreOptions()
                options.allowsOthers = allowsOthers
                let error = #expect(throws: EngineError.self, "\(named)") {
                    try StoreHandle(directory: path, options: options)
                }
                #expect(error?.code == .foreignDirectory && error?.message.contains("(\(named))") == true, "\(named)")
            }
            #expect(TestDirectory.filesBelow(path) == contents.keys.sorted(), "\(named)")
            for (name, bytes) in contents { #expect(try TestDirectory.content(path + "/" + name) == bytes) }
        }
    }

    /// A cache of shards isn't taken for a store because somebody has put a file there.
    @Test func aMetaBesideShards() throws {
        let path = scratch.path + "/shards"
        _ = try FanoutDirectory.open(
            path, count: 2, timeout: 1_000_000_000, anyFileSystem: false, environment: .system)
        try TestDirectory.write([1, 2, 3], to: path + "/meta")
        let error = #expect(throws: EngineError.self) { try StoreHandle(directory: path) }
        #expect(error?.code == .wrongKind)
        #expect(try TestDirectory.content(path + "/meta") == [1, 2, 3])
    }

    @Test func aMakingThatWasCutShort() throws {
        let model = try StoreClient(scratch.path + "/model")
        model.handle.close()
        let meta = try TestDirectory.content(scratch.path + "/model/meta")
        let zeros = [UInt8](repeating: 0, count: CommitBlock.fileSize)
        // Blocks that a power loss left as they were before.
        let whole = [UInt8](repeating: 0xA5, count: CommitBlock.fileSize)
        let cases: [([String: [UInt8]], [String])] = [
            ([:], []), (["lock": []], []), (["lock": [], "open": []], ["log"]),
            (["lock": [], "meta.new": []], ["log"]),
            (["meta.new": Array(zeros.prefix(100))], ["log"]), (["meta.new": zeros], ["log"]),
            (["meta.new": Array(meta.prefix(700))], ["log"]), (["meta.new": meta], ["log"]), (["meta": []], ["log"]),
            (["meta": zeros], ["log"]), (["lock": [], "open": [], "meta": whole], ["log"]),
            (["lock": [], "meta.new": whole], ["log"]), (["meta": Array(zeros.prefix(512))], ["log"]),
            (["meta": [], "index.1": zeros, "stamps.1": [], "trees.1": []], ["log", "files", "locks"]),
        ]
        for (number, (files, folders)) in cases.enumerated() {
            let path = try make("\(number)", files, folders: folders)
            let client = try StoreClient(path)
            try client.set("key", [1])
            #expect(try client.get("key") == .bytes([1]), "\(number)")
            client.handle.close()
            #expect(try client.get("key") == .bytes([1]), "\(number)")
        }
    }

    /// Whatever became of `meta`: what the log has is there, also where strange names stand beside.
    @Test func aStoreWhoseMetaIsDamaged() throws {
        let zeros = [UInt8](repeating: 0, count: CommitBlock.fileSize)
        for (number, meta) in [[], zeros, Array("not a store's\n".utf8), Array(zeros.prefix(600)), nil].enumerated() {
            let path = scratch.path + "/\(number)"
            let client = try StoreClient(path)
            for key in 0..<20 { try client.set("key \(key)", [UInt8(key)]) }
            client.handle.close()
            TestDirectory.remove(path + "/meta")
            if let meta { try TestDirectory.write(meta, to: path + "/meta") }
            try TestDirectory.write([1], to: path + "/.DS_Store")
            for key in 0..<20 { #expect(try client.get("key \(key)") == .bytes([UInt8(key)]), "\(number)") }
            client.handle.close()
        }
    }

    @Test func pathsThatTheSystemWouldReadOtherwise() throws {
        for path in ["", scratch.path + "/a\0b", "\0"] {
            let error = #expect(throws: EngineError.self) { try StoreHandle(directory: path) }
            #expect(error?.code == .nameInvalid && error?.path == path)
        }
        #expect(TestDirectory.filesBelow(scratch.path).isEmpty)
        #expect(try SystemFiles().status(of: scratch.path + "/a", in: nil) == nil)
    }
}
