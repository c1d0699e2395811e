// What is stored for a value, and which types a stored value can be read as:
//
//     type                     stored                      read back as
//     Int…, UInt…              integer, unsigned           any integer type whose range it is in;
//                                                          any float type that holds it exactly
//     Double, Float            double                      any float type that holds it exactly
//     String                   text                        String
//     [UInt8]                  bytes                       [UInt8]
//     nil                      null                        any optional type
//     Optional, not nil        as what is wrapped          optional or not
//     an optional of one       encoded, unless nil         the same; a native form as .some
//     everything else          encoded                     what the serialiser makes of it
//
// Anything else is a `typeMismatch`, never nil. Types are told by comparing metatypes, which is resolved when code is
// specialised and cheap when it isn't; a dynamic cast would look conformances up.

/// Lends form and bytes that `value` is stored as, without allocating for numbers, text and bytes.
@inlinable @inline(__always)
func encodeValue<V: Encodable, R>(
    _ value: V, serializer: any Serializer, _ body: (ValueForm, UnsafeRawBufferPointer) throws -> R
) throws -> R {
    if V.self == String.self {
        return try withUTF8(of: unsafeBitCast(value, to: String.self)) { try body(.text, $0) }
    }
    if V.self == [UInt8].self {
        return try unsafeBitCast(value, to: [UInt8].self).withUnsafeBytes { try body(.bytes, $0) }
    }
    if let (form, bits) = scalarForm(value) {
        var storage = bits.littleEndian
        return try withUnsafeBytes(of: &storage) { try body(form, $0) }
    }
    return try encodeOther(value, serializer: serializer, body)
}

/// Form and bits of a number, nil for any other type.
@inlinable @inline(__always)
func scalarForm<V>(_ value: V) -> (ValueForm, UInt64)? {
    if V.self == Int.self { return signedForm(Int64(unsafeBitCast(value, to: Int.self))) }
    if V.self == Double.self { return (.double, unsafeBitCast(value, to: Double.self).bitPattern) }
    if V.self == Int64.self { return signedForm(unsafeBitCast(value, to: Int64.self)) }
    if V.self == UInt64.self { return unsignedForm(unsafeBitCast(value, to: UInt64.self)) }
    if V.self == UInt.self { return unsignedForm(UInt64(unsafeBitCast(value, to: UInt.self))) }
    if V.self == Float.self { return (.double, Double(unsafeBitCast(value, to: Float.self)).bitPattern) }
    if V.self == Int32.self { return signedForm(Int64(unsafeBitCast(value, to: Int32.self))) }
    if V.self == UInt32.self { return signedForm(Int64(unsafeBitCast(value, to: UInt32.self))) }
    if V.self == Int16.self { return signedForm(Int64(unsafeBitCast(value, to: Int16.self))) }
    if V.self == UInt16.self { return signedForm(Int64(unsafeBitCast(value, to: UInt16.self))) }
    if V.self == Int8.self { return signedForm(Int64(unsafeBitCast(value, to: Int8.self))) }
    if V.self == UInt8.self { return signedForm(Int64(unsafeBitCast(value, to: UInt8.self))) }
    return nil
}

@inlinable @inline(__always)
func signedForm(_ value: Int64) -> (ValueForm, UInt64) {
    (.integer, UInt64(bitPattern: value))
}

@inlinable @inline(__always)
func unsignedForm(_ value: UInt64) -> (ValueForm, UInt64) {
    (value > UInt64(Int64.max) ? .unsigned : .integer, value)
}

/// The same for a value that isn't a number, a text or bytes.
@usableFromInline
func encodeOther<V: Encodable, R>(
    _ value: V, serializer: any Serializer, _ body: (ValueForm, UnsafeRawBufferPointer) throws -> R
) throws -> R {
    if V.self == AnyValue.self {
        let stored = unsafeBitCast(value, to: AnyValue.self)
        return try stored.bytes.withUnsafeBytes { try body(stored.form, $0) }
    }
    if let optional = V.self as? any OptionalValue.Type,
        let result = try encodeOptional(value, optional, serializer, body)
    {
        return result
    }
    return try serialized(value, serializer: serializer).withUnsafeBytes { try body(.encoded, $0) }
}

