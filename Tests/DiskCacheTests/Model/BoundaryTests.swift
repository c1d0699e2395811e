import DiskCacheEngine
import Testing

@testable import DiskCacheCore

/// Lengths and positions on both sides of every limit of the format.
@Suite struct BoundaryTests {
    @Test(arguments: [0, 1, 254, 255, 256, 257, 65_534, 65_535, 65_536, 65_537])
    func keysOfEveryLength(_ count: Int) throws {
        let world = try ModelWorld()
        let cache = try world.open()
        let text = String(repeating: "k", count: count)
        let bytes = [UInt8](repeating: 107, count: count)
        for value in ["", "v", String(repeating: "v", count: 300)] {
            try cache.set(text, value, expire: .after(.seconds(9)), tag: "t")
            try cache.set(bytes, value.count)
            #expect(try cache.entry(text, as: String.self)?.value == value)
            #expect(try cache.get(bytes, as: Int.self) == value.count)
        }
        #expect(try !cache.contains(text + "k"))
        try cache.close()
        world.restart()
        #expect(try cache.get(text, as: String.self)?.utf8.count == 300)
        #expect(try cache.delete(text))
        #expect(try cache.pop(bytes, as: Int.self) == 300)
        #expect(try cache.count == 0)
        #expect(try cache.check().isEmpty)
    }

    @Test func theLongestKeyAndOneMore() throws {
        let world = try ModelWorld()
        let cache = try world.open()
        var key = [UInt8](repeating: 1, count: 16 << 20)
        try cache.set(key, "value")
        #expect(try cache.get(key, as: String.self) == "value")
        try cache.close()
        #expect(try cache.contains(key))
        key.append(1)
        let longer = key
        expectError(.keyTooLarge) { try cache.set(longer, 1) }
        expectError(.keyTooLarge) { try cache.add(longer, 1) }
        expectError(.keyTooLarge) { try cache.incr(longer) }
        expectError(.keyTooLarge) { try cache.update(longer, default: 1) { $0 += 1 } }
        expectError(.keyTooLarge) { try cache.set(longer, reading: ChunkSource([[UInt8]()])) }
        #expect(try cache.get(longer, as: Int.self) == nil)
        #expect(try !cache.delete(longer))
        #expect(try cache.count == 1)
    }

    @Test func valuesOfEveryLengthInTheLog() throws {
        let world = try ModelWorld()
        var configuration = Cache.Configuration()
        configuration.minFileSize = 1 << 20
        let cache = try world.open(configuration)
        let counts: [Int] = [0, 1, 2, 3, 4, 65_534, 65_535, 65_536, 65_537, 1_048_575]
        for count in counts { try cache.set(count, [UInt8](repeating: 7, count: count), tag: "t") }
        func compare() throws {
            for count in counts {
                let entry = try #require(try cache.entry(count, as: [UInt8].self))
                #expect(entry.value == [UInt8](repeating: 7, count: count))
                #expect(entry.path == nil && entry.byteCount == count)
            }
        }
        try compare()
        try cache.close()
        world.restart()
        try compare()
        #expect(try cache.check().isEmpty)
    }

    @Test(arguments: [0, 1, 100, 32_768])
    func minFileSizeToTheByte(_ size: Int) throws {
        let world = try ModelWorld()
        var configuration = Cache.Configuration()
        configuration.minFileSize = size
        let cache = try world.open(configuration)
        for count in [size - 1, size, size + 1] where count >= 0 {
            try cache.set("bytes \(count)", [UInt8](repeating: 9, count: count))
            try cache.set("text \(count)", String(repeating: "x", count: count))
            let bytes = try #require(try cache.entry("bytes \(count)", as: [UInt8].self))
            let text = try #require(try cache.entry("text \(count)", as: String.self))
            #expect((bytes.path != nil) == (count >= size))
            #expect((text.path != nil) == (count >= size))
            #expect(try cache.get("text \(count)", as: String.self)?.utf8.count == count)
            #expect(try cache.open("bytes \(count)")?.readAll().count == count)
            #expect(try cache.withValue("bytes \(count)") { $0.byteCount } == count)
        }
        try cache.set("number", 1)
        #expect(try cache.entry("number", as: Int.self)?.path == nil)
        try cache.close()
        // The first write after opening knows the setting already.
        try cache.set("late", [UInt8](repeating: 9, count: size))
        #expect(try cache.entry("late", as: [UInt8].self)?.path != nil)
        #expect(try cache.check().isEmpty)
    }

