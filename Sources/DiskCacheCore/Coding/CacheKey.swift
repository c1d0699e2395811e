/// What can be a key: something that writes what identifies it, in the same bytes in every process.
///
/// Integers, floats, `String`, `[UInt8]`, `Bool` and optionals of keys are keys. So is every `Encodable` type that
/// declares it, through deterministic CBOR, and any other `Codable` value wrapped in ``Encoded``:
///
/// ```swift
/// struct Page: Codable, CacheKey { var site: String; var number: Int }
/// ```
///
/// Numbers are compared by value: `1`, `1 as UInt8` and `1.0` are one key; `true` is another. Text is compared by its
/// UTF-8 bytes, not by canonical equivalence as `String` does. Keys are ordered: null, numbers, texts, bytes,
/// everything serialised, and then queues' items.
public protocol CacheKey: Hashable, Sendable {
    /// Writes what identifies this key, by calling one of ``KeyBytes``'s functions.
    func encode(into key: inout KeyBytes)
}

extension CacheKey where Self: Encodable {
    /// Writes the value's deterministic CBOR.
    public func encode(into key: inout KeyBytes) {
        key.encode(serializing: self)
    }
}

extension Int: CacheKey {
    /// Writes the number.
    public func encode(into key: inout KeyBytes) { key.encode(self) }
}
extension Int8: CacheKey {
    /// Writes the number.
    public func encode(into key: inout KeyBytes) { key.encode(self) }
}
extension Int16: CacheKey {
    /// Writes the number.
    public func encode(into key: inout KeyBytes) { key.encode(self) }
}
extension Int32: CacheKey {
    /// Writes the number.
    public func encode(into key: inout KeyBytes) { key.encode(self) }
}
extension Int64: CacheKey {
    /// Writes the number.
    public func encode(into key: inout KeyBytes) { key.encode(self) }
}
extension UInt: CacheKey {
    /// Writes the number.
    public func encode(into key: inout KeyBytes) { key.encode(self) }
}
extension UInt8: CacheKey {
    /// Writes the number.
    public func encode(into key: inout KeyBytes) { key.encode(self) }
}
extension UInt16: CacheKey {
    /// Writes the number.
    public func encode(into key: inout KeyBytes) { key.encode(self) }
}
extension UInt32: CacheKey {
    /// Writes the number.
    public func encode(into key: inout KeyBytes) { key.encode(self) }
}
extension UInt64: CacheKey {
    /// Writes the number.
    public func encode(into key: inout KeyBytes) { key.encode(self) }
}
extension Double: CacheKey {
    /// Writes the number; NaN is refused when the key is used.
    public func encode(into key: inout KeyBytes) { key.encode(self) }
}
extension Float: CacheKey {
    /// Writes the number; NaN is refused when the key is used.
    public func encode(into key: inout KeyBytes) { key.encode(Double(self)) }
}
extension String: CacheKey {
    /// Writes the text.
    public func encode(into key: inout KeyBytes) { key.encode(self) }
}
extension Bool: CacheKey {
    /// Writes the CBOR of true or false, so that `true` isn't the key `1`.
    public func encode(into key: inout KeyBytes) { key.encode(serialized: [self ? 0xf5 : 0xf4]) }
}
extension Array: CacheKey where Element == UInt8 {
    /// Writes the bytes.
    public func encode(into key: inout KeyBytes) { key.encode(self) }
}
extension Optional: CacheKey where Wrapped: CacheKey {
    /// Writes what is wrapped, or null. An optional of an optional has but one null.
    public func encode(into key: inout KeyBytes) {
        switch self {
        case .none: key.encodeNull()
        case .some(let wrapped): wrapped.encode(into: &key)
        }
    }
}

/// Makes any `Codable` value a key, by its deterministic CBOR.
///
/// ```swift
/// try cache.set(Encoded(["en", "de"]), page)
/// ```
public struct Encoded<Value: Codable & Hashable & Sendable>: CacheKey, Codable {
    /// The value itself.
    public var value: Value

