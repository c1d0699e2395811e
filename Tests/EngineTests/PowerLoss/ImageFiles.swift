import TestSupport

@testable import DiskCacheEngine

/// The files of images: device and inode follow from a file's name, so that in an image, which is another directory, everything is in the
/// place in which it was recorded. For one open store at a time.
enum ImageFiles {
    static var files: UnsyncedFiles { UnsyncedFiles { bound($0, $1) } }

    /// What a file of this name has.
    static func bound(_ status: FileStatus, _ path: String) -> FileStatus {
        var status = status
        let name = path.split(separator: "/").last.map(String.init) ?? path
        status.device = 1
        status.inode = Array(name.utf8).withUnsafeBytes { XXH64.hash($0, seed: 3) }
        return status
    }
}
