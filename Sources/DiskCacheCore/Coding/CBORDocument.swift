/// A run of CBOR that was found to be well-formed and deterministic, with where each of its items is.
///
/// Everything about the bytes is checked once, here, before any type sees them: lengths against what is left,
/// shortest forms, the order of keys, UTF-8, nesting, nothing behind the end. The items are listed in the order in
/// which they begin, each with the index of the next one that isn't inside of it, so that decoding walks without
/// reading heads again. The list grows with what has been read, never by a length that the input claims.
final class CBORDocument {
    /// What an item is, in the order of their first bytes, by which a map's keys are sorted.
    enum Kind: UInt8 {
        case unsigned, negative, bytes, text, array, map, bignum, bool, null, float
    }

    private struct Item {
        var kind: Kind
        /// For a bignum: whether it is negative.
        var flag = false
        /// Where the content of bytes, text and bignums begins.
        var offset: Int
        /// The argument: a magnitude, a length, a number of elements or pairs, a float's bits, a bool.
        var argument: UInt64
        /// The index of the first item that isn't part of this one.
        var next: Int
    }

    private var bytes: UnsafeRawBufferPointer
    private var items: [Item] = []
    let userInfo: [CodingUserInfoKey: any Sendable]
    private var lastType: ObjectIdentifier?
    private var lastIsSpecial = false
    private var specialTypes: [ObjectIdentifier: Bool] = [:]

    /// Reads `bytes`, which must stay valid until `close()`.
    init(_ bytes: UnsafeRawBufferPointer, userInfo: [CodingUserInfoKey: any Sendable]) throws {
        self.bytes = bytes
        self.userInfo = userInfo
        try read()
    }

    /// Lets go of the bytes: a decoder that somebody kept throws from here on when it is asked for text or bytes.
    func close() {
        bytes = UnsafeRawBufferPointer(start: nil, count: 0)
    }
}

// Reading
extension CBORDocument {
    /// A container whose elements are being read.
    private struct Frame {
        /// Its place in the list of items.
        var item: Int
        /// How many items are still to come, keys and values counted singly.
        var remaining: UInt64
        var isMap: Bool
        /// Where the current element begins.
        var elementStart: Int
        /// The bytes of a map's last key.
        var lastKey: Range<Int>?
    }

    private func read() throws {
        var cursor = 0
        var frames: [Frame] = []
        while true {
            let opened = try readItem(&cursor)
            if let count = opened {
                if frames.count >= CBORFormat.maximumDepth {
                    throw malformed("more than \(CBORFormat.maximumDepth) nested containers", cursor)
                }
                let isMap = items[items.count - 1].kind == .map
                frames.append(
                    Frame(item: items.count - 1, remaining: count, isMap: isMap, elementStart: cursor, lastKey: nil))
            }
            // Close what is complete: the item itself, and each container of which it was the last element.
            var complete = opened == nil
            while let last = frames.indices.last {
                if complete {
                    try finishElement(&frames[last], cursor)
                }
                guard frames[last].remaining == 0 else { break }
                items[frames[last].item].next = items.count
                frames.removeLast()
                complete = true
            }
            if frames.isEmpty { break }
        }
        guard cursor == bytes.count else { throw malformed("bytes behind the end", cursor) }
    }

    /// Counts an element that ends at `cursor`; a map's keys have to ascend.
    private func finishElement(_ frame: inout Frame, _ cursor: Int) throws {
        if frame.isMap && frame.remaining % 2 == 0 {
            let key = frame.elementStart..<cursor
            if let last = frame.lastKey {
                let order = compareBytes(
                    UnsafeRawBufferPointer(rebasing: bytes[last]), UnsafeRawBufferPointer(rebasing: bytes[key]))
                if order >= 0 { throw malformed("a map's keys out of order, or one twice", key.lowerBound) }
            }
            frame.lastKey = key
        }
        frame.remaining -= 1
        frame.elementStart = cursor
    }

