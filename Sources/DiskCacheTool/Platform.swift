// The only file of the tool that knows which C library it runs on.

import Synchronization

#if canImport(Glibc)
    @preconcurrency import Glibc
#elseif canImport(Musl)
    @preconcurrency import Musl
#elseif canImport(Android)
    @preconcurrency import Android
#elseif canImport(Darwin)
    @preconcurrency import Darwin
#endif

/// What the tool asks of the system beyond what the library does for it: files, folders, processes, pipes, the clock.
///
/// Paths are bytes, as they are to the system: a file's name need not be text.
enum Platform {
    /// A system call that failed.
    struct Failure: Error, CustomStringConvertible {
        let call: String
        let path: [UInt8]
        let errno: Int32

        /// What the call was, about what, and why it failed, in the system's words.
        var description: String {
            let reason = strerror(errno).map { String(cString: $0) } ?? "error \(errno)"
            return path.isEmpty ? "\(call): \(reason)" : "\(call) \(displayed(path)): \(reason)"
        }

        /// The path that was given for a folder isn't one.
        static func notFolder(_ path: [UInt8]) -> Failure { Failure(call: "open", path: path, errno: ENOTDIR) }

        /// Whether it says that the file isn't there, or may not be read.
        var isAbsence: Bool { [ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENXIO, ESTALE].contains(errno) }
    }

    /// SIGINT or SIGTERM came.
    struct Interrupted: Error {}

    static func failure(_ call: String, _ path: [UInt8] = []) -> Failure {
        Failure(call: call, path: path, errno: errno)
    }

