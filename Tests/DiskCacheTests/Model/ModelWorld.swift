import DiskCacheEngine
import Synchronization
import TestSupport

@testable import DiskCacheCore

/// What a test puts in place of the world: a directory of its own, a clock and a boot identity that it sets.
final class ModelWorld: Sendable {
    let path: String
    /// Microseconds since 1970.
    let clock = Atomic<Int64>(1_750_000_000_000_000)
    private let boots = Atomic<Int>(1)
    private let files = SystemFiles()

    /// In memory, where there is a place for that, unless it has to be the disk.
    init(onDisk: Bool = false) throws {
        let parent = onDisk ? "/tmp" : TestDirectory.parent
        path = parent + "/diskcache-model-" + String(UInt64.random(in: .min ... .max), radix: 36)
        try files.makeDirectory(path, in: nil, mode: 0o700)
    }

    var now: Int64 {
        get { clock.load(ordering: .relaxed) }
        set { clock.store(newValue, ordering: .relaxed) }
    }

    /// What is open now was opened in an earlier run of the system; and the index is gone, so that it has to be made again from the
    /// log, unless it is to be kept: then it is believed if all was closed.
    func restart(keepingIndex: Bool = false) {
        boots.add(1, ordering: .relaxed)
        if keepingIndex { return }
        guard let directory = try? files.open(path, in: nil, [.directory]) else { return }
        for name in (try? files.list(directory)) ?? [] where name.hasPrefix("index.") {
            try? files.unlink(name, in: directory, isDirectory: false)
        }
    }

    var environment: Environment {
        var environment = Environment.system
        environment.wallClockOverride = { [self] in now }
        environment.bootIdentity = { [self] in "boot \(boots.load(ordering: .relaxed))" }
        return environment
    }

    func open(
        _ configuration: Cache.Configuration = Cache.Configuration(), _ adjust: (inout StoreOptions) -> Void = { _ in }
    ) throws -> Cache {
        try Cache(directory: path, configuration: configuration, environment: environment, adjust)
    }

    deinit { try? Self.remove(path, files) }

    private static func remove(_ path: String, _ files: SystemFiles) throws {
        let directory = try files.open(path, in: nil, [.directory])
        for name in try files.list(directory) {
            let isDirectory = try files.status(of: name, in: directory)?.kind == .directory
            if isDirectory {
                try remove(path + "/" + name, files)
            } else {
                try files.unlink(name, in: directory, isDirectory: false)
            }
        }
        try files.unlink(path, in: nil, isDirectory: true)
    }
}