private func encodeOptional<V, O: OptionalValue, R>(
    _ value: V, _ type: O.Type, _ serializer: any Serializer, _ body: (ValueForm, UnsafeRawBufferPointer) throws -> R
) throws -> R? {
    try asSameType(value, O.self)?.encodeWrapped(serializer: serializer, body)
}

private func serialized<V: Encodable>(_ value: V, serializer: any Serializer) throws -> [UInt8] {
    do {
        return try serializer.encode(value)
    } catch let error as CacheError {
        throw error
    } catch {
        throw CacheError(.unencodable, "serialiser \(serializer.name), \(V.self): \(error)")
    }
}

/// An optional whose wrapped type can be stored.
private protocol OptionalValue {
    /// Lends what is stored for nil, or for what is wrapped; nil for an optional of an optional that isn't nil, which
    /// is serialised as a whole, since null can't tell its nils apart.
    func encodeWrapped<R>(
        serializer: any Serializer, _ body: (ValueForm, UnsafeRawBufferPointer) throws -> R
    ) throws -> R?
}

extension Optional: OptionalValue where Wrapped: Encodable {
    fileprivate func encodeWrapped<R>(
        serializer: any Serializer, _ body: (ValueForm, UnsafeRawBufferPointer) throws -> R
    ) throws -> R? {
        guard let wrapped = self else {
            return .some(try body(.null, UnsafeRawBufferPointer(start: nil, count: 0)))
        }
        if Wrapped.self is any OptionalType.Type { return .none }
        return .some(try encodeValue(wrapped, serializer: serializer, body))
    }
}

/// The value of type `V` that form and bytes are; throws `typeMismatch` if what is stored is of another type, and
/// `corrupted` or `undecodable` if it can't have been written by this library.
@inlinable @inline(__always)
func decodeValue<V: Decodable>(
    _ type: V.Type, form: ValueForm, bytes: UnsafeRawBufferPointer, serializer: any Serializer
) throws -> V {
    if V.self == String.self {
        return unsafeBitCast(try decodeText(form, bytes), to: V.self)
    }
    if V.self == [UInt8].self {
        return unsafeBitCast(try decodeBytes(form, bytes), to: V.self)
    }
    if V.self == Int.self {
        return unsafeBitCast(try decodeInteger(Int.self, form, bytes), to: V.self)
    }
    if V.self == Double.self {
        return unsafeBitCast(try decodeFloat(Double.self, form, bytes), to: V.self)
    }
    return try decodeOther(type, form: form, bytes: bytes, serializer: serializer)
}

@usableFromInline
func decodeText(_ form: ValueForm, _ bytes: UnsafeRawBufferPointer) throws -> String {
    guard form.inline == .text else { throw mismatch(String.self, form) }
    guard let text = String(validating: bytes, as: UTF8.self) else {
        throw CacheError(.corrupted, "a stored text of \(bytes.count) bytes isn't UTF-8")
    }
    return text
}

@usableFromInline
func decodeBytes(_ form: ValueForm, _ bytes: UnsafeRawBufferPointer) throws -> [UInt8] {
    guard form.inline == .bytes else { throw mismatch([UInt8].self, form) }
    return Array(bytes)
}

@usableFromInline
func decodeInteger<T: FixedWidthInteger>(
    _ type: T.Type, _ form: ValueForm, _ bytes: UnsafeRawBufferPointer
) throws -> T {
    let value: T?
    switch form {
    case .integer: value = T(exactly: Int64(bitPattern: try loadBits(bytes)))
    case .unsigned: value = T(exactly: try loadBits(bytes))
    default: throw mismatch(type, form)
    }
    guard let value else { throw CacheError(.typeMismatch, "the stored integer is out of the range of \(type)") }
    return value
}

