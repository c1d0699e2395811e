import TestSupport
import Testing

@testable import DiskCacheEngine

/// What a queue's record says, and what happens where it isn't right any more.
@Suite struct QueueEndsTests {
    private struct Queues {
        let handle: StoreHandle
        static let timeout = StoreClient.timeout

        init(_ path: String, boot: String = "first", files: any FileSystem = SystemFiles()) throws {
            var environment = Environment(files: files)
            environment.bootIdentity = { boot }
            var options = StoreOptions()
            options.windowSize = 64 << 20
            handle = try StoreHandle(directory: path, options: options, environment: environment)
        }

        func name<R>(_ prefix: String, _ body: (QueueName) throws -> R) rethrows -> R {
            let bytes = Array(prefix.utf8)
            return try withUnsafeTemporaryAllocation(byteCount: bytes.count + 1 + QueueName.extra, alignment: 8) {
                try body(
                    QueueName($0) { target in
                        target.storeBytes(of: 1, as: UInt8.self)
                        bytes.withUnsafeBytes { (target + 1).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
                        return bytes.count + 1
                    })
            }
        }

        @discardableResult
        func push(_ prefix: String, _ text: String = "item", atFront: Bool = false) throws -> Int64 {
            let bytes = Array(text.utf8)
            return try name(prefix) { name in
                try bytes.withUnsafeBytes {
                    try handle.push(
                        name, atFront: atFront, form: ValueFormCode.text, value: $0, RecordAttributes())
                }
            }
        }

        func pull(_ prefix: String, fromFront: Bool = true, removing: Bool = true) throws -> Int64? {
            try name(prefix) { name in
                try handle.take(name, fromFront: fromFront, removing: removing) { _, _ in true }
            }
        }

        func delete(_ prefix: String, _ number: Int64) throws -> Bool {
            try name(prefix) { name in
                try handle.withStoreThrowing {
                    try $0.delete(timeout: Self.timeout, KeyClass.queue, name.item(number))
                }
            }
        }

        /// The record of the queue, as anybody may read it; nil: there is none.
        func ends(_ prefix: String) throws -> QueueEnds? {
            try name(prefix) { name in
                let found = try handle.find(KeyClass.system, name.system)
                defer { handle.end(found.access) }
                return found.record.flatMap { QueueEnds($0.value) }
            }
        }

        /// Makes the record say something else.
        func change(_ prefix: String, _ body: (inout QueueEnds) -> Void) throws {
            try name(prefix) { name in
                try handle.withStoreThrowing { store in
                    try store.write(timeout: Self.timeout) { () throws(EngineError) in
                        let queue = try store.queue(name.prefix)
                        var ends = store.queues.list[queue].ends
                        body(&ends)
                        store.setEnds(queue, ends)
                    }
                }
            }
        }

        /// Flips a bit of the value of the newest record of a key.
        func damage(_ prefix: String, item number: Int64?, _ path: String) throws {
            try name(prefix) { name in
                let key = number.map { name.item($0) } ?? name.system
                let found = try handle.find(number == nil ? KeyClass.system : KeyClass.queue, key)
                defer { handle.end(found.access) }
                let record = try #require(found.record)
                let position = record.position + UInt64(record.size) - 8
                let first = try handle.withStore { $0.log.activeFirst }
                let file = try SystemFiles().open(path + "/log/" + SegmentHeader.name(first), in: nil, [.write])
                let byte = try SystemFiles().read(file, count: 1, at: Int(position - first))[0]
                try SystemFiles().write(file, [byte ^ 1], at: Int(position - first))
            }
        }

        func findings() throws -> [Store.Finding] {
            try handle.withStore { (store) throws(EngineError) in try store.check(timeout: Self.timeout) }
        }
    }

    private static let start: Int64 = 500_000_000_000_000

    @Test func recordOfAQueue() throws {
        let scratch = try TestDirectory("ends")
        let queues = try Queues(scratch.path + "/store")
        #expect(try queues.ends("q") == nil)
        #expect(try queues.push("q") == Self.start)
        #expect(try queues.push("q") == Self.start + 1)
        #expect(try queues.push("q", atFront: true) == Self.start - 1)
        var ends = try #require(try queues.ends("q"))
        #expect(ends.front == Self.start - 1 && ends.back == Self.start + 1 && ends.count == 3)
        #expect(try queues.delete("q", Self.start))
        ends = try #require(try queues.ends("q"))
        #expect(ends.count == 2 && !ends.isFrontOpen && !ends.isBackOpen)
        #expect(try queues.pull("q") == Self.start - 1)
        ends = try #require(try queues.ends("q"))
        #expect(ends.front == Self.start + 1 && ends.back == Self.start + 1 && ends.count == 1)
        #expect(try queues.pull("q", fromFront: false) == Self.start + 1)
        #expect(try queues.ends("q") == nil)
        #expect(try queues.pull("q") == nil)
        #expect(try queues.push("q", atFront: true) == Self.start)
        #expect(try queues.handle.withStore { $0.count } == 1)
        #expect(try StoreCheck.problems(queues.handle) == [])
        #expect(try queues.findings() == [])
    }

