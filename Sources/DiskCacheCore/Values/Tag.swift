/// A label on items, by which many can be evicted at once.
///
/// ```swift
/// try cache.set("page:1", page, tag: "site")
/// try cache.evict(tag: "site")
/// ```
///
/// A tag has 65,535 bytes at most: what stores an item with a longer one throws `limitReached`.
///
/// Numbers are compared by value, as keys are: `.int(1) == .double(1)`. Text is compared by its UTF-8 bytes.
public enum Tag: Hashable, Sendable {
    /// An integer.
    case int(Int64)
    /// A float. NaN is refused when the tag is used.
    case double(Double)
    /// A text.
    case string(String)
    /// Bytes.
    case bytes([UInt8])

    /// Whether both label the same items.
    public static func == (left: Tag, right: Tag) -> Bool {
        left.key == right.key
    }

    /// Feeds what identifies the tag.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(key)
    }

    /// The key that a tag is encoded like.
    private var key: AnyCacheKey {
        switch self {
        case .int(let value): .int(value)
        case .double(let value): .double(value)
        case .string(let value): .string(value)
        case .bytes(let value): .bytes(value)
        }
    }
}

extension Tag: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByStringLiteral {
    /// The tag of an integer.
    public init(integerLiteral value: Int64) { self = .int(value) }
    /// The tag of a float.
    public init(floatLiteral value: Double) { self = .double(value) }
    /// The tag of a text.
    public init(stringLiteral value: String) { self = .string(value) }
}

extension Tag: ExpressibleByStringInterpolation {}

extension Tag: ExpressibleByArrayLiteral {
    /// The tag of bytes.
    public init(arrayLiteral elements: UInt8...) { self = .bytes(elements) }
}

// A tag is stored as a key is: a form, which is a raw value of `KeyClass` (integer 1, float 2, text 3, bytes 4), and
// the bytes that a key of that value has. Tags are equal if bytes and `KeyClass.identity(of: form)` are.
extension Tag {
    /// Lends form and bytes; throws `keyInvalid` for NaN.
    func withBytes<R>(_ body: (_ form: UInt8, _ bytes: UnsafeRawBufferPointer) throws -> R) throws -> R {
        switch self {
        case .int(let value): return try withKeyBytes(value, body)
        case .double(let value):
            if value.isNaN { throw CacheError(.keyInvalid, "NaN can't be a tag: it equals nothing, itself included") }
            return try withKeyBytes(value, body)
        case .string(let value): return try withKeyBytes(value, body)
        case .bytes(let value): return try withKeyBytes(value, body)
        }
    }

    /// The tag stored as form and bytes; throws `corrupted` if they can't have been written by this library.
    init(form: UInt8, bytes: UnsafeRawBufferPointer) throws {
        switch try AnyCacheKey(keyClass: form, bytes: bytes) {
        case .int(let value): self = .int(value)
        case .double(let value): self = .double(value)
        case .string(let value): self = .string(value)
        case .bytes(let value): self = .bytes(value)
        case .null, .uint, .encoded, .queue:
            throw CacheError(.corrupted, "a stored tag of form \(form)")
        }
    }
}
