import DiskCacheCore
import DiskCacheEngine

/// The computations of one function that are under way in this process, by the key of the call: of several callers one computes, and
/// the others wait for its result, threads asleep and tasks suspended.
///
/// All that changes in a flight belongs to the mutex here, but for what threads sleep on.
final class Flights<Output: Sendable>: Sendable {
    /// One computation.
    final class Flight: @unchecked Sendable {
        fileprivate var outcome: Result<Output, any Error>?
        /// Whether its result may be stored: nobody has asked for a newer one.
        fileprivate var isWanted = true
        /// How many joined and haven't left.
        fileprivate var callers = 1
        fileprivate var tasks: [UInt64: UnsafeContinuation<Output, any Error>] = [:]
        fileprivate var lastTask: UInt64 = 0
        /// Ends the computation that nobody waits for any more.
        fileprivate var cancel: (@Sendable () -> Void)?
        fileprivate let word = ParkingWord(0)
    }

    private let flights = Guarded<[AnyCacheKey: Flight]>([:])

    /// The computation of a key, and whether it is the caller's to do.
    func join(_ key: AnyCacheKey) -> (flight: Flight, isOwn: Bool) {
        flights.withLock { flights in
            if let flight = flights[key] {
                flight.callers += 1
                return (flight, false)
            }
            let flight = Flight()
            flights[key] = flight
            return (flight, true)
        }
    }

    /// Begins a computation of a key that nobody waits for; nil: there is one already.
    func begin(_ key: AnyCacheKey) -> Flight? {
        let (flight, isOwn) = join(key)
        return isOwn ? flight : nil
    }

    /// Ends a computation: tells all who wait what came of it.
    func land(_ key: AnyCacheKey, _ flight: Flight, _ outcome: Result<Output, any Error>) {
        let tasks = flights.withLock { flights in
            if flights[key] === flight { flights[key] = nil }
            flight.outcome = outcome
            flight.cancel = nil
            defer { flight.tasks.removeAll() }
            return flight.tasks.values.map { $0 }
        }
        flight.word.store(1)
        flight.word.wake()
        for task in tasks { task.resume(with: outcome) }
    }

    /// Ends a computation that nobody waits for.
    func end(_ key: AnyCacheKey, _ flight: Flight) {
        flights.withLock { if $0[key] === flight { $0[key] = nil } }
    }

    /// Who asks from now on gets a newer result than that of the computation under way, which isn't stored either.
    func disown(_ key: AnyCacheKey) {
        flights.withLock { flights in
            flights[key]?.isWanted = false
            flights[key] = nil
        }
    }

    /// How many wait for the computation of a key, with whoever began it.
    func callerCount(of key: AnyCacheKey) -> Int { flights.withLock { $0[key]?.callers ?? 0 } }

    /// Whether the result of a computation may be stored.
    func isWanted(_ flight: Flight) -> Bool { flights.withLock { _ in flight.isWanted } }

    /// Waits in the calling thread.
    func wait(for flight: Flight) throws -> Output {
        while true {
            if let outcome = flights.withLock({ _ in flight.outcome }) { return try outcome.get() }
            flight.word.wait(while: 0, nanoseconds: 1_000_000_000)
        }
    }

    /// Suspends the calling task. A task that is cancelled doesn't wait any longer and gets `cancelled`; with the last who waits the
    /// computation is cancelled too.
    func wait(for flight: Flight, of key: AnyCacheKey) async throws -> Output {
        let number = flights.withLock { _ in
            flight.lastTask += 1
            return flight.lastTask
        }
        return try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                let outcome = flights.withLock { flights -> Result<Output, any Error>? in
                    if let outcome = flight.outcome { return outcome }
                    flight.tasks[number] = continuation
                    return nil
                }
                if let outcome { return continuation.resume(with: outcome) }
                // The handler may have run before there was anything for it to do.
                if Task.isCancelled { leave(flight, key, number) }
            }
        } onCancel: {
            leave(flight, key, number)
        }
    }

    /// Says how to end a computation that nobody waits for any more.
    func onAbandon(_ flight: Flight, _ cancel: @escaping @Sendable () -> Void) {
        flights.withLock { _ in if flight.outcome == nil { flight.cancel = cancel } }
    }

    private func leave(_ flight: Flight, _ key: AnyCacheKey, _ number: UInt64) {
        let (task, cancel) = flights.withLock {
            flights -> (UnsafeContinuation<Output, any Error>?, (@Sendable () -> Void)?) in
            guard let task = flight.tasks.removeValue(forKey: number) else { return (nil, nil) }
            flight.callers -= 1
            guard flight.callers == 0 else { return (task, nil) }
            // Who comes now begins anew.
            if flights[key] === flight { flights[key] = nil }
            return (task, flight.cancel)
        }
        cancel?()
        task?.resume(throwing: CacheError.taskCancelled)
    }
}

/// The calls that the current thread or task is computing, so that one that comes back to itself doesn't wait for itself.
enum CallsUnderWay {
    struct Call: Hashable, Sendable {
        let function: ObjectIdentifier
        let key: AnyCacheKey
    }

    @TaskLocal static var calls: Set<Call> = []
}
