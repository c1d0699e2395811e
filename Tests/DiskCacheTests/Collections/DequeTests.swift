import Synchronization
import TestSupport
import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// What the model test doesn't get to: kinds, types, waiting, damage, copies.
@Suite struct DequeTests {
    private struct Job: Codable, Equatable, Sendable {
        var name: String
        var parts: [Int]
    }

    @Test func elementsOfAnyType() throws {
        let deque = try Deque<Job>()
        try deque.append(Job(name: "a", parts: [1]))
        try deque.prepend(Job(name: "b", parts: []))
        #expect(try deque.elementsEqual([Job(name: "b", parts: []), Job(name: "a", parts: [1])]))
        #expect(try deque[-1].name == "a")
        #expect(deque.description == "Deque<Job>(\(deque.directory))")
        // A stored nil is an element.
        let optional = try Deque<Int?>(contents: [nil, 1])
        let first = try #require(try optional.popFirst())
        #expect(first == nil)
        #expect(try optional.popFirst() == .some(1))
        #expect(try optional.popFirst() == nil)
        // Numbers, texts and bytes are stored as they are.
        let numbers = try Deque<Int>(contents: 1...3)
        try numbers.close()
        let floats = try Deque<Double>(directory: numbers.directory)
        #expect(try floats.elementsEqual([1, 2, 3]))
        let texts = try Deque<String>(directory: numbers.directory)
        expectError(.typeMismatch) { try texts.popFirst() }
        expectError(.typeMismatch) { try texts[0] }
        expectError(.typeMismatch) { try texts.remove(at: 1) }
        expectError(.typeMismatch) { try Array(texts.elements()) }
        #expect(try numbers.elementsEqual([1, 2, 3]))
    }

    // MARK: Kinds

    @Test func kindsDontMeet() throws {
        let deque = try Deque<Int>(contents: [1])
        expectError(.wrongKind) { try Cache(directory: deque.directory) }
        expectError(.wrongKind) { try Index<Int, Int>(directory: deque.directory) }
        let index = try Index<Int, Int>(contents: [1: 1])
        expectError(.wrongKind) { try Cache(directory: index.directory) }
        expectError(.wrongKind) { try Deque<Int>(directory: index.directory) }
        let cache = try Cache()
        try cache.set("key", 1)
        let settings = try cache.settings
        expectError(.wrongKind) { try Deque<Int>(directory: cache.directory) }
        expectError(.wrongKind) { try Index<String, Int>(directory: cache.directory) }
        #expect(try cache.settings == settings)
        for directory in [deque.directory, index.directory, cache.directory] {
            // Closed by everybody, and by their own kind alone opened again.
            try deque.close()
            try index.close()
            try cache.close()
            let opened = [
                (try? Cache(directory: directory)) != nil, (try? Deque<Int>(directory: directory)) != nil,
                (try? Index<Int, Int>(directory: directory)) != nil,
            ]
            #expect(opened.count { $0 } == 1)
        }
        #expect(try deque.elementsEqual([1]))
        #expect(try index.equals([1: 1]))
        #expect(try cache.get("key", as: Int.self) == 1)
    }

    /// A cache to which nothing was written yet is one all the same while somebody has it open.
    @Test func unwrittenCache() throws {
        let world = try ModelWorld()
        let cache = try world.open()
        expectError(.wrongKind) { try Deque<Int>(directory: world.path) }
        try cache.close()
        let deque = try Deque<Int>(directory: world.path)
        expectError(.wrongKind) { try cache.set("key", 1) }
        try deque.append(1)
        #expect(try deque.elementsEqual([1]))
    }

    @Test func nothingGoesByItself() throws {
        for change: (inout Cache.Configuration) -> Void in [
            { $0.evictionPolicy = .leastRecentlyUsed }, { $0.cullLimit = 3 }, { $0.defaultExpire = .seconds(1) },
        ] {
            var configuration = Cache.Configuration()
            change(&configuration)
            expectError(.invalidSetting) { try Deque<Int>(configuration: configuration) }
            expectError(.invalidSetting) { try Index<Int, Int>(configuration: configuration) }
        }
        var configuration = Cache.Configuration()
        configuration.sizeLimit = 1 << 20
        let deque = try Deque<[UInt8]>(configuration: configuration)
        for number in 0..<200 { try deque.append([UInt8](repeating: UInt8(number), count: 20_000)) }
        #expect(try deque.count == 200)
        #expect(try deque[0] == [UInt8](repeating: 0, count: 20_000))
    }

    // MARK: Length

