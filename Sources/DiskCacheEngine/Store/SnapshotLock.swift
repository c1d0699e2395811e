import Synchronization

/// The file `snapshot`: shared by who reads as of one commit, exclusive for a moment by whoever is about to take away what such a
/// reader may need.
///
/// A courtesy, not a promise: nobody waits for a snapshot longer than `limit`. Who goes ahead without the lock has raised *floor*
/// first, or leaves a file missing, and the snapshot says `snapshotExpired`; it never reads anything wrong.
final class SnapshotLock: Sendable {
    /// How long snapshots are spared: nanoseconds.
    static let limit: UInt64 = 60_000_000_000

    /// How long others are waited for that exclude snapshots too: nanoseconds.
    private static let patience: UInt64 = 100_000_000

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
            if StepPoint.isTimeless || SystemCalls.monotonicClock() - begun >= 2_000_000 {
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

    /// Whether every snapshot that began before this call is over, or was hoped to be for longer than `limit`. One that begins
    /// later has a newer T, so the lock isn't kept: what was replaced before the call may go after it.
    func earlierAreOver(patience: UInt64 = SnapshotLock.patience) -> Bool {
        let excluded = exclude(patience: patience)
        defer { excluded.end() }
        return excluded.isAllowed
    }

    /// What came of asking that no snapshot begins.
    struct Exclusion {
        fileprivate var held: (lock: SnapshotLock, file: FileDescriptor)?
        /// Whether the lock was had, or was hoped for longer than `limit`: then it is gone ahead without.
        fileprivate(set) var isAllowed = false

        /// Lets go of the lock, if it was had.
        func end() {
            if let held { held.lock.end(held.file) }
        }
    }

    /// Takes the exclusive lock, for a moment: snapshots that want to begin poll for 2 ms. For others that ask for it, `patience`
    /// nanoseconds are waited; who holds the write lock, for which they may wait in turn, has less of it.
    func exclude(patience: UInt64 = SnapshotLock.patience) -> Exclusion {
        guard let file = open() else { return Exclusion() }
        let begun = SystemCalls.monotonicClock()
        while true {
            if (try? files.lock(file, .exclusive)) == true {
                refusedSince.store(0, ordering: .relaxed)
                return Exclusion(held: (self, file), isAllowed: true)
            }
            // Another may be asking the same question at this moment, or be about to move the head: that is no snapshot.
            let waited = SystemCalls.monotonicClock() - begun
            if StepPoint.isTimeless || waited >= patience { break }
            if waited >= 1_000_000, (try? files.lock(file, .shared)) != false { break }
            SystemCalls.sleep(nanoseconds: 50_000)
        }
        ForkGuard.unregister(file)
        let since = refusedSince.load(ordering: .relaxed)
        if since == 0 { refusedSince.store(begun, ordering: .relaxed) }
        // Another thread, which began later, may have been refused meanwhile.
        return Exclusion(isAllowed: since != 0 && begun > since && begun - since >= Self.limit)
    }

    /// An open file a call: two threads exclude each other as two processes do.
    private func open() -> FileDescriptor? {
        var file = try? files.open("snapshot", in: directory, [.write])
        if file == nil { file = try? files.open("snapshot", in: directory, [.write, .create]) }
        if let file { ForkGuard.register(file) }
        return file
    }
}
