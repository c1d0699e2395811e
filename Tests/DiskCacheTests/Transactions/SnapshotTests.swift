import TestSupport
import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// `snapshot`: reads as of one instant.
@Suite struct SnapshotTests {
    private let large = [UInt8](repeating: 9, count: 60_000)

    @Test func laterWritesAreNotSeen() throws {
        let cache = try Cache()
        try cache.set("changed", 1)
        try cache.set("removed", "here", tag: "t")
        try cache.set("file", large)
        try cache.snapshot { snapshot in
            for round in 0..<20 { try cache.set("changed", round + 2) }
            try cache.delete("removed")
            try cache.set("new", 1)
            try cache.set("file", "small")
            try cache.sync()
            #expect(try snapshot.get("changed", as: Int.self) == 1)
            #expect(try snapshot["removed", as: String.self] == "here")
            #expect(try snapshot.entry("removed", as: String.self)?.tag == "t")
            #expect(try !snapshot.contains("new"))
            #expect(try snapshot.get("file", as: [UInt8].self) == large)
            #expect(try snapshot.withValue("changed") { $0.byteCount } == 8)
            #expect(snapshot.count == 3)
        }
        #expect(try cache.get("changed", as: Int.self) == 21)
        #expect(try cache.snapshot { try $0.get("file", as: String.self) } == "small")
    }

    @Test func whatClearRemovedIsStillThere() throws {
        let cache = try Cache()
        for number in 0..<500 { try cache.set(number, "value \(number)") }
        try cache.snapshot { snapshot in
            try cache.clear()
            for number in 0..<500 { try cache.set(number, "later") }
            for number in 0..<500 { #expect(try snapshot.get(number, as: String.self) == "value \(number)") }
        }
        #expect(try cache.count == 500)
        #expect(try cache.check().isEmpty)
    }

    @Test func insideATransactionItIsTheTransactions() throws {
        let cache = try Cache()
        try cache.transact {
            try cache.set("a", 1)
            #expect(try cache.snapshot { try $0.get("a", as: Int.self) } == 1)
        }
        try cache.snapshot { snapshot in
            try cache.transact { $0["a"] = 2 }
            #expect(try snapshot.get("a", as: Int.self) == 1)
        }
    }

    /// Random writes with snapshots at random moments, each against a copy of the model as of its beginning.
    @Test func agreesWithACopy() throws {
        let cache = try Cache()
        var random = ReplayableRandom(for: "snapshots", variable: "CODING_SEED")
        var model: [Int: Int] = [:]
        func write(_ count: Int) throws {
            for _ in 0..<count {
                let key = Int.random(in: 0..<40, using: &random)
                switch Int.random(in: 0..<100, using: &random) {
                case 0:
                    try cache.clear()
                    model = [:]
                case 1..<30:
                    #expect(try cache.delete(key) == (model.removeValue(forKey: key) != nil))
                case 30..<40:
                    try? cache.transact { transaction in
                        transaction[key] = -1
                        throw CancellationError()
                    }
                default:
                    let value = Int.random(in: 0..<1_000_000, using: &random)
                    try cache.set(key, value)
                    model[key] = value
                }
            }
        }
        for _ in 0..<150 {
            try write(Int.random(in: 0..<40, using: &random))
            let copy = model
            try cache.snapshot { snapshot in
                for _ in 0..<3 {
                    for key in 0..<40 { #expect(try snapshot.get(key, as: Int.self) == copy[key]) }
                    try write(Int.random(in: 0..<60, using: &random))
                }
                #expect(snapshot.count == copy.count)
            }
        }
    }

    @Test(arguments: [false, true]) func ordersAreThoseOfItsInstant(_ viewsGoOn: Bool) throws {
        let world = try ModelWorld()
        var configuration = Cache.Configuration()
        configuration.tagIndex = true
        let cache = try world.open(configuration) { $0.viewLag = 0 }
        for number in 0..<500 { try cache.set(number, number, tag: number % 3 == 0 ? "third" : nil) }
        for number in 0..<50 { try cache.set("text \(number)", "value \(number)") }
        try cache.set(String(repeating: "l", count: 3000), 1)
        try cache.set("expired", 1, expire: .after(.seconds(1)))
        for number in 0..<500 where number % 7 == 0 { try cache.delete(number) }
        try cache.set(14, "again")
        world.now += 2_000_000
        // The views are there, up to here.
        let keys = try Array(cache.keys())
        let sorted = try Array(cache.sortedKeys())
        let tagged = try Array(cache.keys(tag: "third"))
        let texts = try Array(cache.keys(prefix: "text 1"))
        let numbers = try Array(cache.keys(in: 100..<200))
        let values = try Array(cache.items(as: AnyValue.self)).map { "\($0)" }
        try cache.snapshot { snapshot in
            for round in 0..<3 {
                let lists = (
                    try snapshot.keys(), try snapshot.sortedKeys(), try snapshot.keys(reversed: true),
                    try snapshot.sortedKeys(reversed: true)
                )
                #expect(
                    lists.0 == keys && lists.1 == sorted && lists.2 == keys.reversed() && lists.3 == sorted.reversed())
                let parts = (
                    try snapshot.keys(tag: "third"), try snapshot.keys(prefix: "text 1"),
                    try snapshot.keys(in: 100..<200)
                )
                #expect(parts.0 == tagged && parts.1 == texts && parts.2 == numbers)
                let items = try snapshot.items(as: AnyValue.self).map { "\($0)" }
                #expect(items == values)
                try cache.transact {
                    for number in 0..<300 { try cache.set(number, "\(round)", tag: "other") }
                    for number in 300..<400 { try cache.delete(number) }
                    for number in 0..<100 { try cache.set("new \(round) \(number)", number) }
                }
                if viewsGoOn {
                    // Beyond the snapshot.
                    _ = try Array(cache.keys())
                    _ = try Array(cache.sortedKeys())
                    _ = try Array(cache.keys(tag: "third"))
                }
            }
        }
        try cache.transact {
            try cache.set("own", 1)
            try cache.snapshot { snapshot in
                let last = try snapshot.keys().last
                #expect(last == .string("own"))
            }
        }
        #expect(try cache.check() == [])
    }
}
