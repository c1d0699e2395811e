import DiskCacheCore

/// Keys, values and tags as the shell writes them in JSON, and back.
///
/// | JSON | is |
/// | --- | --- |
/// | an integer, a float, a text, null | itself |
/// | `{"$bytes": BASE64}`, `{"$float": "inf" \| "-inf" \| "nan"}` | bytes; a float that JSON has no word for |
/// | `{"$queue": PREFIX or null, "number": N}` | a queue's item; a key only |
/// | `{"$large": N}`, `{"$file": PATH}` | N bytes, byte i being i mod 251; a file's bytes: values only |
/// | true, false, an array, any other object | a serialised value |
enum ShellValue {
    /// A value that is in memory already.
    case stored(AnyValue)
    /// So many bytes, made as they are needed.
    case large(Int)
    /// The bytes of a file, read as they are needed.
    case file(String)

    /// From how many bytes on `$large` isn't made in memory.
    private static let streamed = 1 << 20

    init(_ json: JSON) throws {
        switch json {
        case .null: self = .stored(.null)
        case .integer(let value): self = .stored(AnyValue(value))
        case .float(let value): self = .stored(AnyValue(value))
        case .text(let value): self = .stored(AnyValue(value))
        default:
            switch try Reserved(json) {
            case .bytes(let value): self = .stored(AnyValue(value))
            case .float(let value): self = .stored(AnyValue(value))
            case .large(let count):
                self = count < Self.streamed ? .stored(AnyValue(try LargeSource(count: count).all())) : .large(count)
            case .file(let path): self = .file(path)
            case .queue: throw BadRequest("a queue's key is no value")
            case nil: self = .stored(try AnyValue(serializing: json))
            }
        }
    }

    /// The value in memory, wherever it comes from.
    func inMemory() throws -> AnyValue {
        switch self {
        case .stored(let value): value
        case .large(let count): AnyValue(try LargeSource(count: count).all())
        case .file(let path): AnyValue(try Self.read(path))
        }
    }

    private static func read(_ path: String) throws -> [UInt8] {
        let file = try Platform.openFile(Array(path.utf8))
        var bytes: [UInt8] = []
        try withExtendedLifetime(file) {
            var source = FileDescriptorSource(file.number)
            while let piece = try source.next(maximum: 1 << 20) { bytes += piece }
        }
        return bytes
    }

    /// The key that some JSON is.
    static func key(_ json: JSON) throws -> AnyCacheKey {
        switch json {
        case .null: return .null
        case .integer(let value): return .int(value)
        case .float(let value): return .double(value)
        case .text(let value): return .string(value)
        default:
            switch try Reserved(json) {
            case .bytes(let value): return .bytes(value)
            case .float(let value): return .double(value)
            case .queue(let value): return .queue(value)
            case .large, .file: throw BadRequest("$large and $file are values, not keys")
            case nil: return try .serializing(json)
            }
        }
    }

    /// The tag that some JSON is; nil for null.
    static func tag(_ json: JSON) throws -> Tag? {
        switch json {
        case .null: return nil
        case .integer(let value): return .int(value)
        case .float(let value): return .double(value)
        case .text(let value): return .string(value)
        default:
            switch try Reserved(json) {
            case .bytes(let value): return .bytes(value)
            case .float(let value): return .double(value)
            default: throw BadRequest("a tag is a number, a text, bytes or null, not \(json.kind)")
            }
        }
    }
}

extension JSON {
    /// Nothing: there is no such item.
    static let absent = JSON.object(["$absent": .bool(true)])

    /// A stored value.
    init(_ value: AnyValue) throws {
        switch value.form {
        case .null: self = .null
        case .text:
            guard let text = String(validating: value.bytes, as: UTF8.self) else {
                throw CacheError(.corrupted, "a stored text of \(value.bytes.count) bytes isn't UTF-8")
            }
            self = .text(text)
        case .bytes: self = JSON(bytes: value.bytes)
        case .encoded: self = try JSON(cbor: value.bytes)
        case .integer, .unsigned, .double, .textFile, .bytesFile, .encodedFile:
            guard let word = value.word else {
                throw CacheError(.corrupted, "a stored number of \(value.bytes.count) bytes instead of 8")
            }
            switch value.form {
            case .double: self = .float(Double(bitPattern: word))
            case .unsigned: self = .digits(String(word))
            default: self = .integer(Int64(bitPattern: word))
            }
        }
    }

