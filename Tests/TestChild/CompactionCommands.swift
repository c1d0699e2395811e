import DiskCacheEngine
import TestSupport

/// Processes that compact, and die doing it.
enum CompactionCommands {
    private static func open(_ arguments: Arguments) throws -> StoreClient? {
        if let name = arguments["point"], let point = FaultPoint(rawValue: name) {
            guard FaultPoint.killAt(point, hit: arguments.number("hit", default: 1)) else { return nil }
        }
        // Orders have trees from the first look on.
        return try StoreClient(arguments.text("directory"), viewLag: 0)
    }

    /// `churn`: overwrites and deletes, says after each write, in four bytes, which is done, and compacts now and then.
    static func churn(_ arguments: Arguments) throws {
        guard let client = try open(arguments) else { return }
        var churn = Churn(seed: UInt64(arguments.number("seed")))
        let every = arguments.number("compactEvery", default: .max)
        for index in 1...max(1, arguments.number("count", default: .max)) {
            let write = churn.next()
            try client.perform(write)
            withUnsafeBytes(of: UInt32(index).littleEndian) { TestChild.put($0) }
            if index % every == 0 { try client.compact() }
            // An order is in use, so that there are trees to bring along.
            if index % 50 == 0 { _ = try client.keys(.key) }
            if arguments["count"] == nil, index % 64 == 0, TestChild.isReleased() { break }
        }
        client.handle.close()
    }

    /// `compactor`: compacts what another process writes.
    static func compact(_ arguments: Arguments) throws {
        guard let client = try open(arguments) else { return }
        for _ in 0..<arguments.number("count") { try client.compact() }
        client.handle.close()
    }
}
