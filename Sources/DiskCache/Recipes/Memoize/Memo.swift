import DiskCacheCore
import DiskCacheEngine

/// What memoised functions of threads and of tasks have in common: their keys, results and computations under way.
final class Memo<Output: Codable & Sendable>: Sendable {
    let keys: CallKeys
    let results: ResultStore<Output>
    let singleFlight: SingleFlight
    let onRefreshError: (@Sendable (any Error) -> Void)?
    // Of this object alone: another one of the same name neither waits for these nor disowns them.
    private let missing = PerProcess { Flights<Output>() }
    private let background = PerProcess { Flights<Output>() }

    init(
        keys: CallKeys, results: ResultStore<Output>, singleFlight: SingleFlight,
        onRefreshError: (@Sendable (any Error) -> Void)?
    ) {
        self.keys = keys
        self.results = results
        self.singleFlight = singleFlight
        self.onRefreshError = onRefreshError
    }

    /// Computations that callers wait for, and those in the background.
    var flights: Flights<Output> { missing.current }
    var refreshes: Flights<Output> { background.current }

    /// What all processes know that one of them is computing a result.
    func lease(_ key: AnyCacheKey) throws -> Leases {
        guard case .encoded(let bytes) = key else { throw CacheError(.keyInvalid, "the key of a call is serialised") }
        return Leases(results.cache.locks.handle(.flight, bytes))
    }

    /// Whether the current thread or task is computing this very call.
    func isUnderWay(_ key: AnyCacheKey) -> Bool { CallsUnderWay.calls.contains(call(key)) }

    func call(_ key: AnyCacheKey) -> CallsUnderWay.Call {
        CallsUnderWay.Call(function: ObjectIdentifier(self), key: key)
    }

    /// Removes a result, and sees to it that one that is being computed by this object isn't stored.
    func invalidate(_ key: AnyCacheKey) throws -> Bool {
        disown(key)
        return try results.cache.shard(for: key).delete(key)
    }

    /// Sees to it that a result that is being computed by this object isn't stored.
    func disown(_ key: AnyCacheKey) {
        flights.disown(key)
        refreshes.disown(key)
    }

    // MARK: For threads

    /// The result of a call.
    func value(_ key: AnyCacheKey, _ compute: @escaping @Sendable () throws -> Output) throws -> Output {
        switch try results.find(key) {
        case .fresh(let value): return value
        case .stale(let value, let storedAt):
            refreshLater(key, since: storedAt, compute)
            return value
        case .missing: break
        }
        if isUnderWay(key) { return try compute() }
        // Who computes it elsewhere may need the write lock, which this thread keeps until it has the result.
        if try results.cache.shard(for: key).isInTransaction { return try computeAndStore(key, compute) }
        let flights = flights
        let (flight, isOwn) = flights.join(key)
        guard isOwn else { return try flights.wait(for: flight) }
        let outcome = Result<Output, any Error> {
            // Whoever computed it before may have ended since it was missing.
            if let value = try found(key) { return value }
            guard singleFlight == .allProcesses else { return try computeAndStore(key, flight, of: flights, compute) }
            let lease = try lease(key)
            try lease.take(timeout: nil)
            defer { try? lease.giveBack() }
            return try found(key) ?? computeAndStore(key, flight, of: flights, compute)
        }
        flights.land(key, flight, outcome)
        return try outcome.get()
    }

    /// Computes a result and stores it, whatever is stored.
    func refresh(_ key: AnyCacheKey, _ compute: () throws -> Output) throws -> Output {
        disown(key)
        return try computeAndStore(key, compute)
    }

    func found(_ key: AnyCacheKey) throws -> Output? {
        switch try results.find(key) {
        case .fresh(let value), .stale(let value, _): value
        case .missing: nil
        }
    }

    private func computeAndStore(
        _ key: AnyCacheKey, _ flight: Flights<Output>.Flight, of flights: Flights<Output>,
        _ compute: () throws -> Output
    ) throws -> Output {
        let (value, seconds) = try timed(key, compute)
        try results.store(key, value, seconds: seconds) { flights.isWanted(flight) }
        return value
    }

    private func computeAndStore(_ key: AnyCacheKey, _ compute: () throws -> Output) throws -> Output {
        let (value, seconds) = try timed(key, compute)
        try results.store(key, value, seconds: seconds) { true }
        return value
    }

    private func timed(_ key: AnyCacheKey, _ compute: () throws -> Output) throws -> (Output, seconds: Double) {
        let begun = monotonicNanoseconds()
        let value = try CallsUnderWay.$calls.withValue(CallsUnderWay.calls.union([call(key)])) { try compute() }
        return (value, Double(monotonicNanoseconds() &- begun) / 1e9)
    }

    /// Has a result computed again on a thread in the background, unless that is being done in any process.
    private func refreshLater(
        _ key: AnyCacheKey, since storedAt: Double, _ compute: @escaping @Sendable () throws -> Output
    ) {
        let refreshes = refreshes
        guard let flight = refreshes.begin(key) else { return }
        do {
            try RecipeThreads.submit {
                let outcome = Result<Output?, any Error> {
                    let lease = try self.lease(key)
                    guard try lease.tryTake() else { return nil }
                    defer { try? lease.giveBack() }
                    guard try self.results.isUnchanged(key, since: storedAt) else { return nil }
                    return try self.computeAndStore(key, flight, of: refreshes, compute)
                }
                refreshes.end(key, flight)
                if case .failure(let error) = outcome { self.onRefreshError?(error) }
            }
        } catch {
            refreshes.end(key, flight)
            onRefreshError?(error)
        }
    }
}
