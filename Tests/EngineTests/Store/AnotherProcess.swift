@testable import DiskCacheEngine

extension Store {
    /// Opens a store beside the one that this process may have open already, as another process does.
    static func openAsAnotherProcess(_ path: String) throws -> Store {
        let environment = Environment(files: SystemFiles())
        let found = try StoreDirectory.open(path, files: environment.files, anyFileSystem: true)
        var options = StoreOptions()
        options.keepsLock = false
        return try Store.open(
            path, directory: found.directory, status: found.status, fileSystem: found.fileSystem,
            options: options, environment: environment)
    }
}
