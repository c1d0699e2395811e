/// Turns `Codable` values into bytes and back.
///
/// A store keeps its serialiser's name and refuses to be opened with another. Integers, floats, texts, `[UInt8]` and
/// nil never reach a serialiser, and keys are always CBOR, which is deterministic.
public protocol Serializer: Sendable {
    /// What the store records, such as "cbor": two serialisers of one name must read each other's bytes.
    var name: String { get }

    /// The bytes of a value.
    func encode<T: Encodable>(_ value: T) throws -> [UInt8]

    /// The value of bytes that `encode` returned. The buffer is only valid during the call.
    ///
    /// Bytes come from a file: whatever they are, this must throw and not trap.
    func decode<T: Decodable>(_ type: T.Type, from bytes: UnsafeRawBufferPointer) throws -> T
}

/// The default serialiser: deterministic CBOR (RFC 8949, core deterministic encoding), so that equal values have
/// equal bytes.
///
/// - `Set` and `Dictionary` are written in the order of their elements' bytes, whatever their order in memory. (One
///   that encodes itself by `value.encode(to: encoder)` rather than through a container goes by the standard
///   library's own way, in hash order.)
/// - A dictionary is a map, whatever its keys; a struct is a map of its coding keys' names.
/// - `[UInt8]` is a byte string, `nil` null. An optional of an optional is null or an array of one, so that nil and
///   `.some(nil)` differ.
/// - A float is the shortest of 16, 32 and 64 bits that holds it; NaN is always the same NaN.
/// - 512 containers may be nested; a type that contains itself is decoded by recursion and needs stack accordingly. Decoding refuses
///   (`undecodable`) whatever this doesn't write: indefinite lengths, longer forms than needed, keys out of order or twice, tags (but for
///   128-bit integers), invalid UTF-8.
public struct CBORSerializer: Serializer {
    /// What types find as `userInfo` when they encode and decode themselves.
    public var userInfo: [CodingUserInfoKey: any Sendable]

    /// A serialiser that hands `userInfo` to the types that it encodes and decodes.
    public init(userInfo: [CodingUserInfoKey: any Sendable] = [:]) {
        self.userInfo = userInfo
    }

    /// "cbor".
    public var name: String { "cbor" }

    /// The value's CBOR; throws `unencodable` if it can't be encoded.
    public func encode<T: Encodable>(_ value: T) throws -> [UInt8] {
        try CBOREncoder(userInfo: userInfo).encode(value)
    }

    /// The value of some CBOR; throws `undecodable` if the bytes are malformed, `typeMismatch` if they hold another
    /// type.
    public func decode<T: Decodable>(_ type: T.Type, from bytes: UnsafeRawBufferPointer) throws -> T {
        try CBORDecoder(userInfo: userInfo).decode(type, from: bytes)
    }
}