    /// A maximum outlives the items, and `clear` in a queue without a prefix.
    @Test func maximumIsKept() throws {
        let scratch = try TestDirectory("maximum")
        let queues = try Queues(scratch.path + "/store")
        try queues.push("q")
        try queues.change("q") { $0.maximum = 7 }
        #expect(try queues.pull("q") == Self.start)
        #expect(try queues.ends("q")?.maximum == 7)
        #expect(try queues.ends("q")?.count == 0)
        #expect(try queues.pull("q") == nil)
        #expect(try queues.push("q") == Self.start)
        #expect(try queues.findings() == [])
        let none: [UInt8] = [0]
        func withoutPrefix<R>(_ body: (QueueName) throws -> R) rethrows -> R {
            try withUnsafeTemporaryAllocation(byteCount: 1 + QueueName.extra, alignment: 8) {
                try body(
                    QueueName($0) {
                        $0.storeBytes(of: none[0], as: UInt8.self); return 1
                    })
            }
        }
        try queues.handle.withStoreThrowing { store in
            try store.write(timeout: Queues.timeout) { () throws(EngineError) in
                let number = withoutPrefix { name in Result { try store.queue(name.prefix) } }
                guard case .success(let queue) = number else { return }
                var ends = store.queues.list[queue].ends
                ends.maximum = 3
                store.setEnds(queue, ends)
            }
            _ = try store.clear(timeout: Queues.timeout)
        }
        for _ in 0..<2 {
            try withoutPrefix { name in
                let found = try queues.handle.find(KeyClass.system, name.system)
                defer { queues.handle.end(found.access) }
                #expect(found.record.flatMap { QueueEnds($0.value) }?.maximum == 3)
            }
            #expect(try queues.ends("q") == nil)
            #expect(try queues.findings() == [])
            queues.handle.close()
        }
    }

    /// At 1 and at fifteen nines less one the numbers end, and nothing has happened.
    @Test func numbersEnd() throws {
        let scratch = try TestDirectory("full")
        let queues = try Queues(scratch.path + "/store")
        for (atFront, last) in [(true, Int64(1)), (false, 999_999_999_999_998)] {
            let prefix = "\(atFront)"
            // The items in between are gone, as far as the record knows.
            try queues.change(prefix) {
                $0.add(atFront ? last + 2 : last - 2)
            }
            #expect(try queues.push(prefix, atFront: atFront) == (atFront ? last + 1 : last - 1))
            #expect(try queues.push(prefix, atFront: atFront) == last)
            do {
                try queues.push(prefix, atFront: atFront)
                Issue.record("no error")
            } catch let error as EngineError {
                #expect(error.code == .queueFull)
            }
            #expect(try queues.ends(prefix)?.count == 3)
            #expect(try queues.pull(prefix, fromFront: atFront) == last)
            #expect(try queues.push(prefix, atFront: atFront) == last)
        }
    }

