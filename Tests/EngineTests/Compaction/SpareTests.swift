#if FAILPOINTS
    import Synchronization
    import TestSupport
    import Testing

    @testable import DiskCacheEngine

    /// A full disk: what takes away works on.
    @Suite struct SpareTests {
        private let scratch: TestDirectory
        private let path: String
        private let files = FailingFiles()
        private let client: StoreClient

        init() throws {
            scratch = try TestDirectory("spare")
            path = scratch.path + "/store"
            client = try StoreClient(path, environment: Environment(files: files))
            try client.configure {
                $0.evictionPolicy = .none
                $0.compaction = 0
            }
            for key in 0..<4000 { try client.set("\(key)", [UInt8](repeating: 1, count: 300)) }
            try client.compact()
        }

        private func hasSpare() throws -> Bool {
            try client.handle.withStoreThrowing { $0.log.spareBytes >= SegmentHeader.granule }
        }

        private func fillDisk() { files.fail { _, call in call.hasPrefix("allocate") ? ErrorNumber.noSpace : nil } }

        @Test func deletingAndCompactingWorkOnAFullDisk() throws {
            #expect(try hasSpare())
            fillDisk()
            // As far as blocks are there already.
            var more = 4000
            do throws(EngineError) {
                while more < 8000 {
                    try client.set("\(more)", [UInt8](repeating: 2, count: 300))
                    more += 1
                }
                Issue.record("the disk isn't full")
            } catch {
                #expect(error.code == .diskFull)
            }
            for key in 0..<1500 { try client.delete("\(key)") }
            #expect(try !hasSpare())
            // What the spare gave isn't for more.
            #expect(throws: EngineError.self) { try client.set("more", [UInt8](repeating: 2, count: 300)) }
            #expect(try client.get("1500") != nil && client.get("0") == nil)
            try client.compact()
            #expect(try client.metrics().compactedBytes > 200_000)
            #expect(try client.count() == more - 1500)
            files.fail { _, _ in nil }
            try client.handle.withStore { (store) throws(EngineError) in try store.keepSpare() }
            #expect(try hasSpare())
            try client.set("more", [1])
            #expect(try client.findings() == [])
            client.handle.close()
            for name in TestDirectory.filesBelow(path) where name.hasPrefix("index.") {
                TestDirectory.remove(path + "/" + name)
            }
            #expect(try client.count() == more - 1500 + 1)
            #expect(try client.findings() == [])
        }

        /// A row whose removal failed is among those that expire next, still.
        @Test func whatCouldNotBeRemovedIsRemovedLater() throws {
            try client.configure { $0.cullLimit = 0 }
            let expiry = SystemCalls.wallClock() + 2_000_000
            try client.handle.withStore { (store) throws(EngineError) in
                for number in 0..<6000 {
                    try StoreClient.withBytes(Array("old \(number)".utf8)) { (key) throws(EngineError) in
                        try StoreClient.withBytes([1]) { (value) throws(EngineError) in
                            _ = try store.put(
                                timeout: StoreClient.timeout, KeyClass.text, key, form: ValueFormCode.bytes,
                                value: value,
                                RecordAttributes(expiry: expiry, tag: nil))
                        }
                    }
                }
            }
            while SystemCalls.wallClock() <= expiry { pass(microseconds: 10_000) }
            fillDisk()
            func expire() throws(EngineError) -> Int {
                try client.handle.withStore { (store) throws(EngineError) in
                    try store.expire(timeout: StoreClient.timeout)
                }
            }
            for _ in 0..<3 { #expect(throws: EngineError.self) { try expire() } }
            files.fail { _, _ in nil }
            _ = try expire()
            #expect(try client.count() == 4000)
            #expect(try client.findings() == [])
        }

        @Test func clearingWorksOnAFullDisk() throws {
            fillDisk()
            for key in 0..<8000 {
                do throws(EngineError) { try client.set("\(key)", [UInt8](repeating: 2, count: 300)) } catch { break }
            }
            try client.clear()
            #expect(try client.count() == 0)
            try client.compact()
            files.fail { _, _ in nil }
            for key in 0..<100 { try client.set("\(key)", [3]) }
            #expect(try client.count() == 100)
            #expect(try client.findings() == [])
        }
    }
#endif
