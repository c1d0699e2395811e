import TestSupport
import Testing

@testable import DiskCacheEngine

/// The live log stays below what positions of 40 bits tell apart, and a transaction below half of that (DESIGN 3).
@Suite struct LogLimitTests {
    private func open(_ scratch: TestDirectory, limit: UInt64) throws -> StoreClient {
        var options = StoreOptions()
        options.windowSize = 64 << 20
        options.liveLimit = limit
        options.configure = { (settings: inout Settings, _: Bool) throws(EngineError) in settings.durability = .none }
        return StoreClient(try StoreHandle(directory: scratch.path, options: options, environment: .system))
    }

    @Test func theLogEndsInAnErrorAndGoesOnAfterAClear() throws {
        let scratch = try TestDirectory("limit")
        let client = try open(scratch, limit: 1 << 20)
        var stored = 0
        var failure: EngineError?
        while failure == nil, stored < 2000 {
            do throws(EngineError) {
                try client.set("key \(stored)", [UInt8](repeating: 7, count: 3000))
                stored += 1
            } catch {
                failure = error
            }
        }
        #expect(failure?.code == .limitReached && failure?.path != nil)
        #expect(stored > 250 && stored < 350)
        for number in 0..<stored { #expect(try client.get("key \(number)") != nil) }
        #expect(try client.count() == stored)
        try client.clear()
        try client.handle.withStore { (store) throws(EngineError) in try store.dropDead() }
        for number in 0..<200 { try client.set("key \(number)", [UInt8](repeating: 8, count: 3000)) }
        #expect(try StoreCheck.problems(client.handle) == [])
        client.handle.close()
    }

    @Test func aTransactionMayTakeHalf() throws {
        let scratch = try TestDirectory("limit")
        let client = try open(scratch, limit: 1 << 20)
        #expect(throws: EngineError.self) {
            try client.handle.withStoreThrowing { store in
                try store.transact(timeout: StoreClient.timeout) {
                    for number in 0..<250 { try client.set("key \(number)", [UInt8](repeating: 7, count: 3000)) }
                }
            }
        }
        #expect(try client.count() == 0)
        try client.set("after", [1])
        #expect(try client.count() == 1)
        client.handle.close()
    }

    /// Far from its beginning a log is as long as it is.
    @Test func positionsDontCount() throws {
        let scratch = try TestDirectory("limit")
        var options = StoreOptions()
        options.windowSize = 64 << 20
        options.firstPosition = 3 << 45
        let client = StoreClient(try StoreHandle(directory: scratch.path, options: options, environment: .system))
        for number in 0..<100 { try client.set("key \(number)", [UInt8](repeating: 7, count: 3000)) }
        #expect(try client.count() == 100)
        client.handle.close()
    }
}