    @Test func lengthIsStored() throws {
        let deque = try Deque<Int>(maxLength: 3, contents: 0..<10)
        #expect(try deque.elementsEqual([7, 8, 9]))
        try deque.close()
        let same = try Deque<Int>(directory: deque.directory)
        #expect(try same.maxLength == 3)
        try same.prepend(6)
        #expect(try same.elementsEqual([6, 7, 8]))
        let shorter = try Deque<Int>(directory: deque.directory, maxLength: 2)
        #expect(try shorter.elementsEqual([7, 8]))
        try shorter.append(contentsOf: [9, 10, 11])
        #expect(try same.elementsEqual([10, 11]))
        try same.setMaxLength(nil)
        #expect(try shorter.maxLength == nil)
        try same.append(contentsOf: 12..<20)
        #expect(try same.count == 10)
        try same.setMaxLength(0)
        try same.append(1)
        try same.prepend(2)
        try same.append(contentsOf: [3])
        #expect(try same.isEmpty)
        #expect(try same.maxLength == 0)
        #expect(try same.clear() == 0)
        #expect(try same.maxLength == 0)
        expectError(.invalidSetting) { try same.setMaxLength(-1) }
        expectError(.invalidSetting) { try Deque<Int>(maxLength: -1) }
        #expect(try same.check().isEmpty)
    }

    /// Of a value that isn't kept no file is left.
    @Test func lengthZeroAndFiles() throws {
        var configuration = Cache.Configuration()
        configuration.minFileSize = 10
        let deque = try Deque<String>(maxLength: 0, configuration: configuration)
        try deque.append("a value in a file of its own")
        #expect(try deque.isEmpty)
        try deque.setMaxLength(1)
        try deque.append("another in a file of its own")
        try deque.append("a third in a file of its own")
        try deque.transact {
            try deque.append("a fourth in a file of its own")
            try deque.append("a fifth in a file of its own")
        }
        #expect(try deque.elementsEqual(["a fifth in a file of its own"]))
        #expect(try deque.check(fix: true).filter { $0.kind != .unknownFile }.isEmpty)
        #expect(try deque.check().isEmpty)
    }

    // MARK: Gaps

