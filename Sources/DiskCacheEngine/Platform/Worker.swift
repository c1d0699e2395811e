import Synchronization

/// A background thread of the process: `shared` runs the maintenance of every open store, each a task; `keeper` lets go of write locks,
/// which can't wait for the disk.
///
///     let token = Worker.shared.add { now in
///         work()
///         return now + 1_000_000_000      // call again in a second; nil: only when signalled
///     }
///     token.worker.signal(token)          // call soon; cheap when it is signalled already
///     token.worker.remove(token)          // not running any more, never runs again
///
/// A task is called once soon after it was added, then at the time that its last call asked for, or sooner when it is
/// signalled. Calls never overlap; tasks whose time has come take turns, so one that always asks for more can't starve
/// the others, but a slow one delays them. Times are nanoseconds of the monotonic clock.
///
/// The thread starts with the first task and stays. Idle, it sleeps in the kernel until the earliest wanted time.
///
/// A child of a fork has no such thread, and what the parent's tasks work on may be half done there. So in a child
/// `shared` is another worker, without tasks and without a thread yet; the parent's tokens mean nothing to it:
/// `signal` and `remove` with them do nothing. A store that reopens itself in the child adds its task again.
///
/// Invariants: `tasks` and what is mutable in a task belong to the mutex; no task is called, and nothing is released
/// that could run foreign code, with the mutex held. `changes` grows after each `signalled` that became true, so the
/// thread, which reads it before it looks at the tasks, never sleeps over one.
final class Worker: Sendable {
    /// Does the task's work at `now`; the time of the next wanted call, nil if only a signal calls for one.
    typealias Body = @Sendable (_ now: UInt64) -> UInt64?

    /// What names a task.
    struct Token: Sendable {
        /// Where the task was added.
        let worker: Worker
        fileprivate let task: Task
    }

    fileprivate final class Task: @unchecked Sendable {
        static let idle: UInt32 = 0
        static let running: UInt32 = 1
        static let awaited: UInt32 = 2

        let signalled = Atomic<Bool>(true)
        /// Whether it is being called, and whether somebody waits for the end of that.
        let call = ParkingWord(idle)
        /// Nil once removed. Belongs to the worker's mutex.
        var body: Body?
        /// When to call without a signal. Belongs to the worker's mutex.
        var due = UInt64.max

        init(_ body: @escaping Body) { self.body = body }
    }

    /// The worker of this process for what may take long.
    static var shared: Worker { ofThisProcess(current) }
    /// The worker of this process for what takes no time and can't wait.
    static var keeper: Worker { ofThisProcess(currentKeeper) }

    private static func ofThisProcess(_ current: borrowing Atomic<UInt>) -> Worker {
        let forks = ForkGuard.forks.load(ordering: .relaxed)
        while true {
            let found = current.load(ordering: .acquiring)
            if let address = UnsafeRawPointer(bitPattern: found) {
                let worker = Unmanaged<Worker>.fromOpaque(address).takeUnretainedValue()
                if worker.forks == forks { return worker }
            }
            // Never released: a parent's worker isn't torn down in its child.
            let made = Unmanaged.passRetained(Worker())
            if current.compareExchange(
                expected: found, desired: UInt(bitPattern: made.toOpaque()), ordering: .acquiringAndReleasing
            ).exchanged {
                return made.takeUnretainedValue()
            }
            made.release()
        }
    }

    private static let current = Atomic<UInt>(0)
    private static let currentKeeper = Atomic<UInt>(0)

    /// Whether the threads of this process's workers sleep, or there are none.
    static var isQuiet: Bool { isQuiet(current) && isQuiet(currentKeeper) }

    private static func isQuiet(_ current: borrowing Atomic<UInt>) -> Bool {
        guard let address = UnsafeRawPointer(bitPattern: current.load(ordering: .acquiring)) else { return true }
        return Unmanaged<Worker>.fromOpaque(address)._withUnsafeGuaranteedRef { worker in
            worker.isForeign || !worker.isStarted.load(ordering: .sequentiallyConsistent)
                || worker.isSleeping.load(ordering: .sequentiallyConsistent)
        }
    }
    private static let longestSleep: UInt64 = 3_600_000_000_000