@usableFromInline
func decodeFloat<T: BinaryFloatingPoint>(
    _ type: T.Type, _ form: ValueForm, _ bytes: UnsafeRawBufferPointer
) throws -> T {
    let value: T?
    switch form {
    case .double:
        let double = Double(bitPattern: try loadBits(bytes))
        value = double.isNaN ? T(double) : T(exactly: double)
    case .integer: value = T(exactly: Int64(bitPattern: try loadBits(bytes)))
    case .unsigned: value = T(exactly: try loadBits(bytes))
    default: throw mismatch(type, form)
    }
    guard let value else { throw CacheError(.typeMismatch, "\(type) doesn't hold the stored number exactly") }
    return value
}

private func loadBits(_ bytes: UnsafeRawBufferPointer) throws -> UInt64 {
    guard bytes.count == 8 else {
        throw CacheError(.corrupted, "a stored number of \(bytes.count) bytes instead of 8")
    }
    return UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
}

private func mismatch(_ type: Any.Type, _ form: ValueForm) -> CacheError {
    CacheError(.typeMismatch, "\(type) asked for, \(form.inline) stored")
}

/// The same for the types that `decodeValue` doesn't tell apart itself.
@usableFromInline
func decodeOther<V: Decodable>(
    _ type: V.Type, form: ValueForm, bytes: UnsafeRawBufferPointer, serializer: any Serializer
) throws -> V {
    if V.self == Int64.self { return unsafeBitCast(try decodeInteger(Int64.self, form, bytes), to: V.self) }
    if V.self == UInt64.self { return unsafeBitCast(try decodeInteger(UInt64.self, form, bytes), to: V.self) }
    if V.self == UInt.self { return unsafeBitCast(try decodeInteger(UInt.self, form, bytes), to: V.self) }
    if V.self == Float.self { return unsafeBitCast(try decodeFloat(Float.self, form, bytes), to: V.self) }
    if V.self == Int32.self { return unsafeBitCast(try decodeInteger(Int32.self, form, bytes), to: V.self) }
    if V.self == UInt32.self { return unsafeBitCast(try decodeInteger(UInt32.self, form, bytes), to: V.self) }
    if V.self == Int16.self { return unsafeBitCast(try decodeInteger(Int16.self, form, bytes), to: V.self) }
    if V.self == UInt16.self { return unsafeBitCast(try decodeInteger(UInt16.self, form, bytes), to: V.self) }
    if V.self == Int8.self { return unsafeBitCast(try decodeInteger(Int8.self, form, bytes), to: V.self) }
    if V.self == UInt8.self { return unsafeBitCast(try decodeInteger(UInt8.self, form, bytes), to: V.self) }
    if V.self == AnyValue.self { return unsafeBitCast(AnyValue(form: form, bytes: Array(bytes)), to: V.self) }
    if let optional = V.self as? any OptionalDecodable.Type,
        let result: V = try decodeOptional(optional, form, bytes, serializer)
    {
        return result
    }
    guard form.inline == .encoded else { throw mismatch(type, form) }
    do {
        return try serializer.decode(type, from: bytes)
    } catch let error as CacheError {
        throw error
    } catch {
        throw CacheError(.undecodable, "serialiser \(serializer.name), \(V.self): \(error)")
    }
}

/// An optional whose wrapped type can be read.
private protocol OptionalDecodable {
    /// The optional; nil for an optional of an optional that was serialised as a whole.
    static func decodeWrapped(
        form: ValueForm, bytes: UnsafeRawBufferPointer, serializer: any Serializer
    ) throws -> Self?
}

private func decodeOptional<V, O: OptionalDecodable>(
    _ type: O.Type, _ form: ValueForm, _ bytes: UnsafeRawBufferPointer, _ serializer: any Serializer
) throws -> V? {
    guard let value = try O.decodeWrapped(form: form, bytes: bytes, serializer: serializer) else { return nil }
    return asSameType(value)
}

extension Optional: OptionalDecodable where Wrapped: Decodable {
    fileprivate static func decodeWrapped(
        form: ValueForm, bytes: UnsafeRawBufferPointer, serializer: any Serializer
    ) throws -> Self? {
        if form == .null { return .some(.none) }
        if Wrapped.self is any OptionalType.Type && form.inline == .encoded { return .none }
        return .some(.some(try decodeValue(Wrapped.self, form: form, bytes: bytes, serializer: serializer)))
    }
}
