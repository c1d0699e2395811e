extension JSON {
    /// The value on one line. Floats have the fewest digits that read back as the same float, and always a point or an exponent.
    var line: String {
        var text = ""
        write(to: &text)
        return text
    }

    private func write(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .digits(let digits): text += digits
        case .float(let value): JSON.write(value, to: &text)
        case .text(let value): text += quoted(value)
        case .array(let elements):
            text += "["
            for (index, element) in elements.enumerated() {
                if index > 0 { text += ", " }
                element.write(to: &text)
            }
            text += "]"
        case .object(let members):
            text += "{"
            for (index, member) in members.enumerated() {
                if index > 0 { text += ", " }
                text += quoted(member.name) + ": "
                member.value.write(to: &text)
            }
            text += "}"
        }
    }

    private static func write(_ value: Double, to text: inout String) {
        if value.isNaN {
            text += #"{"$float": "nan"}"#
        } else if value.isInfinite {
            text += value < 0 ? #"{"$float": "-inf"}"# : #"{"$float": "inf"}"#
        } else {
            text += "\(value)"
        }
    }
}
