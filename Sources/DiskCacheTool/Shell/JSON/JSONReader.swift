/// Reads JSON (RFC 8259), strictly: no trailing commas, no comments, no names twice, no text that isn't Unicode, no number that
/// 64 bits can't hold, no more than 512 containers inside each other. Whatever is wrong is a `BadRequest` that says where.
///
/// Malformed JSON is thrown at once. What is well-formed and yet not to be had (a number beyond 64 bits, a name twice) is a *flaw*:
/// it is read as null and remembered, so that an answer to the rest, its `id`, is still possible.
struct JSONReader {
    static let maximumDepth = 512

    private let bytes: ArraySlice<UInt8>
    /// Where the next byte is.
    private(set) var offset: Int
    /// The first flaw, and how many there are.
    private(set) var flaw: BadRequest?
    private var flaws = 0
    /// The members of the outermost object that have one.
    private(set) var flawedMembers: Set<String> = []

    /// A reader of `bytes`.
    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        offset = bytes.startIndex
    }

    /// The one value that `bytes` are, without a flaw.
    static func read(_ bytes: ArraySlice<UInt8>) throws -> JSON {
        var reader = JSONReader(bytes)
        let value = try reader.whole()
        if let flaw = reader.flaw { throw flaw }
        return value
    }

    /// The one value that the bytes are, flaws read as null.
    mutating func whole() throws -> JSON {
        let value = try value()
        skipBlanks()
        guard next == nil else { throw malformed("something behind the value") }
        return value
    }

    /// The next byte; nil at the end.
    var next: UInt8? { offset < bytes.endIndex ? bytes[offset] : nil }

    /// Goes past blanks.
    mutating func skipBlanks() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d { offset += 1 }
    }

    /// Reads the next value, and stops behind it.
    mutating func value(depth: Int = 0) throws -> JSON {
        skipBlanks()
        guard let first = next else { throw malformed("the end where a value should be") }
        switch first {
        case UInt8(ascii: "{"): return try object(depth: depth + 1)
        case UInt8(ascii: "["): return try array(depth: depth + 1)
        case UInt8(ascii: "\""): return .text(try text())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw malformed("something that isn't JSON")
        }
    }

    func malformed(_ what: String) -> BadRequest {
        BadRequest("\(what) at byte \(offset - bytes.startIndex)")
    }

    private mutating func remember(_ what: String) {
        flaws += 1
        if flaw == nil { flaw = malformed(what) }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        offset += 1
        return true
    }

    private mutating func word(_ word: StaticString, _ value: JSON) throws -> JSON {
        let count = word.utf8CodeUnitCount
        let wanted = UnsafeBufferPointer(start: word.utf8Start, count: count)
        guard bytes[offset...].prefix(count).elementsEqual(wanted) else { throw malformed("an unknown word") }
        offset += count
        return value
    }

    private mutating func array(depth: Int) throws -> JSON {
        if depth > Self.maximumDepth { return try tooDeep() }
        offset += 1
        var elements: [JSON] = []
        skipBlanks()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            elements.append(try value(depth: depth))
            skipBlanks()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw malformed("an array that doesn't go on") }
        }
    }

    private mutating func object(depth: Int) throws -> JSON {
        if depth > Self.maximumDepth { return try tooDeep() }
        offset += 1
        var members: [JSON.Member] = []
        // By bytes: canonical equivalents are different names.
        var names: Set<[UInt8]> = []
        skipBlanks()
        if take(UInt8(ascii: "}")) { return .object(members) }
        while true {
            skipBlanks()
            guard next == UInt8(ascii: "\"") else { throw malformed("no name where one should be") }
            let flawsBefore = flaws
            let name = try text()
            let isNew = names.insert(Array(name.utf8)).inserted
            if !isNew { remember("the name \(quoted(name)) twice") }
            skipBlanks()
            guard take(UInt8(ascii: ":")) else { throw malformed("a name without a value") }
            let value = try value(depth: depth)
            if isNew { members.append(JSON.Member(name: name, value: value)) }
            if depth == 1, flaws > flawsBefore { flawedMembers.insert(name) }
            skipBlanks()
            if take(UInt8(ascii: "}")) { return .object(members) }
            guard take(UInt8(ascii: ",")) else { throw malformed("an object that doesn't go on") }
        }
    }

    /// Goes past a container that is too deep, without going in.
    private mutating func tooDeep() throws -> JSON {
        remember("more than \(Self.maximumDepth) nested containers")
        var open = 0
        repeat {
            guard let byte = next else { throw malformed("a container without its end") }
            switch byte {
            case UInt8(ascii: "\""): _ = try text()
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                open += 1
                offset += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                open -= 1
                offset += 1
            default: offset += 1
            }
        } while open > 0
        return .null
    }

    // MARK: Text

    private mutating func text() throws -> String {
        offset += 1
        var content: [UInt8] = []
        while true {
            let start = offset
            while let byte = next, byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { offset += 1 }
            content += bytes[start..<offset]
            guard let byte = next else { throw malformed("a text without its end") }
            if byte < 0x20 { throw malformed("a control character within a text") }
            offset += 1
            if byte == UInt8(ascii: "\"") { break }
            try escape(&content)
        }
        if let text = String(validating: content, as: UTF8.self) { return text }
        remember("a text that isn't UTF-8")
        return ""
    }

    private mutating func escape(_ content: inout [UInt8]) throws {
        guard let byte = next else { throw malformed("a text without its end") }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0c)
        case UInt8(ascii: "n"): content.append(0x0a)
        case UInt8(ascii: "r"): content.append(0x0d)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "u"):
            let unit = try hexadecimal()
            var value = UInt32(unit)
            let start = offset
            if unit & 0xfc00 == 0xd800, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) {
                let second = try hexadecimal()
                if second & 0xfc00 == 0xdc00 {
                    value = 0x10000 + (UInt32(unit & 0x3ff) << 10 | UInt32(second & 0x3ff))
                }
            }
            if let scalar = Unicode.Scalar(value) {
                content += Array(String(Character(scalar)).utf8)
            } else {
                // What follows is an escape of its own.
                offset = start
                remember("half a surrogate pair")
            }
        default: throw malformed("an unknown escape")
        }
    }

    private mutating func hexadecimal() throws -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw malformed("an escape without its four digits")
            }
            offset += 1
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }

    // MARK: Numbers

    private mutating func digits() throws {
        let start = offset
        while let byte = next, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { offset += 1 }
        if offset == start { throw malformed("no digit where one should be") }
    }

    private mutating func number() throws -> JSON {
        let start = offset
        _ = take(UInt8(ascii: "-"))
        let first = offset
        try digits()
        if bytes[first] == UInt8(ascii: "0"), offset > first + 1 { throw malformed("a number that begins with 0") }
        var isFloat = false
        if take(UInt8(ascii: ".")) {
            isFloat = true
            try digits()
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            isFloat = true
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if isFloat {
            if let value = Double(text), value.isFinite { return .float(value) }
            remember("a float beyond 64 bits")
        } else {
            if let value = Int64(text) { return .integer(value) }
            remember("an integer beyond 64 bits")
        }
        return .null
    }
}
