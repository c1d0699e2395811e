import DiskCacheCore

/// Verbs about named locks, which this shell's process holds.
extension ShellVerb {
    static let locks: [ShellVerb] = [
        ShellVerb("lock", ["name"], ["timeout"]) { session, request in
            .bool(try session.lock(try request.name(), timeout: try request.duration("timeout")))
        },
        ShellVerb("unlock", ["name"]) { session, request in
            try session.unlock(try request.name())
            return .bool(true)
        },
    ]
}

extension ShellRequest {
    fileprivate func name() throws -> String {
        guard let name = try text("name") else { throw BadRequest("name is a text") }
        return name
    }
}
