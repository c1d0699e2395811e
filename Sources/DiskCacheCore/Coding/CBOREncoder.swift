/// Encodes values as deterministic CBOR; ``CBORSerializer`` says how.
///
/// A container's length and the order of a map's pairs are only known when it is complete, and `Encoder` lets several
/// containers be open at once. So scalars are written to one *scratch* buffer as they come, in their final form,
/// containers remember which runs of it are theirs, and one pass at the end writes everything out in order.
struct CBOREncoder {
    /// What types find as `userInfo`.
    var userInfo: [CodingUserInfoKey: any Sendable] = [:]

    /// Makes values that are equal have equal bytes where their bits differ: −0.0 is written as 0.0.
    var forKey = false

    /// The value's CBOR. Throws `CacheError` only.
    func encode<T: Encodable>(_ value: T) throws -> [UInt8] {
        let state = CBOREncodingState(userInfo: userInfo, forKey: forKey)
        do {
            let item = try state.item(value, depth: 0, parent: nil, key: nil)
            return try state.finish(item)
        } catch let error as CacheError {
            throw error
        } catch let error as EncodingError {
            throw CacheError(.unencodable, describe(error))
        } catch {
            throw CacheError(.unencodable, "encode(to:) of \(T.self) or of a part of it threw: \(error)")
        }
    }

    private func describe(_ error: EncodingError) -> String {
        switch error {
        case .invalidValue(let value, let context):
            "\(Swift.type(of: value)) at \(describePath(context.codingPath)): \(context.debugDescription)"
        @unknown default:
            "\(error)"
        }
    }
}

/// A coding path as text, for messages.
func describePath(_ path: [any CodingKey]) -> String {
    path.isEmpty ? "the root" : path.map(\.stringValue).joined(separator: ".")
}

/// A piece of the output: a run of the scratch buffer, or a container.
enum CBORItem {
    /// Whole items, one after the other, in their final form.
    case run(start: Int, end: Int)
    case node(CBORNode)
}

/// What one encoder writes to: nothing yet, one scalar, an array or a map.
final class CBORNode {
    enum Kind { case empty, scalar, array, map }

    struct Pair {
        var keyStart: Int
        var keyEnd: Int
        var value: CBORItem
    }

    /// How many containers this one is inside of.
    let depth: Int
    var kind = Kind.empty
    /// The parts of an array, or a scalar's only one.
    var items: [CBORItem] = []
    /// How many elements the parts of an array are.
    var count = 0
    var pairs: [Pair] = []
    /// Of pairs with one key, a struct keeps the last; a dictionary never has any.
    var refusesDuplicates = false

    init(depth: Int) {
        self.depth = depth
    }

    /// Adds an element; neighbouring runs become one, so that a long array of numbers is a single part.
    func append(_ item: CBORItem) {
        count += 1
        if case .run(let start, let end) = item, case .run(let first, start)? = items.last {
            items[items.count - 1] = .run(start: first, end: end)
        } else {
            items.append(item)
        }
    }
}

/// What the encoders and containers of one `encode` share.
final class CBOREncodingState {
    /// Scalars and map keys, in the order in which they were encoded.
    var scratch: [UInt8] = []
    let userInfo: [CodingUserInfoKey: any Sendable]
    let forKey: Bool
    /// A failure where `Encoder` has no way to throw; thrown at the next opportunity.
    var failure: CacheError?
    private var lastType: ObjectIdentifier?
    private var lastIsSpecial = false
    private var specialTypes: [ObjectIdentifier: Bool] = [:]

    init(userInfo: [CodingUserInfoKey: any Sendable], forKey: Bool) {
        self.userInfo = userInfo
        self.forKey = forKey
    }

    func fail(_ message: String, _ step: CodingStep?) {
        if failure == nil {
            failure = CacheError(.unencodable, message + " at " + describePath(CodingStep.path(step)))
        }
    }

