import TestSupport
import Testing

@testable import DiskCache
@testable import DiskCacheEngine

/// The change feed for tasks.
@Suite struct AsyncChangesTests {
    private let scratch: TestDirectory
    private let cache: Cache
    private var resources: AsyncResources { AsyncResources.kept(in: cache.companion) }

    init() throws {
        scratch = try TestDirectory("async-changes")
        var configuration = Cache.Configuration()
        configuration.sizeLimit = 1 << 20
        cache = try Cache(directory: scratch.path + "/cache", configuration: configuration)
    }

    /// The first keys of a sequence.
    private static func keys(_ changes: Changes, _ count: Int) async throws -> [Int64] {
        var keys: [Int64] = []
        if count == 0 { return [] }
        for try await change in changes {
            guard case .int(let key) = change.key else { continue }
            keys.append(key)
            if keys.count == count { break }
        }
        return keys
    }

    @Test func changesComeAsTheyAreCommitted() async throws {
        try cache.set(-1, 1)
        let changes = cache.changes()
        // From when the sequence was made, not from when it is read.
        try cache.set(0, 1)
        let task = Task { try await Self.keys(changes, 1000) }
        try await eventually { resources.follows.count == 1 }
        for number in 1..<1000 { try cache.set(number, 1) }
        #expect(try await task.value == Array(0..<1000))
        // It begins anew.
        #expect(try await Self.keys(changes, 5) == [0, 1, 2, 3, 4])
        try await eventually { !resources.follows.isWatched }
    }

    @Test func positionsAreWhereOneGoesOn() async throws {
        let start = try cache.readChanges().position
        try cache.setMany((0..<10).map { ($0, 1) })
        var positions: [Change.Position] = []
        for try await change in cache.changes(from: start) {
            positions.append(change.position)
            if positions.count == 10 { break }
        }
        for (index, position) in positions.dropLast().enumerated() {
            #expect(try await Self.keys(cache.changes(from: position), 9 - index) == Array(Int64(index + 1)..<10))
        }
    }

    @Test func aHundredFollowersTakeOneThread() async throws {
        let changes = cache.changes()
        try await withThrowingTaskGroup(of: [Int64].self) { group in
            for _ in 0..<100 { group.addTask { try await Self.keys(changes, 50) } }
            try await eventually { resources.follows.count == 100 }
            try await eventually { resources.executor.pool(.lasting).threadCount == 1 }
            for number in 0..<50 { try cache.set(number, 1) }
            for try await keys in group { #expect(keys == Array(0..<50)) }
        }
    }

    @Test func aCancellationEndsIt() async throws {
        let task = Task { [cache] in try await Self.keys(cache.changes(), 1) }
        try await eventually { resources.follows.count == 1 }
        task.cancel()
        await expectCancelled { try await task.value }
        #expect(resources.follows.count == 0)
    }

    @Test func aPositionThatIsGoneEndsIt() async throws {
        let old = cache.changes()
        for number in 0..<6000 { try cache.set(number, [UInt8](repeating: 1, count: 1000)) }
        await expectCode(.positionGone) { try await Self.keys(old, 1) }
    }

    @Test func changesOfOtherProcesses() async throws {
        let changes = cache.changes()
        let task = Task {
            var keys: [String] = []
            for try await change in changes {
                keys.append(try change.key!.decode(String.self))
                if keys.count == 122 { break }
            }
            return keys
        }
        try await eventually { resources.follows.count == 1 }
        let writers = try ["a", "b"].map {
            try ChildProcess(["change", "directory=\(cache.directory)", "writer=\($0)", "count=60"])
        }
        for writer in writers { #expect(writer.finish().1 == .exited(0)) }
        let keys = try await task.value
        for writer in ["a", "b"] {
            #expect(keys.filter { $0.hasPrefix(writer) } == (0..<61).map { "\(writer).\($0)" })
        }
    }
}