    private static func withPath<R>(_ path: [UInt8], _ body: (UnsafePointer<CChar>) -> R) -> R {
        (path + [0]).withUnsafeBytes { body($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
    }

    /// The words of the command line; nil if one isn't UTF-8, which `CommandLine.arguments` would repair.
    static func arguments() -> [String]? {
        var words: [String] = []
        for index in 0..<Int(CommandLine.argc) {
            guard let word = CommandLine.unsafeArgv[index] else { break }
            guard let text = String(validatingCString: word) else { return nil }
            words.append(text)
        }
        return words
    }

    // MARK: Descriptors

    /// An open file, closed when the last reference to it goes: who uses `number` alone has to keep it.
    final class Descriptor: Sendable {
        let number: Int32
        init(_ number: Int32) { self.number = number }
        deinit { _ = systemClose(number) }

        static let input = Descriptor(0)
        static let output = Descriptor(1)
        static let error = Descriptor(2)
    }

    /// Opens a file to be read. With `onlyRegular` links aren't followed, and a pipe in the file's place doesn't block.
    static func openFile(_ path: [UInt8], onlyRegular: Bool = false) throws -> Descriptor {
        let flags = O_RDONLY | O_CLOEXEC | (onlyRegular ? O_NOFOLLOW | O_NONBLOCK : 0)
        while true {
            let number = withPath(path) { open($0, flags) }
            if number >= 0 { return Descriptor(number) }
            if errno != EINTR { throw failure("open", path) }
        }
    }

    /// Opens a file to be written, made if need be and empty.
    static func createFile(_ path: [UInt8]) throws -> Descriptor {
        while true {
            let number = withPath(path) { open($0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666) }
            if number >= 0 { return Descriptor(number) }
            if errno != EINTR { throw failure("open", path) }
        }
    }

    /// Fills as much of `buffer` as there is to read, up to the end; how much that was.
    static func read(
        _ descriptor: Descriptor, into buffer: UnsafeMutableRawBufferPointer, _ path: [UInt8] = []
    ) throws -> Int {
        var filled = 0
        while filled < buffer.count {
            let count = systemRead(descriptor.number, buffer.baseAddress! + filled, buffer.count - filled)
            if count == 0 { break }
            if count > 0 {
                filled += count
            } else if errno != EINTR {
                throw failure("read", path)
            }
        }
        return filled
    }

    /// What there is to read now, `maximum` bytes at most; waits if there is nothing yet. Empty: the end.
    static func readSome(_ descriptor: Descriptor, maximum: Int) throws -> [UInt8] {
        try waitForInput(descriptor)
        return try [UInt8](unsafeUninitializedCapacity: maximum) { buffer, filled in
            while true {
                let count = systemRead(descriptor.number, UnsafeMutableRawPointer(buffer.baseAddress!), buffer.count)
                if count >= 0 {
                    filled = count
                    return
                }
                if errno != EINTR { throw failure("read") }
            }
        }
    }

    /// Writes all bytes.
    static func write(_ descriptor: Descriptor, _ bytes: UnsafeRawBufferPointer, _ path: [UInt8] = []) throws {
        var written = 0
        while written < bytes.count {
            let count = systemWrite(descriptor.number, bytes.baseAddress! + written, bytes.count - written)
            if count >= 0 {
                written += count
            } else if errno != EINTR {
                throw failure("write", path)
            }
        }
    }

    /// Writes all bytes.
    static func write(_ descriptor: Descriptor, _ bytes: [UInt8], _ path: [UInt8] = []) throws {
        try bytes.withUnsafeBytes { try write(descriptor, $0, path) }
    }

    // MARK: Files and folders

    /// What `stat` tells.
    struct Status {
        enum Kind { case regular, folder, link, other }
        let kind: Kind
        let size: Int
        let device: UInt64

        fileprivate init(_ buffer: stat) {
            switch buffer.st_mode & S_IFMT {
            case S_IFREG: kind = .regular
            case S_IFDIR: kind = .folder
            case S_IFLNK: kind = .link
            default: kind = .other
            }
            size = Int(buffer.st_size)
            device = UInt64(truncatingIfNeeded: buffer.st_dev)
        }
    }

    /// What stands at a path; a link itself, unless `followingLinks`.
    static func status(_ path: [UInt8], followingLinks: Bool = false) throws -> Status {
        var buffer = stat()
        let result = withPath(path) { fstatat(AT_FDCWD, $0, &buffer, followingLinks ? 0 : AT_SYMLINK_NOFOLLOW) }
        if result != 0 { throw failure("stat", path) }
        return Status(buffer)
    }

    /// What is open.
    static func status(_ descriptor: Descriptor, _ path: [UInt8]) throws -> Status {
        var buffer = stat()
        if fstat(descriptor.number, &buffer) != 0 { throw failure("fstat", path) }
        return Status(buffer)
    }

    /// The names in a folder, sorted by their bytes.
    static func names(in path: [UInt8]) throws -> [[UInt8]] {
        guard let stream = withPath(path, { opendir($0) }) else { throw failure("opendir", path) }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw failure("readdir", path) }
                break
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name != Array(".".utf8) && name != Array("..".utf8) { names.append(name) }
        }
        return names.sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// Makes a folder for this user alone, with a name that nobody else has.
    static func makeTemporaryFolder(in parent: [UInt8], prefix: String) throws -> [UInt8] {
        var template = parent + Array("/\(prefix)".utf8) + [UInt8](repeating: UInt8(ascii: "X"), count: 6) + [0]
        let isMade = template.withUnsafeMutableBytes {
            mkdtemp($0.baseAddress!.assumingMemoryBound(to: CChar.self)) != nil
        }
        template.removeLast()
        if !isMade { throw failure("mkdtemp", template) }
        return template
    }

    /// Makes a folder for this user alone.
    static func makeFolder(_ path: [UInt8]) throws {
        if withPath(path, { mkdir($0, 0o700) }) != 0 { throw failure("mkdir", path) }
    }

    /// Removes a file, or a folder with everything in it; what can't be removed stays.
    static func remove(_ path: [UInt8]) {
        guard let status = try? status(path) else { return }
        guard status.kind == .folder else {
            _ = withPath(path) { unlink($0) }
            return
        }
        for name in (try? names(in: path)) ?? [] { remove(path + [slash] + name) }
        _ = withPath(path) { rmdir($0) }
    }

    /// The path of what a path leads to, without links, from the root; nil: it leads nowhere.
    static func resolved(_ path: [UInt8]) -> [UInt8]? {
        guard let text = withPath(path, { realpath($0, nil) }) else { return nil }
        defer { free(text) }
        return bytes(text)
    }

    /// The folder that relative paths begin in.
    static func currentFolder() throws -> [UInt8] {
        guard let text = getcwd(nil, 0) else { throw failure("getcwd") }
        defer { free(text) }
        return bytes(text)
    }

    private static func bytes(_ text: UnsafePointer<CChar>) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
    }

    // MARK: Environment

    /// The value of an environment variable.
    static func environment(_ name: String) -> [UInt8]? { getenv(name).map { bytes($0) } }

    /// Nanoseconds of a clock that only goes forward.
    static func clock() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Waits for so long.
    static func pause(nanoseconds: UInt64) {
        var left = timespec(
            tv_sec: time_t(nanoseconds / 1_000_000_000), tv_nsec: numericCast(nanoseconds % 1_000_000_000))
        var rest = timespec()
        while nanosleep(&left, &rest) != 0, errno == EINTR { left = rest }
    }

    // MARK: Processes

    /// Ends this process.
    static func exit(_ code: ExitCode) -> Never { systemExit(code.rawValue) }

    /// A pipe whose ends no child inherits by itself; never descriptor 0, 1 or 2.
    static func makePipe() throws -> (reading: Descriptor, writing: Descriptor) {
        var ends: [Int32] = [-1, -1]
        if pipe(&ends) != 0 { throw failure("pipe") }
        var moved: [Int32] = []
        for end in ends {
            let number = fcntl(end, F_DUPFD_CLOEXEC, 3)
            if number < 0 { throw failure("fcntl") }
            _ = systemClose(end)
            moved.append(number)
        }
        return (Descriptor(moved[0]), Descriptor(moved[1]))
    }

