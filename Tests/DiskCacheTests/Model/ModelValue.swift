@testable import DiskCacheCore

/// A value of any form that can be stored.
enum ModelValue: CustomStringConvertible {
    struct Sample: Codable, Equatable {
        var name: String
        var numbers: [Int]
        var ratio: Double
        var flag: Bool?
    }

    case null
    case bool(Bool)
    case int(Int64)
    case unsigned(UInt64)
    case double(Double)
    case text(String)
    case bytes([UInt8])
    case sample(Sample)

    /// The bytes that are stored.
    func raw() throws -> [UInt8] {
        func littleEndian(_ word: UInt64) -> [UInt8] {
            (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) }
        }
        switch self {
        case .null: return []
        case .bool(let value): return [value ? 0xf5 : 0xf4]
        case .int(let value): return littleEndian(UInt64(bitPattern: value))
        case .unsigned(let value): return littleEndian(value)
        case .double(let value): return littleEndian(value.bitPattern)
        case .text(let value): return Array(value.utf8)
        case .bytes(let value): return value
        case .sample(let value): return try CBOREncoder().encode(value)
        }
    }

    /// Whether a value of this form may lie in a file of its own.
    var mayBeFile: Bool {
        switch self {
        case .null, .int, .unsigned, .double: false
        case .bool, .text, .bytes, .sample: true
        }
    }

    /// Same form, same bits.
    static func same(_ left: ModelValue, _ right: ModelValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.int(let a), .int(let b)): a == b
        case (.unsigned(let a), .unsigned(let b)): a == b
        case (.double(let a), .double(let b)): a.bitPattern == b.bitPattern
        case (.text(let a), .text(let b)): a.utf8.elementsEqual(b.utf8)
        case (.bytes(let a), .bytes(let b)): a == b
        case (.sample(let a), .sample(let b)): a == b
        default: false
        }
    }

    var description: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .int(let value): "\(value)"
        case .unsigned(let value): "unsigned \(value)"
        case .double(let value): "double \(value)"
        case .text(let value): "text of \(value.utf8.count)"
        case .bytes(let value): "\(value.count) bytes \(value.prefix(8))"
        case .sample(let value): "sample \(value.name.utf8.count) \(value.numbers.count)"
        }
    }
}

extension Cache {
    /// `set` or `add` of a value as its own type.
    func store(
        _ key: some CacheKey, _ value: ModelValue, _ expire: Expiration?, _ tag: DiskCacheCore.Tag?, add isAdd: Bool
    ) throws -> Bool {
        func put(_ value: some Encodable) throws -> Bool {
            isAdd ? try add(key, value, expire: expire, tag: tag) : try set(key, value, expire: expire, tag: tag)
        }
        switch value {
        case .null: return try put(String?.none)
        case .bool(let value): return try put(value)
        case .int(let value): return try put(value)
        case .unsigned(let value): return try put(value)
        case .double(let value): return try put(value)
        case .text(let value): return try put(value)
        case .bytes(let value): return try put(value)
        case .sample(let value): return try put(value)
        }
    }

    /// The value of a key that should be of the form of `like`.
    func get(_ key: some CacheKey, like: ModelValue) throws -> ModelValue? {
        switch like {
        case .null: try get(key, as: Int?.self).map { $0.map { .int(Int64($0)) } ?? .null }
        case .bool: try get(key, as: Bool.self).map { .bool($0) }
        case .int: try get(key, as: Int64.self).map { .int($0) }
        case .unsigned: try get(key, as: UInt64.self).map { .unsigned($0) }
        case .double: try get(key, as: Double.self).map { .double($0) }
        case .text: try get(key, as: String.self).map { .text($0) }
        case .bytes: try get(key, as: [UInt8].self).map { .bytes($0) }
        case .sample: try get(key, as: ModelValue.Sample.self).map { .sample($0) }
        }
    }

    /// The entry of a key that should be of the form of `like`; `pop` removes it.
    func entry(_ key: some CacheKey, like: ModelValue, pop: Bool) throws -> Entry<ModelValue>? {
        func take<V: Decodable>(_ type: V.Type, _ make: (V) -> ModelValue) throws -> Entry<ModelValue>? {
            try (pop ? popEntry(key, as: V.self) : entry(key, as: V.self))?.map { make($0) }
        }
        return switch like {
        case .null: try take(Int?.self) { $0.map { .int(Int64($0)) } ?? .null }
        case .bool: try take(Bool.self) { .bool($0) }
        case .int: try take(Int64.self) { .int($0) }
        case .unsigned: try take(UInt64.self) { .unsigned($0) }
        case .double: try take(Double.self) { .double($0) }
        case .text: try take(String.self) { .text($0) }
        case .bytes: try take([UInt8].self) { .bytes($0) }
        case .sample: try take(ModelValue.Sample.self) { .sample($0) }
        }
    }

    /// Reads a key as a type that its value isn't.
    func misread(_ key: some CacheKey, _ value: ModelValue, pop: Bool) throws {
        switch value {
        case .null, .bool, .double, .sample: _ = pop ? try self.pop(key, as: Int.self) : try get(key, as: Int.self)
        case .int, .bytes: _ = pop ? try self.pop(key, as: String.self) : try get(key, as: String.self)
        case .unsigned: _ = pop ? try self.pop(key, as: Int64.self) : try get(key, as: Int64.self)
        case .text: _ = pop ? try self.pop(key, as: [UInt8].self) : try get(key, as: [UInt8].self)
        }
    }
}
