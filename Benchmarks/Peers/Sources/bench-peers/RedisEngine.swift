import Harness

/// Redis over a Unix socket, by a client of a few lines.
final class RedisEngine: Engine {
    private let path: String
    private let command: String
    private var server: Server

    init(path: String, conditions: Conditions) throws {
        self.path = path
        var command = "redis-server --port 0 --unixsocket '\(path)/redis' --dir '\(path)' --save '' --daemonize no"
        command += conditions.isDurable ? " --appendonly yes --appendfsync always" : " --appendonly no"
        if let limit = conditions.limit {
            let policy = conditions.policy == "least-frequently-used" ? "allkeys-lfu" : "allkeys-lru"
            command += " --maxmemory \(limit) --maxmemory-policy \(policy)"
        }
        self.command = command
        server = try Server(path, "redis", command)
    }

    private init(sharing engine: RedisEngine) throws {
        (path, command) = (engine.path, engine.command)
        server = try Server(path, "redis", command)
    }

    func session() throws -> any Engine { try RedisEngine(sharing: self) }

    private func append(_ bytes: UnsafeRawBufferPointer) {
        server.request.append(UInt8(ascii: "$"))
        appendNumber(bytes.count)
        server.request.append(contentsOf: bytes)
        server.request.append(contentsOf: [13, 10])
    }

    private func appendNumber(_ number: Int) {
        server.request.append(contentsOf: String(number).utf8)
        server.request.append(contentsOf: [13, 10])
    }

    private func append(_ head: StaticString, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer? = nil) {
        head.withUTF8Buffer { server.request.append(contentsOf: $0) }
        append(key)
        if let value { append(value) }
    }

    /// The first line of the answer.
    private func ask(
        _ head: StaticString, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer? = nil
    ) throws -> UnsafeRawBufferPointer {
        append(head, key, value)
        try server.send()
        let line = try server.line()
        if line[0] == UInt8(ascii: "-") { throw EngineError("redis: \(String(decoding: line, as: UTF8.self))") }
        return line
    }

    private static let queue: [UInt8] = Array("queue".utf8)

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        _ = try ask("*3\r\n$3\r\nSET\r\n", key, value)
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try bulk(ask("*2\r\n$3\r\nGET\r\n", key), buffer)
    }

    private func bulk(_ line: UnsafeRawBufferPointer, _ buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let size = line.number(from: 1)
        if size >= 0 { try server.body(size, into: buffer.baseAddress) }
        return size
    }

    func delete(_ key: UnsafeRawBufferPointer) throws -> Bool {
        try ask("*2\r\n$3\r\nDEL\r\n", key).number(from: 1) == 1
    }

    func incr(_ key: UnsafeRawBufferPointer) throws -> Int64 {
        Int64(try ask("*2\r\n$4\r\nINCR\r\n", key).number(from: 1))
    }

    func push(_ value: UnsafeRawBufferPointer) throws {
        _ = try Self.queue.withUnsafeBytes { try ask("*3\r\n$5\r\nRPUSH\r\n", $0, value) }
    }

    func pull(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try Self.queue.withUnsafeBytes { try bulk(ask("*2\r\n$4\r\nLPOP\r\n", $0), buffer) }
    }

    func load(_ script: UnsafeBufferPointer<UInt32>, _ buffers: Buffers) throws {
        // A thousand requests at a time, or as many as both sides' buffers take of large ones.
        let batch = max(1, min(1000, 65_536 / (buffers.valueSize + 64)))
        var index = 0
        while index < script.count {
            let steps = script[index..<min(index + batch, script.count)]
            for step in steps {
                let (key, value) = buffers.pair(step)
                append("*3\r\n$3\r\nSET\r\n", key, value)
            }
            try server.send()
            for _ in steps { _ = try server.line() }
            index += batch
        }
    }

    func close() {}

    static let contestants =
        Packages.has("redis-server")
        ? [
            Contestant(
                "redis", version: Packages.version("redis-server").split(separator: ":").last.map(String.init) ?? "",
                "a server on a Unix socket, in memory alone (`--save '' --appendonly no`, as for a cache; `--appendonly yes --appendfsync always` where writes "
                    + "are durable), a blocking client of this package's, one request at a time; `allkeys-lru` or `allkeys-lfu` when full",
                verbs: [.incr, .push, .pull], traits: [.threads, .processes, .durable],
                policies: ["least-recently-used", "least-frequently-used"], share: 20
            ) { try RedisEngine(path: $0, conditions: $1) }
        ] : []
}
