import Workloads

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A program run to its end.
enum Child {
    /// Runs `program`, looked for as a shell does, with arguments, the first of which is its name; the status that waitpid(2) gives.
    static func run(_ program: String, _ arguments: [String]) throws -> Int32 {
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var child = pid_t()
        guard posix_spawnp(&child, program, nil, nil, &pointers, environ) == 0 else {
            throw Files.error("posix_spawn", program)
        }
        var status: Int32 = 0
        guard waitpid(child, &status, 0) == child else { throw Files.error("waitpid", program) }
        return status
    }
}