    @Test func theLongestValuesInTheLog() throws {
        let world = try ModelWorld()
        var configuration = Cache.Configuration()
        configuration.minFileSize = 16 << 20
        let cache = try world.open(configuration)
        for count in 16_777_215...16_777_217 {
            try cache.set("long", [UInt8](repeating: 3, count: count))
            let entry = try #require(try cache.entry("long", as: [UInt8].self))
            #expect((entry.path != nil) == (count >= 16_777_216))
            #expect(entry.value.count == count && entry.value.last == 3)
        }
        expectError(.invalidSetting) { try cache.configure { $0.minFileSize = (16 << 20) + 1 } }
    }

    @Test func tagsToTheLimit() throws {
        let world = try ModelWorld()
        let cache = try world.open()
        let longest = String(repeating: "t", count: 65_535)
        for tag: DiskCacheCore.Tag in ["", .string(longest), .bytes([]), .int(.min), .double(-0.0), .double(.infinity)]
        {
            try cache.set("k", "v", tag: tag)
            #expect(try cache.entry("k", as: String.self)?.tag == tag)
            #expect(try cache.get("k", as: String.self) == "v")
        }
        expectError(.limitReached) { try cache.set("k", 1, tag: .string(longest + "t")) }
        expectError(.keyInvalid) { try cache.set("k", 1, tag: .double(.nan)) }
        expectError(.limitReached) {
            try cache.set("k", reading: ChunkSource([[UInt8]()]), tag: .string(longest + "t"))
        }
        #expect(try cache.get("k", as: String.self) == "v")
    }

    @Test func expiryToTheLimit() throws {
        let world = try ModelWorld()
        let cache = try world.open()
        try cache.set("far", 1, expire: .after(.seconds(Int64.max)))
        try cache.set("farther", 1, expire: .at(secondsSinceEpoch: 1e300))
        try cache.set("never", 1, expire: .at(secondsSinceEpoch: .infinity))
        try cache.set("next", 1, expire: .after(.microseconds(1)))
        try cache.set("rounded up", 1, expire: .after(.nanoseconds(1)))
        for key in ["far", "farther", "never", "next", "rounded up"] { #expect(try cache.contains(key), "\(key)") }
        world.now += 1
        #expect(try cache.contains("far") && cache.contains("farther") && cache.contains("never"))
        #expect(try !cache.contains("next") && !cache.contains("rounded up"))
    }

    /// Records keep the low 42 bits of positions, checked where they come round, with pages split and files beside.
    @Test(arguments: [31, 32, 40, 41, 42, 43, 44, 48], [false, true])
    func positionsAcrossPowersOfTwo(_ exponent: UInt64, _ forcesWriting: Bool) throws {
        let boundary = UInt64(1) << exponent
        let world = try ModelWorld()
        let cache = try world.open { options in
            options.firstPosition = boundary - (4 << 16)
            options.forcesWriting = forcesWriting
        }
        let filler = String(repeating: "f", count: 150)
        for round in 0..<4 {
            for key in 0..<600 { try cache.set(key, "\(round) \(key) \(filler)") }
            try cache.deleteMany((0..<600).filter { $0 % 7 == round })
            try cache.incr("counter")
            try? cache.update(1, default: "") { value in
                value = "undone"
                try cache.set(2, "undone")
                throw CacheError(.cancelled)
            }
            if round % 2 == 1 { try cache.close() }
        }
        func compare() throws {
            #expect(try cache.get("counter", as: Int.self) == 4)
            for key in 0..<600 {
                let expected = key % 7 == 3 ? nil : "3 \(key) \(filler)"
                #expect(try cache.get(key, as: String.self) == expected)
            }
            #expect(try cache.check().isEmpty)
        }
        try compare()
        try cache.close()
        try compare()
        try cache.close()
        world.restart()
        try compare()
        #expect(try cache.recovery?.losses.isEmpty == true)
        try cache.set("after", 1)
        #expect(try cache.clear() == 514 + 2)
        #expect(try cache.count == 0)
        try cache.set(1, "again")
        try cache.close()
        world.restart()
        #expect(try cache.get(1, as: String.self) == "again")
        #expect(try cache.get(2, as: String.self) == nil)
        #expect(try cache.check().isEmpty)
    }
}
