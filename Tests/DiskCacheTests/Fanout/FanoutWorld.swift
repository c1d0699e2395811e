import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

extension ModelWorld {
    /// Opens a cache of several shards in the world's directory.
    func openFanout(
        shards: Int? = nil, dropAfter: Duration = .seconds(60), timeout: Duration = .seconds(60),
        _ change: (inout Cache.Configuration) -> Void = { _ in }
    ) throws -> FanoutCache {
        var configuration = Cache.Configuration()
        configuration.durability = DiskCacheCore.Durability.none
        configuration.timeout = timeout
        change(&configuration)
        return try FanoutCache(
            directory: path, shards: shards, dropAfter: dropAfter, configuration: configuration,
            environment: environment)
    }
}

/// A thread that holds the write lock of a cache until it is told to let go.
final class LockHolder: Sendable {
    private let isHeld = ParkingWord(0)
    private let isReleased = ParkingWord(0)
    private let isDone = ParkingWord(0)

    init(_ cache: Cache) throws {
        try SystemCalls.startThread { [self] in
            do {
                try cache.transact {
                    isHeld.add(1)
                    isHeld.wake()
                    while isReleased.load() == 0 { isReleased.wait(while: 0, nanoseconds: 100_000_000) }
                }
            } catch {
                Issue.record("the lock's holder: \(error)")
            }
            isDone.add(1)
            isDone.wake()
        }
        while isHeld.load() == 0 { isHeld.wait(while: 0, nanoseconds: 100_000_000) }
    }

    /// Lets go, and waits until the lock is free.
    func release() {
        isReleased.add(1)
        isReleased.wake()
        while isDone.load() == 0 { isDone.wait(while: 0, nanoseconds: 100_000_000) }
    }
}
