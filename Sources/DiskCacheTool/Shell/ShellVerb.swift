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

    /// What a kind of store has.
    static func all(_ kind: ShellKind) -> [ShellVerb] {
        let common = maintenance + transactions
        switch kind {
        case .cache, .fanout: return items + counters + many + queues + orders + clearance + common + snapshots + locks
        case .deque: return deque + common
        case .index: return index + common
        }
    }

    private static let tables = Dictionary(
        uniqueKeysWithValues: ShellKind.allCases.map { kind in
            (kind, Dictionary(uniqueKeysWithValues: all(kind).map { ($0.name, $0) }))
        })

    /// The verb with a name; throws `BadRequest` if there is none.
    static func named(_ name: String, _ kind: ShellKind) throws -> ShellVerb {
        guard let verb = tables[kind]?[name] else { throw BadRequest("there is no verb \(quoted(name))") }
        return verb
    }
}

/// What the shell may be told that a directory is.
enum ShellKind: String, CaseIterable {
    case cache, fanout, deque, index
}
