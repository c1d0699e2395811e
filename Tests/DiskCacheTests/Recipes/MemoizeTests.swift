import DiskCache
import Synchronization
import TestSupport
import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// Memoised functions, of threads and of tasks.
@Suite struct MemoizeTests {
    private let scratch: TestDirectory
    private let cache: Cache
    private let calls = Calls()

    init() throws {
        scratch = try TestDirectory("memoize")
        cache = try Cache(directory: scratch.path + "/cache")
    }

    struct Failure: Error, Equatable { var number = 0 }

    // MARK: Results

    @Test func aResultIsComputedOnce() throws {
        let add = cache.memoize("add") { [calls] (a: Int, b: Int) in calls.next(a + b) }
        #expect(try add(1, 2) == 3)
        #expect(try add(1, 2) == 3)
        #expect(try add(2, 1) == 3)
        #expect(calls.count == 2)
        // What is stored is the result itself.
        #expect(try cache.get(add.key(for: 1, 2), as: Int.self) == 3)
        let none = cache.memoize("none") { [calls] in calls.next(7) }
        #expect(try none() == 7)
        #expect(try none() == 7)
        #expect(calls.count == 3)
    }

    @Test func aResultOfNilIsKept() throws {
        let find = cache.memoize("find") { [calls] (name: String) -> Int? in calls.next(nil) }
        #expect(try find("x") == nil)
        #expect(try find("x") == nil)
        #expect(calls.count == 1)
    }

    @Test func errorsAreNotKept() throws {
        let fail = cache.memoize("fail") { [calls] (a: Int) throws -> Int in
            if calls.next(calls.count) == 0 { throw Failure(number: a) }
            return a
        }
        #expect(throws: Failure(number: 5)) { try fail(5) }
        #expect(try fail(5) == 5)
        #expect(try fail(5) == 5)
        #expect(calls.count == 2)
    }

    @Test func whatWouldExpireAtOnceIsNotStored() throws {
        for expire in [Expiration.after(.zero), .after(.seconds(-1)), .at(secondsSinceEpoch: 5)] {
            let find = cache.memoize("find", expire: expire) { [calls] (a: Int) in calls.next(a) }
            let before = calls.count
            #expect(try find(1) == 1)
            #expect(try find(1) == 1)
            #expect(calls.count == before + 2)
            // But it is looked up.
            try cache.set(find.key(for: 1), 9)
            #expect(try find(1) == 9)
            #expect(try find.invalidate(1))
        }
    }

    @Test func expiryAndTagAreTheResults() throws {
        let find = cache.memoize("find", expire: .after(.seconds(100)), tag: "t") { (a: Int) in a }
        _ = try find(1)
        let entry = try #require(try cache.entry(find.key(for: 1), as: Int.self))
        #expect(entry.tag == "t" && entry.expires != nil)
        #expect(try cache.evict(tag: "t") == 1)
    }

    @Test func invalidateAndRefresh() throws {
        let find = cache.memoize("find") { [calls] (a: Int) in calls.next(calls.count) }
        #expect(try find(1) == 0)
        #expect(try find.invalidate(1))
        #expect(try !find.invalidate(1))
        #expect(try find(1) == 1)
        #expect(try find.refresh(1) == 2)
        #expect(try find(1) == 2)
    }

    /// What was stored under the name by a function of another result is computed again.
    @Test func anotherTypeOfResultIsComputedAgain() throws {
        let old = cache.memoize("f") { (a: Int) in "text" }
        _ = try old(1)
        let new = cache.memoize("f") { (a: Int) in [a] }
        #expect(try new(1) == [1])
        #expect(try new(1) == [1])
        #expect(try cache.get(new.key(for: 1), as: [Int].self) == [1])
    }

    // MARK: Keys

