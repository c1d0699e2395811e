/// Decodes values from deterministic CBOR; ``CBORSerializer`` says what is accepted.
struct CBORDecoder {
    /// What types find as `userInfo`.
    var userInfo: [CodingUserInfoKey: any Sendable] = [:]

    /// The value of an array of bytes.
    func decode<T: Decodable>(_ type: T.Type, from bytes: [UInt8]) throws -> T {
        try bytes.withUnsafeBytes { try decode(type, from: $0) }
    }

    /// The value of some bytes. Throws `CacheError` only.
    func decode<T: Decodable>(_ type: T.Type, from bytes: UnsafeRawBufferPointer) throws -> T {
        let document = try CBORDocument(bytes, userInfo: userInfo)
        defer { document.close() }
        do {
            return try document.decode(type, at: 0, parent: nil, key: nil)
        } catch let error as CacheError {
            throw error
        } catch let error as DecodingError {
            throw translate(error)
        } catch {
            throw CacheError(.undecodable, "init(from:) of \(T.self) or of a part of it threw: \(error)")
        }
    }

    /// What the bytes hold isn't what was asked for, unless a type says that its data is corrupt.
    private func translate(_ error: DecodingError) -> CacheError {
        func message(_ text: String, _ context: DecodingError.Context) -> String {
            "\(text) at \(describePath(context.codingPath)): \(context.debugDescription)"
        }
        switch error {
        case .typeMismatch(_, let context):
            return CacheError(.typeMismatch, message("type mismatch", context))
        case .valueNotFound(_, let context):
            return CacheError(.typeMismatch, message("nothing", context))
        case .keyNotFound(let key, let context):
            return CacheError(.typeMismatch, message("no \"\(key.stringValue)\"", context))
        case .dataCorrupted(let context):
            return CacheError(.undecodable, message("corrupt data", context))
        @unknown default:
            return CacheError(.undecodable, "\(error)")
        }
    }
}

/// The decoder that a value reads itself from.
struct CBORItemDecoder: Decoder {
    let document: CBORDocument
    let item: Int
    let step: CodingStep?

    var codingPath: [any CodingKey] { CodingStep.path(step) }
    var userInfo: [CodingUserInfoKey: Any] { document.userInfo }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard document.kind(item) == .map else { throw document.mismatch([String: Any].self, at: item, step) }
        return KeyedDecodingContainer(CBORKeyedDecodingContainer(document, item, step))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard document.kind(item) == .array else { throw document.mismatch([Any].self, at: item, step) }
        return CBORUnkeyedDecodingContainer(document, item, step)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer {
        CBORSingleValueDecodingContainer(document: document, item: item, step: step)
    }
}