    /// Encodes one value, inside of `depth` containers, at `key` below `parent`.
    func item<T: Encodable>(_ value: T, depth: Int, parent: CodingStep?, key: (any CodingKey)?) throws -> CBORItem {
        let start = scratch.count
        if writeNative(value) { return .run(start: start, end: scratch.count) }
        let step = key.map { CodingStep($0, parent: parent) } ?? parent
        if let failure { throw failure }
        if depth > CBORFormat.maximumDepth { throw tooDeep(step) }
        if isSpecial(T.self), let special = T.self as? any CBORSpecialEncodable.Type,
            let item = try specialItem(value, special, depth, step)
        {
            return item
        }
        let node = CBORNode(depth: depth)
        try value.encode(to: CBORNodeEncoder(state: self, node: node, step: step))
        if let failure { throw failure }
        if node.kind == .scalar, let item = node.items.first { return item }
        return .node(node)
    }

    private func specialItem<T, S: CBORSpecialEncodable>(
        _ value: T, _ type: S.Type, _ depth: Int, _ step: CodingStep?
    ) throws -> CBORItem? {
        try asSameType(value, S.self)?.encodeSpecially(self, depth: depth, step: step)
    }

    private func tooDeep(_ step: CodingStep?) -> CacheError {
        fail("more than \(CBORFormat.maximumDepth) nested containers", step)
        return failure ?? CacheError(.unencodable)
    }

    /// Whether a type has a form of its own: asked once a type, since it looks a conformance up.
    private func isSpecial<T>(_ type: T.Type) -> Bool {
        let identifier = ObjectIdentifier(type)
        if identifier == lastType { return lastIsSpecial }
        let special: Bool
        if let known = specialTypes[identifier] {
            special = known
        } else {
            special = type is any CBORSpecialEncodable.Type
            specialTypes[identifier] = special
        }
        lastType = identifier
        lastIsSpecial = special
        return special
    }

    /// Makes `node` a container of `kind`.
    func open(_ node: CBORNode, as kind: CBORNode.Kind, _ step: CodingStep?) {
        if node.kind == .empty {
            node.kind = kind
            if node.depth >= CBORFormat.maximumDepth {
                fail("more than \(CBORFormat.maximumDepth) nested containers", step)
            }
        } else if node.kind != kind {
            fail("a value encoded as two different things", step)
            node.kind = kind
        }
    }

    /// Writes a scalar of one of the types that CBOR has to the scratch buffer; false if it is none.
    ///
    /// Never inlined: its temporaries would lie on the stack once for each level of a nested value.
    @inline(never)
    private func writeNative<T>(_ value: T) -> Bool {
        if T.self == String.self {
            scratch.appendText(unsafeBitCast(value, to: String.self))
        } else if T.self == Int.self {
            scratch.appendInteger(Int64(unsafeBitCast(value, to: Int.self)))
        } else if T.self == Bool.self {
            scratch.append(unsafeBitCast(value, to: Bool.self) ? 0xf5 : 0xf4)
        } else if T.self == Double.self {
            writeFloat(unsafeBitCast(value, to: Double.self))
        } else if T.self == Float.self {
            writeFloat(Double(unsafeBitCast(value, to: Float.self)))
        } else if T.self == [UInt8].self {
            scratch.appendByteString(unsafeBitCast(value, to: [UInt8].self))
        } else if T.self == Int64.self {
            scratch.appendInteger(unsafeBitCast(value, to: Int64.self))
        } else if T.self == Int32.self {
            scratch.appendInteger(Int64(unsafeBitCast(value, to: Int32.self)))
        } else if T.self == Int16.self {
            scratch.appendInteger(Int64(unsafeBitCast(value, to: Int16.self)))
        } else if T.self == Int8.self {
            scratch.appendInteger(Int64(unsafeBitCast(value, to: Int8.self)))
        } else if T.self == UInt.self {
            scratch.appendHead(.unsigned, UInt64(unsafeBitCast(value, to: UInt.self)))
        } else if T.self == UInt64.self {
            scratch.appendHead(.unsigned, unsafeBitCast(value, to: UInt64.self))
        } else if T.self == UInt32.self {
            scratch.appendHead(.unsigned, UInt64(unsafeBitCast(value, to: UInt32.self)))
        } else if T.self == UInt16.self {
            scratch.appendHead(.unsigned, UInt64(unsafeBitCast(value, to: UInt16.self)))
        } else if T.self == UInt8.self {
            scratch.appendHead(.unsigned, UInt64(unsafeBitCast(value, to: UInt8.self)))
        } else if T.self == Int128.self {
            let number = unsafeBitCast(value, to: Int128.self)
            let bits = UInt128(truncatingIfNeeded: number)
            scratch.appendInteger(magnitude: number < 0 ? ~bits : bits, negative: number < 0)
        } else if T.self == UInt128.self {
            scratch.appendInteger(magnitude: unsafeBitCast(value, to: UInt128.self), negative: false)
        } else {
            return false
        }
        return true
    }

