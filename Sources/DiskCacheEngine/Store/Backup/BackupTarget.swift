/// The directory that a store's backup is made in, and its way to being a store.
///
/// ```
/// <parent>/.diskcache-backup-<16 digits>/    see `BackupPlace`
///   log.part/     segments; a directory with a name like this is opened by nobody
///   files/        value files
///   meta.part
/// ```
///
/// When all of that is durable, `log.part` becomes `log`, `meta.part` becomes `meta`, and the directory gets its name: in this order, so
/// that who is killed on the way leaves nothing that opens as a store without being the whole one.
struct BackupTarget {
    static let unfinishedLog = "log.part"
    static let unfinishedMeta = "meta.part"

    /// The directory.
    let place: BackupPlace
    /// Its segments.
    let log: FileDescriptor
    private let files: any FileSystem

    var directory: FileDescriptor { place.directory }

    /// Makes the directory beside `path`. Throws `targetExists` if something stands there, an empty directory aside.
    init(_ path: String, for store: Store) throws(EngineError) {
        place = try BackupPlace(path, of: store.status, store.environment)
        files = store.files
        do throws(SystemError) {
            try files.makeDirectory(Self.unfinishedLog, in: place.directory, mode: 0o700)
            log = try files.open(Self.unfinishedLog, in: place.directory, [.directory])
        } catch {
            place.abandon(store.environment)
            throw EngineError(error)
        }
        FaultPoint.reach(.backupBegun)
    }

    /// Writes the words of `meta`.
    func writeMeta(_ bytes: [UInt8]) throws(SystemError) {
        let file = try files.open(Self.unfinishedMeta, in: directory, [.write, .create])
        try files.write(file, bytes, at: 0)
        try files.sync(file)
    }

    /// Everything in it is durable: makes it the store that it is to be.
    func finish() throws(EngineError) {
        do throws(SystemError) {
            try files.syncDirectory(log)
            try files.syncDirectory(directory)
            FaultPoint.reach(.backupSynced)
            try files.rename(Self.unfinishedLog, to: "log", in: directory)
            FaultPoint.reach(.backupLogNamed)
            try files.rename(Self.unfinishedMeta, to: "meta", in: directory)
            FaultPoint.reach(.backupMetaNamed)
        } catch {
            throw EngineError(error)
        }
        try place.place()
    }
}
