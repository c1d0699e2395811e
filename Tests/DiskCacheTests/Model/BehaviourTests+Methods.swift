import DiskCacheEngine
import Testing

@testable import DiskCacheCore

/// BEHAVIOUR 3: the methods, what each does to an item's record, and what holds inside of a transaction.
extension BehaviourTests {
    @Test func set_newKeyGoesToTheEnd() throws {
        try cache.set("a", 1, expire: .after(.seconds(5)), tag: "t")
        try cache.set("b", 1)
        let entry = try #require(try cache.entry("a", as: Int.self))
        #expect(entry.storedAt == Double(world.now / 1000) / 1000 && entry.tag == "t")
        #expect(entry.expires == Double(world.now + 5_000_000) / 1_000_000)
        #expect(try order(["b", "a"]) == ["a", "b"])
    }

    @Test func set_existingKeepsItsPlaceAndLosesTheRest() throws {
        try cache.set("a", 1, expire: .after(.seconds(5)), tag: "t")
        try cache.set("b", 1)
        advance(1_000_000)
        #expect(try cache.set("a", 2))
        let entry = try #require(try cache.entry("a", as: Int.self))
        #expect(entry.value == 2 && entry.tag == nil && entry.expires == nil)
        #expect(entry.storedAt == Double(world.now / 1000) / 1000)
        #expect(try order(["a", "b"]) == ["a", "b"])
        try cache.set("a", 3, expire: .after(.seconds(1)))
        advance(2_000_000)
        try cache.set("a", 4)
        #expect(try order(["a", "b"]) == ["a", "b"])
        try cache.delete("a")
        try cache.set("a", 5)
        #expect(try order(["a", "b"]) == ["b", "a"])
    }

    @Test func set_expiredAlreadyLeavesNoRow() throws {
        for expire in [Expiration.after(.zero), .after(.seconds(-5)), .at(secondsSinceEpoch: 0)] {
            #expect(try cache.set("k", 1, expire: expire))
            #expect(try cache.add("k", 1, expire: expire))
            #expect(try cache.set("k", [UInt8](repeating: 1, count: 50_000), expire: expire))
            #expect(try cache.count == 0)
            try cache.set("k", 1)
            #expect(try cache.set("k", 2, expire: expire))
            #expect(try cache.count == 0)
            try cache.set("k", 1)
            #expect(try !cache.add("k", 2, expire: expire))
            #expect(try cache.get("k", as: Int.self) == 1)
            try cache.clear()
        }
        #expect(try cache.check().isEmpty)
    }

    @Test func get_missingIsNilAndDefaultIsNotStored() throws {
        #expect(try cache.get("k", as: Int.self) == nil)
        #expect(try cache["k", as: Int.self] == nil)
        #expect(try cache.get("k", default: 5) == 5)
        #expect(try !cache.contains("k"))
    }

    @Test func open_everyBytesValue() throws {
        for count in [0, 10, 100_000] {
            try cache.set("k", [UInt8](repeating: 3, count: count))
            #expect(try cache.open("k")?.readAll() == [UInt8](repeating: 3, count: count))
        }
        let reader = try #require(try cache.open("k"))
        try cache.delete("k")
        try cache.sync()
        #expect(try reader.readAll().count == 100_000)
        #expect(try cache.open("k") == nil)
    }

    @Test func add_onLiveChangesNothing() throws {
        try cache.set("k", 1, expire: .after(.seconds(5)), tag: "t")
        let before = try cache.entry("k", as: Int.self)
        advance(1000)
        #expect(try !cache.add("k", 2, tag: "other"))
        #expect(try !cache.add("k", [UInt8](repeating: 1, count: 100_000)))
        #expect(try cache.entry("k", as: Int.self) == before)
        #expect(try cache.check().isEmpty)
    }

    @Test func add_onExpiredReplacesInPlace() throws {
        try cache.set("a", 1, expire: .after(.seconds(1)), tag: "t")
        try cache.set("b", 1)
        advance(1_000_000)
        #expect(try cache.add("a", 2))
        #expect(try order(["a", "b"]) == ["a", "b"])
        let entry = try #require(try cache.entry("a", as: Int.self))
        #expect(entry.value == 2 && entry.tag == nil && entry.expires == nil)
        #expect(entry.storedAt == Double(world.now / 1000) / 1000)
    }

