#if FAILPOINTS
    @testable package import DiskCacheEngine

    /// Proves an open store against its own log: rows, counters, index and value files, both ways (P48).
    package enum StoreCheck {
        /// Where the store stands, for a failure's message.
        package static func description(_ handle: StoreHandle) throws -> String {
            try handle.withStoreThrowing { store in
                let state = store.block.read()
                let firsts = try Log.firsts(store.files, store.log.directory).map { String($0, radix: 16) }
                let mapped = store.log.segments.map { String($0.first, radix: 16) }
                func hex(_ word: UInt64) -> String { String(word, radix: 16) }
                return """
                    T \(hex(CommitBlock.tail(state.word))), head \(hex(state.head)), active \(hex(store.block.active.acquire())), \
                    last \(hex(state.counters.lastRecord)), synced \(hex(store.block.synced.acquire())), \
                    covered \(hex(store.index.covered.acquire())), generation \(store.index.generation), \
                    segments \(firsts), mapped \(mapped), recovery \(String(describing: store.recovery))
                    """
            }
        }

        /// What the maintenance thread does about segments below the head, now.
        package static func tidy(_ handle: StoreHandle) throws {
            try handle.withStoreThrowing { try $0.dropDead() }
        }

        private struct Row {
            var position: Position
            var isPut: Bool
            var file: ValueFileName?
        }

        /// What is wrong; empty if nothing is. Takes the write lock meanwhile. `files`: whether every value file must belong to a
        /// row by now; so it is after a sync.
        package static func problems(_ handle: StoreHandle, files: Bool = false) throws -> [String] {
            try handle.withStoreThrowing { store in
                // Who compacts, or syncs, holds the lock against snapshots for a moment, which holds this up.
                for _ in 0..<1000 where files && store.block.deadFrom.acquire() != 0 {
                    try store.unlinkSpared(evenIfNeeded: false)
                }
                return try store.transact(timeout: StoreClient.timeout) { try problems(store, files) }
            }
        }

        private static func problems(_ store: Store, _ checksFiles: Bool) throws -> [String] {
            var problems: [String] = []
            let log = store.log
            let tail = log.tail
            let state = store.block.read()
            if !state.isIntact { problems.append("the commit block isn't intact") }
            if CommitBlock.tail(state.word) != tail && log.activeFirst != 0 && tail > state.counters.lastRecord + 128 {
                // A new segment without records may lie between.
                let inNew = log.segments.contains { $0.firstRecord == tail }
                if !inNew { problems.append("T is \(CommitBlock.tail(state.word)), the log ends at \(tail)") }
            }
            let chain = try LogScanner.chain(
                files: store.files, directory: log.directory, storeID: store.identity.storeID)
            problems += chain.gaps.filter { $0.end > store.head }.map(\.text)
            let scanner = LogScanner(files: store.files, salt: log.salt, links: chain.links, believedEnd: tail)
            var rows: [RecordKey: Row] = [:]
            var counters = CommitBlock.Counters()
            var pending: [Position] = []
            func record(_ position: Position) throws(EngineError) -> Record {
                guard case .record(let found) = try log.record(at: position) else {
                    throw EngineError(.corrupted, "no record at \(position)")
                }
                return found
            }
            try scanner.scan(from: store.head) { (outcome) throws(EngineError) in
                switch outcome {
                case .damaged(let from, let to): if from < tail { problems.append("damage at \(from)...\(to)") }
                case .end(let position, _):
                    if position < min(tail, CommitBlock.tail(state.word)) {
                        problems.append("the scan ends at \(position), before T")
                    }
                case .hinted: break
                case .record(let found):
                    guard found.position < tail else { return }
                    if found.kind == RecordKind.void.rawValue { pending.removeAll { $0 >= found.valueWord } }
                    pending.append(found.position)
                    guard found.isCommit else { return }
                    for position in pending {
                        let one = try record(position)
                        var old: Record?
                        if one.hasSlot {
                            let key = RecordKey(one)
                            if let row = rows[key], row.isPut { old = try record(row.position) }
                            let isPut = one.kind == RecordKind.put.rawValue
                            rows[key] = Row(
                                position: position, isPut: isPut,
                                file: isPut && ValueFormCode.isFile(one.form)
                                    ? ValueFileReference(one.value)?.name : nil)
                        }
                        if one.kind == RecordKind.head.rawValue && one.valueWord == position { rows = [:] }
                        counters.apply(one, replacing: old)
                    }
                    pending = []
                }
            }
            if !pending.isEmpty { problems.append("\(pending.count) records below T belong to no whole transaction") }
            let held = state.counters
            if counters.count != held.count { problems.append("count is \(held.count), the log has \(counters.count)") }
            if counters.live != held.live { problems.append("live is \(held.live), the log has \(counters.live)") }
            if counters.fileBytes != held.fileBytes {
                problems.append("file bytes are \(held.fileBytes), the log has \(counters.fileBytes)")
            }
            if counters.settings != held.settings {
                problems.append("settings at \(held.settings), in the log \(counters.settings)")
            }
            if counters.nextRowid > held.nextRowid { problems.append("the next rowid is used already") }
            problems += try indexProblems(store, rows, record)
            if checksFiles {
                let named = Set(rows.values.compactMap(\.file))
                let present = Set(try store.valueFiles.list())
                // What `clear` left below the head goes with its segment.
                var below: Set<ValueFileName> = []
                for first in try Log.firsts(store.files, log.directory) where first < store.head {
                    let opened = try Segment.open(
                        first, in: log.directory, files: store.files, storeID: store.identity.storeID, salt: log.salt,
                        writable: false)
                    guard case .segment(let segment) = opened else { continue }
                    below.formUnion(try store.syncRange.files(in: segment, below: store.head).map(\.name))
                }
                for name in named.subtracting(present) { problems.append("no file \(name.path)") }
                for name in present.subtracting(named).subtracting(below) {
                    problems.append("nothing names the file \(name.path)")
                }
            }
            return problems
        }

        private static func indexProblems(
            _ store: Store, _ rows: [RecordKey: Row], _ record: (Position) throws(EngineError) -> Record
        ) throws -> [String] {
            var problems: [String] = []
            let index = try store.currentIndex()
            let root = index.root.acquire()
            var pages: [Int: (depth: Int, prefix: Int)] = [:]
            let depth = HashIndex.depth(ofRoot: root)
            for number in 0..<(1 << depth) {
                let entry = DirectoryEntry(raw: index.entryWord(root, number).acquire())
                let prefix = number & ((1 << entry.depth) - 1)
                if let known = pages[entry.page], known != (entry.depth, prefix) {
                    problems.append("directory entries disagree about page \(entry.page)")
                }
                pages[entry.page] = (entry.depth, prefix)
            }
            var named: Set<Position> = []
            for (page, place) in pages {
                for bucket in 0..<IndexLayout.buckets {
                    for number in 0..<IndexLayout.slotsPerBucket {
                        let slot = Slot(raw: index.slotWord(page, bucket, number).acquire())
                        if slot.isFree { continue }
                        let position = PackedPosition.complete(slot.low, around: store.log.tail)
                        if position < store.head { continue }
                        let found = try record(position)
                        let key = RecordKey(found)
                        if rows[key]?.position != position {
                            problems.append("a slot names \(position), which isn't its key's newest record")
                        }
                        let hash = store.hash(key.identity, found.key)
                        if HashBits.directoryIndex(hash, place.depth) != place.prefix {
                            problems.append("a slot stands in another page than its hash leads to")
                        }
                        if !named.insert(position).inserted { problems.append("two slots name \(position)") }
                    }
                }
            }
            for (key, row) in rows where row.isPut {
                let found = try key.bytes.withUnsafeBytes { bytes -> Result<Record?, EngineError> in
                    do throws(EngineError) { return .success(try store.find(key.identity, bytes)) } catch {
                        return .failure(error)
                    }
                }.get()
                if found?.position != row.position {
                    problems.append("the index doesn't find the record at \(row.position)")
                }
            }
            return problems
        }
    }
#endif
