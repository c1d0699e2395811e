import DiskCacheEngine
import TestSupport

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The program that tests start as their other processes: a verb, then its arguments.
///
/// What it has to say goes to standard output; where a verb waits, it waits for the end of standard input.
@main
enum TestChild {
    static func main() {
        let arguments = Arguments(Array(CommandLine.arguments.dropFirst()))
        do {
            switch arguments.verb {
            case "write": try WriterCommand.run(arguments)
            case "open": try OpenCommand.run(arguments)
            case "settle": try SettleCommand.run(arguments)
            case "increment": try IncrementCommand.run(arguments)
            case "fill": try FillCommand.run(arguments)
            case "grow": try GrowthCommand.write(arguments)
            case "readers": try GrowthCommand.read(arguments)
            case "hold": try HoldCommand.run(arguments)
            case "descriptors": try DescriptorCommand.run(arguments)
            case "cycles": try DescriptorCommand.cycle(arguments)
            case "user": try UserCommand.run(arguments)
            case "fork": try ForkCommand.use(arguments)
            case "keptfork": try ForkCommand.whileKept(arguments)
            case "failedfork": try ForkCommand.afterFailures(arguments)
            case "idlefork": try ForkCommand.idle(arguments)
            case "transfer": try TransferCommand.run(arguments)
            case "audit": try AuditCommand.run(arguments)
            case "recycle": try RecycleCommand.run(arguments)
            case "backup": try BackupCommand.run(arguments)
            case "produce": try QueueCommands.produce(arguments)
            case "consume": try QueueCommands.consume(arguments)
            case "sleep": try QueueCommands.sleep(arguments)
            case "change": try ChangeCommands.change(arguments)
            case "follow": try ChangeCommands.follow(arguments)
            case "deque": try CollectionCommands.deque(arguments)
            case "index": try CollectionCommands.index(arguments)
            case "take": try CollectionCommands.take(arguments)
            case "holdcache": try CollectionCommands.holdAsCache(arguments)
            case "damage": try DamageCommand.run(arguments)
            case "semaphore": try RecipeCommands.semaphore(arguments)
            case "locked": try RecipeCommands.count(arguments)
            case "holdlock": try RecipeCommands.hold(arguments)
            case "forklock": try RecipeCommands.fork(arguments)
            case "throttled": try RecipeCommands.throttle(arguments)
            case "memoized": try RecipeCommands.memoize(arguments)
            case "compute": try RecipeCommands.compute(arguments)
            case "evict": try EvictCommand.run(arguments)
            case "fanout": try FanoutCommand.write(arguments)
            case "fanoutfill": try FanoutCommand.fill(arguments)
            case "churn": try CompactionCommands.churn(arguments)
            case "compactor": try CompactionCommands.compact(arguments)
            case "soak": try SoakCommand.run(arguments)
            default:
                say("unknown verb \(arguments.verb)")
                exit(64)
            }
        } catch let error as EngineError {
            say("error \(error.code) errno \(error.errno ?? 0) path \(error.path ?? "-") message \(error.message)")
            exit(3)
        } catch {
            say("error \(error)")
            exit(4)
        }
        exit(0)
    }

    /// One line of output.
    static func say(_ text: String) {
        let bytes = Array((text + "\n").utf8)
        bytes.withUnsafeBytes { put($0) }
    }

    static func put(_ bytes: UnsafeRawBufferPointer) {
        var done = 0
        while done < bytes.count {
            let count = write(1, bytes.baseAddress! + done, bytes.count - done)
            if count < 0 && errno != EINTR { exit(5) }
            done += max(count, 0)
        }
    }

    /// Waits until the parent closes this child's standard input, or dies.
    static func waitForParent() {
        var byte: UInt8 = 0
        while true {
            let count = read(0, &byte, 1)
            if count < 0 && errno == EINTR { continue }
            if count <= 0 { return }
        }
    }
}

/// `verb name=value …`
struct Arguments {
    let verb: String
    private var values: [String: String] = [:]

    init(_ words: [String]) {
        verb = words.first ?? ""
        for word in words.dropFirst() {
            guard let sign = word.firstIndex(of: "=") else { continue }
            values[String(word[..<sign])] = String(word[word.index(after: sign)...])
        }
    }

    subscript(name: String) -> String? { values[name] }
    func text(_ name: String) -> String { values[name] ?? "" }
    func number(_ name: String, default usual: Int = 0) -> Int { values[name].flatMap { Int($0) } ?? usual }
}
