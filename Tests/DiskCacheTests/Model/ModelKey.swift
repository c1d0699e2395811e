@testable import DiskCacheCore

/// A key in the form in which a caller gives it, and what makes it the same as another, worked out without the library.
enum ModelKey: CustomStringConvertible {
    struct Place: Codable, CacheKey {
        var town: String
        var number: Int
    }

    case null
    case bool(Bool)
    case int(Int64)
    case unsigned(UInt64)
    case small(UInt8)
    case double(Double)
    case float(Float)
    case text(String)
    case bytes([UInt8])
    case place(Place)
    case queue(QueueKey)

    /// Equal for keys that are one key: numbers by exact value, text by its bytes.
    enum Identity: Hashable {
        case null
        case bool(Bool)
        case integer(Int128)
        case fraction(Double)
        case text([UInt8])
        case bytes([UInt8])
        case place([UInt8], Int)
        case queue([UInt8]?, Int64)
    }

    var identity: Identity {
        switch self {
        case .null: .null
        case .bool(let value): .bool(value)
        case .int(let value): .integer(Int128(value))
        case .unsigned(let value): .integer(Int128(value))
        case .small(let value): .integer(Int128(value))
        case .double(let value): Self.number(value)
        case .float(let value): Self.number(Double(value))
        case .text(let value): .text(Array(value.utf8))
        case .bytes(let value): .bytes(value)
        case .place(let value): .place(Array(value.town.utf8), value.number)
        case .queue(let value): .queue(value.prefix.map { Array($0.utf8) }, value.number)
        }
    }

    private static func number(_ value: Double) -> Identity {
        Int128(exactly: value).map { .integer($0) } ?? .fraction(value)
    }

    /// The key as its own type.
    var native: any CacheKey {
        switch self {
        case .null: Int?.none
        case .bool(let value): value
        case .int(let value): value
        case .unsigned(let value): value
        case .small(let value): value
        case .double(let value): value
        case .float(let value): value
        case .text(let value): value
        case .bytes(let value): value
        case .place(let value): value
        case .queue(let value): value
        }
    }

    /// The key as one type that holds them all; nil for what is serialised.
    var any: AnyCacheKey? {
        switch self {
        case .null: .null
        case .int(let value): .int(value)
        case .unsigned(let value): .uint(value)
        case .small(let value): .int(Int64(value))
        case .double(let value): .double(value)
        case .float(let value): .double(Double(value))
        case .text(let value): .string(value)
        case .bytes(let value): .bytes(value)
        case .bool, .place, .queue: nil
        }
    }

    var description: String {
        switch self {
        case .text(let value) where value.utf8.count > 40: "text of \(value.utf8.count) bytes, \(value.prefix(12))…"
        case .bytes(let value) where value.count > 20: "\(value.count) bytes, \(value.prefix(4))…"
        case .text(let value): "text \(value.debugDescription)"
        default: "\(native)"
        }
    }

    /// Keys that were made to be mistaken for one another.
    static let traps: [ModelKey] = {
        let big = Int64(1) << 53
        var keys: [ModelKey] = [.null, .bool(true), .bool(false)]
        keys += [.int(0), .double(0), .double(-0.0), .int(1), .small(1), .double(1), .float(1), .int(-1), .double(-1)]
        keys += [
            .int(big - 1), .int(big), .int(big + 1), .int(big + 2), .double(Double(big)), .double(Double(big) + 2),
        ]
        keys += [.int(-big), .int(-big - 1), .double(Double(-big)), .double(Double(-big) - 2)]
        keys += [
            .int(.max), .int(.max - 1), .int(.min), .int(.min + 1), .unsigned(1 << 63), .double(0x1p63),
            .double(-0x1p63),
        ]
        keys += [
            .unsigned(.max), .unsigned(.max - 1), .double(0x1p64), .unsigned(1), .double(.infinity),
            .double(-.infinity),
        ]
        keys += [
            .double(0.1), .float(0.1), .double(.leastNonzeroMagnitude), .double(.greatestFiniteMagnitude), .double(0.5),
        ]
        keys += [
            .text(""), .bytes([]), .text("1"), .bytes([49]), .text("\u{e9}"), .text("e\u{301}"), .text("\0"),
            .bytes([0]),
        ]
        keys += [.text("\u{1e9b}\u{323}"), .text("\u{1e69}"), .text("s\u{323}\u{307}"), .text("a\r\nb"), .text("a\nb")]
        keys += [.bytes([0, 0]), .bytes([0xf5]), .bytes([0xf6]), .bytes([1, 0, 0, 0, 0, 0, 0, 0])]
        keys += [
            .place(Place(town: "", number: 0)), .place(Place(town: "Köln", number: 1)),
            .place(Place(town: "Ko\u{308}ln", number: 1)),
        ]
        for count in [23, 24, 255, 256, 257, 4096] {
            keys += [.text(String(repeating: "k", count: count)), .bytes([UInt8](repeating: 107, count: count))]
        }
        return keys
    }()

    /// Keys beyond 65,535 bytes, where lengths take four bytes.
    static let long: [ModelKey] = [
        .text(String(repeating: "l", count: 65_535)), .text(String(repeating: "l", count: 65_536)),
        .bytes([UInt8](repeating: 7, count: 70_001)),
    ]
}
