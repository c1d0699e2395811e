import DiskCacheEngine
import TestSupport
import Testing

#if FAILPOINTS

    /// Processes that are killed with SIGKILL while they write (T1, T2): whatever was acknowledged is found again, transactions are
    /// whole, what was under way is old or new, and the next process can go on.
    @Suite(.serialized) struct KillTests {
        /// T1: at any instant. `KILLS` asks for more, `CRASH_SEED` replays.
        @Test func atAnyInstant() throws {
            let seed = ReplayableRandom.seed(for: "kills at any instant")
            let wanted = environmentNumber("KILLS", default: 800)
            var random = ReplayableRandom(seed: seed)
            var kills = 0
            while kills < wanted {
                let site = try KillSite(seed: random.next(), random: &random)
                for _ in 0..<40 {
                    if kills >= wanted { break }
                    let before = site.kills
                    switch Int.random(in: 0..<5, using: &random) {
                    case 0: try site.killOne(&random, staysOpen: true)
                    case 1: try site.killSeveral(&random)
                    default: try site.killOne(&random, staysOpen: false)
                    }
                    kills += site.kills - before
                    if !site.problems.isEmpty {
                        Issue.record("seed \(seed), after \(kills) kills:\n\(site.problems.joined(separator: "\n"))")
                        return
                    }
                }
            }
            print("kills at any instant: \(kills)")
        }
    }

    /// One store, and what it must hold, through many kills.
    final class KillSite {
        let scratch: TestDirectory
        let path: String
        let seed: UInt64
        private(set) var model = StoreModel()
        private(set) var kills = 0
        private(set) var problems: [String] = []
        private var next = 0
        private let options: [String]
        private let writesWithCalls: Bool
        private let interval: Int?
        private let durability: Durability
        var keys: Int
        var grows = false
        /// Whether the store's orders are compared with the model too.
        var readsOrders = false

        /// `syncs`: of a durability at which something is synced.
        init(seed: UInt64, random: inout ReplayableRandom, keys: Int = 48, syncs: Bool = false) throws {
            self.seed = seed
            self.keys = keys
            scratch = try TestDirectory("kill")
            path = scratch.path + "/store"
            writesWithCalls = random.oneIn(4)
            // Every third store has a maintenance thread that is busy all the time.
            interval = random.oneIn(3) ? 1000 : nil
            // The death of a process costs nothing at any level.
            let level = Int.random(in: (syncs ? 1 : 0)..<Durability.allCases.count, using: &random)
            durability = Durability.allCases[level]
            options =
                ["calls=\(writesWithCalls ? 1 : 0)", "durability=\(level)"]
                + (interval.map { ["interval=\($0)"] } ?? [])
        }

        func workload(writer: Int, clears: Bool) -> Workload {
            var workload = Workload(seed: ReplayableRandom.mix(seed, UInt64(writer)), writer: writer)
            workload.keys = keys
            workload.clears = clears && !grows
            workload.grows = grows
            return workload
        }

        func start(_ workload: Workload, count: Int, _ more: [String] = []) throws -> ChildProcess {
            try ChildProcess(
                [
                    "write", "directory=\(path)", "seed=\(workload.seed)", "writer=\(workload.writer)",
                    "keys=\(workload.keys)",
                    "clears=\(workload.clears ? 1 : 0)", "grows=\(workload.grows ? 1 : 0)", "first=\(next)",
                    "count=\(count)",
                ] + options + more)
        }

        func open() throws -> StoreClient {
            try StoreClient(
                path, writesWithCalls: writesWithCalls, syncInterval: interval, durability: durability)
        }

        /// A writer that is killed a moment after its first word, or after its start.
        func killOne(_ random: inout ReplayableRandom, staysOpen: Bool) throws {
            let client = staysOpen ? try open() : nil
            let workload = workload(writer: 0, clears: true)
            let count = 1000
            let child = try start(workload, count: count)
            if random.oneIn(4) {
                pass(microseconds: Int.random(in: 0..<12_000, using: &random))
            } else {
                _ = child.isReadable(seconds: 60)
                pass(microseconds: Int.random(in: 0..<3000, using: &random))
            }
            child.kill()
            finish(child, workload, count: count)
            verify(client)
            client?.handle.close()
        }

        /// Takes note of how a child ended and what it had said before.
        func finish(_ child: ChildProcess, _ workload: Workload, count: Int) {
            let (output, end) = child.finish()
            if end == .signalled(9) {
                kills += 1
            } else if end != .exited(0) {
                problems.append("the writer ended with \(end): \(String(decoding: output, as: UTF8.self))")
            }
            if count == 0 { return }
            let done = output.count / 4
            for index in next..<next + done {
                model.apply(workload.operation(index), writer: workload.writer, index: index)
            }
            uncertain = done < count ? [(workload, next + done)] : []
            next += count
        }

        /// Operations of which nobody knows whether they were done.
        private var uncertain: [(workload: Workload, index: Int)] = []
        private var severalWriters = false

        /// Begins anew in an empty directory.
        func forget() {
            TestDirectory.remove(path)
            model = StoreModel()
            uncertain = []
        }

        /// Sees to it that there is something to find again.
        func seedIfEmpty(_ more: [String] = []) throws {
            let workload = workload(writer: 0, clears: true)
            let child = try start(workload, count: 100, ["close=1"] + more)
            finish(child, workload, count: 100)
        }

        /// Three writers at once, killed one after the other.
        func killSeveral(_ random: inout ReplayableRandom) throws {
            let count = 600
            let workloads = (1...3).map { workload(writer: $0, clears: false) }
            let children = try workloads.map { try start($0, count: count) }
            _ = children[2].isReadable(seconds: 60)
            for child in children {
                pass(microseconds: Int.random(in: 0..<3000, using: &random))
                child.kill()
            }
            var open: [(Workload, Int)] = []
            let first = next
            for (workload, child) in zip(workloads, children) {
                next = first
                finish(child, workload, count: count)
                open += uncertain.map { ($0.workload, $0.index) }
            }
            uncertain = open.map { (workload: $0.0, index: $0.1) }
            severalWriters = true
            verify(nil)
            severalWriters = false
        }

        /// Compares the store with what it must hold; what was under way becomes known by that.
        func verify(_ held: StoreClient?) {
            do {
                let client = try held ?? open()
                if let report = try client.handle.withStore({ (store) throws(EngineError) in store.recovery }),
                    !report.quarantined.isEmpty || !report.gaps.isEmpty
                {
                    problems.append("recovery lost something: \(report)")
                }
                let opened = try StoreCheck.description(client.handle)
                defer { if !problems.isEmpty { problems.append("as opened: \(opened)") } }
                // Reading takes no lock and settles nothing: it sees what was committed, each operation done or not.
                for (workload, index) in uncertain { try checkUnsettled(client, workload, index) }
                // From here on it is decided what became of the operations that were under way.
                try client.settle()
                if severalWriters { try decideSeveral(client) } else { try decideOne(client) }
                let count = try client.count()
                if count != model.count { problems.append("count is \(count), there are \(model.count) keys") }
                uncertain = []
                // Writable afterwards, by this process.
                try client.set("probe", [1])
                try client.delete("probe")
                try client.sync()
                problems += try StoreCheck.problems(client.handle, files: true)
                if readsOrders { try checkOrders(client) }
                if kills % 3 == 0 {
                    try StoreCheck.tidy(client.handle)
                    problems += try StoreCheck.problems(client.handle, files: true).map { "after tidying: \($0)" }
                }
                if !problems.isEmpty { problems.append("\(path): \(try StoreCheck.description(client.handle))") }
                if held == nil { client.handle.close() }
            } catch {
                problems.append("\(error)")
            }
        }

        /// The orders list the keys that there are, one the other way round as well; and a check of everything finds nothing.
        private func checkOrders(_ client: StoreClient) throws {
            let wanted = model.values.keys.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
            let sorted = try client.keys(.key)
            if sorted != wanted { problems.append("in order: \(sorted), instead of \(wanted)") }
            let inserted = try client.keys(.insertion)
            if Set(inserted) != Set(wanted) || inserted.count != wanted.count {
                problems.append("in insertion order: \(inserted), instead of some order of \(wanted)")
            }
            if try client.keys(.insertion, reversed: true) != inserted.reversed() {
                problems.append("insertion order isn't the same in both directions")
            }
            problems += try client.findings()
        }

        /// Every key of every writer, and the counter that all add to.
        private var allKeys: [String] {
            (0...3).flatMap { workload(writer: $0, clears: false).universe } + [Workload.sharedCounter]
        }

        /// What can be read before anybody settles: one writer's keys are as before its last operation, or as after it.
        private func checkUnsettled(_ client: StoreClient, _ workload: Workload, _ index: Int) throws {
            var after = model
            after.apply(workload.operation(index), writer: workload.writer, index: index)
            // Of many keys, those that the operation touches.
            let keys = workload.keys > 100 ? workload.operation(index).keys : workload.universe
            let asBefore = try differences(client, model, keys)
            if asBefore.isEmpty { return }
            let asAfter = try differences(client, after, keys)
            if asAfter.isEmpty { return }
            problems.append("operation \(index), \(workload.operation(index)), seen in part before it was settled:")
            problems += asBefore.map { "  against before: \($0)" }
            problems += asAfter.map { "  against after: \($0)" }
        }

        /// The whole store is as before the last operation, or as after it.
        private func decideOne(_ client: StoreClient) throws {
            let asBefore = try differences(client, model, allKeys)
            if asBefore.isEmpty { return }
            guard let (workload, index) = uncertain.first else {
                problems += asBefore
                return
            }
            var after = model
            after.apply(workload.operation(index), writer: workload.writer, index: index)
            let asAfter = try differences(client, after, allKeys)
            if asAfter.isEmpty {
                model = after
                return
            }
            problems.append("operation \(index), \(workload.operation(index)), neither done nor undone:")
            problems += asBefore.map { "  against before: \($0)" }
            problems += asAfter.map { "  against after: \($0)" }
        }

        /// The same for each writer's own keys; what all add to lies between what was acknowledged and what was begun.
        private func decideSeveral(_ client: StoreClient) throws {
            func shared(_ model: StoreModel) -> Int64 {
                if case .integer(let value) = model[Workload.sharedCounter] { return value }
                return 0
            }
            let least = shared(model)
            var most = least
            for (workload, index) in uncertain {
                var after = model
                after.apply(workload.operation(index), writer: workload.writer, index: index)
                most += shared(after) - shared(model)
                after[Workload.sharedCounter] = model[Workload.sharedCounter]
                let asBefore = try differences(client, model, workload.universe)
                if asBefore.isEmpty { continue }
                let asAfter = try differences(client, after, workload.universe)
                if asAfter.isEmpty {
                    model = after
                    continue
                }
                problems.append("operation \(index) of writer \(workload.writer) neither done nor undone:")
                problems += asBefore.map { "  against before: \($0)" }
                problems += asAfter.map { "  against after: \($0)" }
            }
            let found = try client.get(Workload.sharedCounter)
            var value: Int64 = 0
            if case .integer(let number) = found { value = number }
            if value < least || value > most {
                problems.append("the shared counter is \(value), expected \(least)...\(most)")
            }
            if let found, case .integer(let number) = found { model[Workload.sharedCounter] = .integer(number) }
            problems += try differences(client, model, allKeys)
        }

        private func differences(_ client: StoreClient, _ model: StoreModel, _ keys: [String]) throws -> [String] {
            var found: [String] = []
            for key in keys {
                let value = try client.get(key)
                let expected = model.expected(key)
                if value != expected {
                    found.append(
                        "\(key): found \(value.map { "\($0)" } ?? "nothing"), expected \(expected.map { "\($0)" } ?? "nothing")"
                    )
                    if found.count > 5 { break }
                }
            }
            return found
        }
    }
#endif
