import DiskCacheEngine

/// `version`: the library's version and the format's.
enum VersionCommand: Command {
    static let name = "version"
    static let summary = "print the version of the library and of its format"
    static let help = """
        usage: diskcache version

        Prints the version of the library and of the format that it writes.
        """

    static func run(_ arguments: [String]) throws -> ExitCode {
        try Arguments(arguments).expect(0...0, [])
        try Output.line("diskcache \(EngineVersion.library) (format \(EngineVersion.format))")
        return .success
    }
}
