/// One committed write, as `Cache.changes` and `ChangeReader` tell of it.
public struct Change: Sendable, Hashable {
    /// What happened.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// The key got a value: a new one, or one in place of another.
        case set
        /// The key got another expiry; its value stayed.
        case touched
        /// The key was removed by `delete`, `pop`, `pull` and the like.
        case deleted
        /// The key was removed because the cache was too large, or with its tag.
        case evicted
        /// The key was removed after it had expired: not at that instant, but when somebody came by.
        case expired
        /// All keys were removed at once.
        case cleared
    }

    /// What happened.
    public let kind: Kind
    /// To which key; nil for `cleared`.
    public let key: AnyCacheKey?
    /// A place behind this change: who stops here goes on with the next one.
    public let position: Position

    init(kind: Kind, key: AnyCacheKey?, position: Position) {
        self.kind = kind
        self.key = key
        self.position = position
    }

    /// A place in the sequence of a cache's changes. It can be kept as text, and means something in that cache alone.
    ///
    /// ```swift
    /// let position = Change.Position("5f1e8a90.73728")
    /// ```
    public struct Position: Sendable, Hashable {
        let store: UInt32
        let offset: UInt64
        let skipped: UInt32

        init(store: UInt32, offset: UInt64, skipped: UInt32) {
            self.store = store
            self.offset = offset
            self.skipped = skipped
        }
    }
}

extension Change.Position: LosslessStringConvertible, Codable {
    /// The position that a text stands for; nil: for none.
    public init?(_ description: String) {
        let halves = description.split(separator: ".", omittingEmptySubsequences: false)
        guard halves.count == 2, halves[0].utf8.count == 8, let store = UInt32(halves[0], radix: 16) else { return nil }
        let numbers = halves[1].split(separator: "+", omittingEmptySubsequences: false)
        guard numbers.count <= 2, let offset = UInt64(numbers[0]) else { return nil }
        var skipped: UInt32 = 0
        if numbers.count == 2 {
            guard let number = UInt32(numbers[1]), number > 0 else { return nil }
            skipped = number
        }
        self.init(store: store, offset: offset, skipped: skipped)
        // One text for each.
        guard self.description == description else { return nil }
    }

    /// The position as text: which cache, where in its log, and behind how many changes of the transaction there.
    public var description: String {
        let name = String(store, radix: 16)
        let text = String(repeating: "0", count: 8 - name.utf8.count) + name + "." + String(offset)
        return skipped == 0 ? text : text + "+" + String(skipped)
    }

    /// Decodes its text.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let position = Self(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(text) is no position")
        }
        self = position
    }

    /// Encodes its text.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
