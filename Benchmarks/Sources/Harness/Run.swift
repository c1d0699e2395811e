#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A run of a group's workloads: the engines take turns, and what they do is noted.
public final class Run {
    /// The engines, in the order of the report.
    public let contestants: [Contestant]
    /// Keys of a store.
    public let keys: Int
    /// Turns of each engine.
    public let rounds: Int
    /// Whether it is only to show that everything runs.
    public let isSmoke: Bool
    /// The folder for stores.
    public let directory: String
    /// What was found so far.
    public private(set) var samples: [Sample] = []
    /// What went wrong so far.
    public private(set) var failures: [String] = []
    private let group: String
    private let began = monotonicNanoseconds()

    /// A run of the group `group`.
    public init(
        group: String, contestants: [Contestant], keys: Int, rounds: Int, isSmoke: Bool, directory: String
    ) {
        (self.group, self.contestants, self.keys, self.rounds) = (group, contestants, keys, rounds)
        (self.isSmoke, self.directory) = (isSmoke, directory)
    }

    /// Notes a sample.
    public func note(_ sample: Sample) { samples.append(sample) }

    /// What was found, as a whole.
    public var result: GroupResult {
        let engines = Set(samples.map(\.engine))
        return GroupResult(
            group: group, machine: Machine(), keys: keys, rounds: rounds,
            contestants: contestants.filter { engines.contains($0.name) }.map {
                [$0.name, $0.version, $0.configuration]
            },
            failures: failures, samples: samples)
    }

    /// In each round each contestant has a turn, with an empty folder of its own that is removed afterwards. The next round
    /// begins with the next contestant, so none is always first. One that fails has no more turns, and slow ones have two.
    public func turns(
        _ contestants: [Contestant], rounds: Int? = nil, _ label: String = "",
        _ turn: (_ contestant: Contestant, _ round: Int, _ directory: String) throws -> Void
    ) throws {
        let rounds = rounds ?? self.rounds
        var failed: Set<String> = []
        for round in 0..<rounds {
            for place in contestants.indices {
                let contestant = contestants[(place + round) % contestants.count]
                guard !failed.contains(contestant.name), round < 2 || contestant.share < 8 else { continue }
                progress(
                    "\(label)\(label.isEmpty ? "" : ", ")round \(round + 1) of \(rounds), "
                        + "\(place + 1) of \(contestants.count): \(contestant.name)")
                let store = "\(directory)/store"
                try Files.makeDirectory(store)
                do {
                    try turn(contestant, round, store)
                } catch {
                    failed.insert(contestant.name)
                    let what = "\(group) \(label): \(contestant.name): \(error)"
                    failures.append(what)
                    Files.log("\u{1B}[K\(what)\n")
                }
                try Files.remove(store)
            }
        }
    }

    /// Says what begins, on one line that the next replaces, if standard error is a terminal.
    public func progress(_ text: String) {
        let seconds = (monotonicNanoseconds() - began) / 1_000_000_000
        let line = "\(group): \(seconds) s, \(text)"
        Files.log(isatty(STDERR_FILENO) == 1 ? "\r\u{1B}[K\(line)" : "\(line)\n")
    }

    /// Runs a script and gives the times of each verb in it, and the nanoseconds of all.
    public static func measure(
        _ engine: any Engine, _ script: ArraySlice<UInt32>, _ buffers: Buffers
    ) throws -> (histograms: [Verb: Histogram], nanoseconds: UInt64) {
        let latencies = UnsafeMutablePointer<UInt32>.allocate(capacity: max(1, script.count))
        defer { latencies.deallocate() }
        latencies.initialize(repeating: 0, count: script.count)
        return try script.withUnsafeBufferPointer { script in
            let nanoseconds = try engine.run(script, buffers, latencies: latencies)
            var histograms: [Verb: Histogram] = [:]
            for (index, step) in script.enumerated() {
                histograms[Verb(of: step), default: Histogram()].add(latencies[index])
            }
            return (histograms, nanoseconds)
        }
    }

    /// Stores all keys of the plan's order, or the first `part` of them, as fast as the engine can.
    public static func load(_ engine: any Engine, _ script: ArraySlice<UInt32>, _ buffers: Buffers) throws {
        try script.withUnsafeBufferPointer { try engine.load($0, buffers) }
    }

    /// The loop, the keys and the clock by themselves: the best of five.
    public static func baseline() throws -> Histogram {
        let script = Plan(.set, count: 100_000, keys: 100_000).script()
        let buffers = Buffers(valueSize: 100)
        let turns = try (0..<5).map { _ in try measure(NoEngine(), script[...], buffers).histograms[.set]! }
        return turns.min { $0.mean < $1.mean }!
    }
}

/// Runs `body` in so many threads with their numbers, and throws what the first of them threw.
public func withThreads(_ count: Int, _ body: @Sendable @escaping (Int) throws -> Void) throws {
    final class Box: @unchecked Sendable {
        let number: Int
        let body: @Sendable (Int) throws -> Void
        var failure: (any Error)?
        init(_ number: Int, _ body: @Sendable @escaping (Int) throws -> Void) {
            (self.number, self.body) = (number, body)
        }
        func run() {
            do { try body(number) } catch { failure = error }
        }
    }
    let boxes = (0..<count).map { Box($0, body) }
    let handles = boxes.map { box in
        #if canImport(Darwin)
            var handle: pthread_t?
            let start: @convention(c) (UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? = {
                Unmanaged<Box>.fromOpaque($0).takeUnretainedValue().run()
                return nil
            }
            pthread_create(&handle, nil, start, Unmanaged.passUnretained(box).toOpaque())
            return handle!
        #else
            var handle = pthread_t()
            let start: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
                if let argument { Unmanaged<Box>.fromOpaque(argument).takeUnretainedValue().run() }
                return nil
            }
            pthread_create(&handle, nil, start, Unmanaged.passUnretained(box).toOpaque())
            return handle
        #endif
    }
    for handle in handles { pthread_join(handle, nil) }
    for box in boxes { if let failure = box.failure { throw failure } }
}
