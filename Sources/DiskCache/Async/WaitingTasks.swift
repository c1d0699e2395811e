internal import DiskCacheEngine

/// Tasks that wait for something that another thread or process makes, and that is signalled then: an item of a queue, a commit.
///
/// They are suspended, and take no thread. One thread, the watcher, sleeps for all of them as `Store.Sleeper` does for one. When it is
/// woken, the first task of each line **tries** once more, on a thread of the executor, and when it got what it wants the next one of its
/// line, so that a line is served first come first served and one item doesn't wake a thousand. A task that comes to wait tries as well.
///
/// **Nothing is missed**, for the word pair's reason (DESIGN 7.2): each try announces a sleeper before it looks under the lock, and the
/// watcher reads the signal before it has the lines try. So whoever makes something after the look sees the announcement and changes the
/// signal, at which the watcher wakes up, or doesn't fall asleep.
///
/// The watcher goes when nobody has waited for up to a second.
///
/// Invariants, under the mutex: a task that waits is in exactly one line, or trying; a line has at most one that tries; while anybody waits
/// there is a watcher.
final class WaitingTasks: Sendable {
    /// Makes the calling thread a sleeper, and gives what it sleeps with.
    typealias Announce = @Sendable () throws -> @Sendable (_ nanoseconds: UInt64) -> Void

    /// One that waits. What is mutable belongs to the mutex.
    private final class Waiter: @unchecked Sendable {
        /// Tries; true: it is over, and the task has been told.
        let attempt: @Sendable () -> Bool
        private let giveUp: @Sendable (CacheError?) -> Void
        /// Why it is to end without anything.
        var end: End?
        /// Whether it got something.
        var isOver = false

        init(attempt: @escaping @Sendable () -> Bool, giveUp: @escaping @Sendable (CacheError?) -> Void) {
            self.attempt = attempt
            self.giveUp = giveUp
        }

        /// Tells the task that it is over without anything; once, by who took it out.
        func finish() {
            switch end {
            case .cancelled: giveUp(CacheError.taskCancelled)
            case .noThread(let errno): giveUp(CacheError(.limitReached, "the system gives no thread", errno: errno))
            case .late, nil: giveUp(nil)
            }
        }
    }

    private enum End {
        case cancelled
        case late
        case noThread(errno: Int32)
    }

    private struct Line {
        var waiters: [Waiter] = []
        var isTrying = false
        /// Something happened since the last try began.
        var isSignalled = false
        var count: Int { waiters.count + (isTrying ? 1 : 0) }
        var isIdle: Bool { count == 0 }
    }

    private struct Lines {
        var lines: [[UInt8]?: Line] = [:]
        var isWatched = false
        /// Why there was no thread for the last watcher that wasn't.
        var errno: Int32 = 0
    }

    /// Carries what a task gets to where it is suspended. Given once, after the task has come.
    private final class Answer<R: Sendable>: Sendable {
        private let continuation = Guarded<UnsafeContinuation<R, any Error>?>(nil)

        func expect(by task: UnsafeContinuation<R, any Error>) { continuation.withLock { $0 = task } }

        func give(_ result: Result<R, any Error>) { continuation.withLock { $0.take() }?.resume(with: result) }
    }

    private let state = Guarded(Lines())
    private let executor: BlockingExecutor

    init(_ executor: BlockingExecutor) { self.executor = executor }

    /// How many wait, or try.
    var count: Int { state.withLock { $0.lines.values.reduce(0) { $0 + $1.count } } }

    /// How many wait, or try, in a line.
    func count(in line: [UInt8]?) -> Int { state.withLock { $0.lines[line]?.count ?? 0 } }

    /// Whether there is a watcher.
    var isWatched: Bool { state.withLock { $0.isWatched } }

