/// How a value is stored. Raw values are stored in files, in four bits; never renumber.
@usableFromInline package enum ValueForm: UInt8, Sendable, CaseIterable {
    /// nil: no bytes.
    case null = 0
    /// An integer that fits `Int64`: 8 bytes, little-endian.
    case integer = 1
    /// A `Double` or `Float`: the bits of a double, 8 bytes, little-endian.
    case double = 2
    /// A text: UTF-8.
    case text = 3
    /// A `[UInt8]`, as it is.
    case bytes = 4
    /// Everything else, as the store's serialiser wrote it.
    case encoded = 5
    /// A text in a file of its own.
    case textFile = 6
    /// Bytes in a file of their own.
    case bytesFile = 7
    /// A serialised value in a file of its own.
    case encodedFile = 8
    /// An integer above `Int64.max`: 8 bytes, little-endian.
    case unsigned = 9

    /// The form of the bytes, wherever they lie.
    var inline: ValueForm {
        switch self {
        case .textFile: .text
        case .bytesFile: .bytes
        case .encodedFile: .encoded
        default: self
        }
    }

    /// The same form in a file of its own; nil for numbers and null, which never are.
    var inFile: ValueForm? {
        switch self {
        case .text, .textFile: .textFile
        case .bytes, .bytesFile: .bytesFile
        case .encoded, .encodedFile: .encodedFile
        case .null, .integer, .double, .unsigned: nil
        }
    }

    /// Whether the bytes lie in a file of their own.
    var isFile: Bool { self == .textFile || self == .bytesFile || self == .encodedFile }
}