    @Test func touch_changesTheExpiryAlone() throws {
        try cache.set("a", 1, expire: .after(.seconds(5)), tag: "t")
        try cache.set("b", 1)
        let before = try #require(try cache.entry("a", as: Int.self))
        advance(1_000_000)
        #expect(try cache.touch("a", expire: .after(.seconds(100))))
        let after = try #require(try cache.entry("a", as: Int.self))
        #expect(after.storedAt == before.storedAt && after.tag == "t" && after.value == 1)
        #expect(after.expires == Double(world.now + 100_000_000) / 1_000_000)
        #expect(try cache.touch("a", expire: .never))
        #expect(try cache.entry("a", as: Int.self)?.expires == nil)
        #expect(try order(["a", "b"]) == ["a", "b"])
        #expect(try !cache.touch("missing", expire: .never))
    }

    @Test func touch_ofAFileKeepsTheFile() throws {
        let value = [UInt8](repeating: 1, count: 100_000)
        try cache.set("k", value)
        try cache.touch("k", expire: .after(.seconds(100)))
        try cache.sync()
        #expect(try cache.get("k", as: [UInt8].self) == value)
        try cache.set("k", 1)
        try cache.sync()
        #expect(try cache.check().isEmpty)
    }

    @Test func delete_saysWhetherItWasThere() throws {
        try cache.set("k", 1)
        #expect(try cache.delete("k"))
        #expect(try !cache.delete("k"))
        try cache.set("k", 1, expire: .after(.seconds(1)))
        advance(1_000_000)
        #expect(try !cache.delete("k"))
    }

    @Test func pop_removesAndReturnsWithEverything() throws {
        try cache.set("k", "v", expire: .after(.seconds(5)), tag: "t")
        let entry = try #require(try cache.popEntry("k", as: String.self))
        #expect(entry.value == "v" && entry.tag == "t" && entry.expires != nil && entry.byteCount == 1)
        #expect(try cache.pop("k", as: String.self) == nil)
        try cache.set("k", 1)
        expectError(.typeMismatch) { try cache.pop("k", as: String.self) }
        #expect(try cache.get("k", as: Int.self) == 1)
    }

    @Test func count_saysWhatIsStoredExpiredIncluded() throws {
        try cache.set("a", 1, expire: .after(.seconds(1)))
        try cache.set("b", 1)
        advance(1_000_000)
        #expect(try cache.count == 2)
    }

    @Test func clear_takesEverythingButTheSettings() throws {
        try cache.configure { $0.minFileSize = 1000 }
        for key in 0..<500 { try cache.set(key, [UInt8](repeating: 1, count: key * 4)) }
        #expect(try cache.clear() == 500)
        #expect(try cache.clear() == 0)
        #expect(try cache.count == 0)
        #expect(try (0..<500).allSatisfy { try !cache.contains($0) })
        #expect(try cache.settings.minFileSize == 1000)
        try cache.set(5, "again")
        #expect(try cache.get(5, as: String.self) == "again")
        try cache.sync()
        #expect(try cache.check().isEmpty)
        try cache.close()
        world.restart()
        #expect(try cache.get(5, as: String.self) == "again")
        #expect(try cache.recovery?.losses == [])
        #expect(try cache.count == 1)
    }

    @Test func clear_isTransactional() throws {
        try cache.set("a", 1)
        try cache.set("file", [UInt8](repeating: 1, count: 50_000))
        expectError(.cancelled) {
            try cache.update("b", default: 1) { _ in
                #expect(try cache.clear() == 2)
                #expect(try cache.get("a", as: Int.self) == nil)
                try cache.set("a", 2)
                throw CacheError(.cancelled)
            }
        }
        #expect(try cache.get("a", as: Int.self) == 1)
        #expect(try cache.get("file", as: [UInt8].self)?.count == 50_000)
        #expect(try cache.count == 2)
    }

