#if FAILPOINTS
    import Synchronization
    import TestSupport
    import Testing

    @testable import DiskCacheEngine

    private final class FailureCount: Sendable {
        private let calls = Atomic(0)
        var count: Int { calls.load(ordering: .relaxed) }
        func isFirst() -> Bool { calls.add(1, ordering: .relaxed).newValue == 1 }
    }

    /// The segment that is made ahead (Log+Next).
    @Suite struct NextSegmentTests {
        private let scratch: TestDirectory
        private let path: String
        private let files = FailingFiles()

        init() throws {
            scratch = try TestDirectory("next")
            path = scratch.path + "/store"
        }

        private func open(boot: String = "first", interval: Int = 3_600_000_000) throws -> StoreClient {
            var environment = Environment(files: files)
            environment.bootIdentity = { boot }
            let client = try StoreClient(path, environment: environment)
            try client.configure {
                $0.evictionPolicy = .none
                $0.compaction = 0
                $0.syncInterval = interval
            }
            return client
        }

        private func hasNext(_ client: StoreClient) throws -> Bool {
            try client.handle.withStore { $0.log.nextBytes > 0 }
        }

        private func fill(_ client: StoreClient, _ keys: Range<Int>) throws {
            for key in keys {
                try client.set("\(key)", [UInt8](repeating: UInt8(truncatingIfNeeded: key), count: 1000))
            }
        }

        private func check(_ client: StoreClient, _ keys: Range<Int>) throws {
            for key in keys {
                #expect(
                    try client.get("\(key)") == .bytes([UInt8](repeating: UInt8(truncatingIfNeeded: key), count: 1000)))
            }
            #expect(try client.findings() == [])
        }

        /// As if half of the segment had been filled fast.
        private func prepare(_ client: StoreClient) throws {
            try client.handle.withStore { (store) throws(EngineError) in
                try store.write(timeout: StoreClient.timeout) { () throws(EngineError) in
                    store.log.askedNextAt = store.log.activeFirst
                    store.log.wantsNext.store(true, ordering: .relaxed)
                }
                try store.keepNext()
            }
        }

        private func segments(_ client: StoreClient) throws -> [Segment] {
            try client.handle.withStore { $0.log.segments }
        }

        /// A large log that grows fast asks for it by itself, and each segment is made of it.
        @Test func isMadeWhileHalfIsLeft() throws {
            let client = try open()
            var key = 0
            while try segments(client).last!.header.length < 256 << 10 {
                try fill(client, key..<key + 500)
                key += 500
            }
            let before = try segments(client).count
            let isSeen = eventually {
                (try? fill(client, key..<key + 10)) != nil && (try? hasNext(client)) ?? false
            }
            #expect(isSeen)
            try fill(client, key..<key + 2000)
            #expect(try segments(client).count > before)
            try check(client, 0..<key + 2000)
            client.handle.close()
            try check(client, 0..<key + 2000)
        }

        @Test func becomesASegment() throws {
            let client = try open()
            try fill(client, 0..<40)
            try prepare(client)
            #expect(try hasNext(client))
            let inode = try files.status(of: path + "/log/next", in: nil)?.inode
            // One is enough.
            try prepare(client)
            #expect(try files.status(of: path + "/log/next", in: nil)?.inode == inode)
            try fill(client, 40..<90)
            #expect(try !hasNext(client))
            #expect(try segments(client).last?.inode == inode)
            try check(client, 0..<90)
            // Who closes it leaves none.
            try prepare(client)
            #expect(try hasNext(client))
            client.handle.close()
            #expect(!TestDirectory.filesBelow(path).contains { $0.hasSuffix("/next") })
            try check(client, 0..<90)
        }

        /// What is made ahead counts as soon as it is there, and as long, though nobody asks for it each time.
        @Test func countsInTheVolume() throws {
            let client = try open()
            try fill(client, 0..<40)
            func counted() throws -> (counted: Int, next: Int, volume: Int) {
                try client.handle.withStore { (store) throws(EngineError) in
                    try store.write(timeout: StoreClient.timeout) { () throws(EngineError) in
                        let log = store.log
                        #expect(log.preparedBytes() == log.nextBytes + log.spareBytes)
                        return (log.preparedBytes(), log.nextBytes, store.estimatedVolume())
                    }
                }
            }
            let before = try counted()
            #expect(before.next == 0)
            try prepare(client)
            let made = try counted()
            #expect(made.next > 0 && made.counted == before.counted + made.next)
            #expect(made.volume == before.volume + made.next)
            try fill(client, 40..<90)
            #expect(try counted().next == 0)
            try prepare(client)
            #expect(try counted().next > 0)
            try client.handle.withStore { (store) throws(EngineError) in try store.dropNext(1_000_000_000) }
            #expect(try counted().next == 0)
            // Another process makes one, and writes.
            let other = try Store.openAsAnotherProcess(path)
            #expect(try other.log.prepareNext { true })
            try other.write(timeout: StoreClient.timeout) { () throws(EngineError) in }
            #expect(try counted().next > 0)
            other.shutDown()
            #expect(try counted().next == 0)
        }

        /// Its pages are mapped ahead by whoever compacts, as long as it is the active one.
        @Test func pagesAreMappedAhead() throws {
            let client = try open()
            try fill(client, 0..<40)
            try #require(try pages(client) == nil, "blocks are missing there")
            try prepare(client)
            try fill(client, 40..<65)
            try client.handle.withStore { (store) throws(EngineError) in
                let log = store.log
                let limit = log.active?.limit ?? 0
                #expect(log.isAllocated && log.allocatedEnd < limit)
                if let pages = log.pagesAhead {
                    #expect(pages.map())
                    log.note(pages)
                }
                #expect(log.allocatedEnd == limit)
                #expect(log.pagesAhead == nil)
            }
            try fill(client, 65..<70)
            // In the next one they mean nothing any more.
            let end = try client.handle.withStore { (store) throws(EngineError) -> Position in
                try store.write(timeout: StoreClient.timeout) { () throws(EngineError) in
                    store.log.allocatedEnd = store.log.tail
                }
                return store.log.tail
            }
            let old = try #require(try pages(client))
            try fill(client, 70..<160)
            try client.handle.withStore { (store) throws(EngineError) in
                #expect(store.log.activeFirst > end)
                let before = store.log.allocatedEnd
                store.log.note(old)
                #expect(store.log.allocatedEnd == before)
            }
            try check(client, 0..<160)
        }

        /// Where it maps for the writers, they don't come by to ask for the next segment.
        @Test func whoMapsAheadAsksForTheNext() throws {
            let client = try open()
            var key = 0
            let isHalfFull = eventually {
                (try? fill(client, key..<key + 20)) != nil
                    && (try? client.handle.withStore { store in
                        key += 20
                        guard let active = store.log.active, store.log.isAllocated else { return false }
                        let used = store.log.tail - active.first
                        return active.header.length >= 256 << 10 && used > active.header.length / 2
                            && used < active.header.length / 8 * 7
                    }) ?? false
            }
            #expect(isHalfFull)
            try client.handle.withStore { (store) throws(EngineError) in
                try store.write(timeout: StoreClient.timeout) { () throws(EngineError) in
                    let log = store.log
                    log.askedNextAt = 0
                    // However busy the machine is.
                    log.activeSince = SystemCalls.monotonicClock()
                    log.allocatedEnd = log.tail
                    _ = log.preparedBytes()
                    if let pages = log.pagesAhead { log.note(pages) }
                    #expect(log.askedNextAt == log.activeFirst)
                    // Another process may have made one since, without the lock.
                    let asks = log.isPreparedChanged.load(ordering: .relaxed)
                    #expect(asks)
                }
            }
        }

        /// Who compacts does so between two holds of the lock.
        @Test func compactionMapsAhead() throws {
            let client = try open()
            for _ in 0..<4 { try fill(client, 0..<12) }
            try prepare(client)
            // Its copies alone don't come to the end of what is mapped.
            try fill(client, 0..<20)
            try client.handle.withStore { (store) throws(EngineError) in
                let limit = store.log.active?.limit ?? 0
                #expect(store.log.isAllocated && store.log.allocatedEnd < limit)
                let gained = try store.compactHead(
                    freeing: 1, copying: 1 << 20, below: store.log.tail, evenIfNeeded: false,
                    timeout: StoreClient.timeout)
                #expect(gained != nil)
                #expect(store.log.active?.limit == limit && store.log.allocatedEnd == limit)
            }
            try check(client, 0..<20)
        }

        private func pages(_ client: StoreClient) throws -> Log.PagesAhead? {
            try client.handle.withStore { $0.log.pagesAhead }
        }

        /// What isn't a file of about the right length with all of its blocks goes.
        @Test func isNotBelievedAsItIs() throws {
            let client = try open()
            let system = SystemFiles()
            let log = try system.open(path + "/log", in: nil, [.directory])
            for (round, length) in [0, 4096, 1 << 16, 100_000, 1 << 30].enumerated() {
                try fill(client, round * 100..<round * 100 + 30)
                let file = try system.open("next", in: log, [.write, .create, .exclusive])
                // With holes.
                try system.truncate(file, to: length)
                try fill(client, round * 100 + 30..<round * 100 + 100)
                #expect(try !hasNext(client))
                #expect(try system.status(of: "next", in: log) == nil)
            }
            try check(client, 0..<500)
        }

        /// A full disk: there is none, and no error; one that is there goes.
        @Test func onAFullDisk() throws {
            let client = try open()
            try fill(client, 0..<40)
            files.fail { _, call in call == "allocate" ? ErrorNumber.noSpace : nil }
            try prepare(client)
            #expect(try !hasNext(client))
            #expect(!TestDirectory.filesBelow(path).contains { $0.contains("next") })
            files.fail { _, _ in nil }
            // One that is there gives its blocks to who needs some.
            try prepare(client)
            #expect(try hasNext(client))
            let failures = FailureCount()
            files.fail { _, call in call == "allocate" && failures.isFirst() ? ErrorNumber.noSpace : nil }
            try fill(client, 40..<90)
            #expect(failures.count >= 1)
            #expect(try !hasNext(client))
            files.fail { _, _ in nil }
            try check(client, 0..<90)
        }

        /// A power loss may take back the rename that made a segment of it, and not what was written there since: it isn't used.
        @Test func goesWithTheBoot() throws {
            for seals in [false, true] {
                let name = path
                TestDirectory.remove(name)
                let client = try open()
                try fill(client, 0..<40)
                try client.handle.withStore { (store) throws(EngineError) in try store.sync() }
                if !seals {
                    // Nothing more is durable.
                    try client.configure { $0.durability = .none }
                    try prepare(client)
                    try fill(client, 40..<80)
                }
                let last = try #require(try segments(client).last)
                client.handle.close()
                if seals {
                    let file = try files.open(name + "/log/next", in: nil, [.write, .create])
                    try files.allocate(file, offset: 0, count: 1 << 16)
                } else {
                    try files.rename(
                        SegmentHeader.name(last.first), to: "next", in: files.open(name + "/log", in: nil, [.directory])
                    )
                }
                let after = try open(boot: "second")
                #expect(try after.handle.withStore { $0.recovery == nil } == seals)
                #expect(try files.status(of: name + "/log/next", in: nil) == nil)
                #expect(try after.count() <= 64)
                // As long as what stood there.
                try fill(after, 100..<101)
                #expect(try after.get("70") == nil)
                let findings = try after.findings()
                #expect(findings == [], "\(seals)")
                after.handle.close()
            }
        }

        /// When nothing is written any more it goes.
        @Test func goesInTime() throws {
            let client = try open(interval: 5_000)
            try fill(client, 0..<40)
            try prepare(client)
            #expect(eventually { (try? !hasNext(client)) ?? false })
            #expect(!TestDirectory.filesBelow(path).contains { $0.hasSuffix("/next") })
        }
    }
#endif
