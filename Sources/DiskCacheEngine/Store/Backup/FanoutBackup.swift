/// Copying the stores of a `FanoutDirectory` while they are in use, each as of a commit of its own.
///
/// ```
/// <parent>/.diskcache-backup-<16 digits>/    see `BackupPlace`
///   000  001  …      whole stores, made as backups of their own in here
///   fanout           last of all
/// ```
///
/// Without the file `fanout` nobody takes a directory for one of shards. When that is durable the directory gets its name.
public enum FanoutBackup {
    /// Copies the shards in `directory` to `path`, where nothing may stand but an empty directory; what came of each. As
    /// `StoreHandle.backUp`.
    package static func make(
        of shards: [StoreHandle], in directory: String, to path: String, shares: Bool, _ environment: Environment
    ) throws(EngineError) -> [BackupReport] {
        let files = environment.files
        let original: FileStatus
        do throws(SystemError) {
            original = try files.status(files.open(directory, in: nil, [.directory, .followLinks]))
        } catch {
            throw EngineError(error)
        }
        let place = try BackupPlace(StoreDirectory.absolute(path), of: original, environment)
        defer { place.abandon(environment) }
        var reports: [BackupReport] = []
        for (number, shard) in shards.enumerated() {
            reports.append(
                try shard.backUp(to: place.draftPath + "/" + FanoutDirectory.name(of: number), shares: shares))
        }
        do throws(SystemError) {
            try FanoutDirectory.write(FanoutFile(count: shards.count), in: place.directory, files)
        } catch {
            throw EngineError(error)
        }
        try place.place()
        return reports
    }
}
