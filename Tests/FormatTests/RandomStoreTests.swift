import Foundation
import TestSupport
import Testing

@testable import DiskCacheEngine

/// Stores as the engine makes them at random, and the reader that knows nothing but FORMAT.md (T11).
@Suite(.serialized) struct RandomStoreTests {
    /// What a store should hold.
    private var expected: [TestKey: TestValue] = [:]
    /// Every key that was ever used.
    private var keys: Set<TestKey> = []
    private var random = ReplayableRandom(for: "RandomStoreTests", variable: "FORMAT_SEED")

    private mutating func bytes(upTo count: Int) -> [UInt8] {
        (0..<Int.random(in: 0...count, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    private mutating func key() -> TestKey {
        switch Int.random(in: 0..<20, using: &random) {
        case 0: return TestKey(0, [])
        case 1, 2: return TestKey(1, [0xbf, 0xf0, 0, 0, 0, 0, 0, UInt8.random(in: 0..<40, using: &random)])
        case 3: return TestKey(2, [0xbf, 0xf0, 0, 0, 0, 0, 0, UInt8.random(in: 0..<40, using: &random)])
        case 4: return TestKey(4, bytes(upTo: 2))
        case 5: return TestKey(5, bytes(upTo: 40))
        case 6: return TestKey(3, [UInt8](repeating: 0x6b, count: Int.random(in: 250..<260, using: &random)))
        default: return TestKey(3, Array("key \(Int.random(in: 0..<150, using: &random))".utf8))
        }
    }

    private mutating func queue() -> String? {
        [nil, "", "q", "q\u{0}"][Int.random(in: 0..<4, using: &random)]
    }

    private mutating func value() -> TestValue {
        var value: TestValue
        switch Int.random(in: 0..<30, using: &random) {
        case 0: value = TestValue(0, [])
        case 1: value = TestValue(1, (0..<8).map { _ in UInt8.random(in: 0...255, using: &random) })
        case 2: value = TestValue(5, bytes(upTo: 200))
        case 3: value = TestValue(4, [UInt8](repeating: 7, count: Int.random(in: 65_530..<65_540, using: &random)))
        default: value = TestValue(3, Array(String(repeating: "v", count: Int.random(in: 0..<60, using: &random)).utf8))
        }
        if Int.random(in: 0..<4, using: &random) == 0 {
            value.expiry = Int64.random(in: .max / 2 ... .max, using: &random)
        }
        if Int.random(in: 0..<4, using: &random) == 0 {
            value.tag = TestTag("tag \(Int.random(in: 0..<5, using: &random))")
        }
        return value
    }

    private mutating func step(_ store: TestStore, now: Int64) throws {
        let key = key()
        keys.insert(key)
        // What has expired can't be deleted or touched any more, and its key counts as free.
        let isLive = expected[key].map { $0.expiry.map { $0 > now } ?? true } ?? false
        switch Int.random(in: 0..<13, using: &random) {
        case 10, 11:
            let (queued, value) = (queue(), value())
            let pushed = try store.push(queued, value, atFront: Bool.random(using: &random))
            keys.insert(pushed)
            expected[pushed] = value
        case 12:
            if let pulled = try store.pull(queue(), fromFront: Bool.random(using: &random)) { expected[pulled] = nil }
        case 0, 1:
            try store.delete(key)
            if isLive { expected[key] = nil }
        case 2:
            let expiry: Int64? = Bool.random(using: &random) ? nil : .max
            try store.touch(key, expiry: expiry)
            if isLive { expected[key]?.expiry = expiry }
        default:
            let value = value()
            try store.set(key, value)
            expected[key] = value
        }
    }

    /// A transaction inside another, taken back or not.
    private mutating func nested(_ store: TestStore, now: Int64) throws {
        let undone = Bool.random(using: &random)
        let before = expected
        try store.transact(undone: undone) { store in
            for _ in 0..<Int.random(in: 0..<4, using: &random) { try step(store, now: now) }
        }
        if undone { expected = before }
    }

    @Test mutating func randomStores() throws {
        for number in 0..<24 {
            expected = [:]
            keys = []
            let scratch = try Scratch()
            var environment = TestStore.environment(seed: random.next())
            // No expiry falls into a store's time, so the model needs no clock of its own.
            environment.wallClockOverride = nil
            let store = try TestStore(scratch.path, environment)
            let now = environment.wallClock()
            let hasFiles = number % 3 == 0
            let isSynced = number % 2 == 1
            if hasFiles || !isSynced {
                try store.configure {
                    if hasFiles { $0.minFileSize = 40 }
                    if !isSynced { $0.durability = .none }
                }
            }
            for _ in 0..<Int.random(in: 0..<300, using: &random) {
                switch Int.random(in: 0..<60, using: &random) {
                case 0:
                    try store.clear()
                    expected = [:]
                case 1, 2:
                    let undone = Bool.random(using: &random)
                    let before = expected
                    let steps = Int.random(in: 0..<6, using: &random)
                    try store.transact(undone: undone) { store in
                        for _ in 0..<steps { try step(store, now: now) }
                        try nested(store, now: now)
                        for _ in 0..<steps { try step(store, now: now) }
                    }
                    if undone { expected = before }
                case 3:
                    store.close()
                default:
                    try step(store, now: now)
                }
            }
            try compare(store, number)
        }
    }

    private func compare(_ store: TestStore, _ number: Int) throws {
        #expect(try store.count == expected.count, "store \(number)")
        for (key, value) in expected {
            let row = try store.row(key)
            #expect(row?.contains("\"value\":\"\(hex(value.bytes))\"") ?? false, "store \(number), key \(key)")
            #expect(row?.contains("\"expiry\":\(value.expiry.map { String($0) } ?? "null"),") ?? false)
        }
        let rows = try store.rows(expected.keys)
        let report = try store.report(rows: Array(expected.keys), damaged: [])
        // While it is open, as another process would find it, and closed.
        #expect(try PythonReader.run([store.path, "--same-boot"]) == report, "store \(number)")
        store.close()
        let absent = keys.subtracting(expected.keys) + [TestKey(3, Array("nobody".utf8)), TestKey(6, [0])]
        let list = store.path + "/absent"
        try Disk.write(Array(absent.map { "\($0.keyClass) \(hex($0.bytes))\n" }.joined().utf8), to: list)
        let answers = try PythonReader.run([
            [store.path], [store.path, "--via-index"], [store.path, "--lookup", list],
        ])
        #expect(answers[0] == report, "store \(number)")
        #expect(answers[1] == rows + "\n", "store \(number)")
        #expect(answers[2] == String(repeating: "null\n", count: absent.count), "store \(number)")
    }
}
