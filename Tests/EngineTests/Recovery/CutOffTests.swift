import TestSupport
import Testing

@testable import DiskCacheEngine

/// What a recovery cut off stands in its files still, and never counts again: neither where the log begins, nor as a place to follow
/// changes from.
@Suite struct CutOffTests {
    private let scratch: TestDirectory
    private let path: String
    private static let large = [UInt8](repeating: 7, count: 5000)
    private static let filling = [UInt8](repeating: 1, count: 1000)

    init() throws {
        scratch = try TestDirectory("cut")
        path = scratch.path + "/store"
    }

    private func open(_ boot: String) throws -> StoreClient {
        var environment = Environment.system
        environment.bootIdentity = { boot }
        let client = try StoreClient(path, environment: environment, durability: .none)
        try client.configure { $0.compaction = 0 }
        return client
    }

    private var segments: [String] {
        TestDirectory.filesBelow(path + "/log").filter { $0.hasSuffix(".seg") }.sorted()
    }

    /// A log that begins where compaction put its head, and a transaction behind it that cleared everything and was taken back, since its
    /// value's file is lost.
    @Test(arguments: [false, true]) func aClearThatWasCutOffIsNoHead(grows: Bool) throws {
        let first = try open("first")
        for number in 0..<300 { try first.set("key \(number % 100)", Self.filling) }
        try first.compact()
        // A header names the head.
        for number in 0..<100 { try first.set("key \(number)", Self.filling) }
        try first.handle.withStoreThrowing { store in
            try store.transact(timeout: StoreClient.timeout) {
                try first.clear()
                try first.set("large", Self.large)
            }
        }
        if grows { for number in 0..<100 { try first.set("later \(number)", Self.filling) } }
        first.handle.close()
        TestDirectory.remove(path + "/files")
        for (round, boot) in ["second", "third", "fourth"].enumerated() {
            let client = try open(boot)
            #expect(try client.count() == UInt64(100 + round))
            for number in 0..<100 { #expect(try client.get("key \(number)") == .bytes(Self.filling)) }
            try client.set("after \(boot)", Self.filling)
            #expect(try client.findings() == [])
            client.handle.close()
        }
    }

    /// The changes that a follower at a place gets; nil: it is told that the place is gone.
    private func changes(from place: ChangePlace, _ client: StoreClient) throws -> Int? {
        var count = 0
        do throws(EngineError) {
            try client.handle.withStore { (store) throws(EngineError) in
                let scan = ChangeScan(from: place)
                while try scan.next(in: store) { count += scan.changes.count }
            }
        } catch {
            if error.code == .positionGone { return nil }
            throw error
        }
        return count
    }

    private func place(_ client: StoreClient) throws -> ChangePlace {
        try client.handle.withStore { (store) throws(EngineError) -> ChangePlace in
            ChangePlace(store: store.feedIdentity, offset: CommitBlock.tail(store.block.word.acquire()), skipped: 0)
        }
    }

    /// The newest segment loses its name: what is written then has other positions, so that who followed the lost part is told.
    @Test func noPositionIsUsedTwice() throws {
        let first = try open("first")
        for number in 0..<70 { try first.set("key \(number)", Self.filling) }
        let lost = try #require(segments.last)
        let place = try self.place(first)
        first.handle.close()
        TestDirectory.remove(path + "/log/" + lost)
        let second = try open("second")
        for number in 100..<170 { try second.set("new \(number)", Self.filling) }
        #expect(segments.allSatisfy { $0 != lost })
        #expect(try changes(from: place, second) == nil)
        second.handle.close()
    }

    @Test func aPlaceInWhatWasCutOffIsGone() throws {
        let first = try open("first")
        try first.set("a", [1])
        let early = try place(first)
        try first.set("large", Self.large)
        try first.set("a", [2])
        let late = try place(first)
        // So that a record stands at that place.
        try first.set("b", [3])
        first.handle.close()
        TestDirectory.remove(path + "/files")
        let second = try open("second")
        try second.set("c", [4])
        #expect(try changes(from: late, second) == nil)
        #expect(try changes(from: early, second) == 1)
        second.handle.close()
    }

    /// A bit of the head in memory flips while the store is open: nothing is taken away for that.
    @Test func aHeadThatWasFlippedTakesNothingAway() throws {
        let client = try open("first")
        for number in 0..<300 { try client.set("key \(number)", Self.filling) }
        try client.sync()
        let before = segments
        try client.handle.withStore { (store) throws(EngineError) in
            let head = store.block.head(CommitBlock.slot(store.block.word.relaxed()))
            head.store(head.relaxed() ^ (1 << 40))
            try store.dropDead()
        }
        #expect(segments == before)
        client.handle.close()
        let second = try open("second")
        #expect(try second.count() == 300)
        second.handle.close()
    }
}
