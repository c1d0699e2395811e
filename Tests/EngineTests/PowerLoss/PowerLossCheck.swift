import TestSupport

@testable import DiskCacheEngine

/// Opens an image as the next boot does, and says what is wrong with what it finds.
struct PowerLossCheck {
    struct Wrong: Error {
        let text: String
    }

    let path: String
    let boot: String
    let dice: ReplayableRandom
    /// Whether nothing that was synced may be missing.
    let isHonest: Bool
    let keys: Int
    private static let timeout = StoreClient.timeout

    init(path: String, boot: String, dice: ReplayableRandom, isHonest: Bool, keys: Int) {
        self.path = path
        self.boot = boot
        self.dice = dice
        self.isHonest = isHonest
        self.keys = keys
    }

    /// What the store holds; it is left with more in it. `isThorough`: the store checks itself as well.
    func run(
        run: PowerLossRun, bounds: ClosedRange<Int>, isThorough: Bool
    ) throws -> PowerLossRun.Contents {
        var handle = try open(boot)
        let found = try contents(handle)
        if isHonest {
            do {
                try compare(found, run, bounds)
            } catch let wrong as Wrong {
                let report = try handle.withStore { $0.recovery }
                throw Wrong(text: "\(wrong.text); recovery: \(report.map { "\($0)" } ?? "none")")
            }
            let rows = found.dropLast().count { $0 != 0 }
            let count = try handle.withStore { $0.count }
            if count != rows { throw Wrong(text: "the store counts \(count) rows and has \(rows)") }
            try orders(handle, found)
            if isThorough { try checkItself(handle) }
        }
        var expected = found
        do {
            try write(handle, &expected)
        } catch let error as EngineError {
            // A disk that lied may have lost what a sealed index names: that is said, and nothing else is harmed.
            if isHonest || error.code != .corrupted {
                throw Wrong(text: "it can't be written: \(error.message) \(error.path ?? "")")
            }
        }
        handle.close()
        if isHonest {
            try same(handle, expected, "after closing and opening again")
            if isThorough {
                try checkItself(handle)
                handle.close()
                handle = try open(boot + " again")
                try same(handle, expected, "after one more boot")
                try checkItself(handle)
            }
            handle.close()
        }
        return found
    }

    private func open(_ boot: String) throws -> StoreHandle {
        var options = StoreOptions()
        // What a run records is to depend on its seed alone.
        options.keepsLock = false
        options.viewLag = PowerLossActor.viewLag
        options.windowSize = LogWindow.smallest
        do {
            return try StoreHandle(
                directory: path, options: options,
                environment: PowerLossActor.environment(ImageFiles.files, boot: boot, dice: dice))
        } catch {
            throw Wrong(text: "the store doesn't open: \(error.message) \(error.path ?? "")")
        }
    }

    // MARK: Reading

    func contents(_ handle: StoreHandle) throws -> PowerLossRun.Contents {
        var found: PowerLossRun.Contents = []
        for key in 0..<keys {
            do {
                found.append(try read(handle, key))
            } catch let error as EngineError {
                if isHonest { throw Wrong(text: "key \(key) can't be read: \(error.message) \(error.path ?? "")") }
                found.append(0)
            }
        }
        do {
            let settings = try handle.withStore { store throws(EngineError) in try store.currentSettings() }
            found.append(Int32(settings.durability.rawValue))
        } catch {
            if isHonest { throw Wrong(text: "the settings can't be read: \(error.message)") }
            found.append(0)
        }
        return found
    }

    private func read(_ handle: StoreHandle, _ key: Int) throws -> Int32 {
        let name = PowerLossValue.key(key)
        let access = try name.withUnsafeBytes { bytes in try handle.find(KeyClass.text, bytes) }
        defer { handle.end(access.access) }
        guard let record = access.record else { return 0 }
        if ValueFormCode.isFile(record.form) {
            let file = try handle.withStoreOf(access.access) { try $0.openFile(of: record) }
            guard let file else {
                if isHonest { throw Wrong(text: "key \(key) has lost its file") }
                return 0
            }
            return try file.withBytes { try parse($0, key) }
        }
        return try parse(record.value, key)
    }

