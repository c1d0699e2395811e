/// Settings as stored: a CBOR map (RFC 8949) of text keys, in its deterministic form.
///
///     {"kind": "cache", "cull-limit": 10, "durability": "normal", "serializer": "cbor", "size-limit": 1073741824,
///      "statistics": false, "sync-interval": 1000000, …}
///
/// Keys are sorted bytewise by their encoding, which puts shorter ones first; numbers and lengths take their shortest
/// form. Equal settings thus have equal bytes. Reading takes any order and any form, checks that each byte belongs to
/// the map, and never traps: what can't be settings throws. Absent names mean the defaults; numbers out of their range, the nearest in it.
extension Settings {
    private enum Name {
        static let sizeLimit = "size-limit"
        static let cullLimit = "cull-limit"
        static let evictionPolicy = "eviction-policy"
        static let statistics = "statistics"
        static let tagIndex = "tag-index"
        static let minFileSize = "min-file-size"
        static let durability = "durability"
        static let syncInterval = "sync-interval"
        static let serializer = "serializer"
        static let defaultExpire = "default-expire"
        static let compaction = "compaction"
        static let kind = "kind"
    }

    /// The bytes to store.
    func encoded() -> [UInt8] {
        var pairs: [(key: [UInt8], value: [UInt8])] = []
        func add(_ name: String, _ value: [UInt8]) { pairs.append((SettingsWriter.text(name), value)) }
        add(Name.sizeLimit, SettingsWriter.integer(sizeLimit))
        add(Name.cullLimit, SettingsWriter.integer(Int64(cullLimit)))
        add(Name.evictionPolicy, SettingsWriter.text(evictionPolicy.name))
        add(Name.statistics, SettingsWriter.bool(statistics))
        add(Name.tagIndex, SettingsWriter.bool(tagIndex))
        add(Name.minFileSize, SettingsWriter.integer(Int64(minFileSize)))
        add(Name.durability, SettingsWriter.text(durability.name))
        add(Name.syncInterval, SettingsWriter.integer(Int64(syncInterval)))
        add(Name.serializer, SettingsWriter.text(serializer))
        add(Name.defaultExpire, defaultExpire.map { SettingsWriter.integer($0) } ?? SettingsWriter.null)
        if compaction != Self.defaultCompaction {
            add(Name.compaction, SettingsWriter.integer(Int64(compaction)))
        }
        add(Name.kind, SettingsWriter.text(kind.rawValue))
        for (name, value) in unknown { add(name, value) }
        pairs.sort { $0.key.lexicographicallyPrecedes($1.key) }
        var bytes = SettingsWriter.head(.map, UInt64(pairs.count))
        for pair in pairs { bytes += pair.key + pair.value }
        return bytes
    }

    /// Reads what `encoded` made, in this version or another.
    init(decoding bytes: [UInt8]) throws(SettingsError) {
        self.init()
        var reader = SettingsReader(bytes)
        let (major, count) = try reader.head()
        guard major == .map, let count else { throw reader.malformed }
        var seen: Set<String> = []
        // A count beyond what the bytes can hold ends with the bytes.
        var left = count
        while left > 0 {
            let name = try reader.text()
            guard seen.insert(name).inserted else { throw reader.malformed }
            try read(name, from: &reader)
            left -= 1
        }
        guard reader.isAtEnd else { throw reader.malformed }
        clamp()
    }

    private mutating func read(_ name: String, from reader: inout SettingsReader) throws(SettingsError) {
        let value = try reader.item()
        switch name {
        case Name.sizeLimit: sizeLimit = try value.integer(name)
        case Name.cullLimit: cullLimit = Int(try value.integer(name))
        case Name.evictionPolicy: evictionPolicy = try Self.named(value, name) { $0.name }
        case Name.statistics: statistics = try value.bool(name)
        case Name.tagIndex: tagIndex = try value.bool(name)
        case Name.minFileSize: minFileSize = Int(try value.integer(name))
        case Name.durability: durability = try Self.named(value, name) { $0.name }
        case Name.syncInterval: syncInterval = Int(try value.integer(name))
        case Name.serializer: serializer = try value.text(name)
        case Name.defaultExpire: defaultExpire = value.isNull ? nil : try value.integer(name)
        case Name.compaction: compaction = Int(try value.integer(name))
        case Name.kind: kind = try Self.named(value, name) { $0.rawValue }
        default: unknown[name] = value.bytes
        }
    }

    private static func named<Value: CaseIterable>(
        _ item: SettingsItem, _ name: String, _ text: (Value) -> String
    ) throws(SettingsError) -> Value {
        let wanted = try item.text(name)
        guard let found = Value.allCases.first(where: { text($0) == wanted }) else { throw .unknownValue(name) }
        return found
    }
}

extension Eviction {
    /// What it is called in files.
    var name: String {
        switch self {
        case .leastRecentlyStored: "least-recently-stored"
        case .leastRecentlyUsed: "least-recently-used"
        case .leastFrequentlyUsed: "least-frequently-used"
        case .none: "none"
        }
    }
}

extension Durability {
    /// What it is called in files.
    var name: String {
        switch self {
        case .none: "none"
        case .normal: "normal"
        case .full: "full"
        }
    }
}

/// The kinds of CBOR items: the upper three bits of an item's first byte.
private enum SettingsMajor: UInt8 {
    case unsigned = 0, negative, bytes, text, array, map, tag, simple
}

/// Writes CBOR items.
private enum SettingsWriter {
    static let null: [UInt8] = [0xF6]

