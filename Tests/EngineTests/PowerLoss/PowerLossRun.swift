import Synchronization
import TestSupport

@testable import DiskCacheEngine

/// A recorded life of a store: its trace, and what each of its commits made of it.
struct PowerLossRun {
    /// The keys that may hold something.
    static let keys = 40
    static let bulkKeys = 600

    /// The rows, as the number of the write that made each key's value (0: none), and at the end the durability that is set.
    typealias Contents = [Int32]

    var trace: Trace
    /// What the store holds after so many commits.
    var contents: [Contents]
    /// Where in the trace each commit began: it isn't there in anything earlier.
    var begun: [Int] = []
    /// From where in the trace on so many commits must be there.
    var durable: [(at: Int, commits: Int)] = []

    /// The least and the greatest number of commits that an image of the first `count` events may hold.
    func bounds(_ count: Int) -> ClosedRange<Int> {
        let greatest = begun.prefix { $0 < count }.count
        let least = durable.reduce(0) { $1.at <= count ? max($0, $1.commits) : $0 }
        return min(least, greatest)...greatest
    }
}

/// Values that tell whose they are.
enum PowerLossValue {
    static func key(_ index: Int) -> [UInt8] { Array("key \(index)".utf8) }

    /// Key, number of the write, length, anything, checksum.
    static func make(key: Int, write: Int32, length: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: max(length, 24))
        var word = UInt64(key) << 32 | UInt64(UInt32(bitPattern: write))
        let count = bytes.count
        bytes.withUnsafeMutableBytes { raw in
            raw.storeBytes(of: word.littleEndian, toByteOffset: 0, as: UInt64.self)
            raw.storeBytes(of: UInt64(count).littleEndian, toByteOffset: 8, as: UInt64.self)
            // Every 64th byte is enough to tell pages apart, and a debug build is slow.
            for at in stride(from: 16, to: count - 8, by: 64) {
                word = word &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                raw[at] = UInt8(truncatingIfNeeded: word >> 40)
            }
            let sum = XXH64.hash(UnsafeRawBufferPointer(rebasing: raw[0..<count - 8]), seed: 7)
            raw.storeBytes(of: sum.littleEndian, toByteOffset: count - 8, as: UInt64.self)
        }
        return bytes
    }

    /// Which write of which key it is; nil: it is none.
    static func parse(_ bytes: UnsafeRawBufferPointer) -> (key: Int, write: Int32)? {
        guard bytes.count >= 24 else { return nil }
        func word(_ at: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        }
        guard word(8) == UInt64(bytes.count),
            word(bytes.count - 8) == XXH64.hash(UnsafeRawBufferPointer(rebasing: bytes[0..<bytes.count - 8]), seed: 7)
        else { return nil }
        return (Int(word(0) >> 32), Int32(truncatingIfNeeded: word(0) & 0xFFFF_FFFF))
    }
}

/// Lives the life: opens a store in a recorded directory and does random things to it.
final class PowerLossActor {
    /// What a life consists of.
    struct Plan {
        var operations: Int
        /// Whether so many keys are written that the index splits.
        var isLarge = false
        var boot = "first"
        /// Of the number of the first write: no two lives of one store share one.
        var firstWrite: Int32 = 0
    }

    private struct Undo: Error {}

    private let files: RecordingFiles
    private let path: String
    private let plan: Plan
    private var dice: ReplayableRandom
    private var run: PowerLossRun
    private var now: PowerLossRun.Contents
    private var write: Int32
    private var handle: StoreHandle?
    private var durability = Durability.normal
    /// Whether a sync that begins now may be written behind.
    private var mayInterrupt = true
    private static let timeout = StoreClient.timeout
    static let minFileSize = 3000
    /// So much log behind them, and orders are brought up to date when they are read.
    static let viewLag: UInt64 = 6000

    init(files: RecordingFiles, path: String, plan: Plan, dice: ReplayableRandom, contents: PowerLossRun.Contents) {
        self.files = files
        self.path = path
        self.plan = plan
        self.dice = dice
        now = contents
        write = plan.firstWrite
        run = PowerLossRun(trace: Trace(), contents: [contents])
        durability = Durability(rawValue: UInt8(contents[contents.count - 1])) ?? .normal
    }

    static func emptyContents(isLarge: Bool) -> PowerLossRun.Contents {
        let count = PowerLossRun.keys + (isLarge ? PowerLossRun.bulkKeys : 0)
        return [Int32](repeating: 0, count: count) + [Int32(Durability.normal.rawValue)]
    }