    /// Starts this program anew; as `spawn`.
    static func spawnSelf(
        _ arguments: [String], environment additions: [(name: String, value: [UInt8])], input: Descriptor,
        output: Descriptor
    ) throws -> Int32 {
        try spawn(ownPath(), arguments, environment: additions, input: input, output: output)
    }

    /// Starts a program, with standard input, output and error as given and the environment of this process, added to.
    static func spawn(
        _ path: [UInt8], _ arguments: [String], environment additions: [(name: String, value: [UInt8])] = [],
        input: Descriptor, output: Descriptor, error: Descriptor = .error
    ) throws -> Int32 {
        #if canImport(Darwin)
            var actions: posix_spawn_file_actions_t?
        #else
            var actions = posix_spawn_file_actions_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input.number, 0)
        posix_spawn_file_actions_adddup2(&actions, output.number, 1)
        posix_spawn_file_actions_adddup2(&actions, error.number, 2)

        var variables: [[UInt8]] = additions.map { Array("\($0.name)=".utf8) + $0.value }
        #if canImport(Darwin)
            var next = _NSGetEnviron().pointee
        #else
            var next: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = environ
        #endif
        while let list = next, let text = list.pointee {
            let variable = bytes(text)
            let isAdded = additions.contains { variable.starts(with: Array("\($0.name)=".utf8)) }
            if !isAdded { variables.append(variable) }
            next = list + 1
        }
        var child: pid_t = 0
        let result = withCStrings(arguments.map { Array($0.utf8) }) { argv in
            withCStrings(variables) { envp in
                withPath(path) { posix_spawn(&child, $0, &actions, nil, argv, envp) }
            }
        }
        if result != 0 { throw Failure(call: "posix_spawn", path: path, errno: result) }
        return child
    }

    /// The file that this program is.
    private static func ownPath() -> [UInt8] {
        #if os(Linux) || os(Android)
            return Array("/proc/self/exe".utf8)
        #else
            let name = Array((CommandLine.arguments.first ?? "diskcache").utf8)
            if name.contains(slash) { return name }
            for folder in (environment("PATH") ?? []).split(separator: UInt8(ascii: ":")) {
                let candidate = Array(folder) + [slash] + name
                if withPath(candidate, { access($0, X_OK) }) == 0 { return candidate }
            }
            return name
        #endif
    }

    private static func withCStrings<R>(
        _ texts: [[UInt8]], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> R
    ) -> R {
        var pointers: [UnsafeMutablePointer<CChar>?] = texts.map { text in withPath(text) { strdup($0) } }
        defer { for pointer in pointers { free(pointer) } }
        pointers.append(nil)
        return pointers.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
    }

    /// How a process ended.
    enum End: Equatable {
        case exited(Int32)
        case killed(signal: Int32)
    }

    /// Waits for a child.
    static func wait(_ child: Int32) throws -> End {
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 {
            if errno != EINTR { throw failure("waitpid") }
        }
        let signal = status & 0x7f
        return signal == 0 ? .exited((status >> 8) & 0xff) : .killed(signal: signal)
    }

    /// SIGKILL: the process has no say in it.
    static func kill(_ child: Int32) { _ = systemKill(child, SIGKILL) }

    /// The number of the signal that `kill` sends.
    static let killSignal = SIGKILL

    /// Waits until there is something to read, or the other end is closed; throws `Interrupted` when a signal came meanwhile.
    static func waitForInput(_ descriptor: Descriptor) throws {
        while true {
            if interruption.load(ordering: .relaxed) { throw Interrupted() }
            var waiting = pollfd(fd: descriptor.number, events: Int16(POLLIN), revents: 0)
            if poll(&waiting, 1, 200) > 0 { return }
        }
    }

    /// From now on SIGINT and SIGTERM are remembered, and SIGPIPE is an error that `write` reports.
    static func catchInterrupts() {
        interruption.store(false, ordering: .relaxed)
        for number in [SIGINT, SIGTERM] { signal(number) { _ in interruption.store(true, ordering: .relaxed) } }
        signal(SIGPIPE, SIG_IGN)
    }

    /// Whether SIGINT or SIGTERM came.
    static var isInterrupted: Bool { interruption.load(ordering: .relaxed) }

    /// Signals as they are by default: for a child, which inherits what its parent ignores.
    static func resetSignals() { signal(SIGPIPE, SIG_DFL) }

    static let slash = UInt8(ascii: "/")
}

/// Whether SIGINT or SIGTERM came.
private let interruption = Atomic<Bool>(false)

// Under names of their own: inside `Platform` the short ones are its methods.
private func systemClose(_ number: Int32) -> Int32 { close(number) }
private func systemRead(_ number: Int32, _ start: UnsafeMutableRawPointer, _ count: Int) -> Int {
    read(number, start, count)
}
private func systemWrite(_ number: Int32, _ start: UnsafeRawPointer, _ count: Int) -> Int {
    write(number, start, count)
}
private func systemExit(_ status: Int32) -> Never { exit(status) }
private func systemKill(_ child: Int32, _ number: Int32) -> Int32 { kill(child, number) }
