import Foundation
import Synchronization
import TestSupport

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// A value and what goes with it, as the engine takes it.
struct TestValue: Equatable, Sendable {
    var form: UInt16
    var bytes: [UInt8]
    var expiry: Int64?
    var tag: TestTag?

    init(_ form: UInt16, _ bytes: [UInt8], expiry: Int64? = nil, tag: TestTag? = nil) {
        self.form = form
        self.bytes = bytes
        self.expiry = expiry
        self.tag = tag
    }

    init(_ text: String, expiry: Int64? = nil, tag: TestTag? = nil) {
        self.init(3, Array(text.utf8), expiry: expiry, tag: tag)
    }
}

struct TestTag: Equatable, Sendable {
    var form: UInt8
    var bytes: [UInt8]

    init(_ text: String) {
        form = 3
        bytes = Array(text.utf8)
    }
}

/// A store in a directory, driven at the level of the engine, in an environment in which nothing is left to chance.
final class TestStore {
    let path: String
    let handle: StoreHandle
    /// Nanoseconds to wait for a lock.
    private let timeout: UInt64 = 20_000_000_000
    private struct Undone: Error {}

    /// 1,700,000,000 seconds: a round time in 2023.
    static let epoch: Int64 = 1_700_000_000_000_000

    /// A clock that goes 10 ms at each look, and fixed numbers instead of random ones: the store's id is 00 01 … 0f, its
    /// salt 0x1122334455667788.
    static func environment(
        boot: String = "golden", files: any FileSystem = UnsyncedFiles(), seed: UInt64 = 1
    ) -> Environment {
        var environment = Environment(files: files)
        let clock = Atomic<Int64>(epoch)
        let random = Mutex((count: 0, generator: ReplayableRandom(seed: seed)))
        environment.wallClockOverride = { [clock = Shared(clock)] in
            clock.value.wrappingAdd(10_000, ordering: .relaxed).oldValue
        }
        environment.bootIdentity = { boot }
        environment.processID = { 42 }
        environment.random = { [random = Shared(random)] in
            random.value.withLock { state in
                let first: [UInt64] = [7, 0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908, 0x1122_3344_5566_7788]
                defer { state.count += 1 }
                return state.count < first.count ? first[state.count] : state.generator.next()
            }
        }
        return environment
    }

    private final class Shared<Value: ~Copyable & Sendable>: Sendable {
        let value: Value
        init(_ value: consuming Value) { self.value = value }
    }

    init(_ path: String, _ environment: Environment = TestStore.environment()) throws {
        self.path = path
        handle = try StoreHandle(directory: path, options: StoreOptions(), environment: environment)
    }

    func close() { handle.close() }

    // MARK: Verbs

    func set(_ key: TestKey, _ value: TestValue) throws {
        _ = try handle.withStore { (store) throws(EngineError) in try put(store, key, value) }
    }

    private func put(_ store: Store, _ key: TestKey, _ value: TestValue) throws(EngineError) {
        try lend(key.bytes, value.bytes, value.tag?.bytes ?? []) { (k, v, t) throws(EngineError) in
            _ = try store.put(
                timeout: timeout, key.keyClass, k, form: value.form, value: v,
                RecordAttributes(expiry: value.expiry, tag: value.tag.map { ($0.form, t) }))
        }
    }

    func delete(_ key: TestKey) throws {
        try handle.withStore { (store) throws(EngineError) in
            try lend(key.bytes, [], []) { (k, _, _) throws(EngineError) in
                _ = try store.delete(timeout: timeout, key.keyClass, k)
            }
        }
    }

    func touch(_ key: TestKey, expiry: Int64?) throws {
        try handle.withStore { (store) throws(EngineError) in
            try lend(key.bytes, [], []) { (k, _, _) throws(EngineError) in
                _ = try store.touch(timeout: timeout, key.keyClass, k, expiry: expiry)
            }
        }
    }

    /// The key of the new item.
    func push(_ prefix: String?, _ value: TestValue, atFront: Bool = false) throws -> TestKey {
        let number = try QueueName.with(prefix) { name in
            try value.bytes.withUnsafeBytes { v in
                try (value.tag?.bytes ?? []).withUnsafeBytes { t in
                    try handle.push(
                        name, atFront: atFront, form: value.form, value: v,
                        RecordAttributes(expiry: value.expiry, tag: value.tag.map { ($0.form, t) }))
                }
            }
        }
        return try TestKey(QueueKey(prefix: prefix, number: number))
    }

    /// The key of the item that was removed; nil: there was none.
    func pull(_ prefix: String?, fromFront: Bool = true) throws -> TestKey? {
        let number = try QueueName.with(prefix) { name in
            try handle.take(name, fromFront: fromFront, removing: true) { _, _ in true }
        }
        return try number.map { try TestKey(QueueKey(prefix: prefix, number: $0)) }
    }

    func clear() throws {
        _ = try handle.withStore { (store) throws(EngineError) in try store.clear(timeout: timeout) }
    }

    func configure(_ change: (inout Settings) -> Void) throws {
        try handle.withStore { (store) throws(EngineError) in
            try store.configure(timeout: timeout) { (settings) throws(EngineError) in change(&settings) }
        }
    }