    /// Reads one item's head, and its content unless it is a container; returns how many items are in a container.
    private func readItem(_ cursor: inout Int) throws -> UInt64? {
        let start = cursor
        guard cursor < bytes.count else { throw malformed("the end within a value", cursor) }
        let head = bytes[cursor]
        guard let major = CBORMajor(rawValue: head >> 5) else { throw malformed("a head of \(head)", start) }
        if major == .simple {
            try readSimple(head & 0x1f, &cursor)
            return nil
        }
        let argument = try readArgument(&cursor)
        switch major {
        case .unsigned:
            append(.unsigned, offset: start, argument)
        case .negative:
            append(.negative, offset: start, argument)
        case .bytes, .text:
            let content = try readContent(argument, &cursor)
            if major == .text && !isValidUTF8(UnsafeRawBufferPointer(rebasing: bytes[content..<cursor])) {
                throw malformed("invalid UTF-8", content)
            }
            append(major == .text ? .text : .bytes, offset: content, argument)
        case .array:
            // An element takes a byte at least, a pair two.
            guard argument <= UInt64(bytes.count - cursor) else { throw malformed("a claimed length", start) }
            append(.array, offset: cursor, argument)
            return argument
        case .map:
            guard argument <= UInt64(bytes.count - cursor) / 2 else { throw malformed("a claimed length", start) }
            append(.map, offset: cursor, argument)
            return argument * 2
        case .tag:
            try readBignum(argument, &cursor)
        case .simple:
            break
        }
        return nil
    }

    /// Reads the argument that goes with a head.
    private func readArgument(_ cursor: inout Int) throws -> UInt64 {
        let start = cursor
        let short = bytes[cursor] & 0x1f
        cursor += 1
        if short < 24 { return UInt64(short) }
        guard short <= 27 else {
            throw malformed(short == 31 ? "an indefinite length" : "a reserved head", start)
        }
        let argument = try readBigEndian(1 << Int(short - 24), &cursor)
        let least: UInt64 =
            switch short {
            case 24: 24
            case 25: 0x100
            case 26: 0x1_0000
            default: 0x1_0000_0000
            }
        guard argument >= least else { throw malformed("a longer form than needed", start) }
        return argument
    }

    private func readBigEndian(_ count: Int, _ cursor: inout Int) throws -> UInt64 {
        guard bytes.count - cursor >= count else { throw malformed("the end within a value", cursor) }
        var value: UInt64 = 0
        for byte in bytes[cursor..<(cursor + count)] { value = value << 8 | UInt64(byte) }
        cursor += count
        return value
    }

    /// Steps over `length` bytes of content; returns where they begin.
    private func readContent(_ length: UInt64, _ cursor: inout Int) throws -> Int {
        let content = cursor
        guard length <= UInt64(bytes.count - cursor) else { throw malformed("a claimed length", cursor) }
        cursor += Int(length)
        return content
    }

    private func readSimple(_ short: UInt8, _ cursor: inout Int) throws {
        let start = cursor
        cursor += 1
        switch short {
        case 20, 21:
            append(.bool, offset: start, UInt64(short - 20))
        case 22:
            append(.null, offset: start, 0)
        case 25, 26, 27:
            let bits = try readBigEndian(1 << Int(short - 24), &cursor)
            let value: Double =
                switch short {
                case 25: HalfFloat(bits: UInt16(truncatingIfNeeded: bits)).value
                case 26: Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
                default: Double(bitPattern: bits)
                }
            // The one way to write this float is the encoder's.
            var form: [UInt8] = []
            form.appendFloat(value)
            guard form.elementsEqual(bytes[start..<cursor]) else {
                throw malformed("a float in a longer form than needed, or another NaN", start)
            }
            append(.float, offset: start, value.bitPattern)
        default:
            throw malformed("a simple value that isn't used here", start)
        }
    }

