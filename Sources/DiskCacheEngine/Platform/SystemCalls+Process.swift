// What the system tells of time and identity, and what it does with threads. One wrapper a call, named after the call.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Android)
    import Android
#elseif canImport(Darwin)
    import Darwin
#endif

extension SystemCalls {
    // MARK: Time, identity, randomness

    /// CLOCK_REALTIME in microseconds since 1970.
    static func wallClock() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) &* 1_000_000 &+ Int64(time.tv_nsec) / 1000
    }

    /// CLOCK_MONOTONIC in nanoseconds.
    static func monotonicClock() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    static func processID() -> UInt32 { UInt32(bitPattern: getpid()) }

    /// getrandom(2) / arc4random: bytes that nobody can foretell.
    static func random() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }

    /// What tells one run of the kernel from the next; empty if it can't be read.
    static func bootIdentity() -> String {
        #if os(Linux) || os(Android)
            let descriptor = openat(AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
            if descriptor < 0 { return "" }
            defer { _ = systemClose(descriptor) }
            var bytes = [UInt8](repeating: 0, count: 64)
            let count = bytes.withUnsafeMutableBytes { systemRead(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { return "" }
            return String(decoding: bytes[0..<count].filter { $0 > 32 }, as: UTF8.self)
        #else
            var bytes = [CChar](repeating: 0, count: 64)
            var count = bytes.count
            guard sysctlbyname("kern.bootsessionuuid", &bytes, &count, nil, 0) == 0 else { return "" }
            return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        #endif
    }

    /// A number of the calling thread that no other living thread of the process has.
    static func threadID() -> UInt {
        #if canImport(Darwin)
            UInt(bitPattern: pthread_self())
        #else
            UInt(pthread_self())
        #endif
    }

    static func yieldThread() { _ = sched_yield() }

    /// nanosleep(2), begun again when a signal ends it.
    static func sleep(nanoseconds: UInt64) {
        let begun = monotonicClock()
        var left = nanoseconds
        while true {
            var time = timespec(tv_sec: Int(left / 1_000_000_000), tv_nsec: Int(left % 1_000_000_000))
            if nanosleep(&time, nil) == 0 || errno != EINTR { return }
            let passed = monotonicClock() &- begun
            if passed >= nanoseconds { return }
            left = nanoseconds - passed
        }
    }

    static func killSelf() { _ = kill(getpid(), SIGKILL) }

    // MARK: Waiting on a word

    /// futex(2) FUTEX_WAIT / os_sync_wait_on_address: waits until `word` isn't `value`, a wake-up, or the time is over.
    /// May return early. `shared` for a word in a mapped file. Whether it was woken.
    @discardableResult
    static func wait(
        on word: UnsafeMutableRawPointer, while value: UInt32, nanoseconds: UInt64, shared: Bool
    ) -> Bool {
        #if os(Linux) || os(Android)
            var time = timespec(
                tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
            return withUnsafeMutablePointer(to: &time) {
                rawSyscall(
                    SyscallNumber.futex, Int(bitPattern: word), shared ? 0 : 128, Int(value),
                    Int(bitPattern: $0), 0, 0) == 0
            }
        #else
            if #available(macOS 14.4, iOS 17.4, *) {
                return os_sync_wait_on_address_with_timeout(
                    word, UInt64(value), 4, shared ? OS_SYNC_WAIT_ON_ADDRESS_SHARED : OS_SYNC_WAIT_ON_ADDRESS_NONE,
                    OS_CLOCK_MACH_ABSOLUTE_TIME, nanoseconds) >= 0
            } else {
                sleep(nanoseconds: min(nanoseconds, 1_000_000))
                return false
            }
        #endif
    }

    /// Wakes up to `count` of the threads that wait on `word`.
    static func wake(_ word: UnsafeMutableRawPointer, count: Int32, shared: Bool) {
        #if os(Linux) || os(Android)
            _ = rawSyscall(
                SyscallNumber.futex, Int(bitPattern: word), shared ? 1 : 129, Int(count), 0, 0, 0)
        #else
            if #available(macOS 14.4, iOS 17.4, *) {
                let flags = shared ? OS_SYNC_WAKE_BY_ADDRESS_SHARED : OS_SYNC_WAKE_BY_ADDRESS_NONE
                if count == 1 {
                    _ = os_sync_wake_by_address_any(word, 4, flags)
                } else {
                    _ = os_sync_wake_by_address_all(word, 4, flags)
                }
            }
        #endif
    }

    // MARK: Threads and fork

    /// Runs `body` on a thread of its own, detached.
    static func startThread(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
        final class Box: Sendable {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        let context = Unmanaged.passRetained(Box(body)).toOpaque()
        #if canImport(Darwin)
            var thread: pthread_t?
            let error = pthread_create(
                &thread, nil,
                {
                    Unmanaged<Box>.fromOpaque($0).takeRetainedValue().body(); return nil
                }, context)
            if let thread, error == 0 { pthread_detach(thread) }
        #else
            var thread = pthread_t()
            let error = pthread_create(
                &thread, nil,
                {
                    Unmanaged<Box>.fromOpaque($0!).takeRetainedValue().body()
                    return nil
                }, context)
            if error == 0 { pthread_detach(thread) }
        #endif
        if error != 0 {
            Unmanaged<Box>.fromOpaque(context).release()
            throw SystemError(errno: error, call: "pthread_create", path: "")
        }
    }

    /// pthread_atfork.
    static func atFork(
        prepare: @escaping @convention(c) () -> Void, inParent: @escaping @convention(c) () -> Void,
        inChild: @escaping @convention(c) () -> Void
    ) {
        _ = pthread_atfork(prepare, inParent, inChild)
    }
}

/// log(3): the natural logarithm, for which the standard library has no function.
package func logarithm(_ x: Double) -> Double { log(x) }
