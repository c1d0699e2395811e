#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The monotonic clock in nanoseconds: one `clock_gettime`, which Linux answers without a system call.
public func monotonicNanoseconds() -> UInt64 {
    #if canImport(Darwin)
        return clock_gettime_nsec_np(CLOCK_UPTIME_RAW)
    #else
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_nsec)
    #endif
}

/// Calls `body` with 0, 1, … `count - 1` and returns the nanoseconds all calls took together.
///
/// With `latencies` the clock is read once a call and each call's time stored there (a call's time then includes one
/// clock read); without, the clock is read at the start and at the end alone.
@inlinable
@inline(__always)
func time(
    _ count: Int, latencies: UnsafeMutablePointer<UInt32>?, _ body: (Int) throws -> Void
) rethrows -> UInt64 {
    let start = monotonicNanoseconds()
    guard let latencies else {
        for index in 0..<count { try body(index) }
        return monotonicNanoseconds() &- start
    }
    var last = start
    for index in 0..<count {
        try body(index)
        let now = monotonicNanoseconds()
        latencies[index] = UInt32(clamping: now &- last)
        last = now
    }
    return last &- start
}
