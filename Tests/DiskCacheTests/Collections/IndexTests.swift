import Synchronization
import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// What the model test doesn't get to: types, queues, threads, damage.
@Suite struct IndexTests {
    private struct User: Codable, Equatable, Sendable {
        var name: String
        var logins = 0
    }

    private enum Color: String, CacheKey, Codable {
        case red, green
    }

    @Test func itemsOfAnyType() throws {
        let index = try Index<Color, User>(contents: [.green: User(name: "a"), .red: User(name: "b")])
        try index.update(.red, default: User(name: "c")) { $0.logins += 1 }
        #expect(try index[.red] == User(name: "b", logins: 1))
        #expect(try Array(index.keys()) == [.green, .red])
        #expect(try index.first?.key == .green)
        #expect(try index.last?.value.logins == 1)
        #expect(index.description == "Index<Color, User>(\(index.directory))")
        try index.close()
        let texts = try Index<Color, String>(directory: index.directory)
        expectError(.typeMismatch) { try texts[.red] }
        expectError(.typeMismatch) { try texts.popFirst() }
        expectError(.typeMismatch) { try texts.removeValue(forKey: .red) }
        expectError(.typeMismatch) { try texts.updateValue("c", forKey: .red) }
        expectError(.typeMismatch) { try Array(texts.values()) }
        let numbers = try Index<Int, User>(directory: index.directory)
        expectError(.typeMismatch) { try numbers.popLast() }
        expectError(.typeMismatch) { try Array(numbers.keys()) }
        #expect(try index.count == 2)
        expectError(.keyInvalid) { try Index<Double, Int>().set(.nan, 1) }
        // A stored nil is a value.
        let optional = try Index<String, Int?>(contents: ["a": nil, "b": 1])
        #expect(try optional["a"] == .some(nil))
        #expect(try optional["c"] == nil)
        #expect(try optional.setDefault(2, forKey: "a") == nil)
        #expect(try optional.removeValue(forKey: "a") == .some(nil))
    }

    @Test func mergesAreOne() throws {
        let index = try Index<String, Int>(contents: ["a": 1, "b": 2])
        try index.merge(["b": 3, "c": 4] as KeyValuePairs)
        try index.merge([("a", 5), ("d", 6)])
        try index.merge(["d": 7])
        #expect(try index.elementsEqual([(key: "a", value: 5), ("b", 3), ("c", 4), ("d", 7)]))
        let other = try Index<String, Int>(contents: ["d": 7, "c": 4, "b": 3, "a": 5])
        #expect(try index.equals(other))
        #expect(try !index.elementsEqual(other))
        try other.merge(index)
        try index.merge(index)
        #expect(try index.equals(other) && other.equals(["a": 5, "b": 3, "c": 4, "d": 7]))
        // A key that can't be stored takes the others back.
        let floats = try Index<Double, Int>(contents: [1: 1])
        expectError(.keyInvalid) { try floats.merge([2: 2, 3: 3, .nan: 4] as KeyValuePairs) }
        #expect(try floats.equals([1: 1]))
    }

    @Test func ranges() throws {
        let texts = try Index<String, Int>(contents: ["b/1": 1, "a/2": 2, "a/1": 3, "c": 4])
        #expect(try Array(texts.keys(prefix: "a/")) == ["a/1", "a/2"])
        #expect(try Array(texts.items(prefix: "a/", reversed: true)).map(\.value) == [2, 3])
        #expect(try Array(texts.keys(in: "a/2"..."c")) == ["a/2", "b/1", "c"])
        let bytes = try Index<[UInt8], Int>(contents: [[1, 2]: 1, [1]: 2, [2]: 3])
        #expect(try Array(bytes.keys(prefix: [1])) == [[1], [1, 2]])
        #expect(try Array(bytes.items(prefix: [1])).map(\.value) == [2, 1])
    }

    @Test func cursorsSkipWhatGoes() throws {
        let index = try Index<Int, Int>()
        try index.merge((0..<500).map { ($0, $0) })
        let items = try index.items()
        var met: [Int] = []
        while let (key, _) = try items.next() {
            met.append(key)
            // The other half goes, and comes again behind the bound.
            if key % 2 == 0 {
                try index.removeValue(forKey: key + 1)
                try index.set(key + 1, -1)
            }
        }
        #expect(Set(met).isSuperset(of: stride(from: 0, to: 500, by: 2)))
        #expect(met.count == Set(met).count)
        #expect(try index.count == 500)
    }