    /// Runs `body` as one transaction, or takes it back at its end.
    func transact(undone: Bool = false, _ body: (TestStore) throws -> Void) throws {
        let access = try handle.beginAccess()
        defer { handle.end(access) }
        do {
            try access.store.takeUnretainedValue().transact(timeout: timeout) {
                try body(self)
                if undone { throw Undone() }
            }
        } catch is Undone {}
    }

    private func lend(
        _ a: [UInt8], _ b: [UInt8], _ c: [UInt8],
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(EngineError) -> Void
    ) throws(EngineError) {
        let result = a.withUnsafeBytes { first in
            b.withUnsafeBytes { second in
                c.withUnsafeBytes { third -> Result<Void, EngineError> in
                    do throws(EngineError) { return .success(try body(first, second, third)) } catch {
                        return .failure(error)
                    }
                }
            }
        }
        try result.get()
    }

    // MARK: What it holds

    /// A row in the words of `reader.py`; nil: there is none. A value's file that can't be read shows as null.
    func row(_ key: TestKey) throws -> String? {
        let found = try key.bytes.withUnsafeBytes { try handle.find(key.keyClass, $0) }
        defer { handle.end(found.access) }
        guard let record = found.record else { return nil }
        let store = found.access.store.takeUnretainedValue()
        var value: [UInt8]? = Array(record.value)
        if ValueFormCode.isFile(record.form) {
            value = nil
            if let file = try? store.openFile(of: record) { value = try? file.withBytes { Array($0) } }
        }
        let tag = record.tag.map { #"{"form":\#($0.form),"bytes":"\#(hex($0.bytes))"}"# }
        return #"{"class":\#(record.keyClass),"key":"\#(hex(record.key))","form":\#(record.form),"#
            + #""value":\#(value.map { "\"" + hex($0) + "\"" } ?? "null"),"#
            + #""expiry":\#(record.expiry.map { String($0) } ?? "null"),"tag":\#(tag ?? "null"),"#
            + #""rowid":\#(record.rowid),"stored":\#(store.storedAt(record))}"#
    }

    /// The rows of keys, of those that have one, as `reader.py` prints them.
    func rows(_ keys: some Sequence<TestKey>) throws -> String {
        let rows = try Set(keys).sorted().compactMap { try row($0) }
        return "[" + rows.map { "\n  " + $0 }.joined(separator: ",") + (rows.isEmpty ? "]" : "\n ]")
    }

    /// What `reader.py` should say of this store, as it was found when it was opened.
    func report(rows keys: [TestKey], damaged: [TestKey]) throws -> String {
        let (recovery, settings) = try handle.withStore { (store) throws(EngineError) in
            let position = store.block.read().counters.settings
            var settings: [UInt8]?
            if position != 0, case .record(let record) = try store.log.record(at: position) {
                settings = Array(record.value)
            }
            return (store.recovery, settings)
        }
        let queues = try handle.withStore { (store) throws(EngineError) in
            try store.write(timeout: timeout) { () throws(EngineError) in try self.queues(store) }
        }
        var verdict = "whole"
        let quarantined = recovery?.quarantined ?? []
        if !(recovery?.gaps.isEmpty ?? true) {
            verdict = "gap"
        } else if !quarantined.isEmpty {
            verdict = "quarantined"
        } else if recovery?.cut != nil {
            verdict = "cut"
        }
        let ranges = quarantined.map { "[\($0.lowerBound),\($0.upperBound)]" }.joined(separator: ",")
        let lost = damaged.sorted().map { #"{"class":\#($0.identity),"key":"\#(hex($0.bytes))"}"# }
        return """
            {
             "verdict":"\(verdict)",
             "cut":\(recovery?.cut.map { String($0) } ?? "null"),
             "quarantined":[\(ranges)],
             "gaps":\(recovery?.gaps.count ?? 0),
             "damaged":[\(lost.joined(separator: ","))],
             "settings":\(settings.map { "\"" + hex($0) + "\"" } ?? "null"),
            \(queues) "rows":\(try rows(keys))
            }

            """
    }

    /// The line about queues, if there are any.
    private func queues(_ store: Store) throws(EngineError) -> String {
        var found: [[UInt8]: String] = [:]
        for position in store.index.positions(anchor: store.log.tail) where position >= store.head {
            guard case .record(let record) = try store.log.record(at: position), record.kind == 6,
                let ends = QueueEnds(record.value)
            else { continue }
            let prefix = Array(record.key.dropFirst(5))
            let open = (ends.isFrontOpen ? 1 : 0) + (ends.isBackOpen ? 2 : 0)
            found[prefix] =
                #"{"prefix":"\#(hex(prefix))","front":\#(ends.front),"back":\#(ends.back),"#
                + #""count":\#(ends.count),"maximum":\#(ends.maximum),"open":\#(open)}"#
        }
        if found.isEmpty { return "" }
        let sorted = found.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.value)
        return " \"queues\":[" + sorted.joined(separator: ",") + "],\n"
    }

    var count: Int { get throws { try handle.withStore { (store) throws(EngineError) in store.count } } }
}
