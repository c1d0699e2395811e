import DiskCacheCore

/// A request that makes no sense, and says why.
struct BadRequest: Error {
    let message: String
    init(_ message: String) { self.message = message }
}

/// What goes wrong as the shell says it: a code, words, and how much a bulk verb had done before.
struct ShellError: Error, Equatable {
    let code: String
    let message: String
    var removed: Int?

    init(_ error: any Error) {
        switch error {
        case let error as ShellError: self = error
        case let error as UsageError: self.init(code: "badRequest", message: error.message)
        case let error as BadRequest: self.init(code: "badRequest", message: error.message)
        case let error as CacheError:
            let path = error.path.map { " (\($0))" } ?? ""
            let text = error.message.isEmpty ? error.code.name : error.message
            self.init(code: error.code.name, message: text + path, removed: error.removed)
        default: self.init(code: CacheError.Code.io.name, message: "\(error)")
        }
    }

    private init(code: String, message: String, removed: Int? = nil) {
        self.code = code
        self.message = message
        self.removed = removed
    }

    /// What stands behind `error` in an answer.
    var json: JSON {
        var members = [
            JSON.Member(name: "code", value: .text(code)), JSON.Member(name: "message", value: .text(message)),
        ]
        if let removed { members.append(JSON.Member(name: "removed", value: .integer(Int64(removed)))) }
        return .object(members)
    }
}
