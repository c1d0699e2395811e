#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Things in directories that the engine never makes.
enum TestNodes {
    static func makeLink(_ path: String, to target: String) { precondition(symlink(target, path) == 0) }

    static func makePipe(_ path: String) { precondition(mkfifo(path, 0o600) == 0) }
}
