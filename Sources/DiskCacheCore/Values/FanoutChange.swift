/// One committed write in a shard of a `FanoutCache`, as its `changes` and `FanoutChangeReader` tell of it.
public struct FanoutChange: Sendable, Hashable {
    /// What happened. `cleared`: all keys of the shard were removed.
    public let kind: Change.Kind
    /// To which key; nil for `cleared`.
    public let key: AnyCacheKey?
    /// In which shard.
    public let shard: Int
    /// A place behind this change and all that were given before it: who stops here goes on with the next one.
    public let position: Position

    init(_ change: Change, shard: Int, position: Position) {
        kind = change.kind
        key = change.key
        self.shard = shard
        self.position = position
    }

    /// A place in the sequence of a cache's changes: one place for each shard. It can be kept as text, and means something in that cache
    /// alone.
    public struct Position: Sendable, Hashable, Codable {
        /// The place of each shard, in their order.
        public internal(set) var shards: [Change.Position]
    }
}

extension FanoutChange.Position: LosslessStringConvertible {
    /// The position that a text stands for; nil: for none.
    public init?(_ description: String) {
        var shards: [Change.Position] = []
        for part in description.split(separator: ",", omittingEmptySubsequences: false) {
            guard let position = Change.Position(String(part)) else { return nil }
            shards.append(position)
        }
        self.init(shards: shards)
    }

    /// The position as text: those of the shards, with commas between them.
    public var description: String { shards.map(\.description).joined(separator: ",") }
}
