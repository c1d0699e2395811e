import DiskCache
import DiskCacheEngine
import Synchronization
import TestSupport

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Processes that use locks, throttles and memoised functions.
enum RecipeCommands {
    /// `semaphore`: takes and gives back a lease once, and on until standard input ends; says `exceeded` if it meets too many holders.
    ///
    /// Byte i of the witness is 1 while process i holds a lease; byte 8 + i is 1 from before it is killed until it is gone.
    static func semaphore(_ arguments: Arguments) throws {
        let (number, bound) = (arguments.number("number"), arguments.number("bound"))
        let witness = try WitnessFile(arguments.text("witness"))
        var random = ReplayableRandom(seed: UInt64(arguments.number("seed")))
        let semaphore = try BoundedSemaphore(Cache(directory: arguments.text("directory")), "s", bound: bound)
        var count = 0
        TestChild.say("ready")
        repeat {
            try semaphore.withLock {
                witness.put(1, at: number)
                let bytes = witness.bytes(16)
                let holders = (0..<8).filter { bytes[$0] == 1 && bytes[8 + $0] == 0 }
                if holders.count > bound {
                    TestChild.say("exceeded by \(holders)")
                    exit(7)
                }
                pass(microseconds: Int.random(in: 0..<500, using: &random))
                witness.put(0, at: number)
            }
            count += 1
        } while !TestChild.isReleased()
        TestChild.say("\(count)")
    }

    /// `locked`: counts in word 0 of the witness, and for itself in word 1 + its number, with the lock, once, and on until standard
    /// input ends.
    static func count(_ arguments: Arguments) throws {
        let own = 1 + arguments.number("number")
        let witness = try WitnessFile(arguments.text("witness"))
        let lock = Lock(try Cache(directory: arguments.text("directory")), "counter")
        TestChild.say("ready")
        repeat {
            try lock.withLock {
                let sum = witness[0]
                // So that who came in without the lock would be met here.
                sched_yield()
                witness[0] = sum + 1
                witness[own] += 1
            }
        } while !TestChild.isReleased()
    }

    /// `holdlock`: takes a lock, says so, and holds it until standard input ends.
    static func hold(_ arguments: Arguments) throws {
        let lock = Lock(try Cache(directory: arguments.text("directory")), arguments.text("name"))
        if arguments["wait"] != nil { TestChild.say("waiting") }
        try lock.lock()
        TestChild.say("held")
        TestChild.waitForParent()
        if arguments["leave"] == nil { try lock.unlock() }
    }

    /// `forklock`: a child of a fork neither has its parent's lock, nor frees it, nor keeps it.
    static func fork(_ arguments: Arguments) throws {
        let cache = try Cache(directory: arguments.text("directory"))
        let (lock, other) = (Lock(cache, "x"), Lock(cache, "x"))
        let recursive = RecursiveLock(cache, "r")
        for _ in 0..<2 { try recursive.lock() }
        try lock.lock()
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw CacheError(.io, "no pipe", errno: errno) }
        let child = systemFork()
        if child == 0 {
            do {
                if try lock.tryLock() { _exit(10) }
                do {
                    try lock.unlock()
                    _exit(11)
                } catch CacheError.Code.lockNotHeld {}
                if try recursive.tryLock() { _exit(13) }
                do {
                    try recursive.unlock()
                    _exit(14)
                } catch CacheError.Code.lockNotHeld {}
                var byte: UInt8 = 1
                _ = write(ends[1], &byte, 1)
                // It waits until its parent lets go, though it has the parent's files open.
                try other.lock(timeout: .seconds(60))
                try other.unlock()
                try lock.withLock {}
            } catch {
                _exit(12)
            }
            _exit(0)
        }
        close(ends[1])
        var byte: UInt8 = 0
        guard read(ends[0], &byte, 1) == 1 else { throw CacheError(.io, "the child ended too early") }
        // From now on the child waits: another process finds the lock taken by the parent alone.
        TestChild.say("forked")
        TestChild.waitForParent()
        try lock.unlock()
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        TestChild.say("child \(status)")
        TestChild.say("again \(try other.tryLock())")
    }

    /// `throttled`: calls a throttled function so often; says when it began and ended.
    static func throttle(_ arguments: Arguments) throws {
        let cache = try Cache(directory: arguments.text("directory"))
        let throttle = try Throttle(
            cache, "rate", count: arguments.number("count"), per: .milliseconds(arguments.number("milliseconds")))
        TestChild.say("ready")
        TestChild.waitForParent()
        var times: [Double] = []
        for _ in 0..<arguments.number("calls") {
            try throttle.wait()
            times.append(Double(Cache.systemClock()) / 1e6)
        }
        TestChild.say("\(times[0]) \(times[times.count - 1])")
    }

    /// `memoized`: sixteen threads ask for the same results; whoever computes one waits until all callers of all processes are there.
    static func memoize(_ arguments: Arguments) throws {
        let (rounds, callers) = (arguments.number("rounds"), Int64(arguments.number("callers")))
        let cache = try Cache(directory: arguments.text("directory"))
        let square = cache.memoize("square", singleFlight: .allProcesses) { (number: Int) throws -> Int in
            try cache.incr("computed \(number)")
            while try cache.get("arrived \(number)", as: Int64.self) ?? 0 < callers { pass(microseconds: 500) }
            return number * number
        }
        let failures = Atomic<Int>(0)
        let finished = Atomic<Int>(0)
        let threads = ThreadPool(limit: 16)
        for _ in 0..<16 {
            try threads.submit {
                do {
                    for round in 0..<rounds {
                        try cache.incr("arrived \(round)")
                        if try square(round) != round * round { failures.add(1, ordering: .relaxed) }
                    }
                } catch {
                    failures.add(1, ordering: .relaxed)
                }
                finished.add(1, ordering: .relaxed)
            }
        }
        while finished.load(ordering: .relaxed) < 16 { pass(microseconds: 1000) }
        TestChild.say("\(failures.load(ordering: .relaxed)) failures")
    }

    /// `compute`: asks for one memoised result; says when it computes, and then waits for its parent.
    static func compute(_ arguments: Arguments) throws {
        let cache = try Cache(directory: arguments.text("directory"))
        let name = cache.memoize("name", singleFlight: .allProcesses) { () throws -> String in
            TestChild.say("computing")
            TestChild.waitForParent()
            return arguments.text("result")
        }
        TestChild.say("result \(try name())")
    }
}
