/// A value as it is stored, whatever type it was: for tools, which don't know the types of those whose caches they look at.
///
/// Wherever a value is asked for as an `AnyValue` it comes back whatever it is, and is stored again as it was.
package struct AnyValue: Codable, Hashable, Sendable {
    /// What the bytes are; never one of the forms that lie in files.
    package let form: ValueForm
    /// The bytes, as `ValueForm` says.
    package let bytes: [UInt8]

    /// A value of its parts; `bytes` must be what `form` asks for.
    package init(form: ValueForm, bytes: [UInt8]) {
        self.form = form.inline
        self.bytes = bytes
    }

    /// A stored null.
    package static var null: AnyValue { AnyValue(form: .null, bytes: []) }

    /// An integer.
    package init(_ value: Int64) { self.init(form: .integer, word: UInt64(bitPattern: value)) }

    /// A float.
    package init(_ value: Double) { self.init(form: .double, word: value.bitPattern) }

    /// A text.
    package init(_ value: String) { self.init(form: .text, bytes: Array(value.utf8)) }

    /// Bytes.
    package init(_ value: [UInt8]) { self.init(form: .bytes, bytes: value) }

    /// What the default serialiser makes of a value.
    package init(serializing value: some Encodable) throws {
        self.init(form: .encoded, bytes: try CBORSerializer().encode(value))
    }

    private init(form: ValueForm, word: UInt64) {
        self.init(form: form, bytes: withUnsafeBytes(of: word.littleEndian) { Array($0) })
    }

    /// The bits of a number; nil: it isn't one.
    package var word: UInt64? {
        guard [.integer, .unsigned, .double].contains(form), bytes.count == 8 else { return nil }
        return bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
    }

    /// Never right: a value is taken as it is stored, before any serialiser sees it.
    package init(from decoder: any Decoder) throws {
        throw CacheError(.typeMismatch, "an AnyValue is a whole stored value, not a part of one")
    }

    /// Never right, as `init(from:)`.
    package func encode(to encoder: any Encoder) throws {
        throw CacheError(.unencodable, "an AnyValue is a whole stored value, not a part of one")
    }
}
