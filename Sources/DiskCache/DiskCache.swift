/// The synchronous surface: `Cache` and the collections, `Codable` and errors. What needs Swift's concurrency runtime stands in this
/// module, so that a program which needs none of it, as the command-line tool, doesn't carry it.
@_exported public import DiskCacheCore
