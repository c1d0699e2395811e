/// A key of any class, as a cache that holds all sorts of keys shows them.
///
/// Equality is that of keys in a store: numbers by exact value, so `.int(1) == .double(1)`, and text by its bytes.
public enum AnyCacheKey: CacheKey, Codable {
    /// nil's key.
    case null
    /// An integer.
    case int(Int64)
    /// An integer above `Int64.max`. One that fits `int` is the same key, and comes back as `int`.
    case uint(UInt64)
    /// A number stored as a float.
    case double(Double)
    /// A text.
    case string(String)
    /// Bytes.
    case bytes([UInt8])
    /// The deterministic CBOR of a value; see ``decode(_:)``.
    case encoded([UInt8])
    /// An item of a queue.
    case queue(QueueKey)

    /// Writes what the case holds.
    public func encode(into key: inout KeyBytes) {
        switch self {
        case .null: key.encodeNull()
        case .int(let value): key.encode(value)
        case .uint(let value): key.encode(value)
        case .double(let value): key.encode(value)
        case .string(let value): key.encode(value)
        case .bytes(let value): key.encode(value)
        case .encoded(let value): key.encode(serialized: value)
        case .queue(let value): key.encode(value)
        }
    }

    /// The key that a value has by its deterministic CBOR, as ``Encoded`` gives it.
    package static func serializing(_ value: some Encodable) throws -> AnyCacheKey {
        .encoded(try CBOREncoder(forKey: true).encode(value))
    }

    /// Whether this key comes before another in the order of keys.
    package func precedes(_ other: AnyCacheKey) -> Bool {
        func place(_ key: AnyCacheKey) -> [UInt8]? {
            try? withKeyBytes(key) { keyClass, bytes in KeyClass.place(keyClass, bytes) }
        }
        guard let own = place(self), let others = place(other) else { return false }
        return own.lexicographicallyPrecedes(others)
    }

    /// The number that identifies a number.
    private var number: NumberKey? {
        switch self {
        case .int(let value): NumberKey(value)
        case .uint(let value): NumberKey(value)
        case .double(let value): NumberKey(value)
        default: nil
        }
    }

    /// Whether the two are the same key.
    public static func == (left: AnyCacheKey, right: AnyCacheKey) -> Bool {
        switch (left, right) {
        case (.null, .null): return true
        case (.string(let first), .string(let second)): return sameText(first, second)
        case (.bytes(let first), .bytes(let second)): return first == second
        case (.encoded(let first), .encoded(let second)): return first == second
        case (.queue(let first), .queue(let second)): return first == second
        default:
            guard let first = left.number, let second = right.number else { return false }
            return first == second
        }
    }

    /// Feeds what identifies the key.
    public func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(KeyClass.null.rawValue)
        case .int, .uint, .double:
            hasher.combine(KeyClass.integer.rawValue)
            hasher.combine(number)
        case .string(let value):
            hasher.combine(KeyClass.text.rawValue)
            hashText(value, into: &hasher)
        case .bytes(let value):
            hasher.combine(KeyClass.bytes.rawValue)
            hasher.combine(value)
        case .encoded(let value):
            hasher.combine(KeyClass.encoded.rawValue)
            hasher.combine(value)
        case .queue(let value):
            hasher.combine(KeyClass.queue.rawValue)
            hasher.combine(value)
        }
    }
}

extension AnyCacheKey {
    /// The key stored as class and bytes; throws `corrupted` if they can't have been written by this library.
    init(keyClass: UInt8, bytes: UnsafeRawBufferPointer) throws {
        switch KeyClass(rawValue: keyClass) {
        case .null where bytes.isEmpty:
            self = .null
        case .integer:
            guard let number = NumberKey(bytes: bytes) else { throw malformedKey("number", bytes) }
            if let value = number.int64 {
                self = .int(value)
            } else if let value = number.uint64 {
                self = .uint(value)
            } else {
                throw malformedKey("integer", bytes)
            }
        case .float:
            guard let value = NumberKey(bytes: bytes)?.double else { throw malformedKey("float", bytes) }
            self = .double(value)
        case .text:
            guard let value = String(validating: bytes, as: UTF8.self) else { throw malformedKey("text", bytes) }
            self = .string(value)
        case .bytes:
            self = .bytes(Array(bytes))
        case .encoded:
            self = .encoded(Array(bytes))
        case .queue:
            guard let value = QueueKey(bytes: bytes) else { throw malformedKey("queue", bytes) }
            self = .queue(value)
        case .null, .system, nil:
            throw malformedKey("class \(keyClass)", bytes)
        }
    }

