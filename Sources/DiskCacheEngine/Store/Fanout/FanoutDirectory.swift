/// A directory whose items are spread over several stores, the shards, each in a directory of its own below it.
///
/// ```
/// <directory>/
///   fanout               how many shards there are (`FanoutFile`)
///   000  001  …          the shards, stores each
///   cache/<name>  deque/<name>  index/<name>      stores that have nothing to do with the shards but the place
/// ```
public enum FanoutDirectory {
    /// How many shards there are if nobody says otherwise.
    public static let usualCount = 8

    /// The directory at `path`, made if need be, nil: a new one for temporary files; its absolute path, and how many shards it has.
    ///
    /// `count`: how many it must have; nil: as many as it has, `usualCount` in a new one. Waits `timeout` nanoseconds at most for
    /// another process that is making it.
    package static func open(
        _ path: String?, count: Int?, timeout: UInt64, anyFileSystem: Bool, environment: Environment
    ) throws(EngineError) -> (path: String, count: Int) {
        if let count, !(1...FanoutFile.largestCount).contains(count) {
            throw EngineError(.invalidSetting, "a cache has 1 to \(FanoutFile.largestCount) shards, not \(count)")
        }
        let given: String
        if let path { given = path } else { given = try StoreDirectory.makeTemporary(environment) }
        let absolute = try StoreDirectory.absolute(given)
        let files = environment.files
        let directory = try StoreDirectory.openOwn(absolute, files: files, anyFileSystem: anyFileSystem).directory
        let file: FanoutFile
        if let found = try read(directory, files) {
            file = found
        } else {
            file = try make(count ?? usualCount, in: directory, timeout, files)
        }
        if let count, file.count != count {
            throw EngineError(
                .shardCountMismatch,
                "the cache has \(file.count) shards, not \(count); open it without a number, or with that one",
                path: absolute)
        }
        return (absolute, file.count)
    }

    /// The name of a shard's directory.
    public static func name(of shard: Int) -> String {
        let digits = String(shard)
        return String(repeating: "0", count: max(0, 3 - digits.count)) + digits
    }

    /// Whether a name is that of a shard's directory.
    static func isShard(_ name: String) -> Bool {
        name.utf8.count == 3 && name.utf8.allSatisfy { (48...57).contains($0) }
    }

    /// Whether a directory's items are spread over shards; nothing is made there.
    public static func isThere(_ path: String) -> Bool {
        (try? SystemFiles().status(of: path + "/" + FanoutFile.name, in: nil)) != .some(nil)
    }

    /// Whether a store has files or directories of this name.
    public static func isStoreName(_ name: String) -> Bool { StoreDirectory.isOurs(name) }

    /// The shard of a key: the upper half of the XXH64 of its bytes, seeded with its class, times the number of shards, divided by 2^32.
    ///
    /// Part of the format. Integers and floats are one class. Of a queue's item only what names the queue counts, so that a queue lies
    /// in one shard. The hash isn't secret: whoever chooses keys can fill one shard, which is slow and nothing worse.
    @inline(__always)
    public static func shard(of keyClass: UInt8, _ key: UnsafeRawBufferPointer, among count: Int) -> Int {
        var bytes = key
        if keyClass == KeyClass.queue { bytes = UnsafeRawBufferPointer(rebasing: key.dropLast(8)) }
        let hash = XXH64.hash(bytes, seed: UInt64(KeyClass.identity(keyClass)))
        return Int(truncatingIfNeeded: ((hash &>> 32) &* UInt64(truncatingIfNeeded: count)) &>> 32)
    }

    // MARK: Parts

    private static func read(_ directory: FileDescriptor, _ files: any FileSystem) throws(EngineError) -> FanoutFile? {
        let path = directory.path + "/" + FanoutFile.name
        let bytes = try system { () throws(SystemError) -> [UInt8]? in
            guard try files.status(of: FanoutFile.name, in: directory) != nil else { return nil }
            // One byte more than there may be, so that a file that is longer is found to be.
            return try files.read(files.open(FanoutFile.name, in: directory, []), count: FanoutFile.size + 1, at: 0)
        }
        guard let bytes else { return nil }
        return try FanoutFile(bytes, path: path)
    }

    /// Makes the file, unless another process is quicker; then it is that one's that counts.
    private static func make(
        _ count: Int, in directory: FileDescriptor, _ timeout: UInt64, _ files: any FileSystem
    ) throws(EngineError) -> FanoutFile {
        // Before the lock: processes that have a store open hold the lock of its directory.
        try refuseOthers(in: directory, files)
        let deadline = SystemCalls.monotonicClock() &+ min(timeout, .max / 2)
        while try !system({ () throws(SystemError) in try files.lock(directory, .exclusive) }) {
            if SystemCalls.monotonicClock() >= deadline {
                throw EngineError(.timeout, "another process is making the directory", path: directory.path)
            }
            SystemCalls.sleep(nanoseconds: 200_000)
        }
        defer { _ = try? files.lock(directory, .unlock) }
        if let made = try read(directory, files) { return made }
        // A store may have been made, and let go of, before the lock was had.
        try refuseOthers(in: directory, files)
        let file = FanoutFile(count: count)
        try system { () throws(SystemError) in try write(file, in: directory, files) }
        return file
    }

    /// Writes the file, durable, under its name.
    static func write(
        _ file: FanoutFile, in directory: FileDescriptor, _ files: any FileSystem
    ) throws(SystemError) {
        let made = try files.open(FanoutFile.newName, in: directory, [.write, .create])
        try files.write(made, file.encoded(), at: 0)
        try files.truncate(made, to: FanoutFile.size)
        try files.sync(made)
        try files.rename(FanoutFile.newName, to: FanoutFile.name, in: directory)
        try files.syncDirectory(directory)
    }

    /// Throws if something else lies in a directory that has no shards yet.
    private static func refuseOthers(
        in directory: FileDescriptor, _ files: any FileSystem
    ) throws(EngineError) {
        let names = try system { () throws(SystemError) in try files.list(directory) }
        if names.contains("meta") || names.contains("log") {
            throw EngineError(
                .wrongKind, "the directory is a store of its own, not one of shards; open it as what it is",
                path: directory.path)
        }
        if !names.contains(FanoutFile.name), let foreign = names.first(where: { $0 != FanoutFile.newName }) {
            throw EngineError(
                .foreignDirectory,
                "the directory holds something else (\(foreign)) and no shards; give the cache a directory of its own",
                path: directory.path)
        }
    }

    private static func system<R>(_ body: () throws(SystemError) -> R) throws(EngineError) -> R {
        do throws(SystemError) {
            return try body()
        } catch {
            throw EngineError(error)
        }
    }
}
