import DiskCache
import DiskCacheEngine
import TestSupport

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Processes at the ends of a queue.
enum QueueCommands {
    private static func open(_ arguments: Arguments) throws -> Cache? {
        if let point = FaultPoint(rawValue: arguments.text("point")) {
            guard FaultPoint.killAt(point, hit: arguments.number("hit", default: 1)) else { return nil }
        }
        return try Cache(directory: arguments.text("directory"))
    }

    /// `produce`: pushes `writer.0`, `writer.1` … and says after each that it is done. Every seventh in a transaction with another
    /// key, every eleventh in a file.
    static func produce(_ arguments: Arguments) throws {
        guard let cache = try open(arguments) else { return }
        let writer = arguments.text("writer")
        for number in 0..<arguments.number("count") {
            let value = "\(writer).\(number)"
            if number % 7 == 0 {
                try cache.transact {
                    try cache.push(value, prefix: "jobs")
                    try cache.set("last of \(writer)", number)
                }
            } else if number % 11 == 0 {
                let padded = value + String(repeating: " ", count: 40_000)
                try cache.push(padded, prefix: "jobs")
            } else {
                try cache.push(value, prefix: "jobs")
            }
            TestChild.say(value)
        }
        try cache.close()
    }

    /// `consume`: pulls, and says what it got; ends when standard input has ended and nothing comes any more.
    static func consume(_ arguments: Arguments) throws {
        guard let cache = try open(arguments) else { return }
        TestChild.say("ready")
        let milliseconds = arguments.number("timeout", default: 50)
        while true {
            let isLast = TestChild.isReleased()
            if let (_, value) = try cache.pull(
                as: String.self, prefix: "jobs", timeout: .milliseconds(isLast ? 0 : milliseconds))
            {
                TestChild.say(String(value.prefix { $0 != " " }))
            } else if isLast {
                break
            }
        }
        try cache.close()
    }

    /// `sleep`: waits for an item that doesn't come, and says how many microseconds of a processor that took.
    static func sleep(_ arguments: Arguments) throws {
        guard let cache = try open(arguments) else { return }
        let before = processorTime()
        let found = try cache.pull(
            as: String.self, prefix: "nothing", timeout: .milliseconds(arguments.number("timeout")))
        TestChild.say(found == nil ? "\(processorTime() - before)" : "something")
    }

    private static func processorTime() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000 + time.tv_nsec / 1000
    }
}
