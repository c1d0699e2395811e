import Synchronization
import TestSupport
import Testing

@testable import DiskCacheEngine

/// T13: a store that is copied, file by file, while it is being written and compacted, opens as it was after some commit (P31). Where files
/// went before they were copied, it may lack rows; then it says so when it is opened, and what it has is right. Only a `backup` is whole.
@Suite struct CopyTests {
    private static let keys = 23

    /// Each commit stores its number under two keys, so what it left is known by its number.
    private final class Writer: Sendable {
        let client: StoreClient
        let done = Atomic<Int>(0)
        let isOver = Atomic<Bool>(false)

        init(_ path: String) throws {
            client = try StoreClient(path, syncInterval: 1000)
        }

        static func clears(_ number: Int) -> Bool { number % 400 == 399 }

        static func value(_ number: Int) -> [UInt8] {
            TestValue.make(
                key: "key \(number % keys)", writer: 0, index: number, part: 0,
                size: number % 31 == 5 ? 5000 : 30 + number % 7 * 200)
        }

        func run() {
            while !isOver.load(ordering: .relaxed) {
                let number = done.load(ordering: .relaxed)
                do {
                    if Self.clears(number) {
                        try client.clear()
                    } else {
                        try client.handle.withStoreThrowing { store in
                            try store.transact(timeout: StoreClient.timeout) {
                                try client.set("key \(number % keys)", Self.value(number))
                                try client.set("last", Array("\(number)".utf8))
                            }
                        }
                    }
                } catch {
                    fatalError("\(error)")
                }
                done.store(number + 1, ordering: .releasing)
            }
            client.handle.close()
        }
    }

    /// As `cp -r`: what is listed, in any order, in pieces, whatever becomes of it meanwhile.
    private func copy(_ from: String, to target: String, _ random: inout ReplayableRandom) throws {
        let files = SystemFiles()
        try files.makeDirectory(target, in: nil, mode: 0o700)
        let directory = try files.open(from, in: nil, [.directory])
        for name in try files.list(directory).shuffled(using: &random) {
            guard let status = try files.status(of: name, in: directory) else { continue }
            if status.kind == .directory {
                try? copy(from + "/" + name, to: target + "/" + name, &random)
                continue
            }
            guard let source = try? files.open(name, in: directory, []) else { continue }
            let made = try files.open(target + "/" + name, in: nil, [.write, .create])
            var offset = 0
            while true {
                let piece = try files.read(source, count: 16 << 10, at: offset)
                if piece.isEmpty { break }
                try files.write(made, piece, at: offset)
                offset += piece.count
                if random.oneIn(4) { SystemCalls.yieldThread() }
            }
        }
    }

    /// Which commit a copy is as of; nil: none. `lacks`: rows may be missing, none is wrong.
    private func commit(_ client: StoreClient, lacks: Bool) throws -> Int? {
        var last = -1
        if case .bytes(let text)? = try client.get("last") { last = Int(String(decoding: text, as: UTF8.self)) ?? -1 }
        for key in 0..<Self.keys {
            var wanted: [UInt8]?
            var number = last
            while number >= 0, last - number < Self.keys, !Writer.clears(number) {
                if number % Self.keys == key {
                    wanted = Writer.value(number)
                    break
                }
                number -= 1
            }
            // Older ones, up to the last clear.
            guard case .bytes(let found)? = try client.get("key \(key)") else {
                if wanted != nil, !lacks { return nil }
                continue
            }
            if found != wanted { return nil }
        }
        return last
    }

    @Test(arguments: ["same", "other"]) func copiesOfALiveStore(_ boot: String) throws {
        let seed = ReplayableRandom.seed(for: "copies of a live store, \(boot) boot")
        var random = ReplayableRandom(seed: seed)
        let scratch = try TestDirectory("copies")
        let writer = try Writer(scratch.path + "/store")
        let group = TestThreads.Group()
        group.start { writer.run() }
        let wanted = environmentNumber("COPIES", default: 250)
        var commits = Set<Int>()
        var incomplete = 0
        for round in 0..<wanted {
            let path = scratch.path + "/copy"
            try copy(scratch.path + "/store", to: path, &random)
            let after = writer.done.load(ordering: .acquiring)
            var environment = Environment.system
            if boot == "other" { environment.bootIdentity = { "another" } }
            var lacks = false
            for opening in 0..<2 {
                do {
                    let client = try StoreClient(asItIs: path, environment: environment)
                    defer { client.handle.close() }
                    let report = try client.handle.withStore { (store) throws(EngineError) in store.recovery }
                    if let report, report.hasLosses {
                        lacks = true
                        incomplete += 1
                    }
                    guard let commit = try commit(client, lacks: lacks) else {
                        Issue.record("seed \(seed), copy \(round), opening \(opening): as of no commit")
                        continue
                    }
                    if !lacks { commits.insert(commit) }
                    #expect(commit <= after, "seed \(seed), copy \(round)")
                    #expect(try StoreCheck.problems(client.handle) == [], "seed \(seed), copy \(round)")
                    if opening == 1 { try client.set("new", [1]) }
                } catch {
                    let text = (error as? EngineError).map { "\($0.code) \($0.message) \($0.path ?? "")" } ?? "\(error)"
                    Issue.record("seed \(seed), copy \(round), opening \(opening): \(text)")
                }
            }
            TestDirectory.remove(path)
        }
        writer.isOver.store(true, ordering: .relaxed)
        group.join()
        print(
            "copies: \(wanted), as of \(commits.count) commits of \(writer.done.load(ordering: .relaxed)), incomplete \(incomplete)"
        )
        #expect(commits.count > 1)
    }
}
