import DiskCacheCore

/// A verb's arguments, known to be the verb's own and complete, each read as what it has to be.
struct ShellRequest {
    private let arguments: [String: JSON]

    /// Checks names against the verb's; throws `BadRequest` for one that is unknown or missing.
    init(_ arguments: [JSON.Member], for verb: ShellVerb) throws {
        var known: [String: JSON] = [:]
        for argument in arguments {
            guard verb.required.contains(argument.name) || verb.optional.contains(argument.name) else {
                throw BadRequest("\(verb.name) has no argument \(quoted(argument.name))")
            }
            known[argument.name] = argument.value
        }
        for name in verb.required where known[name] == nil { throw BadRequest("\(verb.name) needs \(name)") }
        self.arguments = known
    }

    /// An argument as it stands; nil: it was left out.
    subscript(name: String) -> JSON? { arguments[name] }

    /// As above, where null is as left out.
    private func given(_ name: String) -> JSON? {
        guard let value = arguments[name], value != .null else { return nil }
        return value
    }

    func key(_ name: String = "key") throws -> AnyCacheKey { try ShellValue.key(arguments[name] ?? .null) }

    func value() throws -> ShellValue { try ShellValue(arguments["value"] ?? .null) }

    /// nil: left out, so what the cache has by default.
    func expire() throws -> Expiration? {
        try given("expire").map { .after(try ShellSettings.duration(floated($0), "expire")) }
    }

    /// `{"$float": …}` is a number of seconds as well.
    private func floated(_ json: JSON) throws -> JSON {
        guard case .object = json, case .double(let value) = try ShellValue.key(json) else { return json }
        return .float(value)
    }

    func tag() throws -> Tag? { try ShellValue.tag(arguments["tag"] ?? .null) }

    func bool(_ name: String, default value: Bool) throws -> Bool { try optionalBool(name) ?? value }

    func optionalBool(_ name: String) throws -> Bool? {
        switch given(name) {
        case nil: return nil
        case .bool(let value): return value
        default: throw BadRequest("\(name) is true or false")
        }
    }

    func integer(_ name: String) throws -> Int? {
        switch given(name) {
        case nil: return nil
        case .integer(let value): return Int(value)
        default: throw BadRequest("\(name) is an integer")
        }
    }

    func text(_ name: String) throws -> String? {
        switch given(name) {
        case nil: return nil
        case .text(let value): return value
        default: throw BadRequest("\(name) is a text or null")
        }
    }

    func duration(_ name: String) throws -> Duration? { try given(name).map { try ShellSettings.duration($0, name) } }

    func array(_ name: String) throws -> [JSON] {
        guard case .array(let elements) = arguments[name] else { throw BadRequest("\(name) is an array") }
        return elements
    }
}
