import Synchronization
import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine
@testable import DiskCacheTool

/// What a commit of several shards owes to compaction is paid when the locks of all of them are let go: who waits for compaction waits
/// for whoever waits for one of those.
@Suite struct FanoutTollTests {
    enum Way: CaseIterable { case transact, shell }

    /// A clock that sees what is held when it is read. To commit reads no clock; to make room takes the lock anew, and that reads it.
    private final class Witness: @unchecked Sendable {
        private let thread = SystemCalls.threadID()
        // The thread's, as all that follows.
        var parts: [Cache] = []
        var isCommitting = false
        var readings = 0
        var readingsInTransaction = 0

        func now() -> Int64 {
            if SystemCalls.threadID() == thread, isCommitting {
                readings += 1
                if parts.contains(where: \.isInTransaction) { readingsInTransaction += 1 }
            }
            return Cache.systemClock()
        }
    }

    @Test(arguments: Way.allCases) func isPaidWithoutALock(_ way: Way) throws {
        let world = try ModelWorld()
        let witness = Witness()
        var configuration = Cache.Configuration()
        configuration.durability = DiskCacheCore.Durability.none
        configuration.sizeLimit = 8 << 20
        let cache = try FanoutCache(
            directory: world.path, shards: 2, dropAfter: .seconds(60), configuration: configuration
        ) { witness.now() }
        witness.parts = cache.parts
        var key = 0
        while try cache.shard(of: key) != 0 { key += 1 }
        // More than the shard may take, though all but one is garbage.
        func write() throws {
            for _ in 0..<400 { try cache.set(key, [UInt8](repeating: 1, count: 15_000)) }
            witness.isCommitting = true
        }
        switch way {
        case .transact: try cache.transact { try write() }
        case .shell:
            let session = ShellSession(.fanout, cache: cache, clock: ShellClock())
            _ = try session.begin()
            try write()
            _ = try session.commit()
        }
        witness.isCommitting = false
        #expect(witness.readings > 0, "nothing was owed")
        #expect(witness.readingsInTransaction == 0)
        try cache.close()
    }
}
