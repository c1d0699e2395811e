import Harness

/// memcached over a Unix socket, by its text protocol.
final class MemcachedEngine: Engine {
    private let path: String
    private let command: String
    private let server: Server

    init(path: String, conditions: Conditions) throws {
        self.path = path
        let megabytes = conditions.limit.map { max(8, $0 >> 20) } ?? 8192
        command =
            "memcached -u root -s '\(path)/memcached' -a 0600 -m \(megabytes) -I 2m -t 2\(conditions.limit == nil ? " -M" : "")"
        server = try Server(path, "memcached", command)
    }

    private init(sharing engine: MemcachedEngine) throws {
        (path, command) = (engine.path, engine.command)
        server = try Server(path, "memcached", command)
    }

    func session() throws -> any Engine { try MemcachedEngine(sharing: self) }

    private func append(_ text: StaticString) { text.withUTF8Buffer { server.request.append(contentsOf: $0) } }

    private func append(_ text: String) { server.request.append(contentsOf: text.utf8) }

    private func answer() throws -> UnsafeRawBufferPointer {
        try server.send()
        let line = try server.line()
        let isError =
            line.starts(with: "SERVER_ERROR".utf8) || line.starts(with: "CLIENT_ERROR".utf8)
            || line.elementsEqual("ERROR".utf8)
        if isError { throw EngineError("memcached: \(String(decoding: line, as: UTF8.self))") }
        return line
    }

    private func appendSet(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ tail: StaticString) {
        append("set ")
        server.request.append(contentsOf: key)
        append(" 0 0 ")
        append(String(value.count))
        append(tail)
        server.request.append(contentsOf: value)
        append("\r\n")
    }

    func set(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        appendSet(key, value, "\r\n")
        let line = try answer()
        guard line.elementsEqual("STORED".utf8) else {
            throw EngineError("memcached: \(String(decoding: line, as: UTF8.self))")
        }
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        append("get ")
        server.request.append(contentsOf: key)
        append("\r\n")
        let line = try answer()
        if line.elementsEqual("END".utf8) { return -1 }
        // VALUE, the key, flags, and the size, each behind a blank.
        let size = line.number(from: line.lastIndex(of: UInt8(ascii: " "))! + 1)
        try server.body(size, into: buffer.baseAddress)
        _ = try server.line()
        return size
    }

    func delete(_ key: UnsafeRawBufferPointer) throws -> Bool {
        append("delete ")
        server.request.append(contentsOf: key)
        append("\r\n")
        return try answer().elementsEqual("DELETED".utf8)
    }

    func incr(_ key: UnsafeRawBufferPointer) throws -> Int64 {
        append("incr ")
        server.request.append(contentsOf: key)
        append(" 1\r\n")
        let line = try answer()
        if line.elementsEqual("NOT_FOUND".utf8) {
            append("add ")
            server.request.append(contentsOf: key)
            append(" 0 0 1\r\n1\r\n")
            _ = try answer()
            return 1
        }
        return Int64(line.number(from: 0))
    }

    func load(_ script: UnsafeBufferPointer<UInt32>, _ buffers: Buffers) throws {
        let batch = max(1, min(1000, 65_536 / (buffers.valueSize + 64)))
        var index = 0
        while index < script.count {
            for step in script[index..<min(index + batch, script.count)] {
                let (key, value) = buffers.pair(step)
                appendSet(key, value, " noreply\r\n")
            }
            // Answered when all before it are done.
            append("version\r\n")
            _ = try answer()
            index += batch
        }
    }

    func close() {}

    static let contestants =
        Packages.has("memcached")
        ? [
            Contestant(
                "memcached", version: Packages.version("memcached"),
                "a server on a Unix socket with two threads and room for all (`-m`; `-M`, so that nothing is evicted), a blocking client of this package's with the "
                    + "text protocol, one request at a time; its own segmented LRU when full",
                verbs: [.incr], traits: [.threads, .processes], policies: ["least-recently-used"], share: 20
            ) { try MemcachedEngine(path: $0, conditions: $1) }
        ] : []
}
