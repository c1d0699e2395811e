import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// Trees that are damaged, held by others, or of another time: readers list what the log says.
@Suite struct ViewDamageTests {
    private let files = SystemFiles()

    private func treeFiles(_ world: ModelWorld) throws -> [String] {
        let directory = try files.open(world.path, in: nil, [.directory])
        return try files.list(directory).filter { $0.hasPrefix("trees.") }.map { world.path + "/" + $0 }
    }

    private func filled(_ world: ModelWorld) throws -> Cache {
        var configuration = Cache.Configuration()
        configuration.syncInterval = .milliseconds(2)
        let cache = try world.open(configuration) { $0.viewLag = 0 }
        for number in 0..<2000 { try cache.set(number, number) }
        #expect(try Array(cache.keys()).count == 2000)
        #expect(try Array(cache.sortedKeys()).count == 2000)
        return cache
    }

    private static let all = (0..<2000).map { AnyCacheKey.int(Int64($0)) }

    @Test func damagedTreesAreMadeAgain() throws {
        let world = try ModelWorld()
        let cache = try filled(world)
        for round in 0..<12 {
            let names = try treeFiles(world)
            #expect(names.count == 1)
            let file = try files.open(names[0], in: nil, [.write])
            let size = try files.status(file).size
            switch round % 4 {
            case 0:
                // Every page of the trees.
                for offset in stride(from: 3 * 4096 + 100, to: size, by: 4096) {
                    try files.write(file, [0x5A], at: offset)
                }
            case 1:
                // Both roots.
                try files.write(file, [1, 2, 3], at: 1024 + 40)
                try files.write(file, [1, 2, 3], at: 2048 + 40)
            case 2: try files.write(file, [7, 7, 7, 7, 7, 7, 7, 7], at: 128)
            default:
                // The header, as who opens it next finds it.
                try files.write(file, [0], at: 0)
                try cache.close()
            }
            // A header that is wrong is seen by who opens the store, before anybody checks.
            if round >= 4 && round < 7 { #expect(try !cache.check(fix: true).isEmpty) }
            #expect(try Array(cache.sortedKeys()) == Self.all)
            #expect(try Array(cache.keys(reversed: true)) == Self.all.reversed())
            #expect(try cache.check() == [])
        }
    }

    @Test func aStoppedCatchUpHarmsNobody() throws {
        let world = try ModelWorld()
        let cache = try filled(world)
        let name = try #require(try treeFiles(world).first)
        let held = try files.open(name, in: nil, [.write])
        #expect(try files.lock(held, .exclusive))
        for number in 2000..<3000 { try cache.set(number, number) }
        try cache.delete(5)
        let wanted = (0..<3000).filter { $0 != 5 }.map { AnyCacheKey.int(Int64($0)) }
        #expect(try Array(cache.sortedKeys()) == wanted)
        #expect(try Array(cache.keys(reversed: true)) == wanted.reversed())
        try cache.clear()
        try cache.set(1, 1)
        #expect(try Array(cache.keys()) == [.int(1)])
        _ = try files.lock(held, .unlock)
        #expect(try Array(cache.keys()) == [.int(1)])
        #expect(try cache.check() == [])
    }

    @Test func afterARestartTheSyncedTreesCount() throws {
        let world = try ModelWorld()
        let cache = try filled(world)
        try cache.sync()
        try cache.close()
        world.restart()
        #expect(try Array(cache.sortedKeys()) == Self.all)
        #expect(try treeFiles(world).count == 1)
        let exists = try cache.handle.withStore { (store) throws(EngineError) in
            try store.orderLag(.key).trees.contains(TreeSet(.key))
        }
        #expect(exists)
        #expect(try cache.check() == [])
    }

    @Test func aDamagedRecordIsLeftOut() throws {
        let world = try ModelWorld()
        let cache = try world.open()
        for number in 0..<300 { try cache.set("key \(number)", "value \(number)") }
        let directory = try files.open(world.path + "/log", in: nil, [.directory])
        let name = try #require(try files.list(directory).first)
        let segment = try files.open(name, in: directory, [.write])
        let bytes = try files.read(segment, count: files.status(segment).size, at: 0)
        let wanted = Array("value 100".utf8)
        let at = try #require((0..<bytes.count - 9).first { Array(bytes[$0..<$0 + 9]) == wanted })
        try files.write(segment, [UInt8(ascii: "x")], at: at)
        let left = (0..<300).filter { $0 != 100 }.map { AnyCacheKey.string("key \($0)") }
        #expect(try Array(cache.keys()) == left)
        #expect(try Set(Array(cache.sortedKeys(reversed: true))) == Set(left))
        #expect(throws: CacheError.self) { try cache.get("key 100", as: String.self) }
    }

    /// Below T all was committed, whatever the lost record said of itself.
    @Test func aDamagedEndOfATransactionHidesNoneOfIt() throws {
        for wantsTag in [false, true] {
            let world = try ModelWorld()
            let cache = try world.open()
            try cache.set("first", "value")
            try cache.transact {
                for number in 0..<20 { try cache.set("key \(number)", "value \(number)", tag: "tag") }
                try cache.set("last", "the last one")
            }
            let directory = try files.open(world.path + "/log", in: nil, [.directory])
            let name = try #require(try files.list(directory).first)
            let segment = try files.open(name, in: directory, [.write])
            let bytes = try files.read(segment, count: files.status(segment).size, at: 0)
            let wanted = Array("the last one".utf8)
            let at = try #require((0..<bytes.count - 12).first { Array(bytes[$0..<$0 + 12]) == wanted })
            // The header of the commit record behind it.
            try files.write(segment, [UInt8](repeating: 0xFF, count: 16), at: at + 12)
            let keys = (0..<20).map { AnyCacheKey.string("key \($0)") }
            if wantsTag {
                #expect(try Set(Array(cache.keys(tag: "tag"))) == Set(keys))
            } else {
                let all = [.string("first")] + keys + [.string("last")]
                #expect(try Array(cache.keys()) == all)
                #expect(try Set(Array(cache.sortedKeys())) == Set(all))
            }
        }
    }

    /// Millions of bytes of log, more than one batch; trees that nobody reads go.
    @Test func theMaintenanceThreadKeepsTreesUpAndDropsThem() throws {
        let world = try ModelWorld()
        var configuration = Cache.Configuration()
        configuration.syncInterval = .milliseconds(1)
        let cache = try world.open(configuration) { $0.viewLag = 0 }
        try cache.set(-1, 0)
        _ = try cache.first(sorted: true)
        _ = try cache.first()
        func trees() throws -> (bytes: UInt64, trees: TreeSet) {
            try cache.handle.withStore { (store) throws(EngineError) in try store.orderLag(.key) }
        }
        #expect(try trees().trees == [TreeSet(.rowid), TreeSet(.key)])
        let value = [UInt8](repeating: 1, count: 20_000)
        var written = 0
        // The key order is read all the time, the other isn't any more.
        while try trees().trees != [TreeSet(.key)], written < 5000 {
            try cache.set(written, value)
            written += 1
            if written % 10 == 0 { _ = try cache.first(sorted: true) }
        }
        #expect(try trees().trees == [TreeSet(.key)])
        #expect(try Array(cache.keys()).count == written + 1)
        #expect(try Array(cache.sortedKeys()).count == written + 1)
        #expect(try cache.check() == [])
    }
}
