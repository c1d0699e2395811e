import Synchronization
import TestSupport
import Testing

@testable import DiskCacheEngine

/// What a store is given that it can't work with: a typed error that says what, where and what to do; nothing else is lost, and the
/// same handle works when the cause is gone.
@Suite struct BadInputTests {
    private func refusal(_ path: String, _ environment: Environment = .system) -> EngineError? {
        do throws(EngineError) {
            let client = try StoreClient(path, environment: environment)
            client.handle.close()
            return nil
        } catch {
            return error
        }
    }

    private func expect(_ error: EngineError?, _ code: EngineError.Code, _ path: String) {
        #expect(error?.code == code, "\(String(describing: error))")
        #expect((error?.message.count ?? 0) > 10)
        #expect(error?.path?.hasPrefix(path) == true, "\(String(describing: error?.path))")
    }

    @Test func directoryIsAFile() throws {
        let scratch = try TestDirectory("bad")
        let path = scratch.path + "/file"
        _ = try SystemFiles().open(path, in: nil, [.write, .create])
        expect(refusal(path), .io, path)
        expect(refusal(path + "/below"), .io, path)
    }

    @Test func directoryIsNotWritable() throws {
        guard SystemState.isSuperuser else { return print("skipped: only the superuser may become another user") }
        let scratch = try TestDirectory("bad")
        SystemState.change(scratch.path, mode: 0o755)
        let path = scratch.path + "/store"
        try SystemFiles().makeDirectory(path, in: nil, mode: 0o500)
        guard SystemState.change(path, owner: 65534) else { return print("skipped: chown isn't permitted") }
        let child = try ChildProcess(["user", "user=65534", "directory=\(path)"])
        let line = child.line() ?? ""
        #expect(line.hasPrefix("error io errno \(ErrorNumber.accessDenied) path \(path)"), "\(line)")
        #expect(child.finish().end == .exited(3))
        #expect(TestDirectory.filesBelow(path).isEmpty)
    }

    @Test func directoryOfAnotherUser() throws {
        guard SystemState.isSuperuser else { return print("skipped: only the superuser may give directories away") }
        let scratch = try TestDirectory("bad")
        guard SystemState.change(scratch.path, owner: 65534) else { return print("skipped: chown isn't permitted") }
        expect(refusal(scratch.path), .insecureDirectory, scratch.path)
    }

    @Test func directoryWritableForAll() throws {
        let scratch = try TestDirectory("bad")
        SystemState.change(scratch.path, mode: 0o777)
        expect(refusal(scratch.path), .insecureDirectory, scratch.path)
        SystemState.change(scratch.path, mode: 0o700)
        #expect(refusal(scratch.path) == nil)
    }

    @Test func directoryWithSomethingElse() throws {
        let scratch = try TestDirectory("bad")
        _ = try SystemFiles().open(scratch.path + "/photo.jpg", in: nil, [.write, .create])
        expect(refusal(scratch.path), .foreignDirectory, scratch.path)
        #expect(TestDirectory.filesBelow(scratch.path) == ["photo.jpg"])
    }

    @Test func newerFormat() throws {
        let scratch = try TestDirectory("bad")
        let path = scratch.path + "/store"
        let client = try StoreClient(path)
        try client.set("key", [1])
        client.handle.close()
        let before = try TestDirectory.content(path + "/meta")
        var bytes = Array(before[CommitBlock.identityOffset..<CommitBlock.identityOffset + StoreIdentity.size])
        bytes[8] = 2
        let sum = bytes.withUnsafeBytes { XXH64.hash(UnsafeRawBufferPointer(rebasing: $0[0..<120]), seed: 0) }
        for index in 0..<8 { bytes[120 + index] = UInt8(truncatingIfNeeded: sum >> UInt64(8 * index)) }
        let file = try SystemFiles().open(path + "/meta", in: nil, [.write])
        try SystemFiles().write(file, bytes, at: CommitBlock.identityOffset)
        expect(refusal(path), .unsupportedFormat, path)
        try SystemFiles().write(file, before, at: 0)
        #expect(try client.get("key") == .bytes([1]))
    }

    @Test func networkFileSystem() throws {
        let scratch = try TestDirectory("bad")
        let files = FailingFiles()
        files.pretend(.network)
        expect(refusal(scratch.path + "/store", Environment(files: files)), .networkFileSystem, scratch.path)
        #expect(TestDirectory.filesBelow(scratch.path).isEmpty)
        var options = StoreOptions()
        options.anyFileSystem = true
        let handle = try StoreHandle(
            directory: scratch.path + "/store", options: options, environment: Environment(files: files))
        handle.close()
    }

