import DiskCacheCore
import Synchronization
import TestSupport
import Testing

@testable import DiskCache
@testable import DiskCacheEngine

/// Results that are computed again though they are there: ahead of time and by chance.
@Suite struct RecomputationTests {
    private let scratch: TestDirectory
    private let cache: Cache
    private let time: TestTime
    private let calls = Calls()

    init() throws {
        scratch = try TestDirectory("recompute")
        let time = TestTime()
        self.time = time
        cache = try Cache(directory: scratch.path + "/cache", configuration: .init(), clock: { time.microseconds })
    }

    private func memo(
        _ recomputation: Recomputation, expire: Expiration? = .after(.seconds(100)), random: Double = 0.5,
        onError: (@Sendable (any Error) -> Void)? = nil
    ) -> Memo<Int> {
        var results = ResultStore<Int>(cache: cache, expire: expire, tag: nil, recomputation: recomputation)
        results.clock = { [time] in Double(time.microseconds) / 1e6 }
        results.random = { random }
        return Memo(
            keys: CallKeys(FunctionName("f", "", "", line: 0, column: 0), labels: [], ignoring: [], typed: false),
            results: results, singleFlight: .process,
            onRefreshError: onError)
    }

    private let key = AnyCacheKey.encoded([0x01])

    @Test func anOldResultIsServedAndComputedAhead() throws {
        let memo = memo(.ahead(after: .seconds(10)))
        let compute: @Sendable () throws -> Int = { [calls] in calls.next(calls.count) }
        #expect(try memo.value(key, compute) == 0)
        time.pass(9.9)
        #expect(try memo.value(key, compute) == 0)
        #expect(calls.count == 1)
        time.pass(0.2)
        #expect(try memo.value(key, compute) == 0)
        #expect(try eventually { try memo.found(key) == 1 })
        #expect(try memo.value(key, compute) == 1)
        // Beyond its expiry it is missing.
        time.pass(101)
        #expect(try memo.value(key, compute) == 2)
    }

    @Test func oneComputesAhead() throws {
        let (first, second) = (memo(.ahead(after: .seconds(10))), memo(.ahead(after: .seconds(10))))
        let gate = Gate()
        _ = try first.value(key) { 0 }
        time.pass(11)
        let begun = Gate()
        let compute: @Sendable () throws -> Int = { [calls] in
            begun.open()
            gate.wait()
            return calls.next(1)
        }
        #expect(try first.value(key, compute) == 0)
        begun.wait()
        // The second is as another process: it finds the lease taken.
        #expect(try !first.lease(key).tryTake())
        for _ in 0..<20 { #expect(try second.value(key, compute) == 0 && first.value(key, compute) == 0) }
        gate.open()
        #expect(try eventually { try first.found(key) == 1 })
        #expect(try second.value(key, compute) == 1)
        #expect(calls.count == 1)
    }

    /// Who holds the lease and dies frees it: the next caller computes.
    @Test func aLeaseThatIsGoneKeepsNobodyOut() throws {
        let memo = memo(.ahead(after: .seconds(10)))
        _ = try memo.value(key) { 0 }
        time.pass(11)
        var dead: Leases? = try memo.lease(key)
        #expect(try dead?.tryTake() == true)
        #expect(try memo.value(key) { 1 } == 0)
        dead = nil
        #expect(try eventually { try memo.value(key) { 1 } == 1 })
    }

    @Test func errorsOfTheBackgroundAreReported() throws {
        struct Failure: Error {}
        let errors = Calls()
        let memo = memo(.ahead(after: .seconds(10))) { if $0 is Failure { _ = errors.next(0) } }
        _ = try memo.value(key) { 0 }
        time.pass(11)
        #expect(try memo.value(key) { throw Failure() } == 0)
        #expect(eventually { errors.count == 1 })
        // The next one tries again.
        #expect(try eventually { try memo.value(key) { 5 } == 5 })
    }

    /// −δ β ln r against what is left: with r = 1/e it is δ β.
    @Test(arguments: [(1.0, 2.0), (2.0, 1.0), (0.5, 4.0)])
    func chanceDecidesByTheFormula(beta: Double, seconds: Double) throws {
        let memo = memo(.early(beta: beta), random: 0.367_879_441_171_442_33)
        try memo.results.store(key, 7, seconds: seconds) { true }
        func isStale() throws -> Bool {
            if case .stale = try memo.results.find(key) { return true }
            return false
        }
        time.pass(97.9)
        #expect(try !isStale())
        time.pass(0.2)
        #expect(try isStale())
        // r = 1 never computes early, and without an expiry nobody does.
        let never = self.memo(.early(beta: beta), random: 1)
        if case .stale = try never.results.find(key) { Issue.record("r is 1") }
        let endless = self.memo(.early(beta: beta), expire: .never, random: 1e-300)
        try endless.results.store(key, 7, seconds: 1e6) { true }
        if case .stale = try endless.results.find(key) { Issue.record("it has no expiry") }
        #expect(try endless.found(key) == 7)
    }

    @Test(arguments: [0, -1, -Double.infinity, .nan]) func withoutABetaNobodyComputesEarly(beta: Double) throws {
        let memo = memo(.early(beta: beta), random: 1e-300)
        try memo.results.store(key, 7, seconds: 50) { true }
        time.pass(99)
        if case .stale = try memo.results.find(key) { Issue.record("computed early") }
    }

    @Test func whatIsComputedEarlyIsServedMeanwhile() throws {
        let memo = memo(.early(), random: 1e-300)
        #expect(try memo.value(key) { 0 } == 0)
        time.pass(99.999_999)
        #expect(try memo.value(key) { 1 } == 0)
        #expect(try eventually { try memo.found(key) == 1 })
    }

    /// How often callers compute early, against the formula: P(−δ β ln r ≥ t) = exp(−t / (δ β)).
    @Test func chanceIsExponential() throws {
        let seed = ReplayableRandom.seed(for: "chanceIsExponential")
        let random = Mutex(ReplayableRandom(seed: seed))
        var results = ResultStore<Int>(
            cache: cache, expire: .after(.seconds(100)), tag: nil, recomputation: .early(beta: 1))
        results.clock = { [time] in Double(time.microseconds) / 1e6 }
        results.random = { random.withLock { 1 - Double.random(in: 0..<1, using: &$0) } }
        try results.store(key, 1, seconds: 5) { true }
        time.pass(95)
        var early = 0
        for _ in 0..<10_000 { if case .stale = try results.find(key) { early += 1 } }
        // e⁻¹ of 10,000, and five standard deviations of that.
        #expect(abs(Double(early) - 3679) < 5 * 48.2)
    }
}

/// A clock that stands until it is moved.
final class TestTime: Sendable {
    private let now = Atomic<Int64>(1_800_000_000_000_000)

    var microseconds: Int64 { now.load(ordering: .sequentiallyConsistent) }
    var seconds: Double { Double(microseconds) / 1e6 }

    func pass(_ seconds: Double) { now.add(Int64((seconds * 1e6).rounded()), ordering: .sequentiallyConsistent) }
}
