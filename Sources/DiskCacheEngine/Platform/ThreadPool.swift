import Synchronization

/// A bounded pool of threads that run jobs, first come first served. Threads are made when there is work for them and none is free,
/// and let go when they were idle for a while.
///
///     let pool = ThreadPool(limit: 8)
///     try pool.submit { work() }      // on some thread of the pool, soon; throws if no thread is to be had
///     pool.close()                    // idle threads go; what was submitted still runs
///
/// A job that blocks keeps its thread. So jobs that wait for each other don't belong into one pool: `limit` of them that wait for a
/// job behind them in line wait for ever.
///
/// Idle threads sleep in the kernel, each on a word of its own. A job goes to the one that became idle last, whose stack is warm; so
/// those that aren't needed grow old and go.
///
/// Not for a child after a fork: the threads are gone there (`PerProcess`).
///
/// Invariants, all under the mutex: while a job is in line no thread is idle, and there are `limit` threads or as many as the system
/// gave. Who takes a thread out of `idle` gives it a job or tells it to go, the thread itself only when its time is over.
package final class ThreadPool: Sendable {
    /// What is to be done: runs once, on a thread of the pool.
    package typealias Job = @Sendable () -> Void

    private final class Sleeper: @unchecked Sendable {
        static let waiting: UInt32 = 0
        static let called: UInt32 = 1

        let word = ParkingWord(waiting)
        /// nil: go. Belongs to who took the sleeper out of `idle`, then to its thread.
        private var job: Job?

        func call(_ job: Job?) {
            self.job = job
            word.store(Self.called)
            word.wake()
        }

        /// The job, which nothing here holds any more.
        func take() -> Job? {
            defer { job = nil }
            return job
        }
    }

    private struct State {
        var line = Line()
        var idle: [Sleeper] = []
        var threads = 0
        var isClosed = false
    }

    private let state = Guarded(State())
    /// Of `threads`, how many the system may yet refuse: nobody counts on those.
    private let starting = Atomic<Int>(0)
    private let limit: Int
    private let idleTime: UInt64

    /// A pool of at most `limit` threads, which go after `idleTime` nanoseconds without a job. It has none yet.
    package init(limit: Int, idleTime: UInt64 = 2_000_000_000) {
        self.limit = max(1, limit)
        self.idleTime = idleTime
    }

    /// How many threads there are.
    package var threadCount: Int { state.withLock { $0.threads } }

    /// How many threads wait for a job.
    package var idleCount: Int { state.withLock { $0.idle.count } }

    /// How many jobs wait for a thread.
    package var waitingCount: Int { state.withLock { $0.line.count } }

    /// Has a job run. Throws, and never runs it, if there is no thread and the system gives none.
    package func submit(_ job: @escaping Job) throws(SystemError) {
        enum Step {
            case call(Sleeper)
            case start
            case wait
        }
        func next() -> Step? {
            state.withLock { state -> Step? in
                if let sleeper = state.idle.popLast() { return .call(sleeper) }
                if state.threads < limit {
                    state.threads += 1
                    starting.add(1, ordering: .relaxed)
                    return .start
                }
                if !hasThread(state) { return nil }
                state.line.append(job)
                return .wait
            }
        }
        var step = next()
        while step == nil {
            // Until the system has given a thread or refused it.
            SystemCalls.yieldThread()
            step = next()
        }
        switch step {
        case .wait, nil: return
        case .call(let sleeper): sleeper.call(job)
        case .start:
            do throws(SystemError) {
                let first = Sleeper()
                first.call(job)
                try SystemCalls.startThread { self.run(first) }
                starting.subtract(1, ordering: .relaxed)
            } catch {
                // The threads that there are do it; each looks at the line before it rests.
                let isTaken = state.withLock { state -> (sleeper: Sleeper?, isQueued: Bool) in
                    state.threads -= 1
                    starting.subtract(1, ordering: .relaxed)
                    if let sleeper = state.idle.popLast() { return (sleeper, true) }
                    if !hasThread(state) { return (nil, false) }
                    state.line.append(job)
                    return (nil, true)
                }
                isTaken.sleeper?.call(job)
                if !isTaken.isQueued { throw error }
            }
        }
    }

    /// Whether there is a thread for certain.
    private func hasThread(_ state: borrowing State) -> Bool { state.threads > starting.load(ordering: .relaxed) }

    /// Lets idle threads go, and the others when the jobs that were submitted are done. A job that is submitted after this runs too.
    package func close() {
        let idle = state.withLock { state in
            state.isClosed = true
            state.threads -= state.idle.count
            defer { state.idle.removeAll() }
            return state.idle
        }
        for sleeper in idle { sleeper.call(nil) }
    }

    private func run(_ first: Sleeper) {
        var job = first.take()
        while true {
            while let next = job {
                next()
                // What it holds goes before the next one runs, and outside of the mutex.
                job = nil
                job = state.withLock { $0.line.removeFirst() }
            }
            guard let next = sleep() else { return }
            job = next
        }
    }

    /// Waits for a job; nil: the thread is to end, and isn't counted any more.
    private func sleep() -> Job? {
        enum Step {
            case work(Job)
            case sleep(Sleeper)
            case end
        }
        let step = state.withLock { state -> Step in
            if let job = state.line.removeFirst() { return .work(job) }
            if state.isClosed {
                state.threads -= 1
                return .end
            }
            let sleeper = Sleeper()
            state.idle.append(sleeper)
            return .sleep(sleeper)
        }
        switch step {
        case .work(let job): return job
        case .end: return nil
        case .sleep(let sleeper):
            let begun = SystemCalls.monotonicClock()
            while sleeper.word.load() == Sleeper.waiting {
                let passed = SystemCalls.monotonicClock() &- begun
                if passed >= idleTime {
                    let isLetGo = state.withLock { state in
                        guard let index = state.idle.firstIndex(where: { $0 === sleeper }) else { return false }
                        state.idle.remove(at: index)
                        state.threads -= 1
                        return true
                    }
                    if isLetGo { return nil }
                    // Called at that very moment.
                }
                sleeper.word.wait(
                    while: Sleeper.waiting, nanoseconds: passed < idleTime ? idleTime - passed : 1_000_000)
            }
            return sleeper.take()
        }
    }
}

extension ThreadPool {
    /// Jobs in the order in which they came.
    private struct Line {
        private var jobs: [Job?] = []
        private var first = 0

        var count: Int { jobs.count - first }

        mutating func append(_ job: @escaping Job) { jobs.append(job) }

        mutating func removeFirst() -> Job? {
            guard first < jobs.count else { return nil }
            let job = jobs[first]
            jobs[first] = nil
            first += 1
            // Moves each job once at most for each job that was taken.
            if first * 2 > jobs.count {
                jobs.removeFirst(first)
                first = 0
            }
            return job
        }
    }
}
