import DiskCacheEngine
import Synchronization
import TestSupport
import Testing

@testable import DiskCacheCore

/// What makes one run differ from another.
struct ModelConfiguration: Sendable, CustomTestStringConvertible {
    var name: String
    var operations: Int
    var keys = 150
    var handles = 1
    var minFileSize = 32_768
    var durability = DiskCacheCore.Durability.normal
    /// The longest values; one in `largeEvery` may be so long.
    var longest = 200 << 10
    var largeEvery = 400
    var forcesWriting = false
    var windowSize = 0
    var firstPosition: UInt64?
    /// Whether tags have a view of their own, and from how many bytes of log on views are brought up to date.
    var tagIndex = false
    var viewLag: UInt64?
    var onDisk = false
    /// One operation in so many closes a handle, checks the store, restarts the system.
    var closeEvery = 300
    var checkEvery = 3000
    var restartEvery = 6000

    var testDescription: String { name }
}

/// Thrown when the cache does something else than the model.
struct ModelFailure: Error, CustomStringConvertible {
    let description: String
}

/// Does random things to a cache and to a model, and compares.
final class ModelRun {
    let configuration: ModelConfiguration
    var random: ReplayableRandom
    let world: ModelWorld
    var model: Model
    var caches: [Cache] = []
    private var pool: [ModelKey] = []
    private var done: [String] = []
    var depth = 0
    /// How many operations were done, those inside of transactions too.
    private(set) var count = 0

    init(_ configuration: ModelConfiguration, seed: UInt64) throws {
        self.configuration = configuration
        random = ReplayableRandom(seed: seed)
        world = try ModelWorld(onDisk: configuration.onDisk)
        model = Model(now: world.now, minFileSize: configuration.minFileSize)
        var settings = Cache.Configuration()
        // What expires or is too much is the matter of EvictionModelTests.
        settings.cullLimit = 0
        settings.minFileSize = configuration.minFileSize
        settings.tagIndex = configuration.tagIndex
        settings.durability = configuration.durability
        settings.syncInterval = .milliseconds(20)
        for _ in 0..<configuration.handles { caches.append(try open(settings)) }
        pool = ModelKey.traps
        while pool.count < configuration.keys { pool.append(freshKey()) }
    }

    func open(_ settings: Cache.Configuration = Cache.Configuration()) throws -> Cache {
        try world.open(settings) { options in
            options.forcesWriting = configuration.forcesWriting
            options.windowSize = configuration.windowSize
            options.viewLag = configuration.viewLag
            if let first = configuration.firstPosition { options.firstPosition = first }
        }
    }

    /// The last operations, the newest last.
    var history: String { done.suffix(40).joined(separator: "\n") }

    func note(_ text: @autoclosure () -> String) {
        if done.count > 400 { done.removeFirst(300) }
        done.append(String(repeating: "  ", count: depth) + "\(count) " + text())
    }

    func expect(_ condition: Bool, _ message: @autoclosure () throws -> String) throws {
        if !condition { throw ModelFailure(description: try message()) }
    }

    /// Runs `body`, which must throw the code.
    func expect(_ code: CacheError.Code, _ what: String, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch {
            if code ~= error { return }
            throw ModelFailure(description: "\(what): \(error) instead of \(code)")
        }
        throw ModelFailure(description: "\(what): nothing thrown instead of \(code)")
    }

    // MARK: Choices

    var cache: Cache { caches.count == 1 ? caches[0] : caches[Int.random(in: 0..<caches.count, using: &random)] }

    func chance(_ n: Int) -> Bool { Int.random(in: 0..<n, using: &random) == 0 }

    func freshKey() -> ModelKey {
        switch Int.random(in: 0..<6, using: &random) {
        case 0: .int(Int64.random(in: .min ... .max, using: &random))
        case 1: .double(Double(bitPattern: UInt64.random(in: 0..<0x7ff0_0000_0000_0000, using: &random)))
        case 2:
            .bytes((0..<Int.random(in: 1..<30, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) })
        case 3:
            .place(
                .init(
                    town: "t\(Int.random(in: 0..<1000, using: &random))", number: Int.random(in: 0..<9, using: &random))
            )
        default: .text("key \(UInt32.random(in: 0...(.max), using: &random))")
        }
    }

