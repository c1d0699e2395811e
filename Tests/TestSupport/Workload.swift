/// What a writing child does, made from a seed and a number alone, so that its parent knows all of it without being told.
package struct Workload: Sendable {
    package let seed: UInt64
    package let writer: Int
    /// How many keys the writer has.
    package var keys = 48
    /// Whether `clear` is among the operations: only where there is one writer.
    package var clears = true
    /// Every `syncEvery`th operation or so makes everything durable; 0: none.
    package var syncEvery = 40
    /// Whether some values are large enough for files of their own.
    package var files = true
    /// Whether every set is of a new key.
    package var grows = false

    package init(seed: UInt64, writer: Int) {
        self.seed = seed
        self.writer = writer
    }

    /// Values from here on have files of their own in the stores of these tests.
    package static let minFileSize = 4096
    /// The counter that all writers add to.
    package static let sharedCounter = "shared counter"

    package enum Change: Sendable, Equatable {
        case set(key: String, size: Int)
        case delete(key: String)
        case add(key: String, delta: Int64)
    }

    package struct Operation: Sendable, Equatable {
        package enum Kind: Sendable, Equatable {
            /// One change by itself.
            case single
            /// All changes or none.
            case transaction
            /// A transaction that throws at its end.
            case abandoned
            case clear
            case sync
        }
        package var kind: Kind
        package var changes: [Change] = []

        /// The keys that it changes, without the counter that all writers share.
        package var keys: [String] {
            let all = changes.map { change in
                switch change {
                case .set(let key, _), .delete(let key), .add(let key, _): return key
                }
            }
            return all.filter { $0 != Workload.sharedCounter }
        }
    }

    package func key(_ number: Int) -> String { "writer \(writer) key \(number)" }
    package func counter(_ number: Int) -> String { "writer \(writer) counter \(number)" }

    /// Every key that the writer may write.
    package var universe: [String] { (0..<keys).map(key) + (0..<3).map(counter) }

    /// The operation of a number.
    package func operation(_ index: Int) -> Operation {
        var random = ReplayableRandom(seed: ReplayableRandom.mix(seed, UInt64(index)))
        if syncEvery > 0 && random.oneIn(syncEvery) { return Operation(kind: .sync) }
        if clears && random.oneIn(60) { return Operation(kind: .clear) }
        switch Int.random(in: 0..<10, using: &random) {
        case 0...5: return Operation(kind: .single, changes: [change(index, &random)])
        case 6...8:
            let count = Int.random(in: 2...6, using: &random)
            return Operation(kind: .transaction, changes: (0..<count).map { _ in change(index, &random) })
        default:
            let count = Int.random(in: 1...4, using: &random)
            return Operation(kind: .abandoned, changes: (0..<count).map { _ in change(index, &random) })
        }
    }

    private func change(_ index: Int, _ random: inout ReplayableRandom) -> Change {
        switch Int.random(in: 0..<20, using: &random) {
        case 0...1:
            return .add(
                key: counter(Int.random(in: 0..<3, using: &random)), delta: Int64.random(in: -9...99, using: &random))
        case 2: return .add(key: Self.sharedCounter, delta: 1)
        case 3...5 where !grows: return .delete(key: key(Int.random(in: 0..<keys, using: &random)))
        default:
            let size: Int
            switch Int.random(in: 0..<30, using: &random) {
            case 0: size = Int.random(in: 1000..<4000, using: &random)
            case 1 where files: size = Int.random(in: Self.minFileSize..<20_000, using: &random)
            default: size = Int.random(in: 0..<200, using: &random)
            }
            return .set(key: key(Int.random(in: 0..<keys, using: &random)), size: size)
        }
    }
}

/// The bytes of a test's value: who wrote it, where and when, then a filling that depends on all of it, so that any mixture shows.
package enum TestValue {
    package static func make(key: String, writer: Int, index: Int, part: Int, size: Int) -> [UInt8] {
        var bytes = Array("\(key)|\(writer)|\(index)|\(part)|\(size)|".utf8)
        var random = ReplayableRandom(seed: checksum(bytes))
        while bytes.count < size { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
        var sum = checksum(bytes)
        for _ in 0..<8 {
            bytes.append(UInt8(truncatingIfNeeded: sum))
            sum >>= 8
        }
        return bytes
    }

    /// Whether the bytes are a whole value of that key, whichever.
    package static func isWhole(_ bytes: [UInt8], key: String) -> Bool {
        guard bytes.count > 8, bytes.starts(with: Array((key + "|").utf8)) else { return false }
        var sum: UInt64 = 0
        for byte in bytes.suffix(8).reversed() { sum = sum << 8 | UInt64(byte) }
        return sum == checksum(bytes.dropLast(8))
    }

    /// What a failure says about the bytes of a value.
    package static func describe(_ bytes: [UInt8]) -> String {
        let text = String(decoding: bytes.prefix { $0 >= 32 && $0 < 127 }.prefix(80), as: UTF8.self)
        return "\(bytes.count) bytes beginning \(text)"
    }

    /// FNV-1a, 64 bits: not the engine's own, so that one mistake can't hide another.
    package static func checksum(_ bytes: some Sequence<UInt8>) -> UInt64 {
        var sum: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { sum = (sum ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return sum
    }
}

/// What a store must hold, kept beside it by the tests.
package struct StoreModel: Sendable, Equatable {
    package enum Value: Sendable, Equatable {
        case bytes(writer: Int, index: Int, part: Int, size: Int)
        case integer(Int64)
    }
    package private(set) var values: [String: Value] = [:]

    package init() {}

    package var count: Int { values.count }

    /// What the store does at an operation.
    package mutating func apply(_ operation: Workload.Operation, writer: Int, index: Int) {
        switch operation.kind {
        case .clear: values = [:]
        case .sync, .abandoned: break
        case .single, .transaction:
            for (part, change) in operation.changes.enumerated() {
                switch change {
                case .set(let key, let size): values[key] = .bytes(writer: writer, index: index, part: part, size: size)
                case .delete(let key): values[key] = nil
                case .add(let key, let delta):
                    let old: Int64
                    if case .integer(let value) = values[key] { old = value } else { old = 0 }
                    values[key] = .integer(old + delta)
                }
            }
        }
    }

    /// What is to be read under a key.
    package func expected(_ key: String) -> StoredValue? {
        switch values[key] {
        case nil: return nil
        case .integer(let value): return .integer(value)
        case .bytes(let writer, let index, let part, let size):
            return .bytes(TestValue.make(key: key, writer: writer, index: index, part: part, size: size))
        }
    }

    package subscript(key: String) -> Value? {
        get { values[key] }
        set { values[key] = newValue }
    }
}

/// A value as it was read.
package enum StoredValue: Sendable, Equatable, CustomStringConvertible {
    case integer(Int64)
    case bytes([UInt8])

    package var description: String {
        switch self {
        case .integer(let value): return "integer \(value)"
        case .bytes(let bytes): return TestValue.describe(bytes)
        }
    }
}
