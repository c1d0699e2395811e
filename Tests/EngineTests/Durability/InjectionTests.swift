import Synchronization
import TestSupport
import Testing

@testable import DiskCacheEngine

/// T4: the nth system call fails, once or from then on, for every n until a run meets no nth call; in a store's life from its creation to
/// its second opening, and in every kind of recovery. What was acknowledged stays, what failed is old or new, nothing else changes, the
/// store is usable afterwards or says that it is poisoned, and what it is reopened to passes its check.
///
/// `INJECTED_ERRORS=1` fails each call with every error, else with one of them in turn.
@Suite struct InjectionTests {
    enum Scenario: String, CaseIterable {
        /// From nothing, at each durability: all verbs, segments, value files, orders, a clear, a close, another opening.
        case life, lifeWithoutSyncs, lifeWithSyncs
        /// What a killed process left, in the same boot.
        case settling
        /// Another boot, after a close; and without a seal.
        case sealed, rebuild
        /// After a failed sync.
        case cure

        var isLife: Bool { [.life, .lifeWithoutSyncs, .lifeWithSyncs].contains(self) }
        var durability: Durability { self == .lifeWithoutSyncs ? .none : self == .lifeWithSyncs ? .full : .normal }
    }
    private static let errors = [
        ErrorNumber.inputOutput, ErrorNumber.noSpace, ErrorNumber.tooManyOpenFiles, ErrorNumber.noMemory,
        ErrorNumber.noLocks,
    ]

    @Test(arguments: Scenario.allCases, [false, true]) func everyCallFails(_ scenario: Scenario, _ stays: Bool) throws {
        let errors = environmentNumber("INJECTED_ERRORS", default: 0) != 0 ? Self.errors.count : 1
        var runs = 0
        for turn in 0..<errors {
            var number = 0
            while true {
                let errno = Self.errors[(number + turn) % Self.errors.count]
                let run = try InjectedRun(scenario)
                let reached = run.live(failing: number, with: errno, stays: stays)
                if !run.problems.isEmpty {
                    let text = run.problems.joined(separator: "\n")
                    Issue.record(
                        "\(scenario), call \(number) (\(run.failed)), errno \(errno), stays \(stays):\n\(text)")
                    return
                }
                if !reached { break }
                runs += 1
                number += 1
            }
        }
        print("injected errors, \(scenario), \(stays ? "from a call on" : "once"): \(runs) runs")
        #expect(runs > 20)
    }
}

/// One run with one failure.
private final class InjectedRun {
    private(set) var problems: [String] = []
    private(set) var failed = ""
    /// Why it wasn't opened.
    private var refusal = ""
    private let scenario: InjectionTests.Scenario
    private let scratch: TestDirectory
    private let path: String
    private let files = FailingFiles()
    /// What each key may hold.
    private var allowed: [String: Set<[UInt8]?>] = [:]
    private var boot = "first"
    private static let timeout: UInt64 = 300_000_000

    init(_ scenario: InjectionTests.Scenario) throws {
        self.scenario = scenario
        scratch = try TestDirectory("injected")
        path = scratch.path + "/store"
    }

    /// False: fewer calls were made.
    func live(failing number: Int, with errno: Int32, stays: Bool) -> Bool {
        prepare()
        let counter = CallCounter()
        files.fail { index, call in
            guard index == number || (stays && index > number) else { return nil }
            counter.note(call)
            return errno
        }
        if scenario.isLife {
            life()
        } else if let client = open() {
            // The first write settles.
            perform(client, "after", value("after", 1))
            read(client)
            client.handle.close()
        }
        failed = counter.first ?? ""
        files.fail { _, _ in nil }
        examine()
        return counter.first != nil
    }

    // MARK: What is done

    private func open(timeout: UInt64 = timeout) -> StoreClient? {
        var options = StoreOptions()
        options.timeout = timeout
        options.keepsLock = false
        options.viewLag = 2000
        options.windowSize = 64 << 20
        let durability = scenario.durability
        options.configure = { (settings: inout Settings, _: Bool) throws(EngineError) in
            settings.durability = durability
            settings.minFileSize = Workload.minFileSize
            settings.syncInterval = 3_600_000_000
        }
        var environment = Environment(files: files)
        let boot = self.boot
        environment.bootIdentity = { boot }
        do throws(EngineError) {
            return StoreClient(try StoreHandle(directory: path, options: options, environment: environment))
        } catch {
            describe(error)
            refusal = "\(error)"
            return nil
        }
    }

    /// An error says what and where.
    private func describe(_ error: EngineError) {
        if error.message.count < 10 { problems.append("an error without a word: \(error)") }
        if error.code == .corrupted { problems.append("taken for damage: \(error.message) \(error.path ?? "")") }
    }

    private func value(_ key: String, _ version: Int) -> [UInt8] {
        let size = version % 7 == 6 ? 5000 : version % 7 == 5 ? 3000 : 40
        return TestValue.make(key: key, writer: 0, index: version, part: 0, size: size)
    }

    private func perform(_ client: StoreClient, _ key: String, _ value: [UInt8]?) {
        do throws(EngineError) {
            if let value { try client.set(key, value) } else { try client.delete(key) }
            allowed[key] = [value]
        } catch {
            describe(error)
            allowed[key, default: [nil]].insert(value)
        }
    }

