internal import DiskCacheEngine

extension Cache {
    /// Copies the cache as it is at this moment into a directory of its own, while any number of processes use it.
    ///
    /// The copy is a cache: open it, and what was there is there, as of one commit. Nobody waits for it, writers neither. Where both lie on
    /// one file system, files that are full and never change again are shared by hard link (or by their blocks, as on btrfs and xfs), which
    /// takes no space until the original drops them; what one of the two writes afterwards the other doesn't see. Else they are copied.
    ///
    /// It is made beside `directory` under another name, read back and verified, made durable, and then gets its name: if this process dies
    /// on the way, nothing stands at `directory`, and the next backup beside it removes what was begun. What the cache has lost to damage
    /// is named in the result, and missing in the copy. Its first opening makes the index from the log (about a second for a million keys).
    ///
    /// - Parameters:
    ///   - directory: Where the copy will stand: nothing may be there, or an empty directory. `~` and `$NAME` are expanded.
    ///   - shares: false: copy all of it, so that damage to a sector of the disk doesn't meet both.
    ///
    /// Reads the whole log. Throws `targetExists`, `nameInvalid` for a path that is empty or has a zero byte in it, `inTransaction`, `diskFull`, `io`; `snapshotExpired` if the cache changes faster than it
    /// can be copied.
    @discardableResult
    public func backup(to directory: String, shares: Bool = true) throws -> Backup {
        try rethrowing { () throws(EngineError) in
            Backup(try handle.backUp(to: expandPath(directory), shares: shares))
        }
    }

    /// What a backup came to.
    public struct Backup: Sendable, Hashable {
        /// The commit that it shows, as a position in the log, which only grows.
        public let position: UInt64
        /// Items, expired ones that nothing had removed yet included.
        public let count: Int
        /// Files: segments of the log and large values.
        public let files: Int
        /// Bytes that it shares with the original.
        public let sharedBytes: Int
        /// Bytes that were copied.
        public let copiedBytes: Int
        /// What the original has lost: one line for each part of the log that is damaged, each file that is missing or damaged.
        public let losses: [String]
    }
}

extension Cache.Backup {
    init(_ report: BackupReport) {
        position = report.position
        count = report.count
        files = report.files
        sharedBytes = report.sharedBytes
        copiedBytes = report.copiedBytes
        losses = report.losses
    }
}