    static func environment(_ files: any FileSystem, boot: String, dice: ReplayableRandom) -> Environment {
        var environment = Environment(files: files)
        let random = RandomSource(dice)
        environment.bootIdentity = { boot }
        environment.random = { random.next() }
        environment.wallClockOverride = { 1_700_000_000_000_000 + Int64(random.tick()) * 1000 }
        return environment
    }

    /// Does everything that was planned; what came of it.
    func live() throws -> PowerLossRun {
        let environment = Self.environment(files, boot: plan.boot, dice: ReplayableRandom(seed: dice.next()))
        var options = StoreOptions()
        // What a run records is to depend on its seed alone.
        options.keepsLock = false
        options.viewLag = Self.viewLag
        options.windowSize = LogWindow.smallest
        let handle = try StoreHandle(directory: path, options: options, environment: environment)
        self.handle = handle
        if plan.firstWrite == 0 {
            try commit {
                try handle.withStore { store throws(EngineError) in
                    try store.configure(timeout: Self.timeout) { settings in
                        settings.minFileSize = Self.minFileSize
                        // Syncs come when the plan says so, not when the clock does.
                        settings.syncInterval = 3_600_000_000
                        // The plan compacts too; by itself it would sync in the midst of a sync.
                        settings.compaction = 0
                    }
                }
            }
        }
        let actor = SendableActor(self)
        files.duringSync = { actor.value.writeDuringSync() }
        for number in 0..<plan.operations { try step(number) }
        files.duringSync = nil
        close()
        run.trace = files.trace
        return run
    }

    // MARK: Bookkeeping

    /// Does what commits once.
    private func commit(_ body: () throws -> Void) throws {
        run.begun.append(files.mark())
        run.contents.append(now)
        try body()
        if durability == .full { covered() }
    }

    /// Everything committed so far is durable from here on.
    private func covered() { covered(run.begun.count) }

    private func covered(_ commits: Int) { run.durable.append((files.mark(), commits)) }

    // MARK: Steps

    private func step(_ number: Int) throws {
        if plan.isLarge, number == plan.operations / 4 || number == plan.operations / 2 { return try bulk() }
        switch dice.below(100) {
        case 0..<46: try put(dice.below(PowerLossRun.keys))
        case 46..<57: try delete(dice.below(PowerLossRun.keys))
        case 57..<72: try transaction(undoing: false)
        case 72..<80: try transaction(undoing: true)
        case 80..<89: try sync()
        case 89..<92: try clear()
        case 92: try withStore { store throws(EngineError) in try store.dropDead() }
        case 93: try compact()
        case 94: try scan()
        case 95..<97:
            close()
        case 97:
            try withStore { store throws(EngineError) in
                try store.write(timeout: Self.timeout) { () throws(EngineError) in
                    store.log.askedNextAt = store.log.activeFirst
                    store.log.wantsNext.store(true, ordering: .relaxed)
                }
                try store.keepNext()
            }
        default: try change()
        }
    }

    private func length() -> Int {
        switch dice.below(10) {
        case 0..<5: return 24 + dice.below(200)
        case 5..<8: return 24 + dice.below(Self.minFileSize - 24)
        default: return Self.minFileSize + dice.below(6000)
        }
    }

    /// The next use opens it again. `none` doesn't sync at close either.
    private func close() {
        mayInterrupt = false
        defer { mayInterrupt = true }
        let commits = run.begun.count
        handle?.close()
        if durability != .none { covered(commits) }
    }

    private func put(_ key: Int) throws {
        let value = next(key)
        try commit { try self.store(key, value) }
    }

    /// The next value of a key, entered into what the store holds.
    private func next(_ key: Int, length: Int? = nil) -> [UInt8] {
        write += 1
        now[key] = write
        return PowerLossValue.make(key: key, write: write, length: length ?? self.length())
    }

    private func delete(_ key: Int) throws {
        if now[key] == 0 { return try remove(key) }
        now[key] = 0
        try commit { try self.remove(key) }
    }

    private func transaction(undoing: Bool) throws {
        let before = now
        let count = 1 + dice.below(5)
        var changes: [(key: Int, value: [UInt8]?)] = []
        for _ in 0..<count {
            let key = dice.below(PowerLossRun.keys)
            if dice.oneIn(4) {
                now[key] = 0
                changes.append((key, nil))
            } else {
                changes.append((key, next(key)))
            }
        }
        if undoing {
            now = before
            do {
                try transact(changes, thenThrow: true)
            } catch is Undo {}
        } else {
            try commit { try self.transact(changes, thenThrow: false) }
        }
    }

    private func transact(_ changes: [(key: Int, value: [UInt8]?)], thenThrow: Bool) throws {
        let handle = opened()
        let access = try handle.open()
        defer { handle.end(access) }
        try handle.withStoreOf(access) { store in
            try store.transact(timeout: Self.timeout) {
                for (key, value) in changes {
                    if let value { try self.store(key, value) } else { try self.remove(key) }
                }
                if thenThrow { throw Undo() }
            }
        }
    }