    /// A long run of numbers without items is crossed in several transactions, each of which leaves the record right.
    @Test(arguments: [true, false]) func longRuns(atFront: Bool) throws {
        let scratch = try TestDirectory("runs")
        let queues = try Queues(scratch.path + "/store")
        let count: Int64 = 5000
        let sign: Int64 = atFront ? 1 : -1
        for _ in 0..<count { try queues.push("q", atFront: !atFront) }
        for number in 1..<count - 2 { #expect(try queues.delete("q", Self.start + sign * number)) }
        #expect(try queues.findings() == [])
        #expect(try queues.pull("q", fromFront: atFront) == Self.start)
        let ends = try #require(try queues.ends("q"))
        #expect(atFront ? ends.isFrontOpen : ends.isBackOpen)
        #expect(abs((atFront ? ends.front : ends.back) - Self.start) < 100)
        #expect(try queues.findings() == [])
        let before = try queues.handle.withStore { CommitBlock.tail($0.block.word.acquire()) }
        #expect(try queues.pull("q", fromFront: atFront, removing: false) == Self.start + sign * (count - 2))
        let after = try queues.handle.withStore { CommitBlock.tail($0.block.word.acquire()) }
        // Some four transactions of a record each: it doesn't begin anew in each of them.
        #expect(after - before >= 4 * 64 && after - before < 1024)
        #expect(try queues.push("q", atFront: atFront) == Self.start + sign * (count - 3))
        #expect(try queues.findings() == [])
        #expect(try StoreCheck.problems(queues.handle) == [])
    }

    /// A damaged record of a queue is made again from the items; a damaged item is lost, and its queue goes on.
    @Test(arguments: ["record", "item", "record and reopened", "item and reopened"]) func damage(_ what: String) throws
    {
        let scratch = try TestDirectory("damage")
        let path = scratch.path + "/store"
        var queues = try Queues(path)
        for number in 0..<6 { try queues.push("q", "item \(number)") }
        try queues.push("other")
        try queues.handle.withStore { (store) throws(EngineError) in try store.sync() }
        let isItem = what.hasPrefix("item")
        try queues.damage("q", item: isItem ? Self.start + 2 : nil, path)
        if what.hasSuffix("reopened") {
            queues.handle.close()
            // Without it the log is read anew.
            for name in TestDirectory.filesBelow(path) where name.hasPrefix("index.") {
                TestDirectory.remove(path + "/" + name)
            }
            queues = try Queues(path, boot: "second")
            #expect(try queues.ends("q")?.count == (isItem ? 5 : 6))
            #expect(try queues.findings().filter { $0.kind != .damagedLog } == [])
        }
        var pulled: [Int64] = []
        while let number = try queues.pull("q", fromFront: pulled.count % 2 == 0) { pulled.append(number - Self.start) }
        #expect(pulled == (isItem ? [0, 5, 1, 4, 3] : [0, 5, 1, 4, 2, 3]))
        #expect(try queues.push("q") == Self.start)
        #expect(try queues.pull("other") == Self.start)
    }

    /// Bytes that no writer leaves are refused.
    @Test func malformedRecords() {
        func ends(_ front: Int64, _ back: Int64, _ count: Int64, _ maximum: Int64 = 0, open: UInt8 = 0, size: Int = 33)
            -> QueueEnds?
        {
            var bytes: [UInt8] = []
            for word in [front, back, count, maximum] {
                withUnsafeBytes(of: word.littleEndian) { bytes += $0 }
            }
            bytes.append(open)
            while bytes.count < size { bytes.append(0) }
            return Array(bytes.prefix(size)).withUnsafeBytes { QueueEnds($0) }
        }
        #expect(ends(5, 7, 3) != nil)
        #expect(ends(5, 7, 2, open: 3) != nil)
        #expect(ends(0, 0, 0, 4) != nil)
        #expect(ends(5, 7, 4) == nil)
        #expect(ends(7, 5, 1) == nil)
        #expect(ends(0, 7, 2) == nil)
        #expect(ends(5, 1_000_000_000_000_000, 2) == nil)
        #expect(ends(.min, .max, 2) == nil)
        #expect(ends(5, 7, -1) == nil)
        #expect(ends(5, 7, 0) == nil)
        #expect(ends(5, 7, 2, -1) == nil)
        #expect(ends(5, 7, 2, open: 4) == nil)
        #expect(ends(5, 7, 2, size: 32) == nil)
        #expect(ends(5, 7, 2, size: 34) == nil)
    }

    /// A record that can't be read though its checksum is right, as a hostile file may hold.
    @Test func hostileRecord() throws {
        let scratch = try TestDirectory("hostile")
        let queues = try Queues(scratch.path + "/store")
        for _ in 0..<3 { try queues.push("q") }
        try queues.name("q") { name in
            try queues.handle.withStoreThrowing { store in
                try store.write(timeout: Queues.timeout) { () throws(EngineError) in
                    let junk: [UInt8] = [1, 2, 3]
                    let hash = store.hash(KeyClass.system, name.system)
                    let result = junk.withUnsafeBytes { value -> Result<Void, EngineError> in
                        do throws(EngineError) {
                            return .success(
                                try store.appendSystem(.system, name.system, hash, value: value, isLast: true))
                        } catch {
                            return .failure(error)
                        }
                    }
                    try result.get()
                }
            }
        }
        #expect(try queues.findings().map(\.kind) == [.wrongQueue])
        #expect(try queues.push("q") == Self.start + 3)
        #expect(try queues.findings() == [])
        #expect(try queues.pull("q") == Self.start)
    }

    /// Rows with numbers that no item can have belong to no queue.
    @Test func hostileNumbers() throws {
        let scratch = try TestDirectory("hostile")
        let queues = try Queues(scratch.path + "/store")
        for _ in 0..<3 { try queues.push("q") }
        let numbers = [Int64.min, .min + 3, -1, 0, QueueEnds.numbers.upperBound + 1, .max - 3, .max]
        try queues.name("q") { name in
            try queues.handle.withStoreThrowing { store in
                try store.write(timeout: Queues.timeout) { () throws(EngineError) in
                    for number in numbers {
                        _ = try store.put(
                            KeyClass.queue, name.item(number), form: ValueFormCode.null,
                            value: UnsafeRawBufferPointer(start: nil, count: 0), RecordAttributes(),
                            condition: .pushed, isLast: false)
                    }
                    try store.recount(try store.queue(name.prefix))
                }
            }
        }
        #expect(try queues.ends("q")?.count == 3)
        #expect(try queues.findings() == [])
        #expect(try queues.push("q") == Self.start + 3)
        #expect(try queues.delete("q", .max))
        #expect(try queues.pull("q", fromFront: false) == Self.start + 3)
        #expect(try queues.handle.withStore { $0.count } == 3 + numbers.count - 1)
        _ = try queues.handle.withStore { (store) throws(EngineError) in
            try store.check(timeout: Queues.timeout, fix: true)
        }
        #expect(try queues.pull("q") == Self.start)
    }
}
