/// Where a ``CacheKey`` writes what identifies it: a class, and bytes whose order within the class is the keys' order.
///
/// A custom key writes itself by calling one of the `encode` functions once. If it calls several, the last one counts.
///
/// ```swift
/// struct UserID: CacheKey {
///     var number: Int
///     func encode(into key: inout KeyBytes) { key.encode(number) }
/// }
/// ```
///
/// Keys are equal if class and bytes are, whatever type wrote them: the key above is the same as the integer.
public struct KeyBytes: Sendable {
    /// What was written last, nil as long as nothing was.
    private(set) var keyClass: KeyClass?
    /// The bytes that go with it.
    private(set) var bytes: [UInt8] = []
    /// Why the key can't be one; thrown when the key is used, since `encode(into:)` can't throw.
    private(set) var failure: CacheError?

    init() {}

    private mutating func write(_ keyClass: KeyClass, _ bytes: [UInt8]) {
        self.keyClass = keyClass
        self.bytes = bytes
        failure = nil
    }

    /// Makes this the null key, which nil has.
    public mutating func encodeNull() {
        write(.null, [])
    }

    /// Makes this the key of an integer. A float of the same value has the same key.
    public mutating func encode(_ value: some FixedWidthInteger & Sendable) {
        if let signed = Int64(exactly: value) {
            write(.integer, NumberKey(signed).bytes)
        } else if let unsigned = UInt64(exactly: value) {
            write(.integer, NumberKey(unsigned).bytes)
        } else {
            fail(CacheError(.keyInvalid, "an integer beyond 64 bits can't be a key"))
        }
    }

    /// Makes this the key of a float. NaN is refused with `keyInvalid` when the key is used.
    public mutating func encode(_ value: Double) {
        if value.isNaN {
            fail(keyIsNaN())
        } else {
            write(.float, NumberKey(value).bytes)
        }
    }

    /// Makes this the key of a text, which is identified and ordered by its UTF-8 bytes.
    public mutating func encode(_ value: String) {
        write(.text, Array(value.utf8))
    }

    /// Makes this the key of some bytes.
    public mutating func encode(_ value: [UInt8]) {
        write(.bytes, value)
    }

    /// Makes this the key of any encodable value: its deterministic CBOR, in which −0.0 is 0.0.
    ///
    /// If `value` can't be encoded, `unencodable` is thrown when the key is used.
    public mutating func encode(serializing value: some Encodable) {
        do {
            write(.encoded, try CBOREncoder(forKey: true).encode(value))
        } catch let error as CacheError {
            fail(error)
        } catch {
            fail(CacheError(.unencodable, String(describing: error)))
        }
    }

    /// Makes this the key whose CBOR is given.
    mutating func encode(serialized bytes: [UInt8]) {
        write(.encoded, bytes)
    }

    /// Makes this the key of a queue's item.
    mutating func encode(_ value: QueueKey) {
        write(.queue, value.encoded)
    }

    private mutating func fail(_ error: CacheError) {
        failure = error
    }

    /// Lends class and bytes, or throws why there are none.
    func withBytes<R>(_ body: (UInt8, UnsafeRawBufferPointer) throws -> R) throws -> R {
        if let failure { throw failure }
        guard let keyClass else {
            throw CacheError(.keyInvalid, "encode(into:) of the key's type wrote nothing")
        }
        return try bytes.withUnsafeBytes { try body(keyClass.rawValue, $0) }
    }
}

/// The error for NaN, made out of line: callers are inlined into clients.
@usableFromInline func keyIsNaN() -> CacheError {
    CacheError(.keyInvalid, "NaN can't be a key: it equals nothing, itself included")
}