    /// The disk is full at the nth allocation, once or from then on: whatever was stored stays, and the handle goes on afterwards.
    @Test(arguments: [false, true]) func diskFullAtEachAllocation(_ stays: Bool) throws {
        var number = 0
        var runs = 0
        while true {
            let reached = try fail(
                ["allocate", "allocate trees"], ErrorNumber.noSpace, at: number, stays: stays, allows: [.diskFull])
            runs += 1
            if !reached { break }
            number += 1
        }
        print("disk full at each of \(runs - 1) allocations, \(stays ? "and ever after" : "once")")
        #expect(runs > 5)
    }

    /// T4 in small: the nth call of each kind fails once.
    @Test(arguments: [
        "open", "write", "map", "status", "sync", "syncDirectory", "rename", "makeDirectory", "list", "truncate",
        "read",
        "lock",
    ])
    func eachCallFails(_ call: String) throws {
        var number = 0
        while try fail([call], ErrorNumber.inputOutput, at: number, stays: false, allows: nil) { number += 1 }
        print("\(call) failed at each of \(number) places")
    }

    /// False: fewer calls were made than that.
    private func fail(
        _ calls: Set<String>, _ errno: Int32, at number: Int, stays: Bool, allows codes: [EngineError.Code]?
    ) throws -> Bool {
        let scratch = try TestDirectory("failing")
        let path = scratch.path + "/store"
        let files = FailingFiles()
        let count = Atomic<Int>(0)
        let isOver = Atomic<Bool>(false)
        let wasReached = Atomic<Bool>(false)
        files.fail { _, call in
            guard calls.contains(call), !isOver.load(ordering: .relaxed) else { return nil }
            let index = count.wrappingAdd(1, ordering: .relaxed).oldValue
            guard index == number || (stays && index > number) else { return nil }
            wasReached.store(true, ordering: .relaxed)
            return errno
        }
        let environment = Environment(files: files)
        let context = "\(calls) number \(number)"
        var client: StoreClient?
        for _ in 0..<3 where client == nil {
            do throws(EngineError) {
                client = try StoreClient(path, environment: environment)
            } catch {
                examine(error, codes, context)
            }
        }
        var certain: [String: StoredValue?] = [:]
        if let client { store(client, &certain, codes, context) }
        isOver.store(true, ordering: .relaxed)
        let healed = try client ?? StoreClient(path, environment: environment)
        // A failed sync stops writing until the store is opened anew.
        if calls.contains("sync") || calls.contains("syncDirectory") { healed.handle.close() }
        for (key, value) in certain {
            do throws(EngineError) {
                let found = try healed.get(key)
                if found != value { Issue.record("\(context): \(key) is \(found.map { "\($0)" } ?? "missing")") }
            } catch {
                Issue.record("\(context): \(key): \(error)")
            }
        }
        do {
            try healed.set("healed", [7])
            #expect(try healed.get("healed") == .bytes([7]))
            let problems = try StoreCheck.problems(healed.handle)
            if !problems.isEmpty { Issue.record("\(context): \(problems)") }
        } catch let error as EngineError where error.code == .poisoned {
            // A sync of the background thread may have been the one that failed.
        } catch {
            Issue.record("\(context): afterwards \(error)")
        }
        healed.handle.close()
        return wasReached.load(ordering: .relaxed)
    }

    private func examine(_ error: EngineError, _ codes: [EngineError.Code]?, _ context: String) {
        if let codes, !codes.contains(error.code) { Issue.record("\(context): \(error)") }
        if error.message.count < 10 || error.path == nil { Issue.record("\(context), incomplete: \(error)") }
    }

    /// Enough for a second segment, a split of the index and value files.
    private func store(
        _ client: StoreClient, _ certain: inout [String: StoredValue?], _ codes: [EngineError.Code]?, _ context: String
    ) {
        for number in 0..<40 {
            let key = "key \(number % 30)"
            let value = TestValue.make(key: key, writer: 0, index: number, part: 0, size: number % 8 == 7 ? 5000 : 3000)
            do throws(EngineError) {
                try client.set(key, value)
                certain[key] = .some(.bytes(value))
                if number % 9 == 8 {
                    try client.delete(key)
                    certain[key] = .some(nil)
                }
                if number == 20 { try client.sync() }
                if number == 30 { client.handle.close() }
            } catch {
                // What failed is in doubt: old or new.
                if case .some(.some(let old)) = certain[key], old != .bytes(value) { certain[key] = nil }
                certain[key] = nil
                examine(error, codes, context)
            }
        }
    }