    /// Reads an integer beyond 64 bits: a byte string of 9 to 16 bytes without leading zeros.
    private func readBignum(_ tag: UInt64, _ cursor: inout Int) throws {
        let start = cursor
        guard tag == CBORFormat.positiveBignum || tag == CBORFormat.negativeBignum else {
            throw malformed("a tag that isn't used here", start)
        }
        guard cursor < bytes.count, bytes[cursor] >> 5 == CBORMajor.bytes.rawValue else {
            throw malformed("a large integer that isn't bytes", start)
        }
        let length = try readArgument(&cursor)
        let content = try readContent(length, &cursor)
        guard length > 8, length <= 16, bytes[content] != 0 else {
            throw malformed("a large integer in a longer form than needed, or beyond 128 bits", start)
        }
        append(.bignum, offset: content, length, flag: tag == CBORFormat.negativeBignum)
    }

    private func append(_ kind: Kind, offset: Int, _ argument: UInt64, flag: Bool = false) {
        items.append(Item(kind: kind, flag: flag, offset: offset, argument: argument, next: items.count + 1))
    }

    private func malformed(_ what: String, _ offset: Int) -> CacheError {
        CacheError(.undecodable, "not deterministic CBOR: \(what), at byte \(offset) of \(bytes.count)")
    }
}

// Looking at items
extension CBORDocument {
    func kind(_ item: Int) -> Kind { items[item].kind }

    func isNull(_ item: Int) -> Bool { items[item].kind == .null }

    /// The number of an array's elements or of a map's pairs.
    func count(_ item: Int) -> Int { Int(truncatingIfNeeded: items[item].argument) }

    /// The item after this one and all that is in it.
    func next(_ item: Int) -> Int { items[item].next }

    /// The content of a text, a byte string or a bignum.
    private func content(_ item: Int) throws -> UnsafeRawBufferPointer {
        let (offset, count) = (items[item].offset, Int(truncatingIfNeeded: items[item].argument))
        guard offset + count <= bytes.count else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: [], debugDescription: "a decoder used after its decoding had ended"))
        }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
    }

    /// The text, nil if the item is something else.
    func text(_ item: Int) throws -> String? {
        guard items[item].kind == .text else { return nil }
        return String(decoding: try content(item), as: UTF8.self)
    }

    /// How a map's text key compares with a name, in the order in which keys are stored: shorter ones first.
    func compareKey(_ item: Int, _ name: UnsafeRawBufferPointer) throws -> Int {
        let entry = items[item]
        guard entry.kind == .text else { return entry.kind.rawValue < Kind.text.rawValue ? -1 : 1 }
        let content = try content(item)
        if content.count != name.count { return content.count < name.count ? -1 : 1 }
        return compareBytes(content, name)
    }

    private func integer<T: FixedWidthInteger>(_ item: Int, as type: T.Type) throws -> T? {
        let entry = items[item]
        switch entry.kind {
        case .unsigned:
            return T(exactly: entry.argument)
        case .negative:
            // −1 − n is what n's bits, all flipped, are as a two's complement number.
            return T(exactly: -1 - Int128(entry.argument))
        case .bignum:
            var magnitude: UInt128 = 0
            for byte in try content(item) { magnitude = magnitude << 8 | UInt128(byte) }
            if !entry.flag { return T(exactly: magnitude) }
            guard let number = Int128(exactly: magnitude) else { return nil }
            return T(exactly: -1 - number)
        default:
            return nil
        }
    }

    private func float<T: BinaryFloatingPoint>(_ item: Int, as type: T.Type) -> T? {
        let entry = items[item]
        switch entry.kind {
        case .float:
            let value = Double(bitPattern: entry.argument)
            return value.isNaN ? T.nan : T(exactly: value)
        case .unsigned:
            return T(exactly: entry.argument)
        case .negative:
            return T(exactly: -1 - Int128(entry.argument))
        default:
            return nil
        }
    }

    /// The error for an item of another type than the one asked for.
    func mismatch(_ type: Any.Type, at item: Int, _ step: CodingStep?) -> DecodingError {
        let context = DecodingError.Context(
            codingPath: CodingStep.path(step), debugDescription: "\(type) asked for, \(items[item].kind) stored")
        return isNull(item) ? .valueNotFound(type, context) : .typeMismatch(type, context)
    }
}

