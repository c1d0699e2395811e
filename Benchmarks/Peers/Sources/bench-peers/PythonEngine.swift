import Driver
import Harness

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Python's DiskCache, in a Python of its own that is handed the steps and times them itself (`Python/engine.py`).
final class PythonEngine: Engine {
    private let path: String
    private let python: Child

    init(path: String, conditions: Conditions, kind: String) throws {
        self.path = path
        python = try Self.start(path, conditions, kind)
    }

    private static func start(_ path: String, _ conditions: Conditions, _ kind: String) throws -> Child {
        setenv("PYTHONPATH", Driver.pythonPath, 1)
        let python = try Child(
            [
                "python3", "\(Driver.benchmarks)/Peers/Python/engine.py", kind, path, "\(conditions.valueSize)",
                conditions.isDurable ? "2" : "1", "\(conditions.limit ?? 1 << 40)", conditions.policy ?? "none",
            ], pipes: true)
        guard try python.receive() == "open" else { throw EngineError("Python's DiskCache can't be opened") }
        return python
    }

    func run(
        _ script: UnsafeBufferPointer<UInt32>, _ buffers: Buffers, latencies: UnsafeMutablePointer<UInt32>?
    ) throws -> UInt64 {
        try hand(script, "run", latencies)
    }

    func load(_ script: UnsafeBufferPointer<UInt32>, _ buffers: Buffers) throws {
        _ = try hand(script, "load", nil)
    }

    private func hand(
        _ script: UnsafeBufferPointer<UInt32>, _ verb: String, _ latencies: UnsafeMutablePointer<UInt32>?
    ) throws -> UInt64 {
        guard !script.isEmpty else { return 0 }
        let file = "\(path)/steps-\(getpid())"
        try Files.write(UnsafeRawBufferPointer(script), to: file)
        let answer = try python.ask("\(verb) \(file)").split(separator: " ")
        guard answer.count == 2, answer[0] == "done", let time = UInt64(answer[1]) else {
            throw EngineError("Python's DiskCache: \(answer.joined(separator: " "))")
        }
        if let latencies {
            try Files.read(file, into: UnsafeMutableRawBufferPointer(start: latencies, count: script.count * 4))
        }
        try Files.remove(file)
        return time
    }

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        throw unsupported("set by itself")
    }
    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        throw unsupported("get by itself")
    }
    func delete(_ key: UnsafeRawBufferPointer) throws -> Bool { throw unsupported("delete by itself") }

    func close() throws {
        guard try python.ask("close") == "closed" else { throw EngineError("Python's DiskCache can't be closed") }
        python.hangUp()
        _ = python.wait()
    }

    static let contestants: [Contestant] = {
        // Its folder of metadata bears the version: diskcache-5.6.3.dist-info.
        let names = (try? Files.names(in: Driver.pythonPath)) ?? []
        guard let name = names.first(where: { $0.hasPrefix("diskcache-") }) else { return [] }
        let version = String(
            name.dropFirst(10).prefix { $0.isNumber || $0 == "." }.split(separator: ".").joined(separator: "."))
        let policies = ["none", "least-recently-stored", "least-recently-used", "least-frequently-used"]
        return [
            Contestant(
                "python-diskcache", version: version,
                "`diskcache.Cache` as it comes (`synchronous` 1, 2 where writes are durable) with a size limit that isn't met, timed in Python; keys and values are `bytes`",
                verbs: [.incr, .push, .pull, .scanSorted, .scanInsertion], traits: [.processes, .files, .durable],
                policies: policies,
                share: 40
            ) { try PythonEngine(path: $0, conditions: $1, kind: "cache") },
            Contestant(
                "python-diskcache-fanout", version: version, "`diskcache.FanoutCache` as it comes, of 8 shards",
                traits: [.processes, .special], share: 40
            ) { try PythonEngine(path: $0, conditions: $1, kind: "fanout") },
        ]
    }()
}