    static func head(_ major: SettingsMajor, _ value: UInt64) -> [UInt8] {
        let first = major.rawValue << 5
        let width: Int
        switch value {
        case 0..<24: return [first | UInt8(value)]
        case 24...0xFF: width = 0
        case 0x100...0xFFFF: width = 1
        case 0x1_0000...0xFFFF_FFFF: width = 2
        default: width = 3
        }
        let bytes = (0..<(1 << width)).reversed().map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
        return [first | UInt8(24 + width)] + bytes
    }

    static func integer(_ value: Int64) -> [UInt8] {
        value < 0 ? head(.negative, UInt64(bitPattern: ~value)) : head(.unsigned, UInt64(value))
    }

    static func text(_ value: String) -> [UInt8] { head(.text, UInt64(value.utf8.count)) + Array(value.utf8) }

    static func bool(_ value: Bool) -> [UInt8] { [value ? 0xF5 : 0xF4] }
}

/// One item as it was found.
private struct SettingsItem {
    var bytes: [UInt8]

    var isNull: Bool { bytes == SettingsWriter.null }

    func bool(_ name: String) throws(SettingsError) -> Bool {
        switch bytes {
        case SettingsWriter.bool(true): return true
        case SettingsWriter.bool(false): return false
        default: throw .unknownValue(name)
        }
    }

    func integer(_ name: String) throws(SettingsError) -> Int64 {
        var reader = SettingsReader(bytes)
        let (major, value) = try reader.head()
        guard let value, let number = Int64(exactly: value) else { throw .unknownValue(name) }
        switch major {
        case .unsigned: return number
        case .negative: return ~number
        default: throw .unknownValue(name)
        }
    }

    func text(_ name: String) throws(SettingsError) -> String {
        guard bytes[0] >> 5 == SettingsMajor.text.rawValue else { throw .unknownValue(name) }
        var reader = SettingsReader(bytes)
        return try reader.text()
    }
}

/// Reads CBOR items, each byte checked to be there.
private struct SettingsReader {
    private let bytes: [UInt8]
    private var offset = 0
    /// How deep arrays, maps and tags may be nested.
    private static let deepest = 32

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { offset == bytes.count }
    var malformed: SettingsError { .malformed(offset: offset) }

    /// An item's first byte and number; nil for the number of an item without a length.
    mutating func head() throws(SettingsError) -> (SettingsMajor, UInt64?) {
        let first = try byte()
        guard let major = SettingsMajor(rawValue: first >> 5) else { throw malformed }
        switch first & 31 {
        case let small where small < 24: return (major, UInt64(small))
        case let wide where wide < 28:
            var value: UInt64 = 0
            for _ in 0..<(1 << (wide - 24)) { value = value << 8 | UInt64(try byte()) }
            // One byte after a simple value's head is for those that the head itself can't say.
            if major == .simple && wide == 24 && value < 32 { throw malformed }
            return (major, value)
        case 31:
            switch major {
            case .bytes, .text, .array, .map, .simple: return (major, nil)
            default: throw malformed
            }
        default: throw malformed
        }
    }

    /// A text of known length.
    mutating func text() throws(SettingsError) -> String {
        let (major, count) = try head()
        guard major == .text, let count else { throw malformed }
        return try text(count)
    }

    /// Any item, whole.
    mutating func item() throws(SettingsError) -> SettingsItem {
        let start = offset
        if try skip(depth: 0) { throw malformed }
        return SettingsItem(bytes: Array(bytes[start..<offset]))
    }

    /// Passes an item; true if it was the end of one without a length.
    private mutating func skip(depth: Int) throws(SettingsError) -> Bool {
        if depth > Self.deepest { throw malformed }
        let (major, value) = try head()
        switch (major, value) {
        case (.unsigned, _), (.negative, _), (.simple, .some): break
        case (.simple, nil): return true
        case (.bytes, let count?): try advance(count)
        case (.text, let count?): _ = try text(count)
        case (.bytes, nil), (.text, nil): try skipPieces(of: major)
        case (.array, let count?): try skipItems(count, depth)
        case (.map, let count?):
            try skipItems(count, depth)
            try skipItems(count, depth)
        case (.array, nil):
            while try !skip(depth: depth + 1) {}
        case (.map, nil):
            while try !skip(depth: depth + 1) { if try skip(depth: depth + 1) { throw malformed } }
        case (.tag, _): if try skip(depth: depth + 1) { throw malformed }
        }
        return false
    }

    private mutating func skipItems(_ count: UInt64, _ depth: Int) throws(SettingsError) {
        var left = count
        while left > 0 {
            if try skip(depth: depth + 1) { throw malformed }
            left -= 1
        }
    }

    /// The pieces of a string without a length: strings of the same kind that have one.
    private mutating func skipPieces(of kind: SettingsMajor) throws(SettingsError) {
        while true {
            let (major, count) = try head()
            if major == .simple && count == nil { return }
            guard major == kind, let count else { throw malformed }
            if kind == .text { _ = try text(count) } else { try advance(count) }
        }
    }

    private mutating func text(_ count: UInt64) throws(SettingsError) -> String {
        let start = offset
        try advance(count)
        guard let text = String(validating: bytes[start..<offset], as: UTF8.self) else { throw malformed }
        return text
    }

    private mutating func advance(_ count: UInt64) throws(SettingsError) {
        guard count <= UInt64(bytes.count - offset) else { throw malformed }
        offset += Int(count)
    }

    private mutating func byte() throws(SettingsError) -> UInt8 {
        guard offset < bytes.count else { throw malformed }
        defer { offset += 1 }
        return bytes[offset]
    }
}
