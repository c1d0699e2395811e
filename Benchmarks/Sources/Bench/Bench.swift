import Workloads

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

@main
enum Bench {
    static func main() {
        do {
            let arguments = CommandLine.arguments
            if arguments.count == 4, arguments[1] == Recovery.childArgument, let keys = Int(arguments[3]) {
                try Recovery.fill(arguments[2], keys: keys)
            }
            if arguments.count > 2, arguments[1] == Fanout.childArgument { try Fanout.work(arguments[2...]) }
            let options = try Options(CommandLine.arguments.dropFirst())
            if options.help {
                print(Options.usage, terminator: "")
            } else {
                try run(options)
            }
        } catch let error as UsageError {
            Files.log("bench: \(error.message)\n\n\(Options.usage)")
            exit(2)
        } catch {
            Files.log("bench: \(error)\n")
            exit(1)
        }
    }

    private static func run(_ options: Options) throws {
        try Child.refuseChildren()
        let (contestants, reference) = try options.selection()
        let directory = try Files.makeTemporaryDirectory(in: options.directory)
        defer { try? Files.remove(directory) }
        if options.collections {
            print(try Collections.run(keys: options.keys, rounds: options.rounds, directory: directory), terminator: "")
            return
        }
        if options.recovery {
            print(try Recovery.run(keys: options.keys, rounds: options.rounds, directory: directory), terminator: "")
            return
        }
        if options.verbs {
            print(try Verbs.run(keys: options.keys, rounds: options.rounds, directory: directory), terminator: "")
            return
        }
        if options.fanout {
            let operations = min(options.keys, 100_000)
            print(try Fanout.run(operations: operations, rounds: options.rounds, directory: directory), terminator: "")
            return
        }
        if options.growth {
            print(try Growth.run(keys: options.keys, directory: directory), terminator: "")
            return
        }
        if options.compaction {
            print(try Compaction.run(keys: options.keys, directory: directory), terminator: "")
            return
        }
        if options.scans {
            print(try Scans.run(keys: options.keys, rounds: options.rounds, directory: directory), terminator: "")
            return
        }
        let race = Race(contestants, keyCount: options.keys, rounds: options.rounds, directory: directory)
        let results = try race.run { Files.log("\($0)\n") }
        let machine = Machine()
        print(results.markdown(reference: reference, machine: machine), terminator: "")
        if let json = options.json { try Files.write(results.json(machine: machine), to: json) }
    }
}