    private func writeFloat(_ value: Double) {
        scratch.appendFloat(forKey && value == 0 ? 0 : value)
    }

    /// Writes null to the scratch buffer.
    func null() -> CBORItem {
        scratch.append(CBORFormat.null)
        return .run(start: scratch.count - 1, end: scratch.count)
    }

    /// Writes a map's key to the scratch buffer.
    func writeKey(_ key: some CodingKey) -> (start: Int, end: Int) {
        let start = scratch.count
        scratch.appendText(key.stringValue)
        return (start, scratch.count)
    }

    /// Turns an item into a run of the scratch buffer, so that it can be compared.
    func flatten(_ item: CBORItem) throws -> (start: Int, end: Int) {
        switch item {
        case .run(let start, let end):
            return (start, end)
        case .node:
            let start = scratch.count
            let bytes = try assemble(item)
            scratch.append(contentsOf: bytes)
            return (start, scratch.count)
        }
    }

    /// The whole output.
    func finish(_ item: CBORItem) throws -> [UInt8] {
        if let failure { throw failure }
        if case .run(0, scratch.count) = item { return scratch }
        return try assemble(item)
    }

    private func assemble(_ item: CBORItem) throws -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(scratch.count + scratch.count / 8 + 16)
        try scratch.withUnsafeBytes { try append(item, from: $0, to: &output) }
        return output
    }

    private func append(
        _ item: CBORItem, from scratch: UnsafeRawBufferPointer, to output: inout [UInt8]
    ) throws {
        switch item {
        case .run(let start, let end):
            output.append(contentsOf: scratch[start..<end])
        case .node(let node):
            switch node.kind {
            case .scalar, .array:
                if node.kind == .array { output.appendHead(.array, UInt64(node.count)) }
                for item in node.items { try append(item, from: scratch, to: &output) }
            case .empty, .map:
                // A type that encodes nothing at all has no parts, as has a struct without properties.
                let pairs = try sorted(node, scratch)
                output.appendHead(.map, UInt64(pairs.count))
                for pair in pairs {
                    output.append(contentsOf: scratch[pair.keyStart..<pair.keyEnd])
                    try append(pair.value, from: scratch, to: &output)
                }
            }
        }
    }

    /// A map's pairs in the order of their keys' bytes, each key once.
    private func sorted(_ node: CBORNode, _ scratch: UnsafeRawBufferPointer) throws -> [CBORNode.Pair] {
        func key(_ pair: CBORNode.Pair) -> UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(rebasing: scratch[pair.keyStart..<pair.keyEnd])
        }
        let pairs = node.pairs.sorted { left, right in
            let order = compareBytes(key(left), key(right))
            // What was encoded later lies later in the scratch buffer.
            return order == 0 ? left.keyStart < right.keyStart : order < 0
        }
        var unique: [CBORNode.Pair] = []
        unique.reserveCapacity(pairs.count)
        for pair in pairs {
            if let last = unique.last, compareBytes(key(last), key(pair)) == 0 {
                if node.refusesDuplicates {
                    throw CacheError(.unencodable, "two keys of a dictionary have the same encoding")
                }
                unique[unique.count - 1] = pair
            } else {
                unique.append(pair)
            }
        }
        return unique
    }
}

/// The encoder that a value writes itself to.
struct CBORNodeEncoder: Encoder {
    let state: CBOREncodingState
    let node: CBORNode
    let step: CodingStep?