// Decoding items
extension CBORDocument {
    /// Decodes an item as a `T`, at `key` below `parent`.
    func decode<T: Decodable>(
        _ type: T.Type, at item: Int, parent: CodingStep?, key: (any CodingKey)?
    ) throws -> T {
        switch try native(T.self, item) {
        case .value(let value): return value
        case .mismatch: throw mismatch(T.self, at: item, key.map { CodingStep($0, parent: parent) } ?? parent)
        case .notNative: break
        }
        let step = key.map { CodingStep($0, parent: parent) } ?? parent
        if isSpecial(T.self), let special = T.self as? any CBORSpecialDecodable.Type,
            let value: T = try decodeSpecial(special, item, step)
        {
            return value
        }
        return try T(from: CBORItemDecoder(document: self, item: item, step: step))
    }

    private func decodeSpecial<T, S: CBORSpecialDecodable>(
        _ type: S.Type, _ item: Int, _ step: CodingStep?
    ) throws -> T? {
        asSameType(try S.decodeSpecially(self, at: item, step: step))
    }

    private func isSpecial<T>(_ type: T.Type) -> Bool {
        let identifier = ObjectIdentifier(type)
        if identifier == lastType { return lastIsSpecial }
        let special: Bool
        if let known = specialTypes[identifier] {
            special = known
        } else {
            special = type is any CBORSpecialDecodable.Type
            specialTypes[identifier] = special
        }
        lastType = identifier
        lastIsSpecial = special
        return special
    }

    private enum Native<T> {
        case value(T)
        case mismatch
        case notNative

        /// The value, known to be of type `T`, or its absence.
        @inline(__always)
        init<U>(_ value: U?) {
            self = if let value { .value(unsafeBitCast(value, to: T.self)) } else { .mismatch }
        }
    }

    /// The item as one of the types that CBOR has.
    ///
    /// Never inlined: its temporaries would lie on the stack once for each level of a nested value.
    @inline(never)
    private func native<T>(_ type: T.Type, _ item: Int) throws -> Native<T> {
        if T.self == String.self { return Native(try text(item)) }
        if T.self == Int.self { return Native(try integer(item, as: Int.self)) }
        if T.self == Bool.self {
            return items[item].kind == .bool ? Native(items[item].argument == 1) : .mismatch
        }
        if T.self == Double.self { return Native(float(item, as: Double.self)) }
        if T.self == Float.self { return Native(float(item, as: Float.self)) }
        if T.self == [UInt8].self {
            return items[item].kind == .bytes ? Native(Array(try content(item))) : .mismatch
        }
        if T.self == Int64.self { return Native(try integer(item, as: Int64.self)) }
        if T.self == Int32.self { return Native(try integer(item, as: Int32.self)) }
        if T.self == Int16.self { return Native(try integer(item, as: Int16.self)) }
        if T.self == Int8.self { return Native(try integer(item, as: Int8.self)) }
        if T.self == UInt.self { return Native(try integer(item, as: UInt.self)) }
        if T.self == UInt64.self { return Native(try integer(item, as: UInt64.self)) }
        if T.self == UInt32.self { return Native(try integer(item, as: UInt32.self)) }
        if T.self == UInt16.self { return Native(try integer(item, as: UInt16.self)) }
        if T.self == UInt8.self { return Native(try integer(item, as: UInt8.self)) }
        if T.self == Int128.self { return Native(try integer(item, as: Int128.self)) }
        if T.self == UInt128.self { return Native(try integer(item, as: UInt128.self)) }
        return .notNative
    }
}
