import TestSupport
import Testing

@testable import DiskCacheEngine

#if FAILPOINTS
    import Synchronization

    /// A wall clock that stands until it is told to go on.
    private final class TestClock: Sendable {
        private let time = Atomic<Int64>(1_750_000_000_000_000)
        var now: Int64 { time.load(ordering: .relaxed) }
        func pass(microseconds: Int64) { time.wrappingAdd(microseconds, ordering: .relaxed) }
    }

    /// What compaction gives back, and what it keeps.
    @Suite struct CompactionTests {
        private let scratch: TestDirectory
        private let path: String
        private let client: StoreClient
        private let seed = ReplayableRandom.seed(for: "compaction")

        init() throws {
            scratch = try TestDirectory("compaction")
            path = scratch.path + "/store"
            client = try StoreClient(path)
            try client.configure {
                $0.evictionPolicy = .none
                $0.minFileSize = 20_000
            }
        }

        private func value(_ key: Int, _ version: Int, _ size: Int) -> [UInt8] {
            var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: key ^ version), count: max(size, 16))
            withUnsafeBytes(of: (key, version)) { head in bytes.replaceSubrange(0..<16, with: head) }
            return bytes
        }

        // MARK: The bound

        /// One way to make garbage.
        enum Pattern: String, CaseIterable {
            case overwrites, hotKeys, deletes, growing, files
        }

        /// Twice the live bytes plus three segments, looked at again and again while a store is overwritten, emptied, filled.
        @Test(arguments: Pattern.allCases) func directoryStaysWithinItsBound(_ pattern: Pattern) throws {
            var random = ReplayableRandom(seed: seed)
            let count = pattern == .files ? 40 : 3000
            func size() -> Int {
                pattern == .files
                    ? Int.random(in: 15_000...40_000, using: &random) : Int.random(in: 16...400, using: &random)
            }
            for key in 0..<count { try client.set("\(key)", value(key, 0, size())) }
            var live = Set(0..<count)
            var worst = 0.0
            for round in 1...(pattern == .files ? 600 : 30_000) {
                let key: Int
                switch pattern {
                case .overwrites, .files: key = Int.random(in: 0..<count, using: &random)
                case .hotKeys: key = Int.random(in: 0..<20, using: &random)
                case .deletes: key = round % count
                case .growing: key = Int.random(in: 0..<(count + round / 10), using: &random)
                }
                if pattern == .deletes && round / count % 2 == 0 {
                    try client.delete("\(key)")
                    live.remove(key)
                } else {
                    try client.set("\(key)", value(key, round, size()))
                    live.insert(key)
                }
                if round % 16 == 0 {
                    let excess = try SpaceBound.excess(client, path)
                    worst = max(worst, excess)
                    if excess > 1 {
                        let figures = try SpaceBound.description(client, path)
                        Issue.record("seed \(seed), \(pattern), round \(round): \(figures)")
                        return
                    }

                }
            }
            print(
                "space of \(pattern): at most \(worst) of the bound, \(try client.metrics().compactedBytes) bytes compacted"
            )
            #expect(try client.metrics().compactedBytes > 0)
            #expect(try client.count() == live.count)
            for key in live { #expect(try client.get("\(key)") != nil) }
            #expect(try client.findings() == [])
        }

        // MARK: What goes

        private func slots() throws -> (used: Int, pages: Int) {
            try client.handle.withStoreThrowing { store in
                var used = 0
                try store.index.forEachSlotNow { _, _ in used += 1 }
                return (used, store.index.validPages)
            }
        }

        @Test func tombstonesGoWithTheLogThatTheyHide() throws {
            try client.configure { $0.compaction = 0 }
            for key in 0..<5000 { try client.set("\(key)", value(key, 1, 40)) }
            for key in 0..<5000 where key % 10 != 0 { try client.delete("\(key)") }
            let before = try slots()
            try client.compact()
            let after = try slots()
            #expect(after.used <= 505)
            #expect(after.pages * 3 < before.pages, "\(before) \(after)")
            for key in 0..<5000 { #expect(try (client.get("\(key)") != nil) == (key % 10 == 0)) }
            #expect(try client.findings() == [])
            #expect(try StoreCheck.problems(client.handle).isEmpty)
            // From the log alone it comes to the same.
            client.handle.close()
            for name in TestDirectory.filesBelow(path) where name.hasPrefix("index.") {
                TestDirectory.remove(path + "/" + name)
            }
            #expect(try client.count() == 500)
            #expect(try client.findings() == [])
        }

        /// Slots are emptied once in a while, not for each segment that goes; what a quarter of the log can leave stands until then, no more.
        @Test func slotsBelowTheHeadDontPileUp() throws {
            try client.configure { $0.compaction = 0 }
            let live = 8000
            var stood = 0
            for step in 0..<60_000 {
                try client.set("\(step)", value(step, 1, 60))
                if step >= live { try client.delete("\(step - live)") }
                guard step > 2 * live, step % 500 == 0 else { continue }
                try client.handle.withStoreThrowing { store in
                    // One segment.
                    let gained = try store.compactOneRound(copying: 1)
                    #expect(gained != nil)
                    let head = store.block.read().head
                    let tail = CommitBlock.tail(store.block.word.acquire())
                    let stale = store.index.positions(anchor: tail).count { $0 < head }
                    if stale > 0 { stood += 1 }
                    // A row and its tombstone.
                    let perKey = 24 + 5 + 60 + 24 + 5
                    #expect(stale <= Int(tail - head) / 4 / perKey, "step \(step)")
                }
            }
            #expect(stood > 10, "slots are emptied at each step: this tests nothing")
            #expect(try client.count() == live)
            #expect(try client.findings() == [])
        }

        /// Slots that name what lies below the head don't keep an index from getting smaller.
        @Test func whatIsGoneDoesntCountInTheIndex() throws {
            try client.configure { $0.compaction = 0 }
            for key in 0..<1500 { try client.set("large \(key)", value(key, 1, 6000)) }
            try client.handle.withStoreThrowing { store in try store.beginSegment() }
            for key in 0..<12_000 { try client.set("\(key)", value(key, 1, 16)) }
            for key in 0..<12_000 { try client.delete("\(key)") }
            let before = try slots()
            try client.compact()
            let after = try slots()
            #expect(after.pages * 3 < before.pages, "\(before) \(after)")
            #expect(try client.count() == 1500)
            #expect(try client.findings() == [])
        }

        /// A copy of a row that stands in a tree changes nothing there, but where the entry names the record.
        @Test func treesKnowWhatIsCopied() throws {
            try client.configure { $0.compaction = 0 }
            let long = String(repeating: "long ", count: 20)
            let keys = (0..<600).map { $0 % 3 == 0 ? long + "\($0)" : "\($0)" }
            for key in keys { try client.set(key, value(0, 1, 60)) }
            for number in 0..<3000 { try client.set("other", value(number, 1, 60)) }
            for key in keys[..<20] { try client.delete(key) }
            try client.compact()
            let staying = keys[20...]
            var copies = 0
            try client.handle.withStoreThrowing { store in
                let pin = ReaderPins.enter(ReaderPins.base)
                defer { ReaderPins.leave(pin) }
                let head = store.block.read().head
                func changes(_ record: Record, _ tree: TreeID, base: Position) throws(EngineError) -> Int {
                    let changes = OrderChanges(tree)
                    changes.base = base
                    try changes.apply(record, store.log, head: head)
                    return changes.changes.count
                }
                _ = try store.log.scanTail(from: head) { (record) throws(EngineError) in
                    guard record.bits.has(RecordBits.copy), record.kind == RecordKind.put.rawValue else { return }
                    copies += 1
                    let isLong = record.key.count > OrderEntry.longestPlaced
                    let behind = record.previous + 1
                    #expect(try changes(record, .key, base: behind) == 0)
                    #expect(try changes(record, .rowid, base: behind) == (isLong ? 1 : 0))
                    // What it is a copy of lies behind the tree as well, or there is no tree.
                    for base in [record.previous, 0] {
                        #expect(try changes(record, .key, base: base) == 1)
                        #expect(try changes(record, .rowid, base: base) == 1)
                    }
                }
            }
            #expect(copies >= staying.count)
            #expect(Set(try client.keys(.key)) == Set(staying + ["other"]))
        }

        /// Orders stay what they are while compaction moves rows behind their trees, on either side of where those end.
        @Test func ordersOutliveWhatIsCopied() throws {
            try client.configure { $0.compaction = 0 }
            let long = String(repeating: "long ", count: 20)
            var keys: [String] = []
            for round in 0..<6 {
                for number in 0..<2000 {
                    let key = number % 5 == 0 ? long + "\(round) \(number)" : "\(round) \(number)"
                    keys.append(key)
                    try client.set(key, value(number, round, 60))
                }
                // The trees end at different places: before the newest rows in odd rounds, behind them in even ones.
                if round % 2 == 0 {
                    #expect(try client.keys(.insertion) == keys)
                    #expect(
                        try client.keys(.key)
                            == keys.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) })
                }
                let gone = Set(keys.enumerated().filter { $0.offset % 3 == round % 3 }.map(\.element))
                for key in gone { try client.delete(key) }
                keys.removeAll { gone.contains($0) }
                try client.compact()
                #expect(try client.findings() == [])
                #expect(try client.keys(.insertion) == keys)
                #expect(
                    try client.keys(.key) == keys.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) })
            }
        }

        @Test func aSmallerIndexKeepsStamps() throws {
            try client.configure { $0.compaction = 0 }
            try client.configure { $0.evictionPolicy = .leastFrequentlyUsed }
            for key in 0..<5000 { try client.set("\(key)", value(key, 1, 40)) }
            for _ in 0..<3 { #expect(try client.stamp("7", reads: true) != nil) }
            for key in 100..<5000 { try client.delete("\(key)") }
            let generation = try client.handle.withStoreThrowing { $0.index.generation }
            try client.compact()
            #expect(try client.handle.withStoreThrowing { $0.index.generation } > generation)
            #expect(try client.stamp("7", reads: false).map { $0 >> 40 } == 3)
        }

        @Test func treesOfWhatIsGoneGoToo() throws {
            try client.configure { $0.compaction = 0 }
            for key in 0..<24_000 { try client.set("\(key)", value(key, 1, 20)) }
            #expect(try client.keys(.key).count == 24_000)
            let full = try client.handle.withStoreThrowing { $0.treeBytes() }
            for key in 0..<24_000 where key % 100 != 0 { try client.delete("\(key)") }
            // Twice: the pages that a batch replaces are free after the next one.
            for round in 0..<3 {
                try client.handle.withStoreThrowing { store in
                    let pin = ReaderPins.enter(ReaderPins.base)
                    defer { ReaderPins.leave(pin) }
                    _ = try store.catchUp(building: TreeSet(.key))
                }
                try client.set("0", value(0, round, 20))
            }
            try client.compact()
            let small = try client.handle.withStoreThrowing { $0.treeBytes() }
            #expect(small * 4 < full, "\(full) bytes before, \(small) after")
            #expect(try client.keys(.key) == (0..<240).map { "\($0 * 100)" }.sorted())
            #expect(try client.findings() == [])
        }

        /// Rows that have expired go when compaction comes to them, unless nothing is to be removed automatically.
        @Test(arguments: [10, 0]) func expiredRowsGo(cullLimit: Int) throws {
            let clock = TestClock()
            var environment = Environment.system
            environment.wallClockOverride = { clock.now }
            let path = scratch.path + "/clocked"
            let client = try StoreClient(path, environment: environment)
            try client.configure {
                $0.evictionPolicy = .none
                $0.cullLimit = cullLimit
                $0.compaction = 0
            }
            for key in 0..<400 {
                try client.handle.withStore { (store) throws(EngineError) in
                    try StoreClient.withBytes(Array("\(key)".utf8)) { (k) throws(EngineError) in
                        try StoreClient.withBytes(value(key, 1, 200)) { (v) throws(EngineError) in
                            let expiry = key % 2 == 0 ? clock.now + 1_000_000 : nil
                            _ = try store.put(
                                timeout: StoreClient.timeout, KeyClass.text, k, form: ValueFormCode.bytes, value: v,
                                RecordAttributes(expiry: expiry, tag: nil))
                        }
                    }
                }
            }
            for key in 1000..<1200 { try client.set("\(key)", value(key, 1, 200)) }
            for key in 1000..<1200 { try client.delete("\(key)") }
            clock.pass(microseconds: 10_000_000)
            try client.compact()
            #expect(try client.count() == (cullLimit == 0 ? 400 : 200))
            #expect(try client.metrics().expired == (cullLimit == 0 ? 0 : 200))
            #expect(try client.findings() == [])
            #expect(try StoreCheck.problems(client.handle).isEmpty)
        }

        @Test func nothingIsDoneWhereItIsOff() throws {
            try client.configure { $0.compaction = 0 }
            for round in 0..<200 { for key in 0..<20 { try client.set("\(key)", value(key, round, 400)) } }
            #expect(try client.metrics().compactedBytes == 0)
            try client.compact()
            #expect(try client.metrics().compactedBytes > 1_000_000)
            #expect(try SpaceBound.excess(client, path) < 1)
            for key in 0..<20 { #expect(try client.get("\(key)") == .bytes(value(key, 199, 400))) }
        }

        @Test func compactingTwiceCopiesNothing() throws {
            for key in 0..<3000 { try client.set("\(key)", value(key, 1, 100)) }
            for key in 0..<3000 where key % 3 == 0 { try client.set("\(key)", value(key, 2, 100)) }
            try client.compact()
            let written = try client.metrics().bytesWritten
            try client.compact()
            #expect(try client.metrics().bytesWritten == written)
            #expect(throws: EngineError.self) {
                try client.handle.withStoreThrowing { store in
                    try store.transact(timeout: StoreClient.timeout) { try store.compact(timeout: 0) }
                }
            }
        }

        /// What the slots say of a record is what a lookup of its key says: of what was replaced, deleted, expired, and what a
        /// transaction has replaced that isn't committed.
        @Test func slotsTellWhatCounts() throws {
            var random = ReplayableRandom(seed: seed)
            try client.configure { $0.compaction = 0 }
            for step in 0..<6000 {
                let key = Int.random(in: 0..<900, using: &random)
                if random.next() % 4 == 0 {
                    try client.delete("\(key)")
                } else {
                    try client.set("\(key)", value(key, step, 60))
                }
            }
            var seen = 0
            var counting = 0
            func look(_ store: Store) throws(EngineError) {
                let pin = ReaderPins.enter(ReaderPins.base)
                defer { ReaderPins.leave(pin) }
                _ = try store.log.scanTail(from: store.block.read().head) { (record) throws(EngineError) in
                    guard record.kind == RecordKind.put.rawValue else { return }
                    seen += 1
                    let found = try store.find(record.keyClass, record.key)
                    let isNewest = found?.position == record.position
                    #expect(store.mayCount(record) == isNewest, "CRASH_SEED=\(seed): \(record.position)")
                    if isNewest { counting += 1 }
                }
            }
            try client.handle.withStore(look)
            #expect(seen > 3000 && counting > 100)
            #expect(try client.count() == counting)
            // Another thread looks while this one has replaced everything and commits nothing: any of it may come back.
            let before = counting
            try client.handle.withStoreThrowing { store in
                struct GivenUp: Error {}
                do {
                    try store.transact(timeout: StoreClient.timeout) {
                        for key in 0..<900 { try client.set("\(key)", value(key, 0, 60)) }
                        let pin = ReaderPins.enter(ReaderPins.base)
                        defer { ReaderPins.leave(pin) }
                        var kept = 0
                        _ = try store.log.scanTail(from: store.block.read().head) { (record) throws(EngineError) in
                            let isCommitted = record.position < CommitBlock.tail(store.block.word.acquire())
                            if isCommitted, store.mayCount(record) { kept += 1 }
                        }
                        #expect(kept >= before, "CRASH_SEED=\(seed)")
                        throw GivenUp()
                    }
                } catch is GivenUp {}
            }
            (seen, counting) = (0, 0)
            try client.handle.withStore(look)
            #expect(counting == before)
        }

        /// How fast compaction is, is known to all once it has gone on by itself.
        @Test func compactionSaysHowFastItIs() throws {
            let deadline = monotonicSeconds() + 60
            var round = 0
            while try client.metrics().compactedBytes == 0, monotonicSeconds() < deadline {
                for key in 0..<1000 { try client.set("\(key)", value(key, round, 200)) }
                round += 1
            }
            let knows = {
                try client.handle.withStore { (store) throws(EngineError) in
                    store.block.compactionSpeed.relaxed() > 0
                }
            }
            while try !knows(), monotonicSeconds() < deadline { SystemCalls.sleep(nanoseconds: 1_000_000) }
            #expect(try knows())
        }

        /// Whoever asks for compaction while another process is at it for too long is told, and isn't told that it was done.
        @Test func whoWaitsInVainForTheCompactorIsTold() throws {
            for key in 0..<300 { try client.set("\(key)", value(key, 0, 200)) }
            let files = SystemFiles()
            let log = try files.open("\(path)/log", in: nil, [.directory])
            // On a descriptor of its own this is as another process's.
            let isLocked = eventually(seconds: 60) { (try? files.lock(log, .exclusive)) == true }
            try #require(isLocked)
            func compact() throws {
                try client.handle.withStore { (store) throws(EngineError) in try store.compact(timeout: 5_000_000) }
            }
            let error = #expect(throws: EngineError.self) { try compact() }
            #expect(error?.code == .timeout)
            #expect(try files.lock(log, .unlock))
            try client.compact()
        }

        /// A damaged record that a key still leads to stays where it is, and so does its segment. Once a check has written it off,
        /// compaction passes it.
        @Test func damageThatIsWrittenOffGoes() throws {
            try client.configure { $0.compaction = 0 }
            for key in 0..<400 { try client.set("\(key)", value(key, 0, 300)) }
            for key in 0..<400 where key % 4 != 1 { try client.set("\(key)", value(key, 1, 300)) }
            let place = try client.handle.withStore { (store) throws(EngineError) -> (Segment, Position) in
                let record = try StoreClient.withBytes(Array("1".utf8)) { (key) throws(EngineError) in
                    try store.find(KeyClass.text, key)
                }
                return (store.log.segments[0], record?.position ?? 0)
            }
            #expect(place.1 >= place.0.firstRecord && place.1 < place.0.limit)
            let files = SystemFiles()
            let name = "\(path)/log/\(SegmentHeader.name(place.0.first))"
            let file = try files.open(name, in: nil, [.write])
            let at = Int(place.1 - place.0.first) + 100
            let byte = try files.read(file, count: 1, at: at)[0]
            try files.write(file, [byte ^ 1], at: at)
            #expect(throws: EngineError.self) { _ = try client.get("1") }
            try client.compact()
            #expect(try files.status(of: name, in: nil) != nil)
            #expect(throws: EngineError.self) { _ = try client.get("1") }
            _ = try client.handle.withStore { (store) throws(EngineError) in
                try store.check(timeout: StoreClient.timeout, fix: true)
            }
            #expect(try client.get("1") == nil)
            try client.compact()
            #expect(try files.status(of: name, in: nil) == nil)
            for key in 0..<400 where key != 1 {
                #expect(try client.get("\(key)") == .bytes(value(key, key % 4 == 1 ? 0 : 1, 300)))
            }
            #expect(try client.findings() == [])
        }

        /// After random steps of everything that compaction meets, index and counters are those that the log says.
        @Test func anIndexMadeFromTheLogIsTheLiveOne() throws {
            var random = ReplayableRandom(seed: seed)
            var rows: [String: [UInt8]] = [:]
            var churn = Churn(seed: random.next())
            for step in 1...environmentNumber("COMPACTION_STEPS", default: 3000) {
                switch Int.random(in: 0..<200, using: &random) {
                case 0: try client.compact()
                case 1:
                    try client.clear()
                    rows = [:]
                case 2: _ = try client.keys(.key)
                case 3: try client.sync()
                default:
                    let write = churn.next()
                    try client.perform(write)
                    rows[write.key] = write.value
                }
                guard step % 10 == 0 else { continue }
                let problems = try StoreCheck.problems(client.handle)
                #expect(problems.isEmpty, "seed \(seed), step \(step): \(problems)")
                if !problems.isEmpty { return }
                #expect(try client.count() == rows.count)
            }
            for (key, value) in rows { #expect(try client.get(key) == .bytes(value)) }
            #expect(try client.findings() == [])
        }
    }
#endif
