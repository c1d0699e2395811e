import TestSupport

@testable import DiskCacheEngine

/// A directory of its own for one test, removed with all that is in it when the test is over.
final class ScratchDirectory: Sendable {
    let path: String
    let files = SystemFiles()

    /// `inMemory`: on a file system without a disk, where there is one.
    init(inMemory: Bool = false) throws {
        path = (inMemory ? TestDirectory.parent : "/tmp") + "/diskcache-test-" + String(SystemCalls.random(), radix: 36)
        try files.makeDirectory(path, in: nil, mode: 0o700)
    }

    func open() throws -> FileDescriptor { try files.open(path, in: nil, [.directory]) }

    /// All names below the directory, sorted, directories with a slash at the end.
    func tree() throws -> [String] { try Self.walk(open(), "").sorted() }

    func makeLink(_ name: String, to target: String) { TestNodes.makeLink(path + "/" + name, to: target) }

    func makePipe(_ name: String) { TestNodes.makePipe(path + "/" + name) }

    private static func walk(_ directory: FileDescriptor, _ prefix: String) throws -> [String] {
        let files = SystemFiles()
        var found: [String] = []
        for name in try files.list(directory) {
            guard let status = try files.status(of: name, in: directory) else { continue }
            if status.kind == .directory {
                found.append(prefix + name + "/")
                found += try walk(files.open(name, in: directory, [.directory]), prefix + name + "/")
            } else {
                found.append(prefix + name)
            }
        }
        return found
    }

    deinit {
        guard let directory = try? open(), let found = try? Self.walk(directory, "") else { return }
        for name in found.sorted(by: >) {
            try? files.unlink(name, in: directory, isDirectory: name.hasSuffix("/"))
        }
        try? files.unlink(path, in: nil, isDirectory: true)
    }
}
