/// The shell for fingers: `set greeting "hello" expire=5`. A verb, its arguments in order, and those that have a name.
///
/// An argument is JSON, or a word, which is text: `hello` is `"hello"`, but `5`, `true` and `null` are what they are in JSON.
enum ShellText {
    /// Verb and arguments of a line; nil: it is empty, or a comment that begins with `#`.
    static func parse(_ line: ArraySlice<UInt8>, _ kind: ShellKind) throws -> (name: String, arguments: [JSON.Member])?
    {
        guard String(validating: line, as: UTF8.self) != nil else { throw BadRequest("this isn't UTF-8") }
        var rest = line
        skip(&rest)
        guard let first = rest.first, first != UInt8(ascii: "#") else { return nil }
        let verb = try ShellVerb.named(word(&rest), kind)
        var names = (verb.required + verb.optional)[...]
        var arguments: [JSON.Member] = []
        while true {
            skip(&rest)
            if rest.isEmpty { return (verb.name, arguments) }
            let name: String
            if let given = self.name(&rest) {
                name = given
            } else {
                names = names.drop { name in arguments.contains { $0.name == name } }
                guard let next = names.popFirst() else { throw BadRequest("too many arguments for \(verb.name)") }
                name = next
            }
            if arguments.contains(where: { $0.name == name }) { throw BadRequest("\(name) twice") }
            arguments.append(JSON.Member(name: name, value: try value(&rest)))
        }
    }

    /// What is shown of a result.
    static func show(_ result: JSON) -> String { result == .absent ? "absent" : result.line }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0d }

    private static func skip(_ rest: inout ArraySlice<UInt8>) { rest = rest.drop(while: isBlank) }

    private static func word(_ rest: inout ArraySlice<UInt8>) -> String {
        let word = rest.prefix { !isBlank($0) }
        rest = rest.dropFirst(word.count)
        return String(decoding: word, as: UTF8.self)
    }

    /// `name=` at the beginning.
    private static func name(_ rest: inout ArraySlice<UInt8>) -> String? {
        let name = rest.prefix { UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 | 0x20 }
        guard !name.isEmpty, rest.dropFirst(name.count).first == UInt8(ascii: "=") else { return nil }
        rest = rest.dropFirst(name.count + 1)
        return String(decoding: name, as: UTF8.self)
    }

    private static func value(_ rest: inout ArraySlice<UInt8>) throws -> JSON {
        if let first = rest.first, [UInt8(ascii: "\""), UInt8(ascii: "["), UInt8(ascii: "{")].contains(first) {
            var reader = JSONReader(rest)
            let value = try reader.value()
            if let flaw = reader.flaw { throw flaw }
            if let next = reader.next, !isBlank(next) { throw reader.malformed("something behind the value") }
            rest = rest[reader.offset...]
            return value
        }
        let word = word(&rest)
        return (try? JSONReader.read(Array(word.utf8)[...])) ?? .text(word)
    }
}
