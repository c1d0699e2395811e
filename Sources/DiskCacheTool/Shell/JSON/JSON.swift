/// A JSON value. Integers and floats are told apart, as the text does: `1` is an integer, `1.0` and `1e0` are floats.
indirect enum JSON: Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// A number beyond 64 bits, by its digits: only ever written.
    case digits(String)
    case float(Double)
    case text(String)
    case array([JSON])
    /// Members in the order in which they stand; no name is there twice.
    case object([Member])

    /// A name and what it names.
    struct Member: Equatable, Sendable {
        let name: String
        let value: JSON
    }

    /// An object of these members.
    static func object(_ members: KeyValuePairs<String, JSON>) -> JSON {
        .object(members.map { Member(name: $0.key, value: $0.value) })
    }

    /// What an object's member `name` is; nil: there is none.
    subscript(name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name.utf8.elementsEqual(name.utf8) }?.value
    }

    /// What the value is, for messages.
    var kind: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .integer, .digits: "an integer"
        case .float: "a float"
        case .text: "a text"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

extension JSON: Encodable {
    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// Writes the value as the serialiser has it: this is how whatever isn't a number, text, bytes or null is stored.
    func encode(to encoder: any Encoder) throws {
        switch self {
        case .array(let elements):
            var container = encoder.unkeyedContainer()
            for element in elements { try container.encode(element) }
        case .object(let members):
            var container = encoder.container(keyedBy: Name.self)
            for member in members { try container.encode(member.value, forKey: Name(stringValue: member.name)) }
        default:
            var container = encoder.singleValueContainer()
            switch self {
            case .bool(let value): try container.encode(value)
            case .integer(let value): try container.encode(value)
            case .float(let value): try container.encode(value)
            case .text(let value), .digits(let value): try container.encode(value)
            default: try container.encodeNil()
            }
        }
    }
}
