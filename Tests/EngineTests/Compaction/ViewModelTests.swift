import Synchronization
import TestSupport
import Testing

@testable import DiskCacheEngine

#if FAILPOINTS
    /// What a row is in the model.
    private struct ModelRow: Equatable {
        var rowid: UInt64
        var tag: String?
        var value: [UInt8]
    }

    private struct GivenUp: Error {}

    private struct Difference: Error { var text: String }

    /// Three stores as of three processes, in one directory, and what should be in them.
    private final class ViewWorld {
        private static let timeout: UInt64 = 10_000_000_000
        private static let keys = 400
        private static let tags = 5

        private let scratch: ScratchDirectory
        private var stores: [Store] = []
        private var model: [String: ModelRow] = [:]
        private var random: ReplayableRandom
        /// How often what was done.
        private(set) var counts: [String: Int] = [:]

        init(seed: UInt64) throws {
            random = ReplayableRandom(seed: seed)
            scratch = try ScratchDirectory()
            for _ in 0..<3 { stores.append(try open()) }
            try stores[0].configure(timeout: Self.timeout) { (settings) throws(EngineError) in
                settings.compaction = 0
                settings.evictionPolicy = .none
            }
        }

        deinit { for store in stores { store.shutDown() } }

        private func open() throws -> Store {
            let store = try Store.openAsAnotherProcess(scratch.path + "/store")
            // No maintenance: what happens, a step does.
            store.isDirty.store(2, ordering: .relaxed)
            store.views.lag.store([0, 1000, 100_000][pick(3)], ordering: .relaxed)
            return store
        }

        private func pick(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }
        private func anyStore() -> Store { stores[pick(stores.count)] }

        /// A quarter of the keys are too long to stand in a tree's entry.
        private static func key(_ number: Int) -> String {
            number % 4 == 0 ? String(repeating: "long", count: 20) + "\(number)" : "key \(number)"
        }

        private func pinned<R>(_ body: () throws -> R) rethrows -> R {
            let pin = ReaderPins.enter(ReaderPins.base)
            defer { ReaderPins.leave(pin) }
            return try body()
        }

        // MARK: Steps

        func step() throws {
            let store = anyStore()
            switch pick(1000) {
            case 0..<800: try change(store, &model)
            case 800..<850: try transact(store)
            case 850..<853:
                _ = try store.clear(timeout: Self.timeout)
                model.removeAll()
            case 853..<870: try store.beginSegment()
            case 870..<910: try compactRound(store, evenIfNeeded: false)
            case 910..<913: try store.compact(timeout: Self.timeout)
            case 913..<930:
                var wanted: TreeSet = []
                for tree in [TreeID.key, .rowid, .tag] where pick(2) == 0 { wanted.insert(TreeSet(tree)) }
                _ = try pinned { try store.catchUp(building: wanted) }
            case 930..<940: try dropTree(store)
            case 940..<945: _ = store.abandonTrees(store.block.treesGeneration.acquire())
            case 945..<950:
                let number = pick(stores.count)
                stores[number].shutDown()
                stores[number] = try open()
            case 950..<985: try compare(store, nil, model)
            default: try readSnapshot(store)
            }
        }

        /// What a check of one of the stores finds.
        func check() throws {
            let findings = try pinned { try anyStore().check(timeout: Self.timeout) }
            if !findings.isEmpty { throw Difference(text: "\(findings)") }
        }

        private func change(_ store: Store, _ model: inout [String: ModelRow]) throws {
            let name = Self.key(pick(Self.keys))
            let isDeleted = pick(3) == 0
            let value = [UInt8](repeating: UInt8(pick(256)), count: 20 + pick(200))
            let tag = pick(3) == 0 ? nil : "tag \(pick(Self.tags))"
            try pinned {
                try Array(name.utf8).withUnsafeBytes { key in
                    if isDeleted {
                        let wasThere = try store.delete(timeout: Self.timeout, KeyClass.text, key)
                        if wasThere != (model[name] != nil) { throw Difference(text: "delete \(name): \(wasThere)") }
                        model[name] = nil
                        return
                    }
                    try value.withUnsafeBytes { value in
                        try Array((tag ?? "").utf8).withUnsafeBytes { bytes in
                            var attributes = RecordAttributes()
                            if tag != nil { attributes.tag = (KeyClass.text, bytes) }
                            _ = try store.put(
                                timeout: Self.timeout, KeyClass.text, key, form: ValueFormCode.bytes, value: value,
                                attributes)
                        }
                    }
                    let record = try #require(try store.find(KeyClass.text, key))
                    model[name] = ModelRow(rowid: record.rowid, tag: tag, value: value)
                }
            }
        }

        /// One with another in it; either may be taken back.
        private func transact(_ store: Store) throws {
            var outer = model
            do {
                try store.transact(timeout: Self.timeout) {
                    if pick(20) == 0 {
                        _ = try store.clear(timeout: Self.timeout)
                        outer.removeAll()
                    }
                    for _ in 0..<(1 + pick(30)) { try change(store, &outer) }
                    var inner = outer
                    do {
                        try store.transact(timeout: Self.timeout) {
                            for _ in 0..<(1 + pick(10)) { try change(store, &inner) }
                            if pick(2) == 0 { throw GivenUp() }
                        }
                        outer = inner
                    } catch is GivenUp {}
                    for _ in 0..<pick(5) { try change(store, &outer) }
                    if pick(3) == 0 { throw GivenUp() }
                }
                model = outer
            } catch is GivenUp {}
        }

        private func compactRound(_ store: Store, evenIfNeeded: Bool) throws {
            if pick(3) == 0 { try store.beginSegment() }
            let last = store.block.read().head + UInt64(pick(300_000))
            let (freeing, copying, drops) = (1 + pick(20_000), 1 + pick(50_000), pick(2) == 0)
            var hasGained = false
            try pinned {
                _ = try store.withCompactionLock(waiting: 0, Self.timeout) { () throws(EngineError) in
                    let gained = try store.compactHead(
                        freeing: freeing, copying: copying, below: last, evenIfNeeded: evenIfNeeded,
                        timeout: Self.timeout)
                    hasGained = gained != nil
                    if drops { try store.dropDead(evenIfNeeded: evenIfNeeded) }
                }
            }
            if hasGained { counts[evenIfNeeded ? "rounds against snapshots" : "rounds", default: 0] += 1 }
        }

        private func dropTree(_ store: Store) throws {
            let tree = [TreeID.key, .rowid, .tag][pick(3)]
            try pinned {
                guard
                    let pager = try store.views.locked({ () throws(EngineError) in try store.views.currentPager(store) }
                    )
                else { return }
                _ = try store.withTreesLock(pager) { () throws(EngineError) in
                    let root = try pager.fileRoot()
                    guard root.trees[tree.rawValue].exists else { return }
                    let batch = try BTreeBatch(pager)
                    try batch.drop(tree)
                    try batch.publish(position: root.position)
                }
            }
        }

        private func readSnapshot(_ store: Store) throws {
            try pinned {
                let snapshot = store.beginSnapshot()
                defer { store.end(snapshot) }
                let then = model
                for number in 0..<pick(100) {
                    if number % 20 == 19, pick(2) == 0 { try compactRound(anyStore(), evenIfNeeded: true) }
                    try change(anyStore(), &model)
                }
                if pick(3) == 0 { try anyStore().compact(timeout: Self.timeout) }
                if pick(3) == 0 { _ = try anyStore().catchUp(building: []) }
                do {
                    try compare(store, snapshot, then)
                    counts["snapshots", default: 0] += 1
                } catch let error as EngineError where error.code == .snapshotExpired {
                    counts["expired snapshots", default: 0] += 1
                }
            }
        }

        // MARK: Comparing

        /// One order, or all keys one by one.
        private func compare(_ store: Store, _ snapshot: StoreSnapshot?, _ model: [String: ModelRow]) throws {
            func byRow(_ rows: [String: ModelRow]) -> [String] {
                rows.sorted { $0.value.rowid < $1.value.rowid }.map(\.key)
            }
            switch pick(4) {
            case 0: try expect("insertion", try list(store, .insertion, .all, snapshot), byRow(model))
            case 1: try expect("key", try list(store, .key, .all, snapshot), model.keys.sorted())
            case 2:
                let tag = "tag \(pick(Self.tags))"
                let met = try list(store, .tag, .tag(form: KeyClass.text, bytes: Array(tag.utf8)), snapshot)
                try expect(tag, met, byRow(model.filter { $0.value.tag == tag }))
            default:
                try pinned { for number in 0..<Self.keys { try compareKey(store, snapshot, Self.key(number), model) } }
            }
        }

        private func compareKey(
            _ store: Store, _ snapshot: StoreSnapshot?, _ name: String, _ model: [String: ModelRow]
        ) throws {
            try Array(name.utf8).withUnsafeBytes { key in
                let found =
                    if let snapshot { try store.find(KeyClass.text, key, in: snapshot) } else {
                        try store.find(KeyClass.text, key)
                    }
                let row = found.map {
                    ModelRow(
                        rowid: $0.rowid, tag: $0.tag.map { String(decoding: $0.bytes, as: UTF8.self) },
                        value: Array($0.value))
                }
                if row != model[name] { throw Difference(text: "\(name): \(row as Any), not \(model[name] as Any)") }
            }
        }

        private func list(
            _ store: Store, _ order: RowOrder, _ range: OrderedScan.Range, _ snapshot: StoreSnapshot?
        ) throws -> [String] {
            try pinned {
                let scan = OrderedScan(order, range, in: store, asOf: snapshot)
                var keys: [String] = []
                while !scan.isAtEnd {
                    try scan.next(in: store)
                    for row in scan.rows { keys.append(String(decoding: row.key, as: UTF8.self)) }
                }
                return keys
            }
        }

        private func expect(_ what: String, _ met: [String], _ wanted: [String]) throws {
            if met == wanted { return }
            let (missing, besides) = (Set(wanted).subtracting(met), Set(met).subtracting(wanted))
            throw Difference(
                text:
                    "\(what): \(met.count) keys of \(wanted.count), without \(missing.prefix(5)), with \(besides.prefix(5))"
            )
        }
    }

    /// Keys, orders and snapshots are those of a model, while three processes with one store take random steps: writes, transactions, rollbacks,
    /// `clear`, rounds of compaction that spare snapshots or don't, and trees that are built, dropped and given up.
    @Suite struct ViewModelTests {
        @Test(arguments: 0..<environmentNumber("VIEW_MODELS", default: 3))
        func randomSteps(number: Int) throws {
            let seed = ReplayableRandom.seed(for: "views") &+ UInt64(number)
            let world = try ViewWorld(seed: seed)
            for step in 1...environmentNumber("VIEW_STEPS", default: 4000) {
                do {
                    try world.step()
                    if step % 500 == 0 { try world.check() }
                } catch {
                    Issue.record("views: CRASH_SEED=\(seed), step \(step): \(error)")
                    return
                }
            }
            print(
                "views: \(world.counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", "))"
            )
            #expect(world.counts["snapshots", default: 0] > 0 && world.counts["rounds", default: 0] > 0)
        }
    }
#endif
