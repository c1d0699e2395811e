/// An item: its value, and what the cache knows about it.
public struct Entry<Value> {
    /// The value.
    public var value: Value

    /// When the value was stored, in seconds since 1970 (UTC).
    public var storedAt: Double

    /// When the item expires, in seconds since 1970 (UTC); nil for never.
    public var expires: Double?

    /// The item's tag.
    public var tag: Tag?

    /// How many bytes the value is, as stored.
    public var byteCount: Int

    /// The file that holds the value and nothing else, if it has one of its own.
    ///
    /// Read it, or hand it to `sendfile`, but don't change it. It is deleted when the item is replaced or removed; a
    /// file that is open then stays readable.
    public var path: String?

    /// An entry made from its parts.
    public init(
        value: Value, storedAt: Double, expires: Double? = nil, tag: Tag? = nil, byteCount: Int, path: String? = nil
    ) {
        self.value = value
        self.storedAt = storedAt
        self.expires = expires
        self.tag = tag
        self.byteCount = byteCount
        self.path = path
    }

    /// The same entry with another value.
    func map<Other>(_ transform: (Value) throws -> Other) rethrows -> Entry<Other> {
        Entry<Other>(
            value: try transform(value), storedAt: storedAt, expires: expires, tag: tag, byteCount: byteCount,
            path: path)
    }
}

extension Entry: Sendable where Value: Sendable {}
extension Entry: Equatable where Value: Equatable {}
extension Entry: Hashable where Value: Hashable {}
