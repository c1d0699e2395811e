import TestSupport
import Testing

@testable import DiskCache
@testable import DiskCacheCore
@testable import DiskCacheEngine

/// The change feed of a cache of several shards, for threads and for tasks.
@Suite struct FanoutChangesTests {
    private let scratch: TestDirectory
    private let cache: FanoutCache

    init() throws {
        scratch = try TestDirectory("fanout-changes")
        cache = try FanoutCache(directory: scratch.path + "/cache", shards: 3, dropAfter: .seconds(60))
    }

    private func all(_ reader: FanoutChangeReader) throws -> [FanoutChange] {
        var changes: [FanoutChange] = []
        while let change = try reader.next() { changes.append(change) }
        return changes
    }

    @Test func changesOfAllShardsComeOnce() throws {
        try cache.set("before", 1)
        let reader = try cache.readChanges()
        #expect(try reader.next() == nil)
        for round in 0..<3 { for number in 0..<50 { try cache.set(number, round) } }
        try cache.delete(7)
        let changes = try all(reader)
        #expect(changes.count == 151)
        for number in 0..<50 {
            let own = changes.filter { $0.key == .int(Int64(number)) }
            #expect(own.map(\.kind) == [.set, .set, .set] + (number == 7 ? [.deleted] : []))
            #expect(try own.allSatisfy { try $0.shard == cache.shard(of: number) })
        }
        try cache.clear()
        let cleared = try all(reader)
        #expect(cleared.map(\.kind) == [.cleared, .cleared, .cleared])
        #expect(Set(cleared.map(\.shard)) == [0, 1, 2] && cleared.allSatisfy { $0.key == nil })
    }

    /// From any position the rest comes, neither less nor twice.
    @Test func positionsAreWhereOneGoesOn() throws {
        let start = try cache.readChanges().position
        for number in 0..<40 { try cache.set(number, number) }
        let changes = try all(cache.readChanges(from: start))
        for (index, change) in changes.enumerated() {
            let text = change.position.description
            let position = try #require(FanoutChange.Position(text))
            #expect(position == change.position && position.shards.count == 3)
            let rest = try all(cache.readChanges(from: position))
            #expect(Set(rest.map(\.key)) == Set(changes[(index + 1)...].map(\.key)) && rest.count == 39 - index)
        }
        for text in ["", ",", "5f1e8a90.73728,", start.description + ",x"] {
            #expect(FanoutChange.Position(text) == nil)
        }
        let other = try FanoutCache(directory: scratch.path + "/other", shards: 2)
        expectError(.shardCountMismatch) { try other.readChanges(from: start) }
        let coded = try CBORDecoder().decode(FanoutChange.Position.self, from: CBOREncoder().encode(start))
        #expect(coded == start)
    }

    @Test func aThreadThatWaitsIsWoken() throws {
        let reader = try cache.readChanges()
        #expect(try reader.next(timeout: .milliseconds(1)) == nil)
        let group = TestThreads()
        group.start {
            for number in 0..<30 { try cache.set(number, 1) }
        }
        var keys: Set<AnyCacheKey> = []
        while keys.count < 30, let change = try reader.next(timeout: .seconds(60)) { keys.insert(change.key!) }
        group.join()
        #expect(keys.count == 30)
    }

    @Test func tasksFollowAllShards() async throws {
        let changes = cache.changes()
        let task = Task {
            var kinds: [Int64: [Change.Kind]] = [:]
            var left = 900
            for try await change in changes {
                guard case .int(let key) = change.key else { continue }
                kinds[key, default: []].append(change.kind)
                left -= 1
                if left == 0 { break }
            }
            return kinds
        }
        let follows = cache.parts.map { AsyncResources.kept(in: $0.companion).follows }
        try await eventually { follows.allSatisfy { $0.count == 1 } }
        for number in 0..<300 {
            try cache.set(number, 1)
            try cache.touch(number, expire: .after(.seconds(1000)))
            try cache.delete(number)
        }
        let kinds = try await task.value
        #expect(kinds.count == 300 && kinds.values.allSatisfy { $0 == [.set, .touched, .deleted] })
        try await eventually { follows.allSatisfy { !$0.isWatched } }
    }

    @Test func aCancelledFollowerEnds() async throws {
        let (cache, changes) = (cache, cache.changes())
        let task = Task { for try await _ in changes {} }
        let follows = cache.parts.map { AsyncResources.kept(in: $0.companion).follows }
        try await eventually { follows.allSatisfy { $0.count == 1 } }
        task.cancel()
        await expectCancelled { try await task.value }
        #expect(follows.allSatisfy { $0.count == 0 })
        let other = try FanoutCache(directory: scratch.path + "/other", shards: 2)
        let foreign = other.changes(from: try cache.readChanges().position)
        let refused = Task { for try await _ in foreign {} }
        let outcome = await refused.result
        expectError(.shardCountMismatch) { try outcome.get() }
    }
}
