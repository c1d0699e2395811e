import DiskCacheCore

/// `get`: a value, to standard output or into a file.
enum GetCommand: Command {
    static let name = "get"
    static let summary = "write a value to standard output"
    static let help = """
        usage: diskcache get [--entry | --output FILE] [--int-key] DIR KEY

        Writes the value of KEY to standard output: text and bytes as they are, numbers as text, other values
        as JSON (what JSON has no word for in CBOR's diagnostic notation). Exit status 1: no such key.

          --entry        print what is known of the item instead of its value
          --output FILE  write the value into FILE
          --int-key      KEY is an integer
        """

    static func run(_ arguments: [String]) throws -> ExitCode {
        let arguments = try Arguments(arguments, options: ["--output"], flags: ["--entry", "--int-key"])
        try arguments.expect(2...2, ["DIR", "KEY"])
        if arguments.has("--entry"), arguments.value("--output") != nil {
            throw UsageError("--entry writes no value, so there is nothing for --output")
        }
        let key = try parseKey(arguments.positional[1], arguments)
        let cache = try openExisting(arguments.positional[0], anyKind: true)
        guard let (form, entry) = try cache.inspect(key) else {
            Output.note("diskcache get: there is no key \(arguments.positional[1])")
            return .negative
        }
        if arguments.has("--entry") {
            try Output.table(describe(form, entry))
            return .success
        }
        if let path = arguments.value("--output").map({ Array($0.utf8) }) {
            let file = try Platform.createFile(path)
            try write(form, entry.value, serializer: cache.settings.serializer) { try Platform.write(file, $0, path) }
        } else {
            try write(form, entry.value, serializer: cache.settings.serializer, Output.write)
        }
        return .success
    }

    private static func write(
        _ form: ValueForm, _ value: ValueReader, serializer: String, _ output: ([UInt8]) throws -> Void
    ) throws {
        switch form {
        case .text, .bytes:
            while let piece = try value.next(maximum: 1 << 20) { try output(piece) }
        case .encoded where serializer != "cbor":
            while let piece = try value.next(maximum: 1 << 20) { try output(piece) }
        default:
            try output(Array((text(form, try value.readAll()) + "\n").utf8))
        }
    }

    /// The text of a value that is neither text nor bytes.
    private static func text(_ form: ValueForm, _ bytes: [UInt8]) throws -> String {
        let word = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        switch form {
        case .null: return "null"
        case .integer: return "\(Int64(bitPattern: word))"
        case .unsigned: return "\(word)"
        case .double: return "\(Double(bitPattern: word))"
        default: return try CBORText.text(bytes)
        }
    }

    private static func describe(_ form: ValueForm, _ entry: Entry<ValueReader>) -> [(name: String, value: String)] {
        let type: String
        switch form {
        case .null: type = "null"
        case .integer, .unsigned: type = "integer"
        case .double: type = "float"
        case .text: type = "text"
        case .bytes: type = "bytes"
        default: type = "serialised"
        }
        var rows = [(name: "type", value: type), ("bytes", grouped(entry.byteCount)), ("stored", date(entry.storedAt))]
        rows.append(("expires", entry.expires.map(date) ?? "never"))
        switch entry.tag {
        case .int(let tag): rows.append(("tag", "\(tag)"))
        case .double(let tag): rows.append(("tag", "\(tag)"))
        case .string(let tag): rows.append(("tag", quoted(tag)))
        case .bytes(let tag): rows.append(("tag", "h'" + hexadecimal(tag) + "'"))
        case nil: break
        }
        if let path = entry.path { rows.append(("file", path)) }
        return rows
    }
}
