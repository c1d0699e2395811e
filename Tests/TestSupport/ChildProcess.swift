import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A process of the program `TestChild`, which lies beside the program that runs the tests.
///
/// Its standard output is read here; its standard input stays open until `release`, `finish` or the death of this process.
package final class ChildProcess: @unchecked Sendable {
    package enum End: Equatable, Sendable {
        case exited(Int32)
        case signalled(Int32)
        /// It neither ended nor closed its output in time, and was killed for that.
        case hung
    }

    package struct CannotStart: Error { package let errno: Int32 }

    package let id: Int32
    private var input: Int32
    private let output: Int32
    private var isReaped = false

    /// The path of the program.
    package static let program: String = {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { bytes in
            readlink("/proc/self/exe", bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        if count > 0 {
            let path = String(decoding: buffer[0..<count], as: UTF8.self)
            if let slash = path.lastIndex(of: "/") { return path[..<slash] + "/TestChild" }
        }
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return "/" + root + "/.build/debug/TestChild"
    }()

    package init(_ arguments: [String]) throws {
        let started = Self.starting.withLock { _ in Self.start(arguments) }
        switch started {
        case .success(let child): (id, input, output) = child
        case .failure(let error): throw error
        }
    }

    /// No child is started while another one's pipe isn't closed on exec yet: it would keep that open.
    private static let starting = Mutex<Void>(())

    private static func start(_ arguments: [String]) -> Result<(Int32, Int32, Int32), CannotStart> {
        var ends: [Int32] = [0, 0, 0, 0]
        let made = ends.withUnsafeMutableBufferPointer { pipe($0.baseAddress!) == 0 && pipe($0.baseAddress! + 2) == 0 }
        guard made else { return .failure(CannotStart(errno: errno)) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        #if canImport(Darwin)
            var actions: posix_spawn_file_actions_t?
        #else
            var actions = posix_spawn_file_actions_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        posix_spawn_file_actions_adddup2(&actions, ends[3], 1)
        var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
        words.append(nil)
        var process: pid_t = 0
        let failed = posix_spawn(&process, program, &actions, nil, words, environ)
        for word in words { free(word) }
        close(ends[0])
        close(ends[3])
        if failed != 0 {
            close(ends[1])
            close(ends[2])
            return .failure(CannotStart(errno: failed))
        }
        return .success((process, ends[1], ends[2]))
    }

    deinit {
        if !isReaped {
            kill()
            reap()
        }
        if input >= 0 { close(input) }
        close(output)
    }

    /// SIGKILL.
    package func kill() { signal(SIGKILL) }

    package func signal(_ number: Int32) {
        #if canImport(Glibc)
            _ = Glibc.kill(id, number)
        #elseif canImport(Musl)
            _ = Musl.kill(id, number)
        #else
            _ = Darwin.kill(id, number)
        #endif
    }

    /// Closes the child's standard input, for which some of them wait.
    package func release() {
        if input >= 0 { close(input) }
        input = -1
    }

    /// Whether something can be read, or the output has ended, before so many seconds have passed.
    package func isReadable(seconds: Double) -> Bool {
        var waiting = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
        let deadline = monotonicSeconds() + seconds
        while true {
            let left = deadline - monotonicSeconds()
            let count = poll(&waiting, 1, Int32(max(0, min(left * 1000, 1e8))))
            if count > 0 { return true }
            if count < 0 && errno == EINTR { continue }
            if left <= 0 { return false }
        }
    }

    /// The next bytes of the output; empty at its end; nil if nothing comes in time.
    package func read(seconds: Double = 60) -> [UInt8]? {
        guard isReadable(seconds: seconds) else { return nil }
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = buffer.withUnsafeMutableBytes { systemRead(output, $0.baseAddress, $0.count) }
        return count > 0 ? Array(buffer[0..<count]) : []
    }

    private var pending: [UInt8] = []

    /// The next line of the output, without its end; nil at the end of the output, or if none comes in time.
    package func line(seconds: Double = 60) -> String? {
        while true {
            if let end = pending.firstIndex(of: 10) {
                let text = String(decoding: pending[..<end], as: UTF8.self)
                pending.removeSubrange(...end)
                return text
            }
            guard let more = read(seconds: seconds), !more.isEmpty else { return nil }
            pending += more
        }
    }

    /// Everything that is still to come, and how the child ended.
    package func finish(seconds: Double = 60) -> (output: [UInt8], end: End) {
        release()
        var all = pending
        pending = []
        while true {
            guard let more = read(seconds: seconds) else {
                kill()
                _ = reap()
                return (all, .hung)
            }
            if more.isEmpty { break }
            all += more
        }
        return (all, reap())
    }

    @discardableResult
    private func reap() -> End {
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0 && errno == EINTR {}
        isReaped = true
        return status & 0x7f == 0 ? .exited((status >> 8) & 0xff) : .signalled(status & 0x7f)
    }
}

private func systemRead(_ descriptor: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    while true {
        let done = read(descriptor, buffer, count)
        if done < 0 && errno == EINTR { continue }
        return done
    }
}
