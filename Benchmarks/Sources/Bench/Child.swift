import Workloads

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Programs as processes of their own.
enum Child {
    /// Says to a child of this program what it is, beside its arguments, so that one whose arguments were lost starts no children of its own.
    private static let variable = "BENCH_CHILD"

    /// The path of this program.
    static var itself: String {
        #if os(Linux)
            "/proc/self/exe"
        #else
            CommandLine.arguments[0]
        #endif
    }

    /// Throws in a child, which may not start others.
    static func refuseChildren() throws {
        guard getenv(variable) == nil else { throw UsageError("a child of bench was started without its arguments") }
    }

    /// Runs `program` to its end; as `start`. The status that waitpid(2) gives.
    static func run(_ program: String, _ arguments: [String]) throws -> Int32 { try wait(start(program, arguments)) }

    /// Starts `program`, looked for as a shell does, with arguments, the first of which is its name; its process id.
    static func start(_ program: String, _ arguments: [String]) throws -> pid_t {
        setenv(variable, "1", 1)
        defer { unsetenv(variable) }
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var child = pid_t()
        guard posix_spawnp(&child, program, nil, nil, &pointers, environ) == 0 else {
            throw Files.error("posix_spawn", program)
        }
        return child
    }

    /// Waits for a child's end; the status that waitpid(2) gives.
    static func wait(_ child: pid_t) throws -> Int32 {
        var status: Int32 = 0
        guard waitpid(child, &status, 0) == child else { throw Files.error("waitpid", "\(child)") }
        return status
    }
}