    /// Waits in `line` until `attempt` gives something; nil: `timeout` has passed. Throws what `attempt` throws, and `cancelled`.
    ///
    /// `attempt` announces a sleeper and looks under the lock, and doesn't wait. What it got is given to the task, whatever happens
    /// to that meanwhile.
    func wait<R: Sendable>(
        in line: [UInt8]?, timeout: Duration, announce: @escaping Announce,
        attempt: @escaping @Sendable () throws -> R?
    ) async throws -> R? {
        let answer = Answer<R?>()
        let waiter = Waiter {
            do {
                guard let found = try attempt() else { return false }
                answer.give(.success(found))
            } catch {
                answer.give(.failure(error))
            }
            return true
        } giveUp: { error in
            answer.give(error.map { .failure($0) } ?? .success(nil))
        }
        // What lies beyond every clock needs none.
        let timer =
            timeout > .seconds(1_000_000_000)
            ? nil
            : Task {
                try await Task.sleep(for: timeout)
                end(waiter, in: line, .late)
            }
        defer { timer?.cancel() }
        return try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                answer.expect(by: continuation)
                join(waiter, line, announce)
            }
        } onCancel: {
            end(waiter, in: line, .cancelled)
        }
    }

    /// Puts a task at the end of its line, unless it is over already, and lets the line try.
    private func join(_ waiter: Waiter, _ line: [UInt8]?, _ announce: @escaping Announce) {
        let (isOver, wasWatched) = state.withLock { state in
            if waiter.end != nil { return (true, false) }
            state.lines[line, default: Line()].waiters.append(waiter)
            defer { state.isWatched = true }
            return (false, state.isWatched)
        }
        if isOver {
            waiter.finish()
        } else if wasWatched {
            signal(line)
        } else {
            do throws(SystemError) {
                try executor.pool(.lasting).submit { self.watch(announce) }
            } catch {
                // Whoever came meanwhile counted on that watcher, too. One that is trying finds out by itself.
                let stranded = state.withLock { state in
                    state.isWatched = false
                    state.errno = error.errno
                    let stranded = state.lines.values.flatMap(\.waiters)
                    for waiter in stranded { waiter.end = .noThread(errno: error.errno) }
                    for name in state.lines.keys { state.lines[name]?.waiters.removeAll() }
                    state.lines = state.lines.filter { !$0.value.isIdle }
                    return stranded
                }
                for waiter in stranded { waiter.finish() }
            }
        }
    }

    /// Ends the waiting of a task; a try that is going on is waited for.
    private func end(_ waiter: Waiter, in line: [UInt8]?, _ end: End) {
        let isOver = state.withLock { state in
            if waiter.isOver || waiter.end != nil { return false }
            waiter.end = end
            // Who hasn't come yet, or is trying, finds its end itself.
            guard var found = state.lines[line], let index = found.waiters.firstIndex(where: { $0 === waiter }) else {
                return false
            }
            found.waiters.remove(at: index)
            state.lines[line] = found.isIdle ? nil : found
            return true
        }
        if isOver { waiter.finish() }
    }

    // MARK: The watcher

    /// Sleeps for all who wait, and has all lines try whenever it wakes.
    private func watch(_ announce: Announce) {
        while true {
            // Before it is announced: that may open the store again, which somebody has closed.
            let isNeeded = state.withLock { state in
                if state.lines.isEmpty { state.isWatched = false }
                return state.isWatched
            }
            if !isNeeded { return }
            // If it can't be, the tries say why.
            let sleep = try? announce()
            for line in state.withLock({ Array($0.lines.keys) }) { signal(line) }
            if let sleep {
                sleep(Self.longestSleep)
            } else {
                sleepThread(nanoseconds: Self.longestSleep)
            }
        }
    }

    private static let longestSleep: UInt64 = 1_000_000_000

    /// Lets a line try.
    private func signal(_ line: [UInt8]?) {
        let begins = state.withLock { state in
            guard var found = state.lines[line] else { return false }
            defer { state.lines[line] = found }
            found.isSignalled = true
            defer { found.isTrying = true }
            return !found.isTrying
        }
        guard begins else { return }
        do throws(SystemError) {
            try executor.pool(.writing).submit { self.attempt(line) }
        } catch {
            // The watcher comes back to it.
            state.withLock { $0.lines[line]?.isTrying = false }
        }
    }

    /// Has the tasks of a line try, one after the other, as long as they get something.
    private func attempt(_ line: [UInt8]?) {
        while true {
            let next = state.withLock { state -> Waiter? in
                guard var found = state.lines[line] else { return nil }
                found.isSignalled = false
                let next = found.waiters.isEmpty ? nil : found.waiters.removeFirst()
                found.isTrying = next != nil
                state.lines[line] = found.isIdle ? nil : found
                return next
            }
            guard let next else { return }
            let hasGot = next.attempt()
            let (isOver, goesOn) = state.withLock { state -> (Bool, Bool) in
                next.isOver = hasGot
                guard var found = state.lines[line] else { return (false, false) }
                if !hasGot && next.end == nil && !state.isWatched { next.end = .noThread(errno: state.errno) }
                if !hasGot && next.end == nil { found.waiters.insert(next, at: 0) }
                found.isTrying = hasGot || found.isSignalled
                state.lines[line] = found.isIdle ? nil : found
                return (!hasGot && next.end != nil, found.isTrying)
            }
            if isOver { next.finish() }
            if !goesOn { return }
        }
    }
}
