import DiskCache
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Locks, throttles and memoised functions between processes that may die or stand still at any moment.
@Suite(.serialized) struct RecipeProcessTests {
    private let scratch: TestDirectory
    private let path: String
    private let cache: Cache
    /// The path of a file, and what the processes write there.
    private let witness: String
    private let words: WitnessFile

    init() throws {
        scratch = try TestDirectory("recipes")
        path = scratch.path + "/cache"
        cache = try Cache(directory: path)
        witness = scratch.path + "/witness"
        words = try WitnessFile(witness)
    }

    /// Eight processes, a bound of three, holders killed at random: no more than three ever hold it, and nobody's place is lost.
    @Test func aSemaphoreIsNeverExceeded() throws {
        let seed = ReplayableRandom.seed(for: "aSemaphoreIsNeverExceeded")
        var random = ReplayableRandom(seed: seed)
        for offset in 0..<16 { words.put(0, at: offset) }
        func start(_ number: Int) throws -> ChildProcess {
            try ChildProcess([
                "semaphore", "directory=\(path)", "witness=\(witness)", "bound=3", "number=\(number)",
                "seed=\(random.next() & 0xFFFF_FFFF)",
            ])
        }
        var children = try (0..<8).map { try start($0) }
        for child in children { #expect(child.line() == "ready") }
        for _ in 0..<environmentNumber("KILLS", default: 40) {
            pass(microseconds: Int.random(in: 0..<20_000, using: &random))
            let victim = Int.random(in: 0..<8, using: &random)
            words.put(1, at: 8 + victim)
            children[victim].kill()
            let (output, end) = children[victim].finish()
            #expect(end == .signalled(SIGKILL), "\(String(decoding: output, as: UTF8.self))")
            words.put(0, at: victim)
            words.put(0, at: 8 + victim)
            children[victim] = try start(victim)
            #expect(children[victim].line() == "ready")
        }
        var counts: [Int] = []
        for child in children {
            child.release()
            let line = child.line() ?? "nothing"
            counts.append(Int(line) ?? -1)
            #expect(child.finish().end == .exited(0), "\(line)")
        }
        print("leases of eight processes at the end: \(counts)")
        #expect(counts.allSatisfy { $0 > 0 }, "\(counts)")
        // All three are free.
        let semaphore = try BoundedSemaphore(cache, "s", bound: 3)
        for _ in 0..<3 { #expect(try semaphore.tryLock()) }
        #expect(try !semaphore.tryLock())
    }

    /// Eight processes count with a lock while some are killed: at most the addition that a victim had not written down is uncertain.
    @Test func aLocksIncrementsAreNotLost() throws {
        let seed = ReplayableRandom.seed(for: "aLocksIncrementsAreNotLost")
        var random = ReplayableRandom(seed: seed)
        func start(_ number: Int) throws -> ChildProcess {
            try ChildProcess(["locked", "directory=\(path)", "witness=\(witness)", "number=\(number)"])
        }
        var children = try (0..<8).map { try start($0) }
        for child in children { #expect(child.line() == "ready") }
        let kills = environmentNumber("KILLS", default: 40)
        for _ in 0..<kills {
            pass(microseconds: Int.random(in: 0..<20_000, using: &random))
            let victim = Int.random(in: 0..<8, using: &random)
            children[victim].kill()
            #expect(children[victim].finish().end == .signalled(SIGKILL))
            children[victim] = try start(victim)
            #expect(children[victim].line() == "ready")
        }
        for child in children { #expect(child.finish().end == .exited(0)) }
        let counts = (1...8).map { words[$0] }
        let sum = counts.reduce(0, +)
        let counted = words[0]
        print(
            "eight processes counted \(counts), in all \(counted), of which \(counted - sum) by the killed, unwritten")
        #expect(counted >= sum && counted <= sum + UInt64(kills))
        #expect(counts.allSatisfy { $0 > 0 })
    }

    @Test func aDeadHolderHoldsNothing() throws {
        let lock = Lock(cache, "x")
        for _ in 0..<10 {
            let holder = try ChildProcess(["holdlock", "directory=\(path)", "name=x"])
            #expect(holder.line() == "held")
            #expect(try !lock.tryLock())
            holder.kill()
            try lock.lock(timeout: .seconds(60))
            try lock.unlock()
        }
        // One that ends without letting go, too.
        let holder = try ChildProcess(["holdlock", "directory=\(path)", "name=x", "leave=1"])
        #expect(holder.line() == "held")
        #expect(holder.finish().end == .exited(0))
        #expect(try lock.tryLock())
    }

    @Test func aStoppedHolderIsWaitedFor() throws {
        let lock = Lock(cache, "x")
        let holder = try ChildProcess(["holdlock", "directory=\(path)", "name=x"])
        #expect(holder.line() == "held")
        holder.signal(SIGSTOP)
        #expect(try !lock.tryLock())
        #expect(throws: CacheError.self) { try lock.lock(timeout: .milliseconds(50)) }
        holder.release()
        #expect(try !lock.tryLock())
        holder.signal(SIGCONT)
        try lock.lock(timeout: .seconds(60))
        #expect(holder.finish().end == .exited(0))
    }

    /// Whoever is next in line and stands still keeps nobody out, and has its turn when it goes on.
    @Test func aStoppedWaiterIsPassedBy() throws {
        let lock = Lock(cache, "x")
        try lock.lock()
        let waiter = try ChildProcess(["holdlock", "directory=\(path)", "name=x", "wait=1"])
        #expect(waiter.line() == "waiting")
        pass(microseconds: 20_000)
        waiter.signal(SIGSTOP)
        try lock.unlock()
        for _ in 0..<3 {
            try lock.lock(timeout: .seconds(60))
            #expect(!waiter.isReadable(seconds: 0))
            try lock.unlock()
        }
        waiter.signal(SIGCONT)
        #expect(waiter.line() == "held")
        #expect(try !lock.tryLock())
        #expect(waiter.finish().end == .exited(0))
    }

    /// Processes wait in turn: who takes the lock again and again doesn't starve another.
    @Test func whoTakesItAgainAndAgainStarvesNobody() throws {
        let children = try (0..<3).map {
            try ChildProcess(["locked", "directory=\(path)", "witness=\(witness)", "number=\($0)"])
        }
        for child in children { #expect(child.line() == "ready") }
        let lock = Lock(cache, "counter")
        for _ in 0..<50 { try lock.withLock(timeout: .seconds(60)) {} }
        // Each of them goes on until all have had as many.
        let deadline = monotonicSeconds() + 60
        while (1...3).contains(where: { words[$0] < 50 }), monotonicSeconds() < deadline {
            pass(microseconds: 1000)
        }
        let counts = (1...3).map { words[$0] }
        for child in children { #expect(child.finish().end == .exited(0)) }
        print("all have had 50 turns: \(counts)")
        #expect(counts.allSatisfy { $0 >= 50 })
    }

    @Test func aForkHasNoneOfItsParentsLocks() throws {
        let child = try ChildProcess(["forklock", "directory=\(path)"])
        #expect(child.line() == "forked")
        let lock = Lock(cache, "x")
        #expect(try !lock.tryLock())
        child.release()
        #expect(child.line() == "child 0")
        #expect(child.line() == "again true")
        #expect(child.finish().end == .exited(0))
        #expect(try lock.tryLock())
    }

    /// Four processes hold a rate together: counted over three seconds, within five per cent of it.
    @Test func aRateHoldsOverProcesses() throws {
        let children = try (0..<4).map { _ in
            try ChildProcess(["throttled", "directory=\(path)", "count=10", "milliseconds=100", "calls=75"])
        }
        for child in children { #expect(child.line() == "ready") }
        for child in children { child.release() }
        var (first, last) = (Double.infinity, 0.0)
        for child in children {
            let times = (child.line() ?? "").split(separator: " ").compactMap { Double($0) }
            try #require(times.count == 2)
            (first, last) = (min(first, times[0]), max(last, times[1]))
            #expect(child.finish().end == .exited(0))
        }
        // Ten at once, and then one every ten milliseconds.
        let due = 10 + (last - first) * 100
        print("300 calls in \(last - first) s, in which \(due) were due")
        #expect(300 <= due * 1.05 && 300 >= due * 0.95)
    }

    /// Sixteen threads in each of four processes ask for the same result at the same time: one of them computes it.
    @Test func aResultIsComputedOnceByAll() throws {
        let rounds = 5
        let children = try (0..<4).map { _ in
            try ChildProcess(["memoized", "directory=\(path)", "rounds=\(rounds)", "callers=64"])
        }
        for child in children {
            #expect(child.line() == "0 failures")
            #expect(child.finish().end == .exited(0))
        }
        for round in 0..<rounds {
            #expect(try cache.get("computed \(round)", as: Int.self) == 1)
            #expect(try cache.get("arrived \(round)", as: Int.self) == 64)
        }
    }

    /// Whoever computes and dies leaves it to the next who waits.
    @Test func aDeadComputationIsBegunAnew() throws {
        let first = try ChildProcess(["compute", "directory=\(path)", "result=a"])
        #expect(first.line() == "computing")
        let second = try ChildProcess(["compute", "directory=\(path)", "result=b"])
        first.kill()
        #expect(second.line() == "computing")
        second.release()
        #expect(second.line() == "result b")
        #expect(second.finish().end == .exited(0))
        // A third finds it.
        let third = try ChildProcess(["compute", "directory=\(path)", "result=c"])
        #expect(third.line() == "result b")
        #expect(third.finish().end == .exited(0))
        #expect(TestDirectory.filesBelow(path + "/locks") == [])
    }
}