    private let tasks = Guarded<[Task]>([])
    private let changes = ParkingWord(0)
    private let isSleeping = Atomic<Bool>(false)
    private let isStarted = Atomic<Bool>(false)
    private let threadID = Atomic<UInt>(0)
    private let forks: UInt32

    init() {
        ForkGuard.install()
        forks = ForkGuard.forks.load(ordering: .relaxed)
    }

    /// Adds a task; its first call comes soon.
    func add(_ body: @escaping Body) -> Token {
        if isForeign { return Worker.shared.add(body) }
        let task = Task(body)
        tasks.withLock { $0.append(task) }
        wake()
        return Token(worker: self, task: task)
    }

    /// Has the task called soon, once more at least after this.
    func signal(_ token: Token) {
        if isForeign { return }
        let wasSignalled = token.task.signalled.exchange(true, ordering: .sequentiallyConsistent)
        if wasSignalled && isStarted.load(ordering: .relaxed) { return }
        wake()
    }

    /// Takes a task away. When this returns the task isn't running and never runs again; only a task that removes
    /// itself runs to the end of its call.
    func remove(_ token: Token) {
        if isForeign { return }
        let task = token.task
        let body = tasks.withLock { tasks -> Body? in
            tasks.removeAll { $0 === task }
            defer { task.body = nil }
            return task.body
        }
        // Held until here: what a closure holds may itself call the worker when it goes.
        withExtendedLifetime(body) {}
        if threadID.load(ordering: .relaxed) == SystemCalls.threadID() { return }
        while task.call.load() != Task.idle {
            if task.call.load() == Task.awaited || task.call.replace(Task.running, with: Task.awaited) {
                task.call.wait(while: Task.awaited, nanoseconds: Self.longestSleep)
            }
        }
    }

    /// Whether there is a thread, or one is being started.
    var isRunning: Bool { !isForeign && isStarted.load(ordering: .acquiring) }

    /// How many tasks there are.
    var taskCount: Int { isForeign ? 0 : tasks.withLock { $0.count } }

    /// Whether this is the worker of a process that the present one was forked from.
    private var isForeign: Bool { ForkGuard.forks.load(ordering: .relaxed) != forks }

    private func wake() {
        changes.add(1)
        if !isStarted.exchange(true, ordering: .acquiringAndReleasing) {
            do {
                try SystemCalls.startThread { self.run() }
            } catch {
                // No thread to be had now: the next task or signal tries again.
                isStarted.store(false, ordering: .releasing)
            }
        } else if isSleeping.load(ordering: .sequentiallyConsistent) {
            changes.wake()
        }
    }

    private func run() {
        threadID.store(SystemCalls.threadID(), ordering: .relaxed)
        while true {
            let seen = changes.load()
            let wanted = callDueTasks()
            let now = SystemCalls.monotonicClock()
            if wanted <= now { continue }
            isSleeping.store(true, ordering: .sequentiallyConsistent)
            if changes.load() == seen {
                changes.wait(while: seen, nanoseconds: min(wanted - now, Self.longestSleep))
            }
            // A fork must not meet it with a lock of the runtime's.
            while true {
                isSleeping.store(false, ordering: .sequentiallyConsistent)
                if !ForkGuard.isForking.load(ordering: .sequentiallyConsistent) { break }
                isSleeping.store(true, ordering: .sequentiallyConsistent)
                SystemCalls.sleep(nanoseconds: 50_000)
            }
        }
    }

    /// Calls each task whose time has come or that is signalled, once; the earliest time that one wants next.
    private func callDueTasks() -> UInt64 {
        for task in tasks.withLock({ $0 }) {
            let now = SystemCalls.monotonicClock()
            let body = tasks.withLock { _ -> Body? in
                guard let body = task.body else { return nil }
                let isSignalled = task.signalled.exchange(false, ordering: .sequentiallyConsistent)
                guard isSignalled || task.due <= now else { return nil }
                _ = task.call.exchange(Task.running)
                return body
            }
            guard let body else { continue }
            let next = body(now) ?? .max
            tasks.withLock { _ in task.due = next }
            if task.call.exchange(Task.idle) == Task.awaited { task.call.wake() }
        }
        return tasks.withLock { tasks in tasks.reduce(UInt64.max) { min($0, $1.due) } }
    }
}
