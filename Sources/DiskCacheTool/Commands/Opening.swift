import DiskCacheCore

/// Opens the cache in a directory that has one; throws for a directory without, and makes nothing there. `anyKind`: or what a deque or an
/// index lies in, to look at it.
func openExisting(_ directory: String, anyKind: Bool = false) throws -> Cache {
    let path = Array(expandPath(directory).utf8)
    let isStore = ["meta", "log"].contains { (try? Platform.status(path + [Platform.slash] + Array($0.utf8))) != nil }
    if isStore { return try open(directory, anyKind: anyKind) }
    if (try? Platform.status(path + Array("/fanout".utf8))) != nil {
        throw CacheError(
            .wrongKind, "the directory is a cache of shards; use shell --kind fanout, or one of its shards",
            path: directory)
    }
    throw CacheError(.io, "there is no cache in this directory", path: directory)
}

/// Opens the cache in a directory, or makes one there.
func openOrMake(_ directory: String) throws -> Cache { try open(directory, anyKind: false) }

private func open(_ directory: String, anyKind: Bool) throws -> Cache {
    var configuration = Cache.Configuration()
    configuration.anySerializer = true
    configuration.anyKind = anyKind
    return try Cache(directory: directory, configuration: configuration)
}

/// The key that an argument is: text, unless `--int-key` says that it is an integer.
func parseKey(_ text: String, _ arguments: Arguments) throws -> AnyCacheKey {
    arguments.has("--int-key") ? .int(try parseNumber(text, "KEY")) : .string(text)
}
