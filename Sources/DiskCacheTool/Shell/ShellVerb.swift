import DiskCacheCore

/// Something that the shell can be told to do.
struct ShellVerb: Sendable {
    let name: String
    /// Arguments that have to be there, in the order in which people give them.
    let required: [String]
    /// Arguments that may be left out.
    let optional: [String]
    /// Does it; what it comes to is the answer.
    let run: @Sendable (ShellSession, ShellRequest) throws -> JSON

    init(
        _ name: String, _ required: [String] = [], _ optional: [String] = [],
        _ run: @escaping @Sendable (ShellSession, ShellRequest) throws -> JSON
    ) {
        self.name = name
        self.required = required
        self.optional = optional
        self.run = run
    }

    /// All of them.
    static let all: [ShellVerb] = items + counters + many + queues + orders + maintenance + transactions + locks

    private static let byName = Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

    /// The verb with a name; throws `BadRequest` if there is none.
    static func named(_ name: String) throws -> ShellVerb {
        guard let verb = byName[name] else { throw BadRequest("there is no verb \(quoted(name))") }
        return verb
    }
}
