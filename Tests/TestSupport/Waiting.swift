#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Seconds of the monotonic clock.
package func monotonicSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Lets so many microseconds pass: where the passing of time is itself what a test wants, as for a kill at any instant.
package func pass(microseconds: Int) {
    var time = timespec(tv_sec: microseconds / 1_000_000, tv_nsec: microseconds % 1_000_000 * 1000)
    var left = timespec()
    while nanosleep(&time, &left) != 0 && errno == EINTR { time = left }
}

/// Waits until `condition` holds; false after `seconds`.
package func eventually(seconds: Double = 60, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = monotonicSeconds() + seconds
    var looks = 0
    while try !condition() {
        if monotonicSeconds() > deadline { return false }
        // What comes soon is met soon.
        looks += 1
        if looks < 1000 { sched_yield() } else { pass(microseconds: 200) }
    }
    return true
}
