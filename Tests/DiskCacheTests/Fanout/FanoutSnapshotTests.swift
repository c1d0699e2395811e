import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// Several reads that agree, of all shards.
@Suite struct FanoutSnapshotTests {
    let world: ModelWorld
    let cache: FanoutCache

    init() throws {
        world = try ModelWorld()
        cache = try world.openFanout()
    }

    @Test func itStaysAsItIs() throws {
        let keys = (0..<40).map { "key \($0)" }
        for key in keys { try cache.set(key, 1, tag: "t") }
        let other = try world.openFanout()
        try cache.snapshot { snapshot in
            try other.deleteMany(keys[..<20], retry: true)
            for key in keys[20...] { try other.set(key, 2, retry: true) }
            try other.set("new", 3, retry: true)
            for key in keys {
                #expect(try snapshot.get(key, as: Int.self) == 1)
                #expect(try snapshot.contains(key))
                #expect(try snapshot.entry(key, as: Int.self)?.tag == "t")
            }
            #expect(try snapshot.get("new", default: 0) == 0)
            #expect(try snapshot.count == 40)
            let byteCount = try snapshot.withValue(keys[0]) { $0.byteCount }
            #expect(byteCount != nil)
            #expect(try snapshot.sortedKeys() == keys.sorted().map { .string($0) })
            #expect(try snapshot.sortedKeys(reversed: true) == keys.sorted().reversed().map { .string($0) })
            #expect(try Set(snapshot.keys()).count == 40)
            #expect(try snapshot.keys(reversed: true) == snapshot.keys().reversed())
        }
        let count = try cache.snapshot { try $0.count }
        #expect(count == 21)
    }

    /// What a body throws is thrown, and snapshots begin inside of each other and of transactions.
    @Test func theyNest() throws {
        struct Stop: Error {}
        #expect(throws: Stop.self) { try cache.snapshot { (_: borrowing FanoutSnapshot) -> Void in throw Stop() } }
        try cache.set("key", 1)
        try cache.snapshot { outer in
            try cache.set("key", 2, retry: true)
            try cache.snapshot { inner in
                let (old, new) = (try outer.get("key", as: Int.self), try inner.get("key", as: Int.self))
                #expect(old == 1 && new == 2)
            }
        }
        try cache.transact {
            try cache.set("key", 3)
            let value = try cache.snapshot { try $0.get("key", as: Int.self) }
            #expect(value == 3)
        }
        try cache.close()
    }

    @Test func manyThreadsHaveTheirOwn() throws {
        try cache.set("key", 0)
        ThreadTests.run { [cache] thread in
            for _ in 0..<50 {
                if thread == 0 { try cache.incr("key", retry: true) }
                try cache.snapshot { snapshot in
                    let value = try snapshot.get("key", as: Int.self)
                    #expect(try snapshot.get("key", as: Int.self) == value)
                }
            }
        }
        #expect(try cache.get("key", as: Int.self) == 50)
    }
}
