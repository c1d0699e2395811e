@testable import DiskCacheTool

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Android)
    import Android
#elseif canImport(Darwin)
    import Darwin
#endif

/// A shell in a process of its own, asked and answered a line at a time. Killed when it goes, unless it was ended.
final class ShellProcess {
    private let child: Int32
    private var input: Platform.Descriptor?
    private var lines: LineReader
    private var isGone = false

    /// A shell that ended before it was asked is a failed test, not the end of all of them.
    private static let ignoresBrokenPipes: Void = { signal(SIGPIPE, SIG_IGN) }()

    /// Starts one, and waits until it has opened the cache.
    init(_ tool: ToolRunner, _ options: String...) throws {
        Self.ignoresBrokenPipes
        let (down, up) = (try Platform.makePipe(), try Platform.makePipe())
        child = try Platform.spawn(
            Array(try ToolRunner.executable().utf8), ["diskcache", "shell", "--json"] + options + [tool.cache],
            input: down.reading, output: up.writing)
        input = down.writing
        lines = LineReader(up.reading)
        _ = try ask(#"{"do": "count"}"#)
    }

    deinit {
        if !isGone {
            Platform.kill(child)
            _ = try? Platform.wait(child)
        }
    }

    /// What the shell answers to a line; nil: it has ended.
    func ask(_ line: String) throws -> JSON? {
        try send(line)
        return try answer()
    }

    /// Gives it a line.
    func send(_ line: String) throws {
        if let input { try Platform.write(input, Array((line + "\n").utf8)) }
    }

    /// Its next answer; nil: it has ended.
    func answer() throws -> JSON? { try lines.next().map { try JSONReader.read($0) } }

    /// Closes its input, and waits for its end.
    func end() throws -> Platform.End {
        input = nil
        isGone = true
        return try Platform.wait(child)
    }
}

extension JSON {
    /// The JSON of a text, which must be JSON.
    init(_ text: String) throws { self = try JSONReader.read(Array(text.utf8)[...]) }

    /// The code of an answer that is an error.
    var code: String? {
        guard case .text(let code) = self["error"]?["code"] else { return nil }
        return code
    }
}
