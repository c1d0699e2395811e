import DiskCache
import Synchronization
import TestSupport

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// `soak`: four threads do everything to a cache that small segments can make happen, and prove what they read, until they are released
/// or killed.
///
/// A value says which key and version it is of. Keys of the first kind are never deleted, and their versions only rise: the highest that
/// anybody has read stands in a file that all processes map.
enum SoakCommand {
    static let threads = 4

    static func run(_ arguments: Arguments) throws {
        var configuration = Cache.Configuration()
        configuration.evictionPolicy = EvictionPolicy.none
        configuration.minFileSize = Soak.minFileSize
        configuration.syncInterval = .milliseconds(50)
        configuration.timeout = .seconds(120)
        let cache = try Cache(directory: arguments.text("directory"), configuration: configuration)
        let board = try SoakBoard(arguments.text("board"))
        TestChild.say("ready")
        let seed = UInt64(arguments.number("seed"))
        let left = Atomic<Int>(threads)
        withUnsafePointer(to: left) { left in
            let shared = SoakThread.Shared(cache: cache, board: board, left: UnsafeRawPointer(left))
            for number in 0..<threads { SoakThread(shared, seed: seed &+ UInt64(number)).start() }
            while left.pointee.load(ordering: .acquiring) > 0 { pass(microseconds: 2000) }
        }
        try cache.close()
    }
}

/// One thread's work.
private final class SoakThread {
    struct Shared: @unchecked Sendable {
        let cache: Cache
        let board: SoakBoard
        let left: UnsafeRawPointer
    }

    private let shared: Shared
    private var random: ReplayableRandom
    private var cache: Cache { shared.cache }
    private var board: SoakBoard { shared.board }

    init(_ shared: Shared, seed: UInt64) {
        self.shared = shared
        random = ReplayableRandom(seed: seed)
    }

    func start() {
        let box = Unmanaged.passRetained(self).toOpaque()
        #if canImport(Darwin)
            var thread: pthread_t?
            let failed = pthread_create(
                &thread, nil,
                { box in
                    Unmanaged<SoakThread>.fromOpaque(box).takeRetainedValue().work()
                    return nil
                }, box)
        #else
            var thread = pthread_t()
            let failed = pthread_create(
                &thread, nil,
                { box in
                    if let box { Unmanaged<SoakThread>.fromOpaque(box).takeRetainedValue().work() }
                    return nil
                }, box)
        #endif
        if failed != 0 { Self.fail("no thread: \(failed)") }
    }

    private static func fail(_ text: String) -> Never {
        TestChild.say("violation: \(text)")
        _exit(1)
    }

    private func pick(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }

    private func work() {
        do {
            while !TestChild.isReleased() {
                for _ in 0..<20 { try step() }
            }
        } catch {
            Self.fail("\(error)")
        }
        shared.left.assumingMemoryBound(to: Atomic<Int>.self).pointee.wrappingSubtract(1, ordering: .releasing)
    }

    private func step() throws {
        switch pick(100) {
        case 0..<55: try read(pick(Soak.keptKeys))
        case 55..<80: try raise(pick(2) == 0 ? pick(Soak.keptKeys) : pick(20))
        case 80..<86: try comeAndGo()
        case 86..<90: try several()
        case 90: if pick(20) == 0 { try list() }
        case 91..<94: try queue()
        default: try readTogether()
        }
    }

    /// Never missed, never another's, never older than what somebody has seen.
    private func read(_ key: Int) throws {
        let floor = board.highest(key)
        guard let value = try cache.get("kept \(key)", as: [UInt8].self) else { Self.fail("key \(key) was missed") }
        check(value, key, floor)
        board.count(.reads)
    }

    private func check(_ value: [UInt8], _ key: Int, _ floor: UInt64) {
        guard let version = Soak.version(value, key) else {
            Self.fail("key \(key) holds another's value, or parts of two")
        }
        if version < floor { Self.fail("key \(key) went back from \(floor) to \(version)") }
        board.raise(key, to: version)
    }

    private func raise(_ key: Int) throws {
        let length = length()
        try cache.transact {
            let floor = board.highest(key)
            guard let old = try cache.get("kept \(key)", as: [UInt8].self) else { Self.fail("key \(key) was missed") }
            check(old, key, floor)
            try cache.set("kept \(key)", Soak.value(key, (Soak.version(old, key) ?? 0) + 1, length))
        }
        board.count(.writes)
    }

    private func length() -> Int {
        switch pick(40) {
        case 0: Soak.minFileSize + pick(4000)
        case 1: 2000 + pick(1000)
        default: pick(300)
        }
    }

    private func comeAndGo() throws {
        let key = pick(4000)
        let name = "other \(key)"
        switch pick(4) {
        case 0: try cache.delete(name)
        case 1: try cache.set(name, Soak.value(key, 1, length()), expire: .after(.milliseconds(Int64(1 + pick(200)))))
        default: try cache.set(name, Soak.value(key, 1, length()))
        }
        if let found = try cache.get("other \(key)", as: [UInt8].self), Soak.version(found, key) == nil {
            Self.fail("other key \(key) holds another's value")
        }
        board.count(.writes)
    }

    /// Two keys that change together.
    private func several() throws {
        let pair = pick(Soak.pairs)
        try cache.transact {
            let number = try cache.get("left \(pair)", default: 0) + 1
            try cache.set("left \(pair)", number)
            try cache.set("right \(pair)", -number)
        }
        board.count(.writes)
    }

    private func readTogether() throws {
        let pair = pick(Soak.pairs)
        do {
            let sum = try cache.snapshot { snapshot in
                try snapshot.get("left \(pair)", default: 0) + snapshot.get("right \(pair)", default: 0)
            }
            if sum != 0 { Self.fail("pair \(pair) was seen half changed") }
        } catch CacheError.Code.snapshotExpired {
            // A process that was stopped for so long may be told so.
        }
        board.count(.reads)
    }

    private func list() throws {
        var kept = 0
        var last = ""
        let cursor = try cache.keys(prefix: "kept ")
        while let key = try cursor.next() {
            if key <= last { Self.fail("the order of keys is \(last), \(key)") }
            last = key
            kept += 1
        }
        if kept != Soak.keptKeys { Self.fail("an order lists \(kept) of \(Soak.keptKeys) keys") }
        board.count(.scans)
    }

    private func queue() throws {
        if pick(2) == 0 {
            try cache.push(Soak.value(7, 7, 40), prefix: "soak")
        } else if let (_, value) = try cache.pull(as: [UInt8].self, prefix: "soak"), Soak.version(value, 7) == nil {
            Self.fail("a queue gave another's value")
        }
        board.count(.writes)
    }
}