    private func transact(_ client: StoreClient, _ version: Int) {
        do {
            try client.handle.withStoreThrowing { store in
                try store.transact(timeout: Self.timeout) {
                    for part in 0..<3 { try client.set("part \(part)", self.value("part \(part)", version)) }
                }
            }
            for part in 0..<3 { allowed["part \(part)"] = [value("part \(part)", version)] }
        } catch {
            if let error = error as? EngineError { describe(error) }
            for part in 0..<3 { allowed["part \(part)", default: [nil]].insert(value("part \(part)", version)) }
        }
    }

    private func attempt(_ body: () throws(EngineError) -> Void) {
        do throws(EngineError) { try body() } catch { describe(error) }
    }

    private func clear(_ client: StoreClient) {
        do throws(EngineError) {
            try client.clear()
            for key in allowed.keys { allowed[key] = [nil] }
        } catch {
            describe(error)
            for key in allowed.keys { allowed[key]?.insert(nil) }
        }
        attempt { () throws(EngineError) in
            try client.handle.withStore { (store) throws(EngineError) in try store.dropDead() }
        }
    }

    private func fill(_ client: StoreClient, _ versions: Range<Int>) {
        for version in versions {
            perform(client, "key \(version % 9)", value("key \(version % 9)", version))
            if version % 5 == 3 { perform(client, "key \((version + 2) % 9)", nil) }
            if version % 6 == 1 { transact(client, version) }
        }
    }

    private func life() {
        guard let client = open() ?? open() else { return }
        fill(client, 0..<14)
        attempt { () throws(EngineError) in try client.sync() }
        fill(client, 14..<40)
        attempt { () throws(EngineError) in _ = try client.keys(.key) }
        attempt { () throws(EngineError) in
            try client.handle.withStore { (store) throws(EngineError) in try store.maintainTrees() }
        }
        clear(client)
        fill(client, 40..<48)
        client.handle.close()
        read(client)
        fill(client, 48..<54)
        client.handle.close()
    }

    /// Reads may fail with the call that fails, but find nothing wrong.
    private func read(_ client: StoreClient) {
        for (key, values) in allowed {
            do throws(EngineError) {
                if !values.contains(try bytes(client, key)) { problems.append("\(key) holds something else") }
            } catch {
                describe(error)
            }
        }
    }

    private func bytes(_ client: StoreClient, _ key: String) throws(EngineError) -> [UInt8]? {
        guard case .bytes(let found)? = try client.get(key) else { return nil }
        return found
    }

    /// What the recovery is to be of; all of it works.
    private func prepare() {
        if scenario.isLife { return }
        guard let client = open() else { return }
        fill(client, 0..<14)
        attempt { () throws(EngineError) in try client.sync() }
        fill(client, 14..<30)
        attempt { () throws(EngineError) in _ = try client.keys(.key) }
        switch scenario {
        case .settling:
            // As a process leaves it that is killed before it moves T.
            attempt { () throws(EngineError) in
                try client.handle.withStore { (store) throws(EngineError) in
                    let word = store.block.word.acquire()
                    try client.set("key 3", self.value("key 3", 99))
                    store.block.word.release(word)
                    store.block.owner.store(1)
                }
            }
            allowed["key 3", default: [nil]].insert(value("key 3", 99))
        case .cure:
            files.fail { _, call in call == "sync" ? ErrorNumber.inputOutput : nil }
            try? client.sync()
            files.fail { _, _ in nil }
        default: break
        }
        client.handle.close()
        if scenario == .rebuild {
            attempt { () throws(EngineError) in
                do throws(SystemError) {
                    let meta = try SystemFiles().open(path + "/meta", in: nil, [.write])
                    try SystemFiles().write(meta, [UInt8](repeating: 0, count: Seal.size), at: CommitBlock.sealOffset)
                } catch {
                    throw EngineError(error)
                }
            }
        }
        if scenario == .rebuild || scenario == .sealed { boot = "second" }
    }

    // MARK: What is there afterwards

    private func examine() {
        for round in 0..<2 {
            // However busy the machine is.
            guard let client = open(timeout: StoreClient.timeout) else {
                problems.append("it doesn't open afterwards: \(refusal)")
                return
            }
            read(client)
            let parts = (0..<3).map { part -> [UInt8]? in (try? bytes(client, "part \(part)")) ?? nil }
            let versions = Set(parts.map { $0.map { TestValue.describe($0).split(separator: "|").dropFirst(2).first } })
            if versions.count > 1 { problems.append("a transaction is there in part: \(parts.map { $0?.count })") }
            do throws(EngineError) {
                let found = try client.handle.withStore { (store) throws(EngineError) in
                    try store.check(timeout: StoreClient.timeout)
                }.filter { $0.kind != .unknownFile }
                if let first = found.first { problems.append("check finds \(found.count): \(first.message)") }
                try client.set("probe", [UInt8(round)])
                try client.sync()
                if try client.get("probe") != .bytes([UInt8(round)]) { problems.append("a write isn't there") }
                let listed = try client.keys(.key)
                var present: Set = ["probe"]
                for key in allowed.keys where try client.get(key) != nil { present.insert(key) }
                if Set(listed) != present { problems.append("in order: \(listed)") }
            } catch {
                problems.append("afterwards: \(error.code) \(error.message) \(error.path ?? "")")
            }
            client.handle.close()
        }
    }
}

/// Which call failed first.
private final class CallCounter: Sendable {
    private let name = Mutex<String?>(nil)
    var first: String? { name.withLock { $0 } }
    func note(_ call: String) { name.withLock { if $0 == nil { $0 = call } } }
}
