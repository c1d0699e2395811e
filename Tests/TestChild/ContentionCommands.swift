import DiskCacheEngine
import TestSupport

/// `settle`: takes the write lock once, so that what a dead writer left is settled; may die at a point of that.
enum SettleCommand {
    static func run(_ arguments: Arguments) throws {
        if let point = FaultPoint(rawValue: arguments.text("point")) {
            guard FaultPoint.killAt(point, hit: 1) else { return }
        }
        let client = try StoreClient(asItIs: arguments.text("directory"))
        try client.settle()
        client.handle.close()
    }
}

/// `increment`: adds one to a counter until standard input ends, and says how often it did. With a witness its `number`th word there
/// tells so all the time.
enum IncrementCommand {
    static func run(_ arguments: Arguments) throws {
        let witness = try arguments["witness"].map { try WitnessFile($0) }
        let client = try StoreClient(asItIs: arguments.text("directory"))
        TestChild.say("ready")
        var count = 0
        while !TestChild.isReleased() {
            for _ in 0..<10 {
                try client.add("counter", 1)
                count += 1
            }
            witness?[arguments.number("number")] = UInt64(count)
        }
        TestChild.say("\(count)")
        client.handle.close()
    }
}

/// `grow`: writes keys 0, 1, 2 …, and after every 32 how many there are. `readers`: reads keys that must be there.
enum GrowthCommand {
    static func value(_ number: Int) -> [UInt8] { Array("value of \(number)".utf8) }

    static func write(_ arguments: Arguments) throws {
        let client = try StoreClient(asItIs: arguments.text("directory"))
        let count = arguments.number("count")
        for number in 0..<count {
            try client.set("key \(number)", value(number))
            if number % 32 == 31 { try client.add("written", 32) }
        }
        TestChild.say("written")
        client.handle.close()
    }

    static func read(_ arguments: Arguments) throws {
        var random = ReplayableRandom(seed: UInt64(arguments.number("seed")))
        let client = try StoreClient(asItIs: arguments.text("directory"))
        var reads = 0
        while !TestChild.isReleased() {
            guard case .integer(let written) = try client.get("written"), written > 0 else { continue }
            for _ in 0..<200 {
                // As often among the newest as anywhere.
                let least = random.oneIn(2) ? max(0, Int(written) - 300) : 0
                let number = Int.random(in: least..<Int(written), using: &random)
                let found = try client.get("key \(number)")
                if found != .bytes(value(number)) {
                    TestChild.say("wrong: key \(number) of \(written) is \(found.map { "\($0)" } ?? "missing")")
                    return
                }
                reads += 1
            }
        }
        TestChild.say("\(reads)")
        client.handle.close()
    }
}

/// `hold`: keeps the write lock until standard input ends.
enum HoldCommand {
    static func run(_ arguments: Arguments) throws {
        let client = try StoreClient(asItIs: arguments.text("directory"))
        try client.handle.withStoreThrowing { store in
            try store.transact(timeout: StoreClient.timeout) {
                try client.set("held", [1])
                TestChild.say("held")
                TestChild.waitForParent()
            }
        }
        client.handle.close()
    }
}
