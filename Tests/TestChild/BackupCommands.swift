import DiskCache
import DiskCacheEngine
import TestSupport

/// `recycle`: fills the log with what is replaced at once, has it compacted, and clears everything now and then, until it is released.
/// Accounts that are gone count as new ones, so a `clear` changes no sum.
enum RecycleCommand {
    static func run(_ arguments: Arguments) throws {
        let cache = try Accounts.open(arguments)
        let engine = try StoreClient(asItIs: arguments.text("directory"))
        var random = ReplayableRandom(seed: UInt64(arguments.number("seed")))
        var (cleared, compacted) = (0, 0)
        TestChild.say("ready")
        while !TestChild.isReleased() {
            try cache.transact {
                for _ in 0..<100 {
                    let key = "filler \(Int.random(in: 0..<40, using: &random))"
                    // Some in files of their own.
                    let count = Int.random(in: 1...(random.oneIn(20) ? 3000 : 290), using: &random)
                    try cache.set(key, [UInt8](repeating: UInt8(truncatingIfNeeded: count), count: count))
                }
            }
            try engine.reclaim()
            compacted += 1
            if random.oneIn(3) {
                try cache.clear()
                cleared += 1
            }
        }
        TestChild.say("\(cleared) \(compacted)")
        engine.handle.close()
        try cache.close()
    }
}

/// `backup`: makes a backup, and kills itself at a fault point if one is named.
enum BackupCommand {
    static func run(_ arguments: Arguments) throws {
        if let name = arguments["point"], let point = FaultPoint(rawValue: name) {
            guard FaultPoint.killAt(point, hit: arguments.number("hit", default: 1)) else { return }
        }
        let cache = try Accounts.open(arguments)
        TestChild.say("ready")
        try cache.backup(to: arguments.text("to"), shares: arguments.number("shares", default: 1) == 1)
        TestChild.say("done")
    }
}