    /// A key made of `value`.
    public init(_ value: Value) {
        self.value = value
    }

    /// Reads the value where it stands.
    public init(from decoder: any Decoder) throws {
        value = try decoder.singleValueContainer().decode(Value.self)
    }

    /// Writes the value as if it weren't wrapped.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }
}

/// Lends a key's class (a raw value of `KeyClass`) and bytes.
///
/// Text, bytes, numbers and queue keys of usual length need no allocation: their types are told by comparing
/// metatypes, which costs nothing once specialised and little otherwise, where a dynamic cast would look conformances
/// up. Every other type writes itself through ``CacheKey/encode(into:)``.
///
/// The classes stand here as numbers since this is inlined into clients, where an enum's raw value is a call.
@inlinable @inline(__always)
func withKeyBytes<K: CacheKey, R>(
    _ key: K, _ body: (_ keyClass: UInt8, _ bytes: UnsafeRawBufferPointer) throws -> R
) throws -> R {
    if K.self == String.self {
        return try withUTF8(of: unsafeBitCast(key, to: String.self)) { try body(3, $0) }
    }
    if K.self == [UInt8].self {
        return try unsafeBitCast(key, to: [UInt8].self).withUnsafeBytes { try body(4, $0) }
    }
    if let number = integerKey(key) {
        return try number.withBytes { try body(1, $0) }
    }
    if K.self == Double.self {
        let value = unsafeBitCast(key, to: Double.self)
        if value.isNaN { throw keyIsNaN() }
        return try NumberKey(value).withBytes { try body(2, $0) }
    }
    if K.self == Float.self {
        let value = Double(unsafeBitCast(key, to: Float.self))
        if value.isNaN { throw keyIsNaN() }
        return try NumberKey(value).withBytes { try body(2, $0) }
    }
    return try withWrittenKeyBytes(key, body)
}

/// The number key of an integer of any width, nil for any other type.
@inlinable @inline(__always)
func integerKey<K>(_ key: K) -> NumberKey? {
    if K.self == Int.self { return NumberKey(Int64(unsafeBitCast(key, to: Int.self))) }
    if K.self == Int64.self { return NumberKey(unsafeBitCast(key, to: Int64.self)) }
    if K.self == Int32.self { return NumberKey(Int64(unsafeBitCast(key, to: Int32.self))) }
    if K.self == UInt64.self { return NumberKey(unsafeBitCast(key, to: UInt64.self)) }
    if K.self == UInt.self { return NumberKey(UInt64(unsafeBitCast(key, to: UInt.self))) }
    if K.self == UInt32.self { return NumberKey(Int64(unsafeBitCast(key, to: UInt32.self))) }
    if K.self == Int16.self { return NumberKey(Int64(unsafeBitCast(key, to: Int16.self))) }
    if K.self == UInt16.self { return NumberKey(Int64(unsafeBitCast(key, to: UInt16.self))) }
    if K.self == Int8.self { return NumberKey(Int64(unsafeBitCast(key, to: Int8.self))) }
    if K.self == UInt8.self { return NumberKey(Int64(unsafeBitCast(key, to: UInt8.self))) }
    return nil
}

/// Lends the bytes of a key that isn't one of the types told apart by `withKeyBytes`.
@usableFromInline
func withWrittenKeyBytes<K: CacheKey, R>(
    _ key: K, _ body: (UInt8, UnsafeRawBufferPointer) throws -> R
) throws -> R {
    if K.self == QueueKey.self {
        return try unsafeBitCast(key, to: QueueKey.self).withBytes { try body(KeyClass.queue.rawValue, $0) }
    }
    var written = KeyBytes()
    key.encode(into: &written)
    return try written.withBytes(body)
}

/// Lends a text's UTF-8 bytes where they lie.
@inlinable @inline(__always)
func withUTF8<R>(of text: String, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    // A native string lends its own storage: only one bridged from Objective-C is copied, into `copy`.
    var copy = text
    return try copy.withUTF8 { try body(UnsafeRawBufferPointer($0)) }
}