    @Test func volume_isRealAndAFreshStoreIsSmall() throws {
        let fresh = try cache.volume
        #expect(fresh > 0 && fresh < 100_000)
        try cache.set("k", [UInt8](repeating: 1, count: 1 << 20))
        #expect(try cache.volume >= fresh + (1 << 20))
    }

    @Test func many_areAllOrNothing() throws {
        let keys: [AnyCacheKey] = ["a", "b", "c"].map { .string($0) }
        try cache.setMany(keys.map { ($0, 1) }, tag: "t")
        expectError(.keyInvalid) { try cache.setMany(keys.map { ($0, 2) } + [(.double(.nan), 2)]) }
        #expect(try cache.getMany(keys + [.int(5)], as: Int.self) == [1, 1, 1, nil])
        expectError(.keyInvalid) { try cache.deleteMany(keys + [.double(.nan)]) }
        #expect(try cache.count == 3)
        #expect(try cache.deleteMany(keys + [.int(5)]) == 3)
    }

    @Test func innerFailure_caughtInsideIsTakenBackAlone() throws {
        try cache.set("a", 1)
        try cache.set("file", [UInt8](repeating: 1, count: 50_000))
        try cache.update("sum", default: 0) { sum in
            expectError(.typeMismatch) { try cache.pop("a", as: String.self) }
            expectError(.typeMismatch) { try cache.pop("file", as: String.self) }
            expectError(.keyInvalid) {
                try cache.setMany([(AnyCacheKey.string("a"), 5), (.string("new"), 5), (.double(.nan), 5)])
            }
            expectError(.cancelled) {
                try cache.update("inner", default: 0) { _ in
                    try cache.set("file", [UInt8](repeating: 2, count: 60_000))
                    try cache.configure { $0.minFileSize = 5 }
                    try cache.clear()
                    throw CacheError(.cancelled)
                }
            }
            #expect(try cache.count == 2)
            #expect(try cache.settings.minFileSize == 32_768)
            sum = try cache.get("a", default: 0) + 1
        }
        for _ in 0..<2 {
            #expect(try cache.get("a", as: Int.self) == 1)
            #expect(try cache.get("file", as: [UInt8].self) == [UInt8](repeating: 1, count: 50_000))
            #expect(try cache.get("sum", as: Int.self) == 2)
            #expect(try cache.count == 3)
            #expect(try !cache.contains("new") && !cache.contains("inner"))
            try cache.sync()
            #expect(try cache.check().isEmpty)
            try cache.close()
            world.restart()
        }
    }

    @Test func readInside_seesOwnUncommittedWrites() throws {
        let large = [UInt8](repeating: 1, count: 50_000)
        try cache.set("a", large)
        try cache.update("k", default: 0) { value in
            try cache.set("b", 1)
            #expect(try cache.get("b", as: Int.self) == 1)
            #expect(try cache.contains("b"))
            #expect(try cache.count == 2)
            #expect(try cache.delete("a"))
            #expect(try cache.get("a", as: [UInt8].self) == nil)
            #expect(try cache.add("a", large))
            #expect(try cache.open("a")?.readAll() == large)
            try cache.configure { $0.cullLimit = 77 }
            #expect(try cache.settings.cullLimit == 77)
            value = 1
        }
        #expect(try cache.get("a", as: [UInt8].self) == large)
        try cache.sync()
        #expect(try cache.check().isEmpty)
    }

    @Test func fileReplacedInItsOwnTransaction_isUnlinked() throws {
        try cache.update("k", default: [UInt8]()) { value in
            try cache.set("k", [UInt8](repeating: 1, count: 50_000))
            try cache.touch("k", expire: .after(.seconds(9)))
            try cache.set("other", [UInt8](repeating: 2, count: 50_000))
            try cache.delete("other")
            value = [UInt8](repeating: 3, count: 50_000)
        }
        try cache.sync()
        #expect(try cache.check().isEmpty)
        #expect(try cache.get("k", as: [UInt8].self) == [UInt8](repeating: 3, count: 50_000))
    }
}
