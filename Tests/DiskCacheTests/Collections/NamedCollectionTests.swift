import Testing

@testable import DiskCacheCore

/// Deques and indexes in the directory of a `FanoutCache`, by name.
@Suite struct NamedCollectionTests {
    @Test func byName() throws {
        let world = try ModelWorld()
        let cache = try FanoutCache(directory: world.path, shards: 2)
        let jobs = try cache.deque("jobs", of: Int.self, maxLength: 3)
        try jobs.append(contentsOf: 1...4)
        let users = try cache.index("users", keys: String.self, values: Int.self)
        try users.set("ada", 1)
        #expect(try cache.deque("jobs", of: Int.self) === jobs)
        #expect(try cache.deque("jobs", of: Int.self, maxLength: 3) === jobs)
        #expect(try cache.index("users", keys: String.self, values: Int.self) === users)
        #expect(jobs.directory == world.path + "/deque/jobs" && users.directory == world.path + "/index/users")
        expectError(.typeMismatch) { try cache.deque("jobs", of: String.self) }
        expectError(.typeMismatch) { try cache.index("users", keys: Int.self, values: Int.self) }
        expectError(.invalidSetting) { try cache.deque("jobs", of: Int.self, maxLength: 4) }
        for name in ["", "..", "a/../b", "a//b", "jobs/log"] {
            expectError(.nameInvalid) { try cache.deque(name, of: Int.self) }
            expectError(.nameInvalid) { try cache.index(name, keys: Int.self, values: Int.self) }
        }
        // One inside of another, and a name of each kind.
        try cache.deque("jobs/late", of: Int.self).append(5)
        try cache.index("jobs", keys: Int.self, values: Int.self).set(6, 7)
        #expect(try cache.count == 0)
        try cache.close()
        let again = try FanoutCache(directory: world.path)
        #expect(try again.deque("jobs", of: Int.self).elementsEqual([2, 3, 4]))
        #expect(try again.deque("jobs", of: Int.self).maxLength == 3)
        #expect(try again.deque("jobs/late", of: Int.self).first == 5)
        let same: Index<String, Int> = try again.index("users")
        #expect(try same.elementsEqual([(key: "ada", value: 1)]))
        #expect(try again.index("jobs", keys: Int.self, values: Int.self)[6] == 7)
    }
}
