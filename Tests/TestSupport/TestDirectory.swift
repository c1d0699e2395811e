import DiskCacheEngine

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A directory of its own for one test, in memory where there is such a place; removed when the test is over.
package final class TestDirectory: Sendable {
    package let path: String

    /// Where directories for tests are made: in memory, where there is such a place and it is large enough for all that run at a time. In
    /// a container it often has 64 MiB.
    package static let parent: String = {
        let memory = "/dev/shm"
        var status = statvfs()
        guard access(memory, W_OK) == 0, statvfs(memory, &status) == 0 else { return "/tmp" }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize) >= 2 << 30 ? memory : "/tmp"
    }()

    package init(_ name: String = "test") throws {
        path = "\(Self.parent)/diskcache-\(name)-" + String(UInt64.random(in: .min ... .max), radix: 36)
        try SystemFiles().makeDirectory(path, in: nil, mode: 0o700)
    }

    /// `CRASH_KEEP=1` leaves everything where it is.
    deinit { if environmentNumber("CRASH_KEEP", default: 0) == 0 { Self.remove(path) } }

    /// Removes what stands at a path, whatever it is, with all that is in it.
    package static func remove(_ path: String) {
        let files = SystemFiles()
        guard let status = try? files.status(of: path, in: nil) else { return }
        if status.kind == .directory {
            if let directory = try? files.open(path, in: nil, [.directory]), let names = try? files.list(directory) {
                for name in names { remove(path + "/" + name) }
            }
            try? files.unlink(path, in: nil, isDirectory: true)
        } else {
            try? files.unlink(path, in: nil, isDirectory: false)
        }
    }

    /// The paths of all files below a directory, relative to it, sorted.
    package static func filesBelow(_ path: String, _ prefix: String = "") -> [String] {
        let files = SystemFiles()
        guard let directory = try? files.open(path, in: nil, [.directory]), let names = try? files.list(directory)
        else {
            return []
        }
        var found: [String] = []
        for name in names.sorted() {
            guard let status = try? files.status(of: name, in: directory) else { continue }
            if status.kind == .directory {
                found += filesBelow(path + "/" + name, prefix + name + "/")
            } else {
                found.append(prefix + name)
            }
        }
        return found
    }

    /// Everything that a file holds.
    package static func content(_ path: String) throws -> [UInt8] {
        let files = SystemFiles()
        let file = try files.open(path, in: nil, [])
        return try files.read(file, count: files.status(file).size, at: 0)
    }

    /// Makes a file that holds these bytes.
    package static func write(_ bytes: [UInt8], to path: String) throws {
        let files = SystemFiles()
        try files.write(try files.open(path, in: nil, [.write, .create]), bytes, at: 0)
    }

    /// Bytes that everything below a directory takes on disk.
    package static func allocated(_ path: String) throws -> Int {
        let files = SystemFiles()
        return try filesBelow(path).reduce(0) { sum, name in
            sum + (try files.status(of: path + "/" + name, in: nil)?.allocated ?? 0)
        }
    }
}