    var codingPath: [any CodingKey] { CodingStep.path(step) }
    var userInfo: [CodingUserInfoKey: Any] { state.userInfo }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        state.open(node, as: .map, step)
        return KeyedEncodingContainer(CBORKeyedEncodingContainer(state: state, node: node, step: step))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        state.open(node, as: .array, step)
        return CBORUnkeyedEncodingContainer(state: state, node: node, step: step)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        CBORSingleValueEncodingContainer(state: state, node: node, step: step)
    }
}

private struct CBORKeyedEncodingContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let state: CBOREncodingState
    let node: CBORNode
    let step: CodingStep?

    var codingPath: [any CodingKey] { CodingStep.path(step) }

    func encodeNil(forKey key: Key) throws {
        let (start, end) = state.writeKey(key)
        node.pairs.append(.init(keyStart: start, keyEnd: end, value: state.null()))
    }

    func encode<T: Encodable>(_ value: T, forKey key: Key) throws { try add(value, key) }

    // The standard library's own versions of these two, which refuse, would be preferred to the generic one.
    func encode(_ value: Int128, forKey key: Key) throws { try add(value, key) }
    func encode(_ value: UInt128, forKey key: Key) throws { try add(value, key) }

    private func add<T: Encodable>(_ value: T, _ key: Key) throws {
        let (start, end) = state.writeKey(key)
        let item = try state.item(value, depth: node.depth + 1, parent: step, key: key)
        node.pairs.append(.init(keyStart: start, keyEnd: end, value: item))
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy keyType: NestedKey.Type, forKey key: Key
    ) -> KeyedEncodingContainer<NestedKey> {
        nested(key).container(keyedBy: keyType)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        nested(key).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { nested(SuperKey()) }

    func superEncoder(forKey key: Key) -> any Encoder { nested(key) }

    private func nested(_ key: some CodingKey) -> CBORNodeEncoder {
        let (start, end) = state.writeKey(key)
        let child = CBORNode(depth: node.depth + 1)
        node.pairs.append(.init(keyStart: start, keyEnd: end, value: .node(child)))
        return CBORNodeEncoder(state: state, node: child, step: CodingStep(key, parent: step))
    }
}

private struct CBORUnkeyedEncodingContainer: UnkeyedEncodingContainer {
    let state: CBOREncodingState
    let node: CBORNode
    let step: CodingStep?

    var codingPath: [any CodingKey] { CodingStep.path(step) }
    var count: Int { node.count }

    func encodeNil() throws {
        node.append(state.null())
    }

    func encode<T: Encodable>(_ value: T) throws { try add(value) }
    func encode(_ value: Int128) throws { try add(value) }
    func encode(_ value: UInt128) throws { try add(value) }

    private func add<T: Encodable>(_ value: T) throws {
        node.append(try state.item(value, depth: node.depth + 1, parent: step, key: IndexKey(node.count)))
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy keyType: NestedKey.Type
    ) -> KeyedEncodingContainer<NestedKey> {
        nested().container(keyedBy: keyType)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        nested().unkeyedContainer()
    }

    func superEncoder() -> any Encoder { nested() }

    private func nested() -> CBORNodeEncoder {
        let child = CBORNode(depth: node.depth + 1)
        let key = IndexKey(node.count)
        node.append(.node(child))
        return CBORNodeEncoder(state: state, node: child, step: CodingStep(key, parent: step))
    }
}

private struct CBORSingleValueEncodingContainer: SingleValueEncodingContainer {
    let state: CBOREncodingState
    let node: CBORNode
    let step: CodingStep?

    var codingPath: [any CodingKey] { CodingStep.path(step) }

    func encodeNil() throws {
        try set(state.null())
    }

    func encode<T: Encodable>(_ value: T) throws { try add(value) }
    func encode(_ value: Int128) throws { try add(value) }
    func encode(_ value: UInt128) throws { try add(value) }

    private func add<T: Encodable>(_ value: T) throws {
        try set(state.item(value, depth: node.depth, parent: step, key: nil))
    }

    private func set(_ item: CBORItem) throws {
        guard node.kind == .empty else {
            state.fail("a value encoded twice", step)
            throw state.failure ?? CacheError(.unencodable)
        }
        node.kind = .scalar
        node.items = [item]
    }
}
