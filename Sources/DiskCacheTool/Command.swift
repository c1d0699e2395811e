/// What a command comes to, as the shell sees it.
enum ExitCode: Int32 {
    /// Done.
    case success = 0
    /// Done, and the answer is no: a key that is missing, a check with findings.
    case negative = 1
    /// Not done: the command line makes no sense, or something failed.
    case failure = 2
}

/// A command of the tool.
protocol Command: Sendable {
    /// What it is called by.
    static var name: String { get }
    /// What it does, in a few words.
    static var summary: String { get }
    /// How it is called, and what its options mean.
    static var help: String { get }
    /// Runs it.
    static func run(_ arguments: [String]) throws -> ExitCode
}