    /// Many elements gone from the middle: what is left is found from the nearer end.
    @Test func manyGaps() throws {
        let deque = try Deque<Int>(contents: 0..<2000)
        var model = Array(0..<2000)
        for place in stride(from: 1900, to: 100, by: -2) {
            #expect(try deque.remove(at: place) == model.remove(at: place))
        }
        for place in [0, 99, 100, 101, 500, model.count - 1] {
            #expect(try deque[place] == model[place])
            #expect(try deque[place - model.count] == model[place])
        }
        #expect(try Array(deque.elements()) == model)
        try deque.reverse()
        try deque.rotate(by: 300)
        model.reverse()
        model = Array(model.suffix(300) + model.dropLast(300))
        #expect(try Array(deque.elements(reversed: true)) == model.reversed())
        while let last = model.popLast() { #expect(try deque.popLast() == last) }
        #expect(try deque.isEmpty)
        #expect(try deque.check().isEmpty)
    }

    /// Nearly all gone from the middle: what is left is found by the view of keys.
    @Test func moreGapsThanElements() throws {
        let deque = try Deque<Int>(contents: 0..<3000)
        try deque.transact { for _ in 0..<2700 { try deque.remove(at: 150) } }
        var model = Array(0..<150) + Array(2850..<3000)
        #expect(try Array(deque.elements()) == model)
        try deque.transact {
            try deque.reverse()
            model.reverse()
            #expect(try Array(deque.elements()) == model)
            #expect(try deque.remove(at: 150) == model.remove(at: 150))
            #expect(try Array(deque.elements(reversed: true)) == model.reversed())
        }
        for place in model.indices { #expect(try deque[place] == model[place]) }
        #expect(try deque.removeFirst(equalTo: 2900))
        model.removeAll { $0 == 2900 }
        #expect(try deque.elementsEqual(model))
        try deque.rotate(by: 200)
        model = Array(model.suffix(200) + model.dropLast(200))
        #expect(try deque.elementsEqual(model))
        #expect(try deque.check().isEmpty)
    }

    /// Ends that no writer left: far from the items, or more items than there are. An error or what is there, soon.
    @Test(arguments: [
        (Int64(1), Int64(999_999_999_999_998), Int64(5), UInt8(3)), (1, 999_999_999_999_998, 5, 0),
        (1, 999_999_999_999_998, 999_999_999_999_998, 0), (500_000_000_000_000, 500_000_000_000_000, 1, 0),
        (500_000_000_000_002, 600_000_000_000_001, 100_000_000_000_000, 0),
    ])
    func hostileEnds(_ front: Int64, _ back: Int64, _ count: Int64, _ open: UInt8) throws {
        func make() throws -> Deque<Int> {
            let deque = try Deque<Int>(contents: 0..<5)
            try deque.store.cache.inStore { store in
                try store.transact(timeout: StoreClient.timeout) {
                    let queue = try QueueName.with(nil) { try store.queue($0.prefix) }
                    var ends = QueueEnds()
                    (ends.front, ends.back, ends.count) = (front, back, count)
                    ends.isFrontOpen = open & 1 != 0
                    ends.isBackOpen = open & 2 != 0
                    store.setEnds(queue, ends)
                }
            }
            try deque.close()
            return deque
        }
        func attempt(_ body: (Deque<Int>) throws -> Void) throws {
            let deque = try make()
            do {
                try body(deque)
            } catch let error as CacheError {
                #expect(error.code == .corrupted || error.code == .keyNotFound || error.code == .queueFull, "\(error)")
            }
            _ = try deque.check(fix: true)
            #expect(try deque.check().isEmpty)
        }
        try attempt { _ = try $0[2] }
        try attempt { _ = try $0[-2] }
        try attempt { try $0.set(7, at: 1) }
        try attempt { _ = try $0.remove(at: 1) }
        try attempt { deque in
            let found = try Array(deque.elements())
            #expect(Set(found).isSubset(of: Set(0..<5)))
        }
        try attempt { try $0.reverse() }
        try attempt { try $0.rotate(by: 2) }
        try attempt { try $0.setMaxLength(2) }
        try attempt { _ = try $0.removeFirst(equalTo: 3) }
    }

    // MARK: Reading

    @Test func cursorsAreBounded() throws {
        let deque = try Deque<Int>(contents: 0..<200)
        var met = 0
        try deque.elements().forEach {
            #expect($0 == met)
            met += 1
            try deque.append(1000 + $0)
        }
        #expect(met == 200)
        try deque.append(contentsOf: deque)
        #expect(try deque.count == 800)
        // A number that is given again is another element.
        let cursor = try deque.elements(reversed: true)
        #expect(try deque.popLast() == 1199)
        try deque.append(-1)
        #expect(try cursor.next() == 1198)
        // Closed in between.
        try deque.close()
        #expect(try Array(cursor).count == 798)
    }

    @Test func comparison() throws {
        let first = try Deque<Int>(contents: [1, 2, 3])
        let second = try Deque<Int>(contents: [1, 2, 4])
        #expect(try first.lexicographicallyPrecedes(second))
        #expect(try !second.lexicographicallyPrecedes(first))
        #expect(try !first.lexicographicallyPrecedes(first))
        #expect(try !first.elementsEqual(second))
        _ = try second.popLast()
        #expect(try second.lexicographicallyPrecedes(first))
        try second.append(3)
        #expect(try first.elementsEqual(second))
        #expect(try first.elementsEqual(first))
    }

    @Test func copies() throws {
        let world = try ModelWorld()
        let deque = try Deque<String>(maxLength: 5, contents: ["a", "b", String(repeating: "c", count: 100_000)])
        let copy = try deque.copy(to: world.path)
        try deque.append("d")
        #expect(try copy.elementsEqual(["a", "b", String(repeating: "c", count: 100_000)]))
        #expect(try copy.maxLength == 5)
        expectError(.foreignDirectory) { try deque.copy(to: world.path) }
        #expect(try copy.count == 3)
        expectError(.wrongKind) { try deque.copy(to: try Index<Int, Int>(contents: [1: 1]).directory) }
        // Inside a transaction its own writes are copied.
        let other = try ModelWorld()
        try deque.transact {
            try deque.append("e")
            #expect(try deque.copy(to: other.path).last == "e")
        }
    }

    @Test func fileIsGone() throws {
        let world = try ModelWorld()
        var configuration = Cache.Configuration()
        configuration.minFileSize = 10
        let deque = try Deque<String>(directory: world.path, configuration: configuration)
        try deque.append(contentsOf: ["short", "a value in a file", "end"])
        let key = QueueKey(number: 500_000_000_000_001)
        let path = try #require(try deque.store.cache.entry(key, as: String.self)?.path)
        try SystemFiles().unlink(path, in: nil, isDirectory: false)
        expectError(.corrupted) { try deque[1] }
        expectError(.corrupted) { try deque.remove(at: 1) }
        #expect(try Array(deque.elements()) == ["short", "end"])
        try deque.rotate(by: 1)
        try deque.reverse()
        #expect(try Array(deque.elements()) == ["short", "end"])
        #expect(try deque.count == 3)
        #expect(try deque.check().contains { $0.kind == .missingFile })
        _ = try deque.check(fix: true)
        #expect(try deque.check().isEmpty)
        #expect(try deque.count == 2)
        #expect(try deque[-1] == "end")
    }

    // MARK: Waiting

    @Test func aWaitingPopIsWoken() throws {
        let deque = try Deque<Int>()
        #expect(try deque.popFirst(timeout: .milliseconds(1)) == nil)
        let taken = Mutex<[Int]>([])
        ThreadTests.run { number in
            if number == 0 {
                for element in 0..<300 { try deque.append(element) }
                for _ in 1..<ThreadTests.threads { try deque.append(-1) }
            } else {
                while let element = try deque.popFirst(timeout: .seconds(60)), element >= 0 {
                    taken.withLock { $0.append(element) }
                }
            }
        }
        #expect(taken.withLock { $0.sorted() } == Array(0..<300))
    }

    @Test func transactions() throws {
        struct Abandon: Error {}
        let deque = try Deque<Int>(contents: 0..<5)
        #expect(throws: Abandon.self) {
            try deque.transact {
                try deque.reverse()
                try deque.rotate(by: 2)
                try deque.setMaxLength(2)
                #expect(try deque.elementsEqual([3, 2]))
                // Nobody else can add anything: it doesn't wait.
                try deque.clear()
                #expect(try deque.popFirst(timeout: .seconds(1000)) == nil)
                throw Abandon()
            }
        }
        #expect(try deque.elementsEqual(0..<5))
        #expect(try deque.maxLength == nil)
    }
}
