#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A program as a process of its own.
public final class Child {
    /// Says to a child of this program what it is, beside its arguments, so that one whose arguments were lost starts no
    /// children of its own.
    private static let variable = "BENCH_CHILD"

    /// The path of this program.
    public static let itself: String = {
        #if os(Linux)
            var buffer = [CChar](repeating: 0, count: 4096)
            let count = readlink("/proc/self/exe", &buffer, buffer.count)
            if count > 0 { return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) }
        #endif
        return CommandLine.arguments[0]
    }()

    /// Throws in a child, which may not start others.
    public static func refuseChildren() throws {
        guard getenv(variable) == nil else { throw EngineError("a child of bench was started without its arguments") }
    }

    private let process: pid_t
    private let program: String
    private var input: Int32 = -1
    private var output: Int32 = -1
    private var pending: [UInt8] = []
    private var isWaitedFor = false

    /// Starts `arguments[0]`, looked for as a shell does, with all arguments; with `pipes`, its standard input and output are
    /// this object's.
    public init(_ arguments: [String], pipes: Bool = false) throws {
        program = arguments[0]
        setenv(Self.variable, "1", 1)
        defer { unsetenv(Self.variable) }
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        #if canImport(Darwin)
            var actions: posix_spawn_file_actions_t?
        #else
            var actions = posix_spawn_file_actions_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var theirs: [Int32] = []
        if pipes {
            var (down, up): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
            guard pipe(&down) == 0, pipe(&up) == 0 else { throw Files.error("pipe", program) }
            for descriptor in down + up { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
            posix_spawn_file_actions_adddup2(&actions, down[0], 0)
            posix_spawn_file_actions_adddup2(&actions, up[1], 1)
            (input, output) = (down[1], up[0])
            theirs = [down[0], up[1]]
        }
        var child = pid_t()
        let result = posix_spawnp(&child, program, &actions, nil, &pointers, environ)
        process = child
        for descriptor in theirs { closeFile(descriptor) }
        guard result == 0 else {
            isWaitedFor = true
            throw EngineError("\(program) can't be started: \(String(cString: strerror(result)))")
        }
    }

    deinit {
        hangUp()
        if !isWaitedFor { _ = wait() }
    }

    /// Closes the child's standard input and output.
    public func hangUp() {
        if input >= 0 { closeFile(input) }
        if output >= 0 { closeFile(output) }
        (input, output) = (-1, -1)
    }

    /// Waits for the end; the status that waitpid(2) gives.
    public func wait() -> Int32 {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        isWaitedFor = true
        return status
    }

    /// Says a line to the child's standard input.
    public func send(_ line: String) throws {
        var text = line + "\n"
        let isSent = text.withUTF8 { Files.write(UnsafeRawBufferPointer($0), to: input) }
        guard isSent else { throw EngineError("\(program) doesn't listen any more") }
    }

    /// Waits for a line from the child's standard output.
    public func receive() throws -> String {
        while true {
            if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                let answer = String(decoding: pending[..<end], as: UTF8.self)
                pending.removeSubrange(...end)
                return answer
            }
            var piece = [UInt8](repeating: 0, count: 4096)
            let count = piece.withUnsafeMutableBytes { readFile(output, $0) }
            guard count > 0 else { throw EngineError("\(program) has ended; its words are above") }
            pending += piece[..<count]
        }
    }

    /// `send` and `receive`.
    public func ask(_ line: String) throws -> String {
        try send(line)
        return try receive()
    }

    /// Runs a program to its end; the status that waitpid(2) gives.
    public static func run(_ arguments: [String]) throws -> Int32 { try Child(arguments).wait() }
}
