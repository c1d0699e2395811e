import TestSupport
import Testing

@testable import DiskCacheEngine

/// What couldn't be written back of index and trees, which hold no facts, is made again from the log (P5).
@Suite struct WritebackTests {
    private let scratch: ScratchDirectory
    private let files = FailingFiles()

    init() throws { scratch = try ScratchDirectory(inMemory: true) }

    enum View { case index, trees }

    private struct Generations: Equatable {
        var index: UInt64
        var trees: UInt64

        subscript(view: View) -> UInt64 { view == .index ? index : trees }
    }

    private func generations(_ client: StoreClient) throws -> Generations {
        try client.handle.withStore {
            Generations(index: $0.block.indexGeneration.acquire(), trees: $0.block.treesGeneration.acquire())
        }
    }

    private func make() throws -> StoreClient {
        let client = try StoreClient(
            scratch.path + "/store", environment: Environment(files: files), syncInterval: 1000, viewLag: 0)
        for number in 0..<300 { try client.set("key \(number)", value(number)) }
        for number in 0..<20 { try client.delete("key \(number)") }
        _ = try client.keys(.key)
        return client
    }

    private func value(_ number: Int) -> [UInt8] { Array("value \(number)".utf8) }

    private func expectEverything(_ client: StoreClient) throws {
        for number in 0..<300 {
            #expect(try client.get("key \(number)") == (number < 20 ? nil : .bytes(value(number))), "key \(number)")
        }
        #expect(try client.keys(.key).count == client.count())
        #expect(try client.findings() == [])
    }

    /// Writes until the maintenance thread has come to what is wanted.
    private func write(_ client: StoreClient, until isDone: () throws -> Bool) throws -> Bool {
        let deadline = TestThreads.deadline(60_000)
        while try !isDone() {
            if SystemCalls.monotonicClock() > deadline { return false }
            do throws(EngineError) {
                try client.set("other", [1])
            } catch {
                // The log may come to the end of its blocks as well.
                guard error.code == .diskFull else { throw error }
            }
            SystemCalls.sleep(nanoseconds: 1_000_000)
        }
        return true
    }

    @Test(arguments: [
        (View.index, ErrorNumber.inputOutput), (.index, ErrorNumber.noSpace), (.trees, ErrorNumber.inputOutput),
    ]) func lost(view: View, errno: Int32) throws {
        let client = try make()
        let before = try generations(client)
        #expect(before.trees != 0)
        files.fail { _, call in call == "askWriteback of \(view)" ? errno : nil }
        #expect(try write(client) { try generations(client)[view] > before[view] })
        files.fail { _, _ in nil }
        let other: View = view == .index ? .trees : .index
        #expect(try generations(client)[other] == before[other])
        try expectEverything(client)
        client.handle.close()
    }

    /// That a system has no such call is no news of the file.
    @Test func unknownCall() throws {
        let client = try make()
        let before = try generations(client)
        files.fail { _, call in call.hasPrefix("askWriteback") ? ErrorNumber.notSupported : nil }
        #expect(try write(client) { files.calls.count { $0 == "askWriteback of trees" } > 2 })
        files.fail { _, _ in nil }
        #expect(try generations(client) == before)
        try expectEverything(client)
        client.handle.close()
    }

    /// Told once, and made again when there is room for it.
    @Test func fullDisk() throws {
        let client = try make()
        let before = try generations(client)
        files.fail { index, call in
            call == "askWriteback of index" && index < 1000
                ? ErrorNumber.inputOutput : call == "allocate" ? ErrorNumber.noSpace : nil
        }
        let failed = { files.calls.contains("askWriteback of index") && files.calls.contains("allocate") }
        #expect(try write(client) { failed() })
        #expect(try generations(client).index == before.index)
        files.fail { _, _ in nil }
        #expect(try write(client) { try generations(client).index > before.index })
        try expectEverything(client)
        client.handle.close()
    }
}