    private func parse(_ bytes: UnsafeRawBufferPointer, _ key: Int) throws -> Int32 {
        guard let value = PowerLossValue.parse(bytes) else { throw Wrong(text: "key \(key) holds what nobody wrote") }
        guard value.key == key else { throw Wrong(text: "key \(key) holds a value of key \(value.key)") }
        return value.write
    }

    /// The orders list what is there, and the insertion order has each key once.
    private func orders(_ handle: StoreHandle, _ contents: PowerLossRun.Contents) throws {
        let client = StoreClient(handle)
        let wanted = contents.dropLast().indices.filter { contents[$0] != 0 }.map {
            String(decoding: PowerLossValue.key($0), as: UTF8.self)
        }.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
        do throws(EngineError) {
            let sorted = try client.keys(.key)
            if sorted != wanted { throw EngineError(.corrupted, "in order there are \(sorted), not \(wanted)") }
            let inserted = try client.keys(.insertion)
            if inserted.sorted(by: { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }) != wanted {
                throw EngineError(.corrupted, "inserted were \(inserted), not \(wanted)")
            }
        } catch {
            throw Wrong(text: "orders: \(error.message)")
        }
    }

    // MARK: Comparing

    private func compare(_ found: PowerLossRun.Contents, _ run: PowerLossRun, _ bounds: ClosedRange<Int>) throws {
        if bounds.contains(where: { run.contents[$0] == found }) { return }
        if let other = run.contents.firstIndex(of: found) {
            throw Wrong(text: "it is as of commit \(other) and should be as of \(bounds)")
        }
        let nearest = run.contents.indices.min {
            differences(run.contents[$0], found).count < differences(run.contents[$1], found).count
        }
        let nearby = nearest.map { "\($0) but for \(differences(run.contents[$0], found))" } ?? "none"
        throw Wrong(text: "it is as of no commit (\(bounds) allowed); nearest \(nearby)")
    }

    private func differences(_ wanted: PowerLossRun.Contents, _ found: PowerLossRun.Contents) -> [String] {
        zip(wanted, found).enumerated().filter { $0.element.0 != $0.element.1 }.map {
            "key \($0.offset): \($0.element.0) → \($0.element.1)"
        }
    }

    private func same(_ handle: StoreHandle, _ expected: PowerLossRun.Contents, _ when: String) throws {
        let found = try contents(handle)
        if found != expected { throw Wrong(text: "\(when) it differs: \(differences(expected, found))") }
    }

    private func checkItself(_ handle: StoreHandle) throws {
        let findings = try handle.withStore { store throws(EngineError) in
            try store.check(timeout: Self.timeout)
        }.filter { $0.kind != .unknownFile }
        if let first = findings.first { throw Wrong(text: "check finds \(findings.count), first: \(first.message)") }
    }

    // MARK: Writing on

    /// One transaction, in which a value goes into a file, and one put.
    private func write(_ handle: StoreHandle, _ expected: inout PowerLossRun.Contents) throws {
        let access = try handle.open()
        defer { handle.end(access) }
        try handle.withStoreOf(access) { store in
            try store.transact(timeout: Self.timeout) {
                try put(store, 0, 1_000_001, 100)
                try put(store, 1, 1_000_002, PowerLossActor.minFileSize + 100)
                let name = PowerLossValue.key(2)
                try name.withUnsafeBytes { _ = try store.delete(timeout: Self.timeout, KeyClass.text, $0) }
            }
            try put(store, 3, 1_000_003, 200)
        }
        expected[0] = 1_000_001
        expected[1] = 1_000_002
        expected[2] = 0
        expected[3] = 1_000_003
    }

    private func put(_ store: Store, _ key: Int, _ write: Int32, _ length: Int) throws {
        let value = PowerLossValue.make(key: key, write: write, length: length)
        try PowerLossValue.key(key).withUnsafeBytes { k in
            try value.withUnsafeBytes { v in
                _ = try store.put(
                    timeout: Self.timeout, KeyClass.text, k, form: ValueFormCode.bytes, value: v, RecordAttributes())
            }
        }
    }
}