    /// T5: real file systems in memory of 50 sizes, at every durability, filled to the last block: an error and no signal, nothing lost,
    /// and after a clear they can be written again.
    @Test func diskFullForReal() throws {
        let scratch = try TestDirectory("full")
        var (fills, cleared, writable) = (0, 0, 0)
        let sizes = (0..<40).map { (96 + $0 * 24) << 10 } + (1...10).map { ($0 * 1024 + 555) << 10 }
        for (number, size) in sizes.enumerated() {
            let mountPoint = scratch.path + "/\(size)"
            try SystemFiles().makeDirectory(mountPoint, in: nil, mode: 0o700)
            if let reason = SystemState.mountMemory(mountPoint, bytes: size) {
                return print("skipped: mount: \(reason)")
            }
            defer { SystemState.unmount(mountPoint) }
            let path = mountPoint + "/store"
            let level = Durability.allCases[number % Durability.allCases.count]
            guard let client = try? StoreClient(path, durability: level) else { continue }
            var stored = 0
            var failure: EngineError?
            while failure == nil {
                let key = "key \(stored)"
                do throws(EngineError) {
                    try client.set(
                        key, TestValue.make(key: key, writer: 0, index: 0, part: 0, size: stored % 16 == 3 ? 5000 : 700)
                    )
                    stored += 1
                } catch {
                    failure = error
                }
            }
            #expect(failure?.code == .diskFull, "\(size): \(String(describing: failure))")
            for number in 0..<stored {
                let key = "key \(number)"
                let value = TestValue.make(key: key, writer: 0, index: 0, part: 0, size: number % 16 == 3 ? 5000 : 700)
                #expect(try client.get(key) == .bytes(value))
            }
            #expect(try StoreCheck.problems(client.handle).isEmpty)
            client.handle.close()
            #expect(try client.count() == stored)
            do throws(EngineError) {
                try client.clear()
                try client.handle.withStore { (store) throws(EngineError) in try store.dropDead() }
                cleared += 1
                #expect(try client.count() == 0)
                for number in 0..<10 {
                    let value = TestValue.make(key: "again", writer: 0, index: 0, part: 0, size: 700)
                    try client.set("again \(number)", value)
                }
                writable += 1
            } catch {
                // There may be no room to say so.
                #expect(error.code == .diskFull, "\(size), \(level): \(error.code) \(error.message)")
            }
            #expect(try StoreCheck.problems(client.handle).isEmpty)
            client.handle.close()
            fills += 1
        }
        print("filled \(fills) file systems; cleared \(cleared), and wrote \(writable) of them again")
        #expect(fills > 40 && writable > 10)
    }

    @Test func noDescriptorsLeft() throws {
        let scratch = try TestDirectory("descriptors")
        let child = try ChildProcess(["descriptors", "directory=\(scratch.path)/store"])
        let result = child.finish()
        let text = String(decoding: result.output, as: UTF8.self)
        #expect(result.end == .exited(0))
        #expect(text == "before kept\ncodes [\"tooManyOpenFiles\"]\nafter kept\n", "\(text)")
    }

    /// P25, P26: nobody writes into a directory that isn't there any more, and nobody makes it again by himself.
    @Test func directoryRemoved() throws {
        let scratch = try TestDirectory("removed")
        let path = scratch.path + "/store"
        let client = try StoreClient(path)
        try client.set("key", [1])
        TestDirectory.remove(path)
        #expect(try client.get("key") == .bytes([1]))
        expect(failure(client), .directoryRemoved, path)
        #expect(try SystemFiles().status(of: path, in: nil) == nil)
        client.handle.close()
        // Opened anew, it is a new store.
        #expect(try client.get("key") == nil)
        try client.set("key", [2])
        #expect(try client.get("key") == .bytes([2]))
    }

    @Test func lockFileReplaced() throws {
        let scratch = try TestDirectory("replaced")
        let path = scratch.path + "/store"
        let client = try StoreClient(path)
        try client.set("key", [1])
        TestDirectory.remove(path + "/lock")
        _ = try SystemFiles().open(path + "/lock", in: nil, [.write, .create])
        expect(failure(client), .directoryRemoved, path)
        client.handle.close()
        #expect(try client.get("key") == .bytes([1]))
        try client.set("key", [2])
    }

    /// The error of the next write that fails: that the lock file is gone is looked at once in a millisecond.
    private func failure(_ client: StoreClient) -> EngineError? {
        let deadline = monotonicSeconds() + 10
        while monotonicSeconds() < deadline {
            do throws(EngineError) { try client.set("again", [1]) } catch { return error }
        }
        return nil
    }
}