    func key() -> ModelKey {
        if chance(25) { return freshKey() }
        if chance(600) { return ModelKey.long.randomElement(using: &random)! }
        return pool[Int.random(in: 0..<pool.count, using: &random)]
    }

    /// Keys that fit into one type.
    func anyKeys(_ count: Int) -> [ModelKey] {
        var keys: [ModelKey] = []
        while keys.count < count {
            let key = key()
            if key.any != nil { keys.append(key) }
        }
        return keys
    }

    private func length() -> Int {
        if chance(configuration.largeEvery) { return Int.random(in: 0...configuration.longest, using: &random) }
        let threshold = model.minFileSize
        if threshold < 5000 && chance(4) { return max(0, threshold + Int.random(in: -2...2, using: &random)) }
        return chance(12) ? Int.random(in: 0...2000, using: &random) : Int.random(in: 0...40, using: &random)
    }

    func bytes() -> [UInt8] {
        var bytes = [UInt8](repeating: UInt8.random(in: 0...255, using: &random), count: length())
        for index in bytes.indices.prefix(8) { bytes[index] = UInt8.random(in: 0...255, using: &random) }
        return bytes
    }

    func text() -> String {
        let unit = ["x", "\r\n", "ä", "e\u{301}", "\u{1f600}", "\0"].randomElement(using: &random)!
        return "\(Int.random(in: 0..<100, using: &random))" + String(repeating: unit, count: length() / unit.utf8.count)
    }

    func number() -> ModelValue {
        switch Int.random(in: 0..<6, using: &random) {
        case 0: .int([Int64.max, .max - 1, .min, .min + 1, 0].randomElement(using: &random)!)
        case 1: .double([0.5, -0.0, .infinity, 1e300, .leastNonzeroMagnitude].randomElement(using: &random)!)
        case 2: .double(Double(Int.random(in: -100...100, using: &random)) / 4)
        default: .int(Int64.random(in: -100...100, using: &random))
        }
    }

    func value() -> ModelValue {
        switch Int.random(in: 0..<14, using: &random) {
        case 0: .null
        case 1: .bool(Bool.random(using: &random))
        case 2: .unsigned(UInt64.random(in: (1 << 63)...(.max), using: &random))
        case 3: .double([.nan, -.nan, .signalingNaN, -.infinity].randomElement(using: &random)!)
        case 4...6: number()
        case 7...9: .text(text())
        case 10...12: .bytes(bytes())
        default:
            .sample(
                .init(
                    name: text(), numbers: (0..<Int.random(in: 0..<5, using: &random)).map { $0 * 1000 }, ratio: 0.25,
                    flag: chance(2) ? nil : true))
        }
    }

    func expiry() -> Model.Expiry {
        switch Int.random(in: 0..<16, using: &random) {
        case 0: .never
        case 1: .after(0)
        case 2: .after(-Int64.random(in: 1..<5_000_000, using: &random))
        case 3, 4: .after(Int64.random(in: 1..<50_000, using: &random))
        case 5, 6: .after(Int64.random(in: 1..<100_000_000, using: &random))
        case 7: .at(Double(model.now) / 1_000_000 + Double.random(in: -1...10, using: &random))
        case 8: .at(-5)
        default: .byDefault
        }
    }

    func tag() -> DiskCacheCore.Tag? {
        switch Int.random(in: 0..<8, using: &random) {
        case 0: "red"
        case 1: .int(Int64.random(in: 0...3, using: &random))
        case 2: .double(0.5)
        case 3: .bytes([1, 2, 3])
        case 4: .string(chance(10) ? String(repeating: "t", count: 1000) : "")
        default: nil
        }
    }

    // MARK: Running

    func run() throws {
        while count < configuration.operations {
            try step()
            if chance(configuration.closeEvery) { try close() }
            if chance(configuration.checkEvery) { try checkAll() }
            if chance(configuration.restartEvery) { try restart() }
        }
        try checkAll()
        try restart()
        try checkAll()
        note("close everything")
        for cache in caches { try cache.close() }
        try compareAll()
    }