private struct CBORKeyedDecodingContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let document: CBORDocument
    /// The map's keys, in stored order, which is ascending; a key's value is the next item.
    private let keys: [Int]
    private let step: CodingStep?

    init(_ document: CBORDocument, _ map: Int, _ step: CodingStep?) {
        self.document = document
        self.step = step
        let count = document.count(map)
        var keys: [Int] = []
        keys.reserveCapacity(count)
        var child = map + 1
        for _ in 0..<count {
            keys.append(child)
            child = document.next(document.next(child))
        }
        self.keys = keys
    }

    var codingPath: [any CodingKey] { CodingStep.path(step) }

    /// The keys that are texts and that `Key` knows.
    var allKeys: [Key] {
        keys.compactMap { item in (try? document.text(item)).flatMap { $0 }.flatMap { Key(stringValue: $0) } }
    }

    /// The item stored for a key.
    private func find(_ key: some CodingKey) throws -> Int? {
        try withUTF8(of: key.stringValue) { name in
            var low = 0
            var high = keys.count
            while low < high {
                let middle = (low + high) / 2
                let order = try document.compareKey(keys[middle], name)
                if order == 0 { return document.next(keys[middle]) }
                if order < 0 { low = middle + 1 } else { high = middle }
            }
            return nil
        }
    }

    private func require(_ key: some CodingKey) throws -> Int {
        guard let item = try find(key) else {
            throw DecodingError.keyNotFound(
                key, .init(codingPath: codingPath, debugDescription: "the map has no such key"))
        }
        return item
    }

    private func decoder(_ key: some CodingKey) throws -> CBORItemDecoder {
        CBORItemDecoder(document: document, item: try require(key), step: CodingStep(key, parent: step))
    }

    func contains(_ key: Key) -> Bool {
        ((try? find(key)) ?? nil) != nil
    }

    func decodeNil(forKey key: Key) throws -> Bool {
        document.isNull(try require(key))
    }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T { try take(type, key) }

    // The standard library's own versions of these two, which refuse, would be preferred to the generic one.
    func decode(_ type: Int128.Type, forKey key: Key) throws -> Int128 { try take(type, key) }
    func decode(_ type: UInt128.Type, forKey key: Key) throws -> UInt128 { try take(type, key) }

    private func take<T: Decodable>(_ type: T.Type, _ key: Key) throws -> T {
        try document.decode(type, at: require(key), parent: step, key: key)
    }

    /// An absent key is nil; so is null, unless `T` is an optional itself and takes it for its own nil.
    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        guard let item = try find(key) else { return nil }
        if document.isNull(item) && !(T.self is any OptionalType.Type) { return nil }
        return try document.decode(type, at: item, parent: step, key: key)
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<NestedKey> {
        try decoder(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try decoder(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { try decoder(SuperKey()) }

    func superDecoder(forKey key: Key) throws -> any Decoder { try decoder(key) }
}

private struct CBORUnkeyedDecodingContainer: UnkeyedDecodingContainer {
    private let document: CBORDocument
    private let step: CodingStep?
    private let total: Int
    /// The next element's item.
    private var item: Int
    private(set) var currentIndex = 0

    init(_ document: CBORDocument, _ array: Int, _ step: CodingStep?) {
        self.document = document
        self.step = step
        total = document.count(array)
        item = array + 1
    }

    var codingPath: [any CodingKey] { CodingStep.path(step) }
    /// Checked against the length of the input when the document was read, so types may reserve by it.
    var count: Int? { total }
    var isAtEnd: Bool { currentIndex == total }

    private func require(_ type: Any.Type) throws -> Int {
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(
                type,
                .init(codingPath: codingPath + [IndexKey(currentIndex)], debugDescription: "the array has ended"))
        }
        return item
    }

    private mutating func advance() {
        item = document.next(item)
        currentIndex += 1
    }

    private func decoder() throws -> CBORItemDecoder {
        CBORItemDecoder(
            document: document, item: try require((any Decoder).self),
            step: CodingStep(IndexKey(currentIndex), parent: step))
    }

    mutating func decodeNil() throws -> Bool {
        guard document.isNull(try require(Any?.self)) else { return false }
        advance()
        return true
    }

    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T { try take(type) }
    mutating func decode(_ type: Int128.Type) throws -> Int128 { try take(type) }
    mutating func decode(_ type: UInt128.Type) throws -> UInt128 { try take(type) }

    private mutating func take<T: Decodable>(_ type: T.Type) throws -> T {
        let value = try document.decode(type, at: require(type), parent: step, key: IndexKey(currentIndex))
        advance()
        return value
    }

    mutating func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type
    ) throws -> KeyedDecodingContainer<NestedKey> {
        let container = try decoder().container(keyedBy: type)
        advance()
        return container
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        let container = try decoder().unkeyedContainer()
        advance()
        return container
    }

    mutating func superDecoder() throws -> any Decoder {
        let decoder = try decoder()
        advance()
        return decoder
    }
}

private struct CBORSingleValueDecodingContainer: SingleValueDecodingContainer {
    let document: CBORDocument
    let item: Int
    let step: CodingStep?

    var codingPath: [any CodingKey] { CodingStep.path(step) }

    func decodeNil() -> Bool { document.isNull(item) }

    func decode<T: Decodable>(_ type: T.Type) throws -> T { try take(type) }
    func decode(_ type: Int128.Type) throws -> Int128 { try take(type) }
    func decode(_ type: UInt128.Type) throws -> UInt128 { try take(type) }

    private func take<T: Decodable>(_ type: T.Type) throws -> T {
        try document.decode(type, at: item, parent: step, key: nil)
    }
}
