import DiskCacheEngine
import TestSupport

/// `write`: does a part of a workload, and says after each operation, in four bytes, which is done.
enum WriterCommand {
    static func run(_ arguments: Arguments) throws {
        if let name = arguments["point"], let point = FaultPoint(rawValue: name) {
            guard FaultPoint.killAt(point, hit: arguments.number("hit", default: 1)) else { return }
        }
        let interval = arguments["interval"].flatMap { Int($0) }
        var environment = Environment.system
        if let boot = arguments["boot"] { environment.bootIdentity = { boot } }
        let client = try StoreClient(
            arguments.text("directory"), environment: environment, writesWithCalls: arguments.number("calls") == 1,
            syncInterval: interval, viewLag: arguments["lag"].flatMap { UInt64($0) },
            durability: Durability.allCases[arguments.number("durability", default: 1)])
        let workload = Workload(arguments)
        let first = arguments.number("first")
        for index in first..<first + arguments.number("count") {
            try client.perform(workload.operation(index), writer: workload.writer, index: index)
            // With a lag given, orders are read now and then, and so brought up to date.
            if arguments["lag"] != nil, index % 8 == 0 {
                let keys = try client.keys(index % 16 == 0 ? .key : .insertion)
                if keys.count != Set(keys).count { throw EngineError(.corrupted, "a scan met a key twice") }
            }
            withUnsafeBytes(of: UInt32(index).littleEndian) { TestChild.put($0) }
        }
        if arguments.number("close") == 1 {
            client.handle.close()
        } else {
            TestChild.waitForParent()
        }
    }
}

extension Workload {
    fileprivate init(_ arguments: Arguments) {
        self.init(seed: UInt64(arguments.text("seed")) ?? 0, writer: arguments.number("writer"))
        keys = arguments.number("keys", default: keys)
        clears = arguments.number("clears", default: 1) == 1
        grows = arguments.number("grows") == 1
    }
}

/// `open`: opens a store as it is and says how many rows it has and what recovery did.
enum OpenCommand {
    static func run(_ arguments: Arguments) throws {
        let timeout = arguments.number("timeout", default: 30_000) * 1_000_000
        let client = try StoreClient(asItIs: arguments.text("directory"), timeout: UInt64(timeout))
        TestChild.say("count \(try client.count())")
        if arguments.number("wait") == 1 { TestChild.waitForParent() }
        client.handle.close()
    }
}
