import DiskCacheCore
import DiskCacheEngine

/// For tasks: what blocks runs on the executor's threads, and whoever waits is suspended.
extension Memo {
    /// The result of a call. The computation is a task of its own: it goes on when the caller who began it is cancelled, as long as
    /// anybody waits for it.
    func value(
        _ key: AnyCacheKey, _ compute: @escaping @concurrent @Sendable () async throws -> Output
    ) async throws -> Output {
        switch try await RecipeThreads.executor.run(on: .reading, { try self.results.find(key) }) {
        case .fresh(let value): return value
        case .stale(let value, let storedAt):
            refreshLater(key, since: storedAt, compute)
            return value
        case .missing: break
        }
        if isUnderWay(key) { return try await compute() }
        let flights = flights
        let (flight, isOwn) = flights.join(key)
        if isOwn {
            let task = Task {
                let outcome: Result<Output, any Error>
                do {
                    outcome = .success(try await self.fly(key, flight, of: flights, compute))
                } catch {
                    outcome = .failure(error)
                }
                flights.land(key, flight, outcome)
            }
            flights.onAbandon(flight) { task.cancel() }
        }
        return try await flights.wait(for: flight, of: key)
    }

    private func fly(
        _ key: AnyCacheKey, _ flight: Flights<Output>.Flight, of flights: Flights<Output>,
        _ compute: @concurrent @Sendable () async throws -> Output
    ) async throws -> Output {
        // Whoever computed it before may have ended since it was missing.
        if let value = try await foundLater(key) { return value }
        guard singleFlight == .allProcesses else { return try await computeAndStore(key, flight, of: flights, compute) }
        let lease = try lease(key)
        try await lease.take(timeout: nil)
        return try await letting(go: lease) {
            if let value = try await foundLater(key) { return value }
            return try await computeAndStore(key, flight, of: flights, compute)
        }
    }

    /// Runs `body`, and then gives a lease back, whose file is removed with that.
    private func letting<R>(go lease: Leases, _ body: () async throws -> R) async throws -> R {
        let outcome: Result<R, any Error>
        do {
            outcome = .success(try await body())
        } catch {
            outcome = .failure(error)
        }
        await lease.giveBackElsewhere()
        return try outcome.get()
    }

    /// Computes a result and stores it, whatever is stored.
    func refresh(_ key: AnyCacheKey, _ compute: @concurrent () async throws -> Output) async throws -> Output {
        disown(key)
        let (value, seconds) = try await timed(key, compute)
        try await RecipeThreads.executor.run { try self.results.store(key, value, seconds: seconds) { true } }
        return value
    }

    private func foundLater(_ key: AnyCacheKey) async throws -> Output? {
        try await RecipeThreads.executor.run(on: .reading) { try self.found(key) }
    }

    private func computeAndStore(
        _ key: AnyCacheKey, _ flight: Flights<Output>.Flight, of flights: Flights<Output>,
        _ compute: @concurrent () async throws -> Output
    ) async throws -> Output {
        let (value, seconds) = try await timed(key, compute)
        try await RecipeThreads.executor.run {
            try self.results.store(key, value, seconds: seconds) { flights.isWanted(flight) }
        }
        return value
    }

    private func timed(
        _ key: AnyCacheKey, _ compute: @concurrent () async throws -> Output
    ) async throws -> (Output, seconds: Double) {
        let begun = monotonicNanoseconds()
        let value = try await CallsUnderWay.$calls.withValue(CallsUnderWay.calls.union([call(key)])) {
            try await compute()
        }
        return (value, Double(monotonicNanoseconds() &- begun) / 1e9)
    }

    /// Has a result computed again by a task of its own, unless that is being done in any process.
    private func refreshLater(
        _ key: AnyCacheKey, since storedAt: Double, _ compute: @escaping @concurrent @Sendable () async throws -> Output
    ) {
        let refreshes = refreshes
        guard let flight = refreshes.begin(key) else { return }
        Task {
            do {
                let lease = try lease(key)
                if try await RecipeThreads.executor.run({ try lease.tryTake() }) {
                    try await letting(go: lease) {
                        let isDue = try await RecipeThreads.executor.run(on: .reading) {
                            try self.results.isUnchanged(key, since: storedAt)
                        }
                        if isDue { _ = try await computeAndStore(key, flight, of: refreshes, compute) }
                    }
                }
                refreshes.end(key, flight)
            } catch {
                refreshes.end(key, flight)
                onRefreshError?(error)
            }
        }
    }
}
