import Synchronization
import TestSupport
import Testing

@testable import DiskCacheEngine

#if FAILPOINTS

    /// Backups into whose every call on a file something else comes: the log is cleared or compacted and what was below its head is taken
    /// away, without regard for who reads; or the call fails.
    @Suite(.serialized) struct BackupStepTests {
        private let files = FailingFiles()

        private func store(_ path: String) throws -> StoreClient {
            let client = try StoreClient(path, environment: Environment(files: files), syncInterval: 60_000_000)
            try fill(client)
            return client
        }

        private func fill(_ client: StoreClient) throws {
            try client.clear()
            for round in 0..<3 {
                for number in 0..<60 { try client.set("key \(number)", value(number, round, size(number))) }
            }
            try client.sync()
            try client.handle.withStoreThrowing { try $0.dropDead(evenIfNeeded: true) }
        }

        private func size(_ number: Int) -> Int { number % 10 == 0 ? Workload.minFileSize + number : 700 }

        private func value(_ number: Int, _ round: Int, _ size: Int) -> [UInt8] {
            TestValue.make(key: "key \(number)", writer: 0, index: round, part: 0, size: size)
        }

        /// What a store holds.
        private func content(_ client: StoreClient) throws -> [String: StoredValue] {
            var content: [String: StoredValue] = [:]
            for key in try client.keys(.insertion) { content[key] = try client.get(key) }
            return content
        }

        private enum Disturbance: CaseIterable {
            case cleared, compacted, replaced
        }

        /// At every call of a backup, shared and copied: the backup is whole, as of before or as of after, and not even a courtesy is needed.
        @Test func somethingComesBetween() throws {
            let scratch = try TestDirectory("disturbed")
            let seed = ReplayableRandom.seed(for: "disturbed backups")
            var random = ReplayableRandom(seed: seed)
            var number = 0
            for disturbance in Disturbance.allCases {
                for shares in [true, false] {
                    let client = try store(scratch.path + "/store \(number)")
                    number += 1
                    files.fail { _, _ in nil }
                    _ = try client.handle.backUp(to: scratch.path + "/plain \(number)", shares: shares)
                    let calls = files.calls.count
                    var steps = 0
                    let distance = max(1, calls / environmentNumber("BACKUP_STEPS", default: 12))
                    for step in stride(from: Int.random(in: 0..<distance, using: &random), to: calls, by: distance) {
                        try fill(client)
                        let states = try states(from: content(client), disturbance, step)
                        let target = scratch.path + "/copy \(number) \(step)"
                        let count = Atomic<Int>(0)
                        let failure = Mutex<(any Error)?>(nil)
                        let wasReached = Atomic<Bool>(false)
                        let thread = SystemCalls.threadID()
                        files.intervene { [self] _ in
                            // What the maintenance thread does meanwhile is no step of the backup.
                            guard SystemCalls.threadID() == thread else { return }
                            guard count.wrappingAdd(1, ordering: .relaxed).oldValue == step else { return }
                            files.intervene { _ in }
                            wasReached.store(true, ordering: .relaxed)
                            do { try disturb(client, disturbance, step) } catch { failure.withLock { $0 = error } }
                        }
                        let report = try client.handle.backUp(to: target, shares: shares)
                        files.intervene { _ in }
                        let error = failure.withLock { $0 }
                        #expect(error == nil, "\(String(describing: error))")
                        #expect(report.losses.isEmpty, "\(disturbance) \(step): \(report.losses)")
                        let copy = try StoreClient(asItIs: target)
                        let isOneOfThem = try states.contains(content(copy))
                        #expect(isOneOfThem, "seed \(seed), \(disturbance) at step \(step) of \(calls)")
                        #expect(try copy.findings().isEmpty)
                        copy.handle.close()
                        TestDirectory.remove(target)
                        if wasReached.load(ordering: .relaxed) { steps += 1 }
                    }
                    print("disturbed backups: \(disturbance), \(shares ? "shared" : "copied"): \(steps) steps")
                    #expect(steps > 5)
                    client.handle.close()
                }
            }
        }

        /// What the store holds after each commit of a disturbance; the first: before it.
        private func states(
            from before: [String: StoredValue], _ disturbance: Disturbance, _ step: Int
        ) -> [[String: StoredValue]] {
            var states = [before]
            for number in 0..<60 {
                var next = states[number]
                next["key \(number)"] = .bytes(value(number, step + 10, size(number)))
                states.append(next)
            }
            if disturbance == .cleared { states += [[:], ["after": .bytes(value(1, step, 100))]] }
            return states
        }

        private func disturb(_ client: StoreClient, _ disturbance: Disturbance, _ step: Int) throws {
            for number in 0..<60 { try client.set("key \(number)", value(number, step + 10, size(number))) }
            if disturbance == .cleared {
                try client.clear()
                try client.set("after", value(1, step, 100))
            }
            try client.sync()
            try client.handle.withStoreThrowing { store in
                if disturbance == .compacted { try store.reclaimAll(timeout: StoreClient.timeout) }
                try store.unlinkSpared(evenIfNeeded: true)
                try store.dropDead(evenIfNeeded: true)
            }
        }

        /// Every call fails once: the error is told, nothing stands at the target, and the next try goes well.
        @Test func everyCallFails() throws {
            let scratch = try TestDirectory("failing")
            let client = try store(scratch.path + "/store")
            let target = scratch.path + "/copy"
            var (failed, unharmed) = (0, 0)
            for (errno, code) in [(ErrorNumber.inputOutput, EngineError.Code.io), (ErrorNumber.noSpace, .diskFull)] {
                var step = 0
                while true {
                    let at = step
                    let wasReached = Atomic<Bool>(false)
                    files.fail { index, _ in
                        guard index == at else { return nil }
                        wasReached.store(true, ordering: .relaxed)
                        return errno
                    }
                    var stands = false
                    do throws(EngineError) {
                        let report = try client.handle.backUp(to: target, shares: step % 2 == 0)
                        // Of looking for what others left, of the courtesy, of sharing nothing depends on success.
                        unharmed += 1
                        // A segment that can't be read back counts as lost, and is told.
                        #expect(report.losses.count < 2)
                        stands = true
                    } catch {
                        #expect(error.code == code, "step \(step): \(error)")
                        failed += 1
                        stands = try SystemFiles().status(of: target, in: nil) != nil
                    }
                    files.fail { _, _ in nil }
                    if stands {
                        // Only the very last sync comes behind the name.
                        let copy = try StoreClient(asItIs: target)
                        #expect(try copy.count() == 60)
                        copy.handle.close()
                        TestDirectory.remove(target)
                    }
                    if !wasReached.load(ordering: .relaxed) { break }
                    step += 1
                }
            }
            print("failing calls of backups: \(failed) told, \(unharmed) without harm")
            #expect(failed > 100)
            #expect(try client.findings().isEmpty)
            _ = try client.handle.backUp(to: target, shares: true)
            let names = try SystemFiles().list(SystemFiles().open(scratch.path, in: nil, [.directory]))
            #expect(names.sorted() == ["copy", "store"])
        }
    }
#endif
