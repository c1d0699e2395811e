import Synchronization
import TestSupport
import Testing

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// Removals of many while somebody else has the write lock.
@Suite struct EvictorTests {
    /// Runs `body` while another thread is inside a transaction.
    private func whileAnotherWrites(_ cache: Cache, _ body: () throws -> Void) throws {
        final class State: Sendable {
            let phase = ParkingWord(0)
            func wait(while value: UInt32) {
                while phase.load() == value { phase.wait(while: value, nanoseconds: 100_000_000) }
            }
            func advance() {
                phase.add(1)
                phase.wake()
            }
        }
        let state = State()
        try SystemCalls.startThread {
            do {
                try cache.update("another", default: 0) { value in
                    state.advance()
                    state.wait(while: 1)
                    value += 1
                }
            } catch {
                Issue.record("\(error)")
            }
            state.advance()
        }
        state.wait(while: 0)
        defer {
            state.advance()
            state.wait(while: 2)
        }
        try body()
    }

    @Test func aTimeoutTellsHowManyWentBefore() throws {
        let world = try ModelWorld()
        let cache = try world.open()
        for number in 0..<3000 { try cache.set(number, number, tag: "t") }
        cache.handle.timeout = 20_000_000
        try whileAnotherWrites(cache) {
            let error = #expect(throws: CacheError.self) { try cache.evict(tag: "t") }
            #expect(error?.code == .timeout)
            #expect(error?.removed == 0)
        }
        #expect(try cache.count == 3001)
        #expect(try cache.evict(tag: "t") == 3000)
        #expect(try Array(cache.keys()) == [.string("another")])
    }

    @Test func stepsGoOnAfterATimeout() throws {
        let world = try ModelWorld()
        let cache = try world.open()
        for number in 0..<3000 { try cache.set(number, number) }
        var removed = 0
        let evictor = try cache.handle.withStore { (store) throws(EngineError) in
            let evictor = Evictor(OrderedScan(.insertion, wantsRecords: true, in: store)) { $0.rowid % 3 != 0 }
            removed += try evictor.step(in: store, timeout: StoreClient.timeout)
            return evictor
        }
        #expect(removed > 0 && removed < 2000)
        try whileAnotherWrites(cache) {
            #expect(throws: EngineError.self) {
                try cache.handle.withStore { (store) throws(EngineError) in
                    _ = try evictor.step(in: store, timeout: 20_000_000)
                }
            }
        }
        // A row that comes again meanwhile is another one.
        #expect(try cache.contains(2998))
        try cache.delete(2998)
        try cache.set(2998, 0)
        while !evictor.isDone {
            removed += try cache.handle.withStore { (store) throws(EngineError) in
                try evictor.step(in: store, timeout: StoreClient.timeout)
            }
        }
        #expect(try cache.contains(2998))
        #expect(try cache.count == 3000 + 1 - removed)
        #expect(try cache.check() == [])
    }
}