    /// One operation.
    func step() throws {
        count += 1
        switch Int.random(in: 0..<113, using: &random) {
        case 0..<18: try set()
        case 18..<24: try add()
        case 24..<38: try get(key())
        case 38..<42: try entry(key())
        case 42..<44: try lend(key())
        case 44..<47: try read(key())
        case 47..<50: try misread(key())
        case 50..<53: try contains()
        case 53..<59: try delete()
        case 59..<63: try pop()
        case 63..<68: try touch()
        case 68..<76: try increment()
        case 76..<80: try update()
        case 80..<82: try getMany()
        case 82..<84: try setMany()
        case 84..<86: try deleteMany()
        case 86..<87: try stream()
        case 87..<92: moveClock()
        case 92..<95: try figures()
        case 95: if chance(10) { try clear() }
        case 96: if chance(5) { try configure() }
        case 97: if depth == 0 && chance(3) { try sync() }
        case 98: try refuse()
        case 100..<106: try queue()
        case 106..<109: try list()
        case 109: try removeMany()
        case 110..<112: try transact()
        case 112: try snapshot()
        default: try figures()
        }
    }

    private func moveClock() {
        guard depth == 0 else { return }
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<4: model.now += Int64.random(in: 0..<2_000_000, using: &random)
        case 4: model.now += Int64.random(in: 0..<200_000_000, using: &random)
        case 5..<8:
            // To the very instant at which something expires, or just before.
            let next = model.rows.values.compactMap(\.expires).filter { $0 > model.now && $0 < model.now + 100_000_000 }
                .min()
            if let next { model.now = next - Int64.random(in: 0...1, using: &random) }
        case 8: model.now -= Int64.random(in: 0..<3_000_000, using: &random)
        default: if chance(10) { model.now -= Int64.random(in: 0..<3_600_000_000, using: &random) }
        }
        world.now = model.now
        note("clock \(model.now)")
    }

    private func close() throws {
        let index = Int.random(in: 0..<caches.count, using: &random)
        note("close \(index)")
        try caches[index].close()
        if chance(3) { caches[index] = try open() }
    }

    private func sync() throws {
        note("sync")
        try cache.sync()
    }

    /// Everything is compared, and the store with itself.
    func checkAll() throws {
        note("check")
        try compareAll()
        try caches[0].sync()
        let findings = try caches[0].check()
        try expect(findings.isEmpty, "check: \(findings)")
    }

    /// The machine is restarted: the index that closing left behind is believed, or, if it is lost, made again from the log.
    private func restart() throws {
        let keepsIndex = chance(3)
        note(keepsIndex ? "restart" : "restart without the index")
        for cache in caches { try cache.close() }
        world.restart(keepingIndex: keepsIndex)
        let recovery = try caches[0].recovery
        try expect(recovery != nil || keepsIndex || model.rows.isEmpty, "no recovery after a restart")
        try expect(
            recovery?.losses.isEmpty != false && recovery?.wasTorn != true, "losses: \(String(describing: recovery))")
        try expect(
            recovery == nil || recovery?.count == model.rows.count,
            "\(recovery?.count ?? 0) rows, \(model.rows.count) expected")
        try compareAll()
    }

    /// Each row, each that isn't there, and their order.
    func compareAll() throws {
        var last: (rowid: UInt64, order: Int)?
        for row in model.rows.values.sorted(by: { $0.order < $1.order }) {
            try entry(row.key)
            try get(row.key)
            let rowid = try rowid(of: row.key.native)
            try expect(rowid != nil, "no record of \(row.key)")
            if let rowid, let last {
                try expect(rowid > last.rowid, "\(row.key): rowid \(rowid) behind \(last.rowid), though stored later")
            }
            last = rowid.map { ($0, row.order) }
        }
        for key in pool where model.rows[key.identity] == nil { try get(key) }
        try expect(try cache.count == model.rows.count, "count \(try cache.count), \(model.rows.count) expected")
    }

    private func rowid(of key: some CacheKey) throws -> UInt64? {
        try withKeyBytes(key) { keyClass, bytes in
            let found = try caches[0].handle.find(keyClass, bytes)
            defer { caches[0].handle.end(found.access) }
            return found.record?.rowid
        }
    }
}