    @Test func keysTellCallsApart() throws {
        struct Point: Codable, Sendable { var x = 1, y = 2 }
        var keys: [AnyCacheKey] = []
        keys.append(try cache.memoize("f") { (a: Int) in a }.key(for: 1))
        keys.append(try cache.memoize("f") { (a: Double) in a }.key(for: 1))
        keys.append(try cache.memoize("f") { (a: String) in a }.key(for: "1"))
        keys.append(try cache.memoize("f") { (a: Bool) in a }.key(for: true))
        keys.append(try cache.memoize("f") { (a: Int?) in a }.key(for: nil))
        keys.append(try cache.memoize("f") { (a: [Int]) in a }.key(for: [1]))
        keys.append(try cache.memoize("f") { (a: [Int]) in a }.key(for: [1, 1]))
        keys.append(try cache.memoize("f") { (a: Int, b: Int) in a }.key(for: 1, 1))
        keys.append(try cache.memoize("f") { 1 }.key())
        keys.append(try cache.memoize("g") { (a: Int) in a }.key(for: 1))
        keys.append(try cache.memoize("f", labels: ["a"]) { (a: Int) in a }.key(for: 1))
        keys.append(try cache.memoize("f", labels: ["b"]) { (a: Int) in a }.key(for: 1))
        keys.append(try cache.memoize("f", labels: ["", "a"]) { (a: Int, b: Int) in a }.key(for: 1, 1))
        keys.append(try cache.memoize("f") { (a: Point) in 1 }.key(for: Point()))
        keys.append(try cache.memoize("f") { (a: Point) in 1 }.key(for: Point(x: 2)))
        // f(1, nil, "x", 2, "y", nil) and f(1, x: 2, y: nil), which DiskCache confuses.
        keys.append(
            try cache.memoize("f") { (a: Int, b: Int?, c: String, d: Int, e: String, f: Int?) in a }
                .key(for: 1, nil, "x", 2, "y", nil))
        keys.append(
            try cache.memoize("f", labels: ["", "x", "y"]) { (a: Int, x: Int, y: Int?) in a }.key(for: 1, 2, nil))
        #expect(Set(keys).count == keys.count)
        // The same in every process.
        #expect(
            keys[10]
                == .encoded([0xa1, 0x68] + Array("memoized".utf8) + [0x82, 0x61, 0x66, 0x81, 0x82, 0x61, 0x61, 0x01]))
        #expect(
            keys[0] == .encoded([0xa1, 0x68] + Array("memoized".utf8) + [0x82, 0x61, 0x66, 0x81, 0x82, 0x00, 0x01]))
    }

    @Test func ignoredArgumentsStandInNoKey() throws {
        let f = cache.memoize("f", labels: ["a", "trace"], ignoring: ["trace", 2]) {
            [calls] (a: Int, trace: Bool, c: Int) in calls.next(a)
        }
        #expect(try f(1, true, 3) == 1)
        #expect(try f(1, false, 4) == 1)
        #expect(try f(2, false, 4) == 2)
        #expect(calls.count == 2)
        for wrong: [MemoizedArgument] in [["b"], [3], [-1]] {
            let g = cache.memoize("g", labels: ["a"], ignoring: wrong) { (a: Int, b: Int, c: Int) in a }
            expectError(.invalidSetting) { try g(1, 2, 3) }
        }
        let h = cache.memoize("h", labels: ["a", "a"]) { (a: Int, b: Int) in a }
        expectError(.invalidSetting) { try h(1, 2) }
        let i = cache.memoize("i", labels: ["a", "b"]) { (a: Int) in a }
        expectError(.invalidSetting) { try i(1) }
    }

    // MARK: One computation for many callers

    @Test func threadsThatAskTogetherComputeOnce() throws {
        for scope in [SingleFlight.process, .allProcesses] {
            let gate = Gate()
            let before = calls.count
            let slow = cache.memoize("slow \(scope)", singleFlight: scope) { [calls] (a: Int) in
                gate.wait()
                return calls.next(a)
            }
            let group = TestThreads()
            let arrived = Atomic<Int>(0)
            for _ in 0..<16 {
                group.start {
                    arrived.add(1, ordering: .relaxed)
                    if try slow(3) != 3 { Issue.record("another result") }
                }
            }
            #expect(eventually { arrived.load(ordering: .relaxed) == 16 })
            gate.open()
            group.join()
            #expect(calls.count == before + 1)
        }
    }

    @Test func allWhoWaitGetTheError() throws {
        let gate = Gate()
        let fail = cache.memoize("fail") { [calls] (a: Int) throws -> Int in
            gate.wait()
            _ = calls.next(0)
            throw Failure()
        }
        let group = TestThreads()
        let failures = Atomic<Int>(0)
        for _ in 0..<4 {
            group.start {
                do { _ = try fail(1) } catch is Failure { failures.add(1, ordering: .relaxed) }
            }
        }
        gate.open()
        group.join()
        #expect(failures.load(ordering: .relaxed) == 4)
        #expect(try cache.count == 0)
    }

    /// A function that asks for its own results.
    @Test func aRecursiveFunctionDoesNotWaitForItself() throws {
        let box = Box<Memoized<Int, Int>>()
        let fibonacci = cache.memoize("fibonacci", singleFlight: .allProcesses) { [calls] (n: Int) throws -> Int in
            guard n > 1, let own = box.value else { return calls.next(n) }
            return calls.next(try own(n - 1) + own(n - 2))
        }
        box.value = fibonacci
        #expect(try fibonacci(20) == 6765)
        #expect(calls.count == 21)
        // The same call inside itself, which ends by what it remembers.
        let inner = Box<Memoized<Int, Int>>()
        let depth = Atomic<Int>(0)
        let odd = cache.memoize("odd") { (n: Int) throws -> Int in
            if depth.add(1, ordering: .relaxed).newValue == 3 { return n }
            return try inner.value!(n) + 1
        }
        inner.value = odd
        #expect(try odd(1) == 3)
        // Nothing is left of flights.
        #expect(TestDirectory.filesBelow(cache.directory + "/locks").filter { $0.hasPrefix("flight.") } == [])
    }

    /// Whoever computes it needs the write lock, which the transaction has.
    @Test func aTransactionWaitsForNobody() throws {
        let (begun, gate) = (Gate(), Gate())
        let isFirst = Atomic<Bool>(true)
        let f = cache.memoize("f", singleFlight: .allProcesses) { [cache, calls] (a: Int) in
            if isFirst.exchange(false, ordering: .sequentiallyConsistent) {
                begun.open()
                gate.wait()
            }
            try cache.set("computed", a)
            return calls.next(a)
        }
        let group = TestThreads()
        group.start { if try f(1) != 1 { Issue.record("another result") } }
        begun.wait()
        #expect(try cache.transact { try f(1) } == 1)
        gate.open()
        group.join()
        #expect(try f(1) == 1)
        #expect(calls.count == 2)
    }

    @Test func whatIsInvalidatedWhileItIsComputedIsNotStored() throws {
        let (begun, gate) = (Gate(), Gate())
        let f = cache.memoize("f") { [calls] (a: Int) in
            let number = calls.next(calls.count)
            if number == 0 {
                begun.open()
                gate.wait()
            }
            return number
        }
        let group = TestThreads()
        group.start { if try f(1) != 0 { Issue.record("another result") } }
        begun.wait()
        #expect(try !f.invalidate(1))
        // Who asks now doesn't wait for the old one.
        #expect(try f(1) == 1)
        gate.open()
        group.join()
        #expect(try f(1) == 1)
    }
}

/// How often a function was called.
final class Calls: Sendable {
    private let number = Atomic<Int>(0)
    var count: Int { number.load(ordering: .sequentiallyConsistent) }

    /// Counts a call, and gives back what it was given.
    func next<R>(_ result: R) -> R {
        number.add(1, ordering: .sequentiallyConsistent)
        return result
    }
}

/// Something that threads wait for.
final class Gate: Sendable {
    private let word = ParkingWord(0)

    func wait() {
        while word.load() == 0 { word.wait(while: 0, nanoseconds: 100_000_000) }
    }

    func open() {
        word.store(1)
        word.wake()
    }
}

final class Box<Value>: @unchecked Sendable { var value: Value? }