    /// Enough small rows, all at once, for the index to split.
    private func bulk() throws {
        var changes: [(key: Int, value: [UInt8]?)] = []
        for key in PowerLossRun.keys..<PowerLossRun.keys + PowerLossRun.bulkKeys {
            changes.append((key, next(key, length: 24)))
        }
        try commit { try self.transact(changes, thenThrow: false) }
    }

    private func sync() throws {
        let commits = run.begun.count
        try withStore { store throws(EngineError) in try store.sync() }
        covered(commits)
    }

    private func clear() throws {
        for key in 0..<now.count - 1 { now[key] = 0 }
        try commit { _ = try self.withStore { store throws(EngineError) in try store.clear(timeout: Self.timeout) } }
        // What lies below it may go, but not before the clear itself is durable.
        guard mayInterrupt, dice.oneIn(2) else { return }
        try put(dice.below(PowerLossRun.keys))
        try withStore { store throws(EngineError) in try store.dropDead() }
    }

    /// The live rows of the lowest segment go to the log's end, and it goes. Copies are commits that change nothing.
    private func compact() throws {
        mayInterrupt = false
        defer { mayInterrupt = true }
        let pin = ReaderPins.enter(ReaderPins.base)
        defer { ReaderPins.leave(pin) }
        try withStore { store throws(EngineError) in
            guard
                try store.compactHead(
                    freeing: 1, copying: .max, below: .max, evenIfNeeded: true, timeout: Self.timeout) != nil
            else { return }
            try store.dropDead()
        }
    }

    /// Reads an order, and so brings the trees up to date; what the maintenance thread does follows at once.
    private func scan() throws {
        try withStore { store throws(EngineError) in
            let scan = OrderedScan(dice.oneIn(2) ? .key : .insertion, reversed: false, in: store)
            while !scan.isAtEnd { try scan.next(in: store) }
            try store.maintainTrees()
            store.writeHints()
        }
    }

    private func change() throws {
        let wanted = Durability.allCases[dice.below(Durability.allCases.count)]
        if wanted == durability { return }
        now[now.count - 1] = Int32(wanted.rawValue)
        // Acknowledged as durable from the next one on.
        durability = .none
        mayInterrupt = false
        defer { mayInterrupt = true }
        try commit {
            try self.withStore { store throws(EngineError) in
                try store.configure(timeout: Self.timeout) { $0.durability = wanted }
            }
        }
        durability = wanted
    }

    /// Another thread's writes while a sync is under way: they aren't covered by it.
    fileprivate func writeDuringSync() {
        guard mayInterrupt, durability != .full, dice.oneIn(2) else { return }
        mayInterrupt = false
        defer { mayInterrupt = true }
        do {
            if dice.oneIn(5) { try clear() } else { try transaction(undoing: dice.oneIn(3)) }
        } catch {
            fatalError("writing during a sync failed: \(error)")
        }
    }

    // MARK: The store

    private func opened() -> StoreHandle { handle.unsafelyUnwrapped }

    @discardableResult
    private func withStore<R>(_ body: (Store) throws(EngineError) -> R) throws -> R {
        try opened().withStore(body)
    }

    private func store(_ key: Int, _ value: [UInt8]) throws {
        let name = PowerLossValue.key(key)
        try name.withUnsafeBytes { k in
            try value.withUnsafeBytes { v in
                _ = try withStore { store throws(EngineError) in
                    try store.put(
                        timeout: Self.timeout, KeyClass.text, k, form: ValueFormCode.bytes, value: v, RecordAttributes()
                    )
                }
            }
        }
    }

    private func remove(_ key: Int) throws {
        let name = PowerLossValue.key(key)
        try name.withUnsafeBytes { k in
            _ = try withStore { store throws(EngineError) in try store.delete(timeout: Self.timeout, KeyClass.text, k) }
        }
    }
}

/// Randomness and a clock for an environment, the same at each repetition.
final class RandomSource: Sendable {
    private let dice: Mutex<ReplayableRandom>
    private let ticks = Mutex(0)

    init(_ dice: ReplayableRandom) { self.dice = Mutex(dice) }

    func next() -> UInt64 { dice.withLock { $0.next() } }

    func tick() -> Int {
        ticks.withLock {
            $0 += 1
            return $0
        }
    }
}

/// Carries the actor into the hook of its own thread's syncs.
private struct SendableActor: @unchecked Sendable {
    unowned let value: PowerLossActor
    init(_ value: PowerLossActor) { self.value = value }
}
