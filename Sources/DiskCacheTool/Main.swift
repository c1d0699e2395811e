/// `diskcache`: looks into a cache, changes it, checks it, and shows what it does.
@main
enum Main {
    static let commands: [any Command.Type] = [
        GetCommand.self, SetCommand.self, DeleteCommand.self, IncrCommand.self, StatCommand.self, CheckCommand.self,
        BackupCommand.self, MergeCommand.self, CompactCommand.self, TailCommand.self, ShellCommand.self,
        DemoCommand.self, VersionCommand.self,
    ]

    static func main() {
        // A child of the demo is told what to do by its environment, whatever its arguments are: it never starts another.
        if let role = DemoChild.role { Platform.exit(DemoChild.run(role)) }
        guard let arguments = Platform.arguments() else {
            Output.note("diskcache: an argument isn't UTF-8, and as text it would name something else\n\n\(overview)")
            Platform.exit(.failure)
        }
        Platform.exit(run(Array(arguments.dropFirst())))
    }

    /// Runs a command line; prints what goes wrong.
    static func run(_ arguments: [String]) -> ExitCode {
        guard let name = arguments.first else {
            Output.note(overview)
            return .failure
        }
        do {
            if ["help", "--help", "-h"].contains(name) {
                guard let wanted = arguments.dropFirst().first else {
                    try Output.line(overview)
                    return .success
                }
                guard let command = find(wanted) else { return refuse(wanted) }
                try Output.line(command.help)
                return .success
            }
            guard let command = find(name) else { return refuse(name) }
            let rest = Array(arguments.dropFirst())
            if rest.prefix(while: { $0 != "--" }).contains(where: { $0 == "--help" || $0 == "-h" }) {
                try Output.line(command.help)
                return .success
            }
            return try run(command, rest)
        } catch {
            Output.note("diskcache: \(error)")
            return .failure
        }
    }

    private static func refuse(_ name: String) -> ExitCode {
        Output.note("diskcache: there is no command \(name)\n\n\(overview)")
        return .failure
    }

    private static func run(_ command: any Command.Type, _ arguments: [String]) throws -> ExitCode {
        do {
            return try command.run(arguments)
        } catch let error as UsageError {
            Output.note("diskcache \(command.name): \(error.message)\n\n\(command.help)")
            return .failure
        }
    }

    private static func find(_ name: String) -> (any Command.Type)? {
        name == "--version" ? VersionCommand.self : commands.first { $0.name == name }
    }

    private static var overview: String {
        var text = """
            usage: diskcache COMMAND ...

            Looks into a cache, changes it, checks it, and shows what it does.


            """
        for command in commands {
            text += "  " + padded(command.name, 8) + "  " + command.summary + "\n"
        }
        return text + """

            diskcache COMMAND --help says more. Exit status: 0 done; 1 the answer is no (a key that is missing,
            findings); 2 wrong usage, or an error.
            """
    }
}
