#if FAILPOINTS
    import Synchronization

    @testable import DiskCacheEngine

    /// What one actor does, in order.
    enum StepAction: Sendable {
        enum Write: Sendable {
            case set(UInt64)
            case delete(UInt64)
            /// The page of this key is split, whether it is full or not.
            case split(UInt64)
        }
        case set(UInt64)
        case delete(UInt64)
        case transaction([Write])
        /// Takes back what it wrote.
        case rollBack([Write])
        case clear
        /// `clear` without the fresh index that follows it.
        case clearOnly
        /// A transaction without writes.
        case nothing
        case get(UInt64)
        /// Reads the commit block.
        case block
        /// Puts a fresh index with the same slots in place of the old one.
        case replaceIndex
        /// Reads keys as of one commit.
        case snapshot([UInt64])
        /// Reads keys as of the end of the setup.
        case snapshotOfSetup([UInt64])
        /// Compacts everything below the newest segment; whether snapshots are spared.
        case compact(sparing: Bool)
        /// Nothing is compacted by itself.
        case compactionOff
        /// The process takes away its mappings of what lies below the head, as each does when it comes by.
        case letGo
        /// A value that fills so many bytes of the log.
        case fill(UInt64, Int)

        var isWrite: Bool {
            switch self {
            case .get, .block, .snapshot, .snapshotOfSetup: false
            default: true
            }
        }
    }

    /// Actors on a store that was prepared.
    struct StepScenario: Sendable {
        var name: String
        /// Keys that are looked at; all numbers below 1000 that the actors use.
        var keys: [UInt64]
        /// What one store does before the actors begin.
        var setup: [StepAction]
        var actors: [[StepAction]]
        /// How many of them may be killed in a run.
        var kills = 0
        /// Whether actors make files, so that each run needs a fresh directory.
        var makesFiles = false
        /// Whether pages move, so that the whole index is looked at after each run.
        var movesPages = false
        /// Whether segments go, so that the log can't be read again at the end.
        var compacts = false
    }

    /// A scenario with a machine: runs schedules and checks them.
    final class StepTrial {
        let scenario: StepScenario
        let machine: StepMachine
        private var world: StepWorld!
        private var base: StepHistory!
        private var history: StepHistory!
        private var word: UInt64 = 0
        /// Transactions that were not acknowledged: all of their versions count, or none.
        private var open: [[Int64]] = []
        private var forbidden: [Int64] = []
        private(set) var runs = 0

        init(_ scenario: StepScenario) throws {
            self.scenario = scenario
            machine = StepMachine(actors: scenario.actors.count)
            machine.beforeStep = { [unowned self] in lookAtTail() }
            machine.onDeath = { [unowned self] in world.actorDied($0) }
            machine.onBurial = { [unowned self] _ in world.actorBuried() }
            try makeWorld()
        }

        func stop() { machine.stop() }

        private func makeWorld() throws {
            world = nil
            machine.forgetMappings()
            var replay = StepReplay()
            var tail: Position = 0
            world = try StepWorld(machine: machine) { store in
                var sequence = 0
                for action in scenario.setup {
                    _ = try Self.perform(action, store, actor: 0xEE, sequence: &sequence)
                    // Before the next one takes away what this one wrote.
                    let end = CommitBlock.tail(store.block.word.relaxed())
                    if let wrong = replay.follow(store.log, from: tail, to: end) {
                        throw EngineError(.corrupted, wrong)
                    }
                    tail = end
                }
            }
            base = StepHistory(keys: scenario.keys, replay: replay, tail: tail)
        }

        /// Runs one schedule; what went wrong, or nil.
        func run(_ mode: StepMachine.Mode) throws -> String? {
            if scenario.makesFiles { if runs > 0 { try makeWorld() } } else { world.rewind() }
            runs += 1
            history = base
            word = world.owner.block.word.relaxed()
            open.removeAll()
            forbidden.removeAll()
            machine.run(mode) { [unowned self] in act($0) }
            if machine.failure == nil {
                StepMachine.harness.store(SystemCalls.threadID(), ordering: .relaxed)
                defer { StepMachine.harness.store(0, ordering: .relaxed) }
                do {
                    try verify()
                } catch {
                    machine.fail("settling at the end: \(error)")
                }
            }
            return machine.failure
        }

        // MARK: On the actors' threads

        private func lookAtTail() {
            let now = world.owner.block.word.address.pointee.load(ordering: .relaxed)
            if now == word { return }
            word = now
            if let wrong = history.advance(to: CommitBlock.tail(now), world.owner.log) { machine.fail(wrong) }
            world.durableHead = history.replay.headRecordEnd
        }

        private func act(_ actor: Int) {
            var sequence = 0
            for action in scenario.actors[actor] {
                if action.isWrite { write(action, actor, &sequence) } else { read(action, actor) }
                if machine.isDead(actor) || machine.failure != nil { return }
            }
        }

        private func looking<R>(_ body: () -> R) -> R {
            machine.isLooking = true
            defer { machine.isLooking = false }
            return body()
        }

        private func read(_ action: StepAction, _ actor: Int) {
            looking { lookAtTail() }
            let store = world.stores[actor]
            let pin = ReaderPins.enter(ReaderPins.base)
            defer { ReaderPins.leave(pin) }
            do {
                switch action {
                case .get(let key):
                    let at = history.index(key)
                    let floor = history.versions[at].count - 1
                    var number = key
                    let found = try withUnsafeBytes(of: &number) { (bytes) throws(EngineError) -> Int64 in
                        try store.find(KeyClass.bytes, bytes).map { StepValue.read($0) } ?? StepValue.absent
                    }
                    looking { lookAtTail() }
                    let allowed = history.versions[at][floor...]
                    if !allowed.contains(found) {
                        machine.fail("key \(key) reads as \(Self.text(found)); it was \(allowed.map(Self.text))")
                    }
                case .snapshot(let keys):
                    let snapshot = store.beginSnapshot()
                    defer { store.end(snapshot) }
                    try read(keys, in: snapshot, store)
                case .snapshotOfSetup(let keys):
                    try read(
                        keys,
                        in: StoreSnapshot(
                            tail: base.tail, head: 0, count: 0, nextRowid: 0, now: 0, isWriter: false, lock: nil), store
                    )
                default:
                    let floor = history.tail
                    let state = store.block.read()
                    looking { lookAtTail() }
                    let tail = CommitBlock.tail(state.word)
                    if !state.isIntact || tail < floor
                        || !history.counts.contains(where: { $0.tail == tail && $0.count == state.counters.count })
                    {
                        machine.fail("the block reads as \(tail), \(state.counters), intact \(state.isIntact)")
                    }
                }
            } catch {
                if !machine.isDead(actor) { machine.fail("actor \(actor): \(action): \(error)") }
            }
        }

        private func read(_ keys: [UInt64], in snapshot: StoreSnapshot, _ store: Store) throws(EngineError) {
            looking { lookAtTail() }
            guard let state = history.states[snapshot.tail] else {
                return machine.fail("there was no commit at \(snapshot.tail)")
            }
            for key in keys {
                var number = key
                do throws(EngineError) {
                    let found = try withUnsafeBytes(of: &number) { (bytes) throws(EngineError) -> Int64 in
                        try store.find(KeyClass.bytes, bytes, in: snapshot).map { StepValue.read($0) }
                            ?? StepValue.absent
                    }
                    let expected = state[history.index(key)]
                    if found != expected {
                        machine.fail(
                            "as of \(snapshot.tail) key \(key) reads as \(Self.text(found)); it was \(Self.text(expected))"
                        )
                    }
                } catch {
                    if error.code != .snapshotExpired { throw error }
                }
            }
        }

        static func text(_ id: Int64) -> String {
            switch id {
            case StepValue.absent: "absent"
            case StepValue.mixed: "mixed"
            default: "\(id >> 24) by \(id >> 16 & 0xFF), number \(id & 0xFFFF)"
            }
        }

        private func write(_ action: StepAction, _ actor: Int, _ sequence: inout Int) {
            let first = sequence
            let ids = Self.ids(action, actor, first)
            var isRolledBack = false
            if case .rollBack = action { isRolledBack = true }
            let pin = ReaderPins.enter(ReaderPins.base)
            defer { ReaderPins.leave(pin) }
            do {
                _ = try Self.perform(action, world.stores[actor], actor: actor, sequence: &sequence)
            } catch {
                if !machine.isDead(actor) { machine.fail("actor \(actor): \(action): \(error)") }
            }
            if isRolledBack {
                forbidden += ids
            } else if machine.isDead(actor) {
                open.append(ids)
            } else if machine.failure == nil {
                looking { lookAtTail() }
                if let lost = ids.first(where: { !isCommitted($0) }) {
                    machine.fail("\(Self.text(lost)) was acknowledged and isn't committed")
                }
            }
        }

        private func isCommitted(_ id: Int64) -> Bool {
            history.versions[history.index(UInt64(id >> 24))].contains(id)
        }

        /// The versions that an action makes visible: of each key the last.
        private static func ids(_ action: StepAction, _ actor: Int, _ first: Int) -> [Int64] {
            var sequence = first
            var last: [UInt64: Int64] = [:]
            func set(_ key: UInt64) {
                last[key] = StepValue.id(key: key, actor: actor, sequence: sequence)
                sequence += 1
            }
            switch action {
            case .set(let key), .fill(let key, _): set(key)
            case .transaction(let writes), .rollBack(let writes):
                for item in writes {
                    switch item {
                    case .set(let key): set(key)
                    case .delete(let key): last[key] = nil
                    case .split: break
                    }
                }
            default: break
            }
            return Array(last.values)
        }

        private static let timeout: UInt64 = 600_000_000_000

        private struct Given: Error {}

        static func set(_ store: Store, _ key: UInt64, actor: Int, sequence: Int, filling: Int = 0) throws(EngineError)
        {
            let id = StepValue.id(key: key, actor: actor, sequence: sequence)
            var number = key
            var value = (id, ~id)
            try withUnsafeBytes(of: &number) { (key) throws(EngineError) in
                try withUnsafeBytes(of: &value) { (bytes) throws(EngineError) in
                    if filling > 0 {
                        // Another key's value is the filling, so that this key's stays small.
                        let filler = [UInt8](repeating: 7, count: filling)
                        var failure: EngineError?
                        filler.withUnsafeBytes { long in
                            do throws(EngineError) {
                                try store.write(timeout: timeout) { () throws(EngineError) in
                                    _ = try store.put(
                                        KeyClass.bytes, key, form: ValueFormCode.bytes, value: long, RecordAttributes(),
                                        isLast: false)
                                    _ = try store.put(
                                        KeyClass.bytes, key, form: ValueFormCode.bytes, value: bytes,
                                        RecordAttributes(),
                                        isLast: false)
                                }
                            } catch {
                                failure = error
                            }
                        }
                        if let failure { throw failure }
                        return
                    }
                    _ = try store.put(
                        timeout: timeout, KeyClass.bytes, key, form: ValueFormCode.bytes, value: bytes,
                        RecordAttributes())
                }
            }
        }

        static func delete(_ store: Store, _ key: UInt64) throws(EngineError) -> Bool {
            var number = key
            return try withUnsafeBytes(of: &number) { (bytes) throws(EngineError) in
                try store.delete(timeout: timeout, KeyClass.bytes, bytes)
            }
        }

        static func hash(_ store: Store, _ key: UInt64) -> UInt64 {
            withUnsafeBytes(of: key) { store.hash(KeyClass.bytes, $0) }
        }

        static func split(_ store: Store, _ key: UInt64) throws(EngineError) {
            try store.index.split(hash(store, key), anchor: store.log.tail) { (position) throws(EngineError) in
                try store.rehash(position, from: store.head)
            }
        }

        static func perform(_ action: StepAction, _ store: Store, actor: Int, sequence: inout Int) throws -> Bool {
            switch action {
            case .set(let key):
                sequence += 1
                try set(store, key, actor: actor, sequence: sequence - 1)
            case .fill(let key, let count):
                sequence += 1
                try set(store, key, actor: actor, sequence: sequence - 1, filling: count)
            case .delete(let key): return try delete(store, key)
            case .clear: _ = try store.clear(timeout: timeout)
            case .clearOnly: try store.transact(timeout: timeout) { try store.clear() }
            case .nothing: try store.transact(timeout: timeout) {}
            case .transaction(let writes), .rollBack(let writes):
                var isRolledBack = false
                if case .rollBack = action { isRolledBack = true }
                do {
                    try store.transact(timeout: timeout) {
                        for item in writes {
                            switch item {
                            case .set(let key):
                                sequence += 1
                                try set(store, key, actor: actor, sequence: sequence - 1)
                            case .delete(let key): _ = try delete(store, key)
                            case .split(let key): try split(store, key)
                            }
                        }
                        if isRolledBack { throw Given() }
                    }
                } catch is Given {
                    return false
                }
            case .replaceIndex:
                try store.transact(timeout: timeout) { try replaceIndex(store) }
            case .compactionOff:
                try store.configure(timeout: timeout) { (settings) throws(EngineError) in settings.compaction = 0 }
            case .letGo: store.log.dropBelow(store.block.read().head)
            case .compact(let spares):
                _ = try store.withCompactionLock(waiting: timeout, timeout) { () throws(EngineError) in
                    try store.dropDead(evenIfNeeded: !spares)
                    _ = try store.compactHead(
                        freeing: .max, copying: .max, below: .max, evenIfNeeded: !spares, timeout: timeout)
                    try store.dropDead(evenIfNeeded: !spares)
                }
            case .get, .block, .snapshot, .snapshotOfSetup: break
            }
            return true
        }

        /// As compaction will do it: a fresh file with the same slots.
        private static func replaceIndex(_ store: Store) throws {
            var replay = StepReplay()
            let tail = CommitBlock.tail(store.block.word.relaxed())
            if let wrong = replay.follow(store.log, from: 0, to: tail) { throw EngineError(.corrupted, wrong) }
            let fresh = try HashIndex.create(
                generation: store.index.generation + 1, in: store.directory, files: store.files,
                storeID: store.identity.storeID,
                boot: (1, 1))
            for (key, version) in replay.newest {
                let found = try withUnsafeBytes(of: key) { bytes in
                    try fresh.view.findForWriting(hash(store, key), anchor: tail, from: 0, log: store.log) {
                        $0.isOf(KeyClass.bytes, bytes)
                    }
                }
                if case .free(let place) = found { place.slot.store(place.value.pointing(to: version.position).raw) }
            }
            fresh.cover(tail)
            store.replaceIndex(with: fresh)
        }

        // MARK: At the end

        private func verify() throws {
            let store = world.owner!
            try store.transact(timeout: Self.timeout) {}
            lookAtTail()
            for id in forbidden where isCommitted(id) {
                machine.fail("\(Self.text(id)) was rolled back and is committed")
            }
            for ids in open {
                let done = ids.filter { isCommitted($0) }.count
                if done != 0 && done != ids.count {
                    machine.fail("a transaction was committed in part: \(ids.map(Self.text))")
                }
            }
            // Without a kill the end doesn't depend on the schedule, so some are enough.
            let isThorough = runs % 8 == 1 || machine.actors.indices.contains { machine.isDead($0) }
            try compare(store, isThorough)
            if machine.failure != nil || !isThorough { return }
            // The store goes on.
            if let key = scenario.keys.first {
                try Self.set(store, key, actor: 0xFF, sequence: 1)
                lookAtTail()
                try compare(store, true)
            }
            if machine.failure == nil, scenario.makesFiles {
                let rebuilt = try world.reopenRebuilt()
                guard rebuilt.recovery != nil else { return machine.fail("the views were believed after another boot") }
                try compareRows(rebuilt, "rebuilt: ")
            }
        }

        /// Slots, counters and invariants against the log, and against what was seen of it.
        private func compare(_ store: Store, _ isThorough: Bool) throws {
            var scanned = scenario.compacts ? history.replay : base.replay
            let start = scenario.compacts ? history.tail : base.tail
            if let wrong = scanned.follow(store.log, from: start, to: history.tail) { return machine.fail(wrong) }
            if scanned != history.replay { return machine.fail("the log doesn't hold what was committed") }
            let state = store.block.read()
            if !state.isIntact { machine.fail("the commit block's check doesn't fit") }
            let counters = state.counters
            if counters.count != scanned.count || counters.live != scanned.live
                || (counters.dead != scanned.dead && !scenario.compacts)
                // Rowids of what was taken back aren't given again.
                || counters.nextRowid < scanned.nextRowid
            {
                machine.fail(
                    "counters \(counters.count) \(counters.live) \(counters.dead) \(counters.nextRowid), in the log "
                        + "\(scanned.count) \(scanned.live) \(scanned.dead) \(scanned.nextRowid)"
                )
            }
            if store.log.tail != history.tail {
                machine.fail("the log ends at \(store.log.tail), T is \(history.tail)")
            }
            try compareRows(store, "")
            if scenario.movesPages && isThorough {
                let broken = try store.index.brokenInvariants(anchor: store.log.tail, head: store.head) {
                    (position) throws(EngineError) in
                    try store.rehash(position, from: 0)
                }
                if let first = broken.first { machine.fail(first) }
            }
        }

        private func compareRows(_ store: Store, _ prefix: String) throws {
            let newest = history.replay.newest
            for key in Set(newest.keys).union(scenario.keys) {
                let found = try withUnsafeBytes(of: key) { bytes in
                    try store.indexView.findForWriting(
                        Self.hash(store, key), anchor: store.log.tail, from: store.head, log: store.log
                    ) {
                        $0.isOf(KeyClass.bytes, bytes)
                    }
                }
                var position: Position?
                if case .present(_, let record) = found, record.position >= history.replay.head {
                    position = record.position
                }
                if position != newest[key]?.position {
                    let slot = position.map { "\($0)" } ?? "nothing"
                    let log = newest[key].map { "\($0)" } ?? "none"
                    machine.fail("\(prefix)key \(key): the slot names \(slot), the log's newest is \(log)")
                }
            }
        }
    }
#endif
