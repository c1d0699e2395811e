@testable import DiskCacheEngine

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

// Not imported into Swift: a child of a program with threads may do little. What runs in it here is small and warm.
@_silgen_name("fork") private func systemFork() -> Int32

/// A child of this very process, made by fork.
struct TestFork {
    private let child: Int32
    private let report: Int32
    private let release: Int32

    /// Forks. The child runs `body`, tells the byte that it returns, waits for `finish`, and exits.
    init(_ body: () -> UInt8) throws(SystemError) {
        var up: [Int32] = [-1, -1]
        var down: [Int32] = [-1, -1]
        var child: Int32 = -1
        guard pipe(&up) == 0, pipe(&down) == 0 else {
            throw SystemError(errno: errno, call: "pipe", path: "")
        }
        // Among many tests the system may be short of something for a moment.
        for attempt in 0..<100 where child < 0 {
            if attempt > 0 { usleep(100_000) }
            child = systemFork()
        }
        if child < 0 { throw SystemError(errno: errno, call: "fork", path: "") }
        if child == 0 {
            close(up[0])
            close(down[1])
            var byte = body()
            _ = write(up[1], &byte, 1)
            _ = read(down[0], &byte, 1)
            _exit(0)
        }
        close(up[1])
        close(down[0])
        self.child = child
        report = up[0]
        release = down[1]
    }

    /// The child's byte; nil if it doesn't come in 20 seconds.
    func told() -> UInt8? {
        var waiting = pollfd(fd: report, events: Int16(POLLIN), revents: 0)
        var byte: UInt8 = 0
        guard poll(&waiting, 1, 20000) == 1, read(report, &byte, 1) == 1 else { return nil }
        return byte
    }

    /// Lets the child exit and waits for it.
    func finish() {
        close(release)
        close(report)
        kill(child, SIGKILL)
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
    }
}
