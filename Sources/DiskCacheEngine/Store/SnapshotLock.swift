import Synchronization

/// The file `snapshot`: shared by who reads as of one commit, exclusive for whoever takes away what such a reader may need.
///
/// A courtesy, not a promise: nobody waits for a snapshot longer than `limit`. Who goes ahead without the lock has raised *floor*
/// first, or leaves a file missing, and the snapshot says `snapshotExpired`; it never reads anything wrong.
final class SnapshotLock: Sendable {
    /// How long snapshots are spared: nanoseconds.
    static let limit: UInt64 = 60_000_000_000

    private let files: any FileSystem
    private let directory: FileDescriptor
    /// When the exclusive lock was first asked for in vain, monotonic nanoseconds; 0: it was to be had the last time.
    private let refusedSince = Atomic<UInt64>(0)

    init(files: any FileSystem, directory: FileDescriptor) {
        self.files = files
        self.directory = directory
    }

    /// Takes the shared lock, polling for it up to 2 ms; nil: it wasn't to be had, and the snapshot goes without.
    func share() -> FileDescriptor? {
        guard let file = open() else { return nil }
        let begun = SystemCalls.monotonicClock()
        while true {
            if (try? files.lock(file, .shared)) == true { return file }
            if SystemCalls.monotonicClock() - begun >= 2_000_000 {
                ForkGuard.unregister(file)
                return nil
            }
            SystemCalls.sleep(nanoseconds: 20_000)
        }
    }

    /// Lets go of a shared lock.
    func end(_ file: FileDescriptor) {
        _ = try? files.lock(file, .unlock)
        ForkGuard.unregister(file)
    }

    /// Runs `body` while no snapshot is being read, or when that was hoped for longer than `limit`. False: not now.
    func excluding(_ body: () throws(EngineError) -> Void) throws(EngineError) -> Bool {
        let file = open()
        defer {
            if let file {
                _ = try? files.lock(file, .unlock)
                ForkGuard.unregister(file)
            }
        }
        if let file, (try? files.lock(file, .exclusive)) == true {
            refusedSince.store(0, ordering: .relaxed)
        } else {
            let now = SystemCalls.monotonicClock()
            let since = refusedSince.load(ordering: .relaxed)
            if since == 0 { refusedSince.store(now, ordering: .relaxed) }
            if since == 0 || now - since < Self.limit { return false }
        }
        try body()
        return true
    }

    /// An open file a call: two threads exclude each other as two processes do.
    private func open() -> FileDescriptor? {
        var file = try? files.open("snapshot", in: directory, [.write])
        if file == nil { file = try? files.open("snapshot", in: directory, [.write, .create]) }
        if let file { ForkGuard.register(file) }
        return file
    }
}