    /// A key.
    init(_ key: AnyCacheKey) throws {
        switch key {
        case .null: self = .null
        case .int(let value): self = .integer(value)
        case .uint(let value): self = .digits(String(value))
        case .double(let value): self = .float(value)
        case .string(let value): self = .text(value)
        case .bytes(let value): self = JSON(bytes: value)
        case .encoded(let value): self = try JSON(cbor: value)
        case .queue(let value): self = JSON(value)
        }
    }

    /// A queue's key.
    init(_ key: QueueKey) {
        self = .object(["$queue": key.prefix.map(JSON.text) ?? .null, "number": .integer(key.number)])
    }

    /// A tag.
    init(_ tag: Tag) {
        switch tag {
        case .int(let value): self = .integer(value)
        case .double(let value): self = .float(value)
        case .string(let value): self = .text(value)
        case .bytes(let value): self = JSON(bytes: value)
        }
    }

    /// Bytes.
    init(bytes: [UInt8]) { self = .object(["$bytes": .text(Base64.encode(bytes))]) }

    /// An item with what is known of it.
    init(_ key: AnyCacheKey, _ entry: Entry<AnyValue>) throws {
        self = .object([
            "key": try JSON(key), "value": try JSON(entry.value), "expires": entry.expires.map(JSON.float) ?? .null,
            "tag": entry.tag.map { JSON($0) } ?? .null, "storedAt": .float(entry.storedAt),
            "bytes": .integer(Int64(entry.byteCount)), "path": entry.path.map(JSON.text) ?? .null,
        ])
    }
}

/// The objects that mean something else than themselves; only those with exactly these names do.
private enum Reserved {
    case bytes([UInt8])
    case float(Double)
    case queue(QueueKey)
    case large(Int)
    case file(String)

    /// nil: the JSON is itself.
    init?(_ json: JSON) throws {
        guard case .object(let members) = json else { return nil }
        if members.count == 2, let prefix = json["$queue"], let number = json["number"] {
            guard case .integer(let number) = number else { throw BadRequest("a queue key's number is an integer") }
            switch prefix {
            case .null: self = .queue(QueueKey(number: number))
            case .text(let prefix): self = .queue(QueueKey(prefix: prefix, number: number))
            default: throw BadRequest("$queue is a text or null, not \(prefix.kind)")
            }
            return
        }
        guard members.count == 1 else { return nil }
        switch (members[0].name, members[0].value) {
        case ("$bytes", .text(let text)):
            guard let bytes = Base64.decode(text) else { throw BadRequest("$bytes isn't base64") }
            self = .bytes(bytes)
        case ("$float", .text("inf")): self = .float(.infinity)
        case ("$float", .text("-inf")): self = .float(-.infinity)
        case ("$float", .text("nan")): self = .float(.nan)
        case ("$large", .integer(let count)):
            guard count >= 0 else { throw BadRequest("$large is a number of bytes") }
            self = .large(Int(count))
        case ("$file", .text(let path)): self = .file(path)
        case ("$bytes", let other), ("$float", let other), ("$large", let other), ("$file", let other):
            throw BadRequest("\(members[0].name) can't be \(other.kind) like this one")
        default: return nil
        }
    }
}

/// Bytes of which byte i is i mod 251.
struct LargeSource: ByteSource {
    private var offset = 0
    private let count: Int
    private static let pattern = (0..<251 * 256).map { UInt8($0 % 251) }

    init(count: Int) { self.count = count }

    mutating func next(maximum: Int) throws -> [UInt8]? {
        guard offset < count else { return nil }
        let phase = offset % 251
        let length = min(maximum, count - offset, Self.pattern.count - phase)
        offset += length
        return Array(Self.pattern[phase..<(phase + length)])
    }

    /// All of them.
    func all() throws -> [UInt8] {
        var (source, bytes) = (self, [UInt8]())
        while let piece = try source.next(maximum: 1 << 16) { bytes += piece }
        return bytes
    }
}