    /// Reads this key as one of type `K`; throws `typeMismatch` if a `K` has no such key.
    ///
    /// The integer, floating-point and text types, `[UInt8]`, `Bool`, ``QueueKey`` and optionals of them are read as
    /// they are stored, a number as any type that holds it exactly. Every other type must be `Decodable`.
    public func decode<K: CacheKey>(_ type: K.Type = K.self) throws -> K {
        if K.self == AnyCacheKey.self { return unsafeBitCast(self, to: K.self) }
        if let native = K.self as? any NativeKey.Type, let key: K = try decodeNative(native) { return key }
        guard let decodable = K.self as? any Decodable.Type else {
            throw CacheError(.typeMismatch, "a key can't be read as \(K.self), which isn't Decodable")
        }
        // A custom key that wrote itself as text or number is decoded from just that, as a raw-valued enum is.
        let serialized: [UInt8] =
            switch self {
            case .encoded(let bytes): bytes
            case .null: [0xf6]
            case .int(let value): try CBOREncoder().encode(value)
            case .uint(let value): try CBOREncoder().encode(value)
            case .double(let value): try CBOREncoder().encode(value)
            case .string(let value): try CBOREncoder().encode(value)
            case .bytes(let value): try CBOREncoder().encode(value)
            case .queue: throw mismatch(K.self)
            }
        guard let key: K = try decodeSerialized(decodable, serialized) else { throw mismatch(K.self) }
        return key
    }

    private func decodeNative<K, N: NativeKey>(_ type: N.Type) throws -> K? {
        asSameType(try N(native: self))
    }

    private func decodeSerialized<K, D: Decodable>(_ type: D.Type, _ bytes: [UInt8]) throws -> K? {
        asSameType(try CBORDecoder().decode(D.self, from: bytes))
    }

    fileprivate func mismatch(_ type: Any.Type) -> CacheError {
        CacheError(.typeMismatch, "the key \(self) isn't of type \(type)")
    }
}

private func malformedKey(_ what: String, _ bytes: UnsafeRawBufferPointer) -> CacheError {
    CacheError(.corrupted, "\(bytes.count) bytes aren't a key (\(what))")
}

/// The types whose keys aren't serialised, as far as reading them back goes.
private protocol NativeKey {
    init(native key: AnyCacheKey) throws
}

extension FixedWidthInteger where Self: CacheKey {
    fileprivate init(integer key: AnyCacheKey) throws {
        let value: Self? =
            switch key {
            case .int(let value): Self(exactly: value)
            case .uint(let value): Self(exactly: value)
            case .double(let value): Self(exactly: value)
            default: nil
            }
        guard let value else { throw key.mismatch(Self.self) }
        self = value
    }
}

extension BinaryFloatingPoint where Self: CacheKey {
    fileprivate init(float key: AnyCacheKey) throws {
        let value: Self? =
            switch key {
            case .int(let value): Self(exactly: value)
            case .uint(let value): Self(exactly: value)
            case .double(let value): Self(exactly: value)
            default: nil
            }
        guard let value else { throw key.mismatch(Self.self) }
        self = value
    }
}

extension Int: NativeKey { fileprivate init(native key: AnyCacheKey) throws { try self.init(integer: key) } }
extension Int8: NativeKey { fileprivate init(native key: AnyCacheKey) throws { try self.init(integer: key) } }
extension Int16: NativeKey { fileprivate init(native key: AnyCacheKey) throws { try self.init(integer: key) } }
extension Int32: NativeKey { fileprivate init(native key: AnyCacheKey) throws { try self.init(integer: key) } }
extension Int64: NativeKey { fileprivate init(native key: AnyCacheKey) throws { try self.init(integer: key) } }
extension UInt: NativeKey { fileprivate init(native key: AnyCacheKey) throws { try self.init(integer: key) } }
extension UInt8: NativeKey { fileprivate init(native key: AnyCacheKey) throws { try self.init(integer: key) } }
extension UInt16: NativeKey { fileprivate init(native key: AnyCacheKey) throws { try self.init(integer: key) } }
extension UInt32: NativeKey { fileprivate init(native key: AnyCacheKey) throws { try self.init(integer: key) } }
extension UInt64: NativeKey { fileprivate init(native key: AnyCacheKey) throws { try self.init(integer: key) } }
extension Double: NativeKey { fileprivate init(native key: AnyCacheKey) throws { try self.init(float: key) } }
extension Float: NativeKey { fileprivate init(native key: AnyCacheKey) throws { try self.init(float: key) } }

extension String: NativeKey {
    fileprivate init(native key: AnyCacheKey) throws {
        guard case .string(let value) = key else { throw key.mismatch(String.self) }
        self = value
    }
}

extension Bool: NativeKey {
    fileprivate init(native key: AnyCacheKey) throws {
        switch key {
        case .encoded([0xf4]): self = false
        case .encoded([0xf5]): self = true
        default: throw key.mismatch(Bool.self)
        }
    }
}

extension Array: NativeKey where Element == UInt8 {
    fileprivate init(native key: AnyCacheKey) throws {
        guard case .bytes(let value) = key else { throw key.mismatch([UInt8].self) }
        self = value
    }
}

extension QueueKey: NativeKey {
    fileprivate init(native key: AnyCacheKey) throws {
        guard case .queue(let value) = key else { throw key.mismatch(QueueKey.self) }
        self = value
    }
}

extension Optional: NativeKey where Wrapped: CacheKey {
    fileprivate init(native key: AnyCacheKey) throws {
        if case .null = key {
            self = .none
        } else {
            self = .some(try key.decode(Wrapped.self))
        }
    }
}
