public import DiskCacheCore
import DiskCacheEngine

/// Holds a rate over all threads and processes that use the same cache: `count` times in `per`.
///
/// ```swift
/// let throttle = try Throttle(cache, "api", count: 10, per: .seconds(1))
/// try throttle.wait()
/// let answer = try call()
/// ```
///
/// A token bucket (Turner, "New directions in communications", IEEE Communications Magazine 24(10), 1986), stored in the cache under a
/// key of its own. It is full at the beginning, so `count` calls may go at once; then one every `per / count`. Who finds it empty takes
/// the token that is next to come and sleeps until it has: first come, first served, and each sleeps once. A process that dies
/// asleep wastes its tokens.
///
/// If the bucket goes, by its expiry, by eviction or `clear`, the next one is full. A clock that is set back costs no more
/// than the tokens of one wait.
public final class Throttle: Sendable {
    private struct Bucket: Codable {
        /// When it was filled up, seconds since 1970.
        var filled: Double
        /// Tokens in it; below zero: so many are taken that have yet to come.
        var tokens: Double

        /// What no throttle stores counts for nothing: so few tokens that one more or less makes no difference, or no number at all.
        var isSound: Bool { filled.isFinite && tokens.isFinite && tokens > -1e15 }
    }

    private struct Key: CacheKey, Codable {
        var throttle: String
    }

    /// No clock arithmetic can overflow for that.
    private static let longestPause = 1e9

    private let cache: any CacheProtocol
    private let key: Key
    private let count: Double
    private let interval: Double
    private let expire: Expiration?
    private let tag: Tag?
    private let clock: @Sendable () -> Double
    private let sleeper: @Sendable (Duration) throws -> Void

    /// The throttle `name` of a cache.
    ///
    /// - Parameters:
    ///   - count: How many times in `per`, and how many at once after a pause. All who use a name are to say the same.
    ///   - expire: When the bucket goes if nobody used it since; nil: as the cache's default has it. It is to be later than the longest
    ///     wait. Forgotten are tokens that are taken and have yet to come.
    ///   - tag: for `evict(tag:)`.
    ///   - clock: Seconds since 1970; nil: the system's clock.
    ///   - sleeper: Sleeps so long; nil: the thread does.
    ///
    /// Throws `invalidSetting` if `count` or `per` isn't above zero.
    public init(
        _ cache: some CacheProtocol, _ name: String, count: Int, per: Duration, expire: Expiration? = nil,
        tag: Tag? = nil,
        clock: (@Sendable () -> Double)? = nil, sleeper: (@Sendable (Duration) throws -> Void)? = nil
    ) throws {
        guard count > 0, per > .zero else {
            throw CacheError(.invalidSetting, "a throttle needs a count and a time above zero")
        }
        self.cache = cache
        key = Key(throttle: name)
        self.count = Double(count)
        interval = per / .seconds(1) / Double(count)
        self.expire = expire
        self.tag = tag
        self.clock = clock ?? { Double(Cache.systemClock()) / 1e6 }
        self.sleeper = sleeper ?? { sleepThread(nanoseconds: $0.clampedNanoseconds) }
    }

    /// Waits for its turn, 1e9 seconds at most. Throws `timeout` at once if that would take longer than `timeout`, and takes no token then;
    /// otherwise as `Cache.update`.
    public func wait(timeout: Duration? = nil) throws {
        let pause = try take(timeout: timeout)
        if pause > .zero { try sleeper(pause) }
    }

    /// Takes a token: after how long it may be used.
    func take(timeout: Duration?) throws -> Duration {
        let cache = try cache.shard(for: key)
        return try cache.transact {
            let now = clock()
            let stored = try cache.get(key, as: Bucket.self)
            var bucket = stored.flatMap { $0.isSound ? $0 : nil } ?? Bucket(filled: now, tokens: count)
            let passed = max(0, now - bucket.filled)
            bucket.tokens = min(count, bucket.tokens + passed / interval) - 1
            bucket.filled = now
            let pause = bucket.tokens < 0 ? Duration.seconds(min(-bucket.tokens * interval, Self.longestPause)) : .zero
            if let timeout, pause > timeout {
                throw CacheError(.timeout, "the throttle's next turn is later than that")
            }
            try cache.set(key, bucket, expire: expire, tag: tag)
            return pause
        }
    }

    /// Gives a token back that wasn't used.
    func giveBack() throws {
        let cache = try cache.shard(for: key)
        try cache.transact {
            guard var bucket = try cache.get(key, as: Bucket.self), bucket.isSound else { return }
            bucket.tokens = min(count, bucket.tokens + 1)
            try cache.set(key, bucket, expire: expire, tag: tag)
        }
    }
}

extension CacheProtocol {
    /// A function that holds a rate over all processes: see ``Throttle``.
    ///
    /// ```swift
    /// let fetch = try cache.throttle("api", count: 10, per: .seconds(1)) { (id: Int) in try request(id) }
    /// ```
    public func throttle<each Argument, Result>(
        _ name: String, count: Int, per: Duration, expire: Expiration? = nil, tag: Tag? = nil,
        _ body: @escaping @Sendable (repeat each Argument) throws -> Result
    ) throws -> @Sendable (repeat each Argument) throws -> Result {
        let throttle = try Throttle(self, name, count: count, per: per, expire: expire, tag: tag)
        return { (arguments: repeat each Argument) in
            try throttle.wait()
            return try body(repeat each arguments)
        }
    }
}
