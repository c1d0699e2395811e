import DiskCacheCore

/// What the shell asks of a cache of either kind. What concerns one key or one queue is asked of the part that has it.
protocol ShellStore: PartedCache {
    var directory: String { get }
    /// How long a verb waits for the write lock, and is dropped or fails then.
    var lockTimeout: Duration { get set }
    /// How many writes were dropped until now.
    var droppedWrites: Int { get }
    var settings: Cache.Settings { get throws }
    func configure(_ change: (inout Cache.Settings) throws -> Void) throws
    var count: Int { get throws }
    var volume: Int { get throws }
    var metrics: Cache.Metrics { get throws }
    func check(fix: Bool) throws -> [Cache.Finding]
    func expire(asOf seconds: Double) throws -> Int
    func sync() throws
    func compact() throws
    func close() throws

    func keys(reversed: Bool) throws -> Cursor<AnyCacheKey>
    func keys(in range: KeyRange<AnyCacheKey>, reversed: Bool) throws -> Cursor<AnyCacheKey>
    func keys(prefix: String, reversed: Bool) throws -> Cursor<String>
    func keys(prefix: [UInt8], reversed: Bool) throws -> Cursor<[UInt8]>
    func keys(tag: Tag, reversed: Bool) throws -> Cursor<AnyCacheKey>
    func items(as type: AnyValue.Type, reversed: Bool) throws -> Cursor<(key: AnyCacheKey, value: AnyValue)>
    func items(
        in range: KeyRange<AnyCacheKey>, as type: AnyValue.Type, reversed: Bool
    ) throws -> Cursor<(key: AnyCacheKey, value: AnyValue)>
    func items(
        prefix: String, as type: AnyValue.Type, reversed: Bool
    ) throws -> Cursor<(key: String, value: AnyValue)>
    func items(
        prefix: [UInt8], as type: AnyValue.Type, reversed: Bool
    ) throws -> Cursor<(key: [UInt8], value: AnyValue)>
    func items(
        tag: Tag, as type: AnyValue.Type, reversed: Bool
    ) throws -> Cursor<(key: AnyCacheKey, value: AnyValue)>
    func peekItem(last: Bool, as type: AnyValue.Type) throws -> (key: AnyCacheKey, value: AnyValue)?
}

extension ShellStore {
    /// The part that has a queue.
    func shard(forQueue prefix: String?) throws -> Cache { try shard(for: QueueKey(prefix: prefix, number: 0)) }
}

extension Cache: ShellStore {
    var droppedWrites: Int { 0 }
    var lockTimeout: Duration {
        get { timeout }
        set { timeout = newValue }
    }
}

extension FanoutCache: ShellStore {
    var lockTimeout: Duration {
        get { dropAfter }
        set { (dropAfter, timeout) = (newValue, newValue) }
    }
}
