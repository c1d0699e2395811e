/// Types whose own `encode(to:)` isn't what a deterministic encoding wants: sets and dictionaries, which would encode
/// in hash order, different in each process, and optionals, of which nested ones would run together.
protocol CBORSpecialEncodable {
    /// Encodes the value, inside of `depth` containers, at `step`.
    func encodeSpecially(_ state: CBOREncodingState, depth: Int, step: CodingStep?) throws -> CBORItem
}

/// The same types, where their decoding has to differ as well.
protocol CBORSpecialDecodable {
    /// Decodes the value from an item of the document.
    static func decodeSpecially(_ document: CBORDocument, at item: Int, step: CodingStep?) throws -> Self
}

/// Lets generic code see that a type is an optional.
protocol OptionalType {}

extension Optional: OptionalType {}

/// A value as the type that it is known to be of, where the compiler can't see it.
///
/// Not `as?`: a dynamic cast looks into optionals, and so takes one nil for another.
@inline(__always)
func asSameType<A, B>(_ value: A, _ type: B.Type = B.self) -> B? {
    A.self == B.self ? unsafeBitCast(value, to: B.self) : nil
}

extension Optional: CBORSpecialEncodable where Wrapped: Encodable {
    func encodeSpecially(_ state: CBOREncodingState, depth: Int, step: CodingStep?) throws -> CBORItem {
        guard let wrapped = self else { return state.null() }
        guard Wrapped.self is any OptionalType.Type else {
            return try state.item(wrapped, depth: depth, parent: step, key: nil)
        }
        let node = CBORNode(depth: depth)
        state.open(node, as: .array, step)
        node.append(try state.item(wrapped, depth: depth + 1, parent: step, key: nil))
        return .node(node)
    }
}

extension Optional: CBORSpecialDecodable where Wrapped: Decodable {
    static func decodeSpecially(_ document: CBORDocument, at item: Int, step: CodingStep?) throws -> Self {
        if document.isNull(item) { return .none }
        guard Wrapped.self is any OptionalType.Type else {
            return .some(try document.decode(Wrapped.self, at: item, parent: step, key: nil))
        }
        guard document.kind(item) == .array, document.count(item) == 1 else {
            throw document.mismatch(Self.self, at: item, step)
        }
        return .some(try document.decode(Wrapped.self, at: item + 1, parent: step, key: nil))
    }
}

extension Set: CBORSpecialEncodable where Element: Encodable {
    func encodeSpecially(_ state: CBOREncodingState, depth: Int, step: CodingStep?) throws -> CBORItem {
        let node = CBORNode(depth: depth)
        state.open(node, as: .array, step)
        var elements: [(start: Int, end: Int)] = []
        elements.reserveCapacity(count)
        for element in self {
            let item = try state.item(element, depth: depth + 1, parent: step, key: IndexKey(elements.count))
            elements.append(try state.flatten(item))
        }
        state.scratch.withUnsafeBytes { scratch in
            elements.sort { left, right in
                compareBytes(
                    UnsafeRawBufferPointer(rebasing: scratch[left.start..<left.end]),
                    UnsafeRawBufferPointer(rebasing: scratch[right.start..<right.end])) < 0
            }
        }
        for element in elements { node.append(.run(start: element.start, end: element.end)) }
        return .node(node)
    }
}

extension Dictionary: CBORSpecialEncodable where Key: Encodable, Value: Encodable {
    func encodeSpecially(_ state: CBOREncodingState, depth: Int, step: CodingStep?) throws -> CBORItem {
        let node = CBORNode(depth: depth)
        node.refusesDuplicates = true
        state.open(node, as: .map, step)
        node.pairs.reserveCapacity(count)
        for (key, value) in self {
            let place = IndexKey(node.pairs.count)
            let item = try state.item(key, depth: depth + 1, parent: step, key: place)
            let (start, end) = try state.flatten(item)
            let encoded = try state.item(value, depth: depth + 1, parent: step, key: place)
            node.pairs.append(.init(keyStart: start, keyEnd: end, value: encoded))
        }
        return .node(node)
    }
}

extension Dictionary: CBORSpecialDecodable where Key: Decodable, Value: Decodable {
    static func decodeSpecially(_ document: CBORDocument, at item: Int, step: CodingStep?) throws -> Self {
        guard document.kind(item) == .map else { throw document.mismatch(Self.self, at: item, step) }
        var result: Self = [:]
        let count = document.count(item)
        // The count is true, but pairs of two bytes may become large in memory: room is made for a few, the rest grows.
        result.reserveCapacity(Swift.min(count, 1024))
        var child = item + 1
        for index in 0..<count {
            let place = IndexKey(index)
            let key = try document.decode(Key.self, at: child, parent: step, key: place)
            child = document.next(child)
            let value = try document.decode(Value.self, at: child, parent: step, key: place)
            child = document.next(child)
            guard result.updateValue(value, forKey: key) == nil else {
                // Canonically equivalent texts differ in their bytes and are one key to a Dictionary.
                throw DecodingError.dataCorrupted(
                    .init(codingPath: CodingStep.path(step), debugDescription: "two keys that are equal"))
            }
        }
        return result
    }
}