    // MARK: Queues

    /// Items of queues stand beside the keys, unless a key may be anything.
    @Test func queuesBeside() throws {
        let index = try Index<String, Int>(contents: ["a": 1])
        let key = try index.push(10)
        try index.push(11, prefix: "jobs")
        try index.push(9, side: .front)
        #expect(try Array(index.keys()) == ["a"])
        #expect(try Array(index.sortedItems()).map(\.value) == [1])
        #expect(try Array(index.keys(in: "a"...)) == ["a"] && Array(index.items(in: "a"...)).map(\.value) == [1])
        #expect(try Array(index.values(reversed: true)) == [1])
        #expect(try index.last?.key == "a")
        #expect(try index.popLast()?.value == 1)
        #expect(try index.popLast() == nil)
        #expect(try index.popFirst() == nil)
        #expect(try index.count == 3)
        #expect(try index.equals([:]))
        let all = try Index<AnyCacheKey, Int>(directory: index.directory)
        #expect(
            try all.equals([
                .queue(key): 10, .queue(QueueKey(prefix: "jobs", number: key.number)): 11,
                .queue(QueueKey(number: key.number - 1)): 9,
            ]))
        #expect(try all.popFirst()?.value == 10)
        #expect(try index.pull()?.value == 9)
        #expect(try index.pull() == nil)
        #expect(try index.pull(prefix: "jobs", timeout: .seconds(1))?.value == 11)
        #expect(try index.pull(prefix: "jobs", timeout: .milliseconds(1)) == nil)
        #expect(try all.isEmpty)
        #expect(try index.check().isEmpty)
    }

    // MARK: Ends

    /// Thousands of rows from both ends, with others in between, and what comes back when a transaction is undone.
    @Test func popsAtBothEnds() throws {
        struct Abandon: Error {}
        let index = try Index<Int, Int>()
        try index.merge((0..<3000).map { ($0, $0) })
        for number in 0..<1000 {
            #expect(try index.popFirst()?.key == number)
            #expect(try index.popLast()?.key == 2999 - number)
            if number % 100 == 0 {
                #expect(throws: Abandon.self) {
                    try index.transact {
                        for next in 1...70 {
                            #expect(try index.popFirst()?.key == number + next)
                            #expect(try index.popLast()?.key == 2999 - number - next)
                        }
                        throw Abandon()
                    }
                }
            }
        }
        try index.set(5000, 1)
        #expect(try index.popLast()?.key == 5000)
        #expect(try index.popLast()?.key == 1999)
        try index.removeValue(forKey: 1998)
        try index.removeValue(forKey: 1000)
        #expect(try index.popLast()?.key == 1997)
        #expect(try index.popFirst()?.key == 1001)
        // An index of a lookup that was made again.
        _ = try index.check(fix: true)
        #expect(try index.popFirst()?.key == 1002)
        try index.clear()
        #expect(try index.popFirst() == nil)
        #expect(try index.popLast() == nil)
        try index.set(1, 1)
        #expect(try index.popFirst()?.key == 1)
    }

    @Test func setDefaultIsMadeOnce() throws {
        let index = try Index<Int, Int>()
        let made = Mutex(0)
        ThreadTests.run { thread in
            for key in 0..<100 {
                let value = try index.setDefault(
                    made.withLock {
                        $0 += 1
                        return $0
                    }, forKey: key)
                #expect(try index[key] == value)
                try index.update(1000, default: 0) { $0 += 1 }
            }
        }
        #expect(made.withLock { $0 } == 100)
        #expect(try index[1000] == 100 * ThreadTests.threads)
    }

    @Test func fileIsGone() throws {
        let world = try ModelWorld()
        var configuration = Cache.Configuration()
        configuration.minFileSize = 10
        let index = try Index<Int, String>(directory: world.path, configuration: configuration)
        for key in 0..<4 { try index.set(key, "a value in a file, \(key)") }
        for key in [0, 3] {
            let path = try #require(try index.store.cache.entry(key, as: String.self)?.path)
            try SystemFiles().unlink(path, in: nil, isDirectory: false)
        }
        #expect(try index[0] == nil)
        #expect(try Array(index.keys()).count == 4)
        #expect(try Array(index.values()).count == 2)
        #expect(try index.first?.key == 1)
        #expect(try index.popFirst()?.key == 1)
        #expect(try index.popLast()?.key == 2)
        #expect(try index.isEmpty)
        #expect(try index.check().isEmpty)
    }
}
