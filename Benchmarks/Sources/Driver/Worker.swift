import Harness

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// What a worker is asked for, a line of JSON each; it answers with a `WorkerAnswer` in a line.
enum WorkerRequest: Codable {
    /// Opens the store of a contestant in a folder.
    case open(contestant: String, directory: String, conditions: Conditions)
    /// Does a plan's steps in bulk, untimed.
    case load(Plan)
    /// Does a plan's steps from an instant of the monotonic clock on; 0 for now.
    case run(Plan, start: UInt64, rangeLength: Int)
    /// As `run`, between two system calls and in a function that a tracer finds; untimed.
    case trace(Plan)
    /// Gives back space.
    case compact
    /// Closes the store.
    case close
    /// Kills itself with SIGKILL, without a word.
    case die
}

/// What a worker answers.
struct WorkerAnswer: Codable {
    /// What it failed with.
    var error: String?
    /// The times of each verb, by its name.
    var histograms: [String: Histogram] = [:]
    /// When it began and ended, by the monotonic clock.
    var begin: UInt64 = 0
    var end: UInt64 = 0
    /// Bytes that it caused to be written meanwhile.
    var written = 0
}

/// A process of its own in which an engine does what it is asked.
final class Worker {
    /// The argument by which it knows what it is.
    static let argument = "worker"

    private let child: Child
    private let name: String

    /// A process that has opened the contestant's store in `directory`. `wrapper` is a program that starts it, with arguments.
    init(
        _ contestant: Contestant, _ directory: String, _ conditions: Conditions, wrapper: [String] = []
    ) throws {
        name = contestant.name
        child = try Child(wrapper + [Child.itself, Self.argument], pipes: true)
        opened = WorkerAnswer()
        opened = try ask(.open(contestant: contestant.name, directory: directory, conditions: conditions))
    }

    /// How long opening took.
    private(set) var opened: WorkerAnswer

    /// Asks without waiting for the answer.
    func send(_ request: WorkerRequest) throws { try child.send(JSON.line(request)) }

    /// Waits for an answer.
    func receive() throws -> WorkerAnswer {
        let answer = try JSON.decode(WorkerAnswer.self, try child.receive())
        if let error = answer.error { throw EngineError("in a process of its own: \(error)") }
        return answer
    }

    /// Asks and waits.
    @discardableResult
    func ask(_ request: WorkerRequest) throws -> WorkerAnswer {
        try send(request)
        return try receive()
    }

    /// Runs a plan; the times of its verbs.
    func run(_ plan: Plan, start: UInt64 = 0, rangeLength: Int = 100) throws -> WorkerAnswer {
        try ask(.run(plan, start: start, rangeLength: rangeLength))
    }

    /// Closes the store and ends the process.
    func close() throws {
        try ask(.close)
        child.hangUp()
        guard child.wait() == 0 else { throw EngineError("\(name): its process ended badly") }
    }

    /// Has the process kill itself.
    func die() throws {
        try send(.die)
        guard child.wait() & 0x7F == SIGKILL else { throw EngineError("\(name): its process wasn't killed") }
        child.hangUp()
    }

    /// The process itself: answers until its standard input ends.
    static func main(_ contestants: [Contestant]) -> Never {
        let worker = Inside(contestants)
        while let line = readLine() {
            var answer = WorkerAnswer()
            do {
                answer = try worker.answer(JSON.decode(WorkerRequest.self, line))
            } catch {
                answer.error = "\(error)"
            }
            print((try? JSON.line(answer)) ?? "{}")
            fflush(nil)
        }
        exit(0)
    }

    private final class Inside {
        private let contestants: [Contestant]
        private var engine: (any Engine)?
        private var buffers = Buffers(valueSize: 8)

        init(_ contestants: [Contestant]) { self.contestants = contestants }

        func answer(_ request: WorkerRequest) throws -> WorkerAnswer {
            var answer = WorkerAnswer()
            if case .open(let name, let directory, let conditions) = request {
                guard let contestant = contestants.first(where: { $0.name == name }) else {
                    throw EngineError("no engine is named \(name)")
                }
                buffers = Buffers(valueSize: conditions.valueSize)
                answer.begin = monotonicNanoseconds()
                engine = try contestant.open(directory, conditions)
                answer.end = monotonicNanoseconds()
                return answer
            }
            guard let engine else { throw EngineError("nothing is open") }
            switch request {
            case .open: break
            case .load(let plan): try Run.load(engine, plan.script()[...], buffers)
            case .run(let plan, let start, let rangeLength):
                buffers.rangeLength = rangeLength
                let script = plan.script()
                let written = Files.written()
                while monotonicNanoseconds() < start { usleep(200) }
                answer.begin = monotonicNanoseconds()
                let measured = try Run.measure(engine, script[...], buffers)
                answer.end = answer.begin + measured.nanoseconds
                answer.written = Files.written() - written
                for (verb, histogram) in measured.histograms { answer.histograms[verb.name] = histogram }
            case .trace(let plan):
                let script = plan.script()
                // What tells a trace of system calls where the steps begin and end.
                _ = access("/trace-begins/\(plan.shares[0].verb.name)", F_OK)
                try tracedSteps(engine, script, buffers)
                _ = access("/trace-ends", F_OK)
            case .compact: try engine.compact()
            case .close: try engine.close()
            case .die: kill(getpid(), SIGKILL)
            }
            return answer
        }
    }
}

/// The steps under a function of their own. Its name in the program is plain, since callgrind writes a file after a function only by
/// its whole name.
@_silgen_name("bench_traced_steps")
@inline(never)
func tracedSteps(_ engine: any Engine, _ script: [UInt32], _ buffers: Buffers) throws {
    _ = try script.withUnsafeBufferPointer { try engine.run($0, buffers, latencies: nil) }
}
