/// A range of keys: what `keys(in:)` takes.
///
/// The ranges of the standard library are such for every type that is a key and `Comparable`. Where keys aren't, or aren't compared as a
/// cache does it, there is ``KeyRange``.
public protocol KeyRangeExpression<Key> {
    /// The type of the keys.
    associatedtype Key: CacheKey
    /// The bounds.
    var keyRange: KeyRange<Key> { get }
}

/// A range of keys in the order of a cache: that of their encoding.
///
/// ```swift
/// for page in try Array(cache.keys(in: KeyRange(from: [0x10, 0x00], upTo: [0x10, 0xFF]))) { … }
/// ```
///
/// Null comes first, then numbers by value, texts by their UTF-8 bytes, bytes, everything serialised, and queues' items. A range
/// whose bounds lie the wrong way round is empty. A range without a bound on one side ends with the kind of its other bound: numbers
/// with numbers, texts with texts; one of ``AnyCacheKey`` goes on to the first or last key.
public struct KeyRange<Key: CacheKey>: KeyRangeExpression, Hashable, Sendable {
    /// The first key; nil: from the beginning.
    public var lower: Key?
    /// Where the range ends; nil: at the end.
    public var upper: Key?
    /// Whether `upper` itself belongs to it.
    public var includesUpper: Bool

    /// Keys from `lower` on, below `upper`.
    public init(from lower: Key? = nil, upTo upper: Key? = nil) {
        self.lower = lower
        self.upper = upper
        includesUpper = false
    }

    /// Keys from `lower` on, up to `upper` itself.
    public init(from lower: Key? = nil, through upper: Key) {
        self.lower = lower
        self.upper = upper
        includesUpper = true
    }

    /// The range itself.
    public var keyRange: KeyRange<Key> { self }
}

extension Range: KeyRangeExpression where Bound: CacheKey {
    /// The same bounds.
    public var keyRange: KeyRange<Bound> { KeyRange(from: lowerBound, upTo: upperBound) }
}

extension ClosedRange: KeyRangeExpression where Bound: CacheKey {
    /// The same bounds.
    public var keyRange: KeyRange<Bound> { KeyRange(from: lowerBound, through: upperBound) }
}

extension PartialRangeFrom: KeyRangeExpression where Bound: CacheKey {
    /// The same bound.
    public var keyRange: KeyRange<Bound> { KeyRange(from: lowerBound) }
}

extension PartialRangeUpTo: KeyRangeExpression where Bound: CacheKey {
    /// The same bound.
    public var keyRange: KeyRange<Bound> { KeyRange(upTo: upperBound) }
}

extension PartialRangeThrough: KeyRangeExpression where Bound: CacheKey {
    /// The same bound.
    public var keyRange: KeyRange<Bound> { KeyRange(through: upperBound) }
}

extension KeyRange {
    /// A bound as a tree's key, and whether it is included itself.
    typealias Encoded = (bytes: [UInt8], isIncluded: Bool)

    /// The two bounds as the trees' keys.
    func encoded() throws -> (lower: Encoded?, upper: Encoded?) {
        var first = try lower.map { (bytes: try Self.encode($0), isIncluded: true) }
        var last = try upper.map { (bytes: try Self.encode($0), isIncluded: includesUpper) }
        if Key.self != AnyCacheKey.self {
            if let first, last == nil { last = (bytes: [first.bytes[0] + 1], isIncluded: false) }
            if let last, first == nil { first = (bytes: [last.bytes[0]], isIncluded: true) }
        }
        return (first, last)
    }

    private static func encode(_ key: Key) throws -> [UInt8] {
        try withKeyBytes(key) { keyClass, bytes in KeyClass.place(keyClass, bytes) }
    }
}
