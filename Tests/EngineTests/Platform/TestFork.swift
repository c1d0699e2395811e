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
///
/// For exit tests alone, which run in processes of their own: a child of the one where all tests run would keep the pipes and locks of all
/// others open while it lives.
struct TestFork {
    private let child: Int32
    private let report: Int32
    private let release: Int32

    private let byte: UInt8?

    /// Forks. The child runs `body`, tells the byte that it returns, waits for `finish`, and exits.
    ///
    /// What forks here has threads, and one of them may be inside the allocator or the runtime: such a child hangs, and another is made.
    init(_ body: () -> UInt8) throws(SystemError) {
        for _ in 0..<2 {
            let child = try TestFork(once: body)
            if child.byte != nil {
                self = child
                return
            }
            child.finish()
        }
        try self.init(once: body)
    }

    private init(once body: () -> UInt8) throws(SystemError) {
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
        var waiting = pollfd(fd: report, events: Int16(POLLIN), revents: 0)
        var told: UInt8 = 0
        byte = poll(&waiting, 1, 20000) == 1 && read(report, &told, 1) == 1 ? told : nil
    }

    /// The child's byte; nil if it didn't come in 20 seconds.
    func told() -> UInt8? { byte }

    /// Lets the child exit and waits for it.
    func finish() {
        close(release)
        close(report)
        kill(child, SIGKILL)
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
    }
}
