import DiskCacheCore

/// `shell`: verbs from standard input, for scripts in JSON, for people in words.
enum ShellCommand: Command {
    static let name = "shell"
    static let summary = "do what lines of input say, in JSON for scripts or in words for people"
    static let help = """
        usage: diskcache shell [--json] [--kind cache|fanout|deque|index] [--shards N] [SETTING=VALUE ...] DIR

        Opens the cache, deque or index in DIR, or makes one there, and does what each line of standard input says (fanout: a
        cache of N shards, 8 if it is new, which drops what doesn't get the lock within 10 ms):

          set greeting "hello" expire=5     a verb, its arguments in order, and those that have a name; an argument is
          get greeting                      JSON, or a word

        With --json a line is a request, {"do": "set", "key": "greeting", "value": "hello", "expire": 5, "id": 1}, and
        gets a line as its answer: {"ok": true, "id": 1} or {"error": {"code": ..., "message": ...}, "id": 1}.
        What JSON has no word for: {"$bytes": BASE64}, {"$float": "inf", "-inf" or "nan"}, {"$queue": PREFIX or null,
        "number": N} (a queue's key), {"$large": N} and {"$file": PATH} (values: N bytes, a file's bytes).
        {"$absent": true} is the answer where there is nothing; {"ok": false, "dropped": true} to a write that was dropped.

        Verbs (with = what may be left out):
        \(lines(ShellVerb.all(.cache)))

        Verbs of a deque (an index is negative from the end; extendFront puts each value before the one before it):
        \(lines(ShellVerb.all(.deque)))

        Verbs of an index:
        \(lines(ShellVerb.all(.index)))

        Settings: \(ShellSettings.help.split(separator: "\n").joined(separator: "\n  "))

        Exit status: 0 at the end of input, whatever the answers were; 2 the cache couldn't be opened.
        """

    private static func lines(_ verbs: [ShellVerb]) -> String {
        var lines: [String] = []
        var line = ""
        for verb in verbs {
            let arguments = verb.required + verb.optional.map { $0 + "=" }
            let text = arguments.isEmpty ? verb.name : verb.name + " " + arguments.joined(separator: " ")
            if line.count + text.count > 108 {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "  " : " · ") + text
        }
        return (lines + [line]).joined(separator: "\n")
    }

    static func run(_ arguments: [String]) throws -> ExitCode {
        let arguments = try Arguments(arguments, options: ["--kind", "--shards"], flags: ["--json"])
        let isJSON = arguments.has("--json")
        guard let directory = arguments.positional.last else { throw UsageError("DIR is missing") }
        let session: ShellSession
        do {
            session = try open(directory, arguments)
        } catch {
            let error = ShellError(error)
            Output.note("diskcache shell: \(error.code): \(error.message)")
            if isJSON { try Output.line(JSON.object(["error": error.json]).line) }
            return .failure
        }
        defer { session.finish() }
        var lines = LineReader(.input)
        while let line = try lines.next() {
            if isJSON {
                try Output.line(answer(line, session).line)
            } else if let text = reply(line, session) {
                try Output.line(text)
            }
        }
        return .success
    }

    private static func open(_ directory: String, _ arguments: Arguments) throws -> ShellSession {
        let name = arguments.value("--kind") ?? "cache"
        guard let kind = ShellKind(rawValue: name) else {
            throw BadRequest("there is no kind \(name), only cache, fanout, deque and index")
        }
        let shards = try arguments.value("--shards").map { try parseNumber($0, "--shards", as: Int.self) }
        if kind != .fanout, shards != nil { throw BadRequest("only a fanout cache has shards") }
        var configuration = Cache.Configuration()
        var dropAfter: Duration = .milliseconds(10)
        for setting in arguments.positional.dropLast() {
            let parts = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { throw BadRequest("\(setting) is no setting: NAME=VALUE") }
            try ShellSettings.set(String(parts[0]), ShellSettings.parse(String(parts[1])), on: &configuration)
            if parts[0] == "timeout" { dropAfter = configuration.timeout }
        }
        let clock = ShellClock()
        switch kind {
        case .cache:
            let cache = try Cache(directory: directory, configuration: configuration) { clock.now }
            return ShellSession(kind, cache: cache, clock: clock)
        case .fanout:
            let cache = try FanoutCache(
                directory: directory, shards: shards, dropAfter: dropAfter, configuration: configuration
            ) { clock.now }
            return ShellSession(kind, cache: cache, clock: clock)
        case .deque:
            let deque = try Deque<AnyValue>(directory: directory, configuration: configuration) { clock.now }
            return ShellSession(kind, cache: deque.store.cache, .deque(deque), clock: clock)
        case .index:
            let index = try Index<AnyCacheKey, AnyValue>(directory: directory, configuration: configuration) {
                clock.now
            }
            return ShellSession(kind, cache: index.store.cache, .index(index), clock: clock)
        }
    }

    /// The answer to a line of JSON.
    static func answer(_ line: ArraySlice<UInt8>, _ session: ShellSession) -> JSON {
        var id: JSON?
        var members: [JSON.Member]
        do {
            var reader = JSONReader(line)
            let request = try reader.whole()
            if !reader.flawedMembers.contains("id") { id = request["id"] }
            if let flaw = reader.flaw { throw flaw }
            guard case .object(var arguments) = request else { throw BadRequest("a request is an object") }
            guard case .text(let verb) = request["do"] else { throw BadRequest("a request needs a verb: \"do\"") }
            arguments.removeAll { $0.name == "do" || $0.name == "id" }
            members = [JSON.Member(name: "ok", value: try session.execute(verb, arguments))]
            if session.wasDropped { members.append(JSON.Member(name: "dropped", value: .bool(true))) }
        } catch {
            members = [JSON.Member(name: "error", value: ShellError(error).json)]
        }
        if let id { members.append(JSON.Member(name: "id", value: id)) }
        return .object(members)
    }

    /// What is said to a line that a person wrote; nil: nothing.
    private static func reply(_ line: ArraySlice<UInt8>, _ session: ShellSession) -> String? {
        do {
            guard let (name, arguments) = try ShellText.parse(line, session.kind) else { return nil }
            let answer = ShellText.show(try session.execute(name, arguments))
            return session.wasDropped ? "dropped" : answer
        } catch {
            let error = ShellError(error)
            return "error \(error.code): \(error.message)"
        }
    }
}
