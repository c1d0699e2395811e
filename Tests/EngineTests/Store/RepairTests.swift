import TestSupport
import Testing

@testable import DiskCacheEngine

/// `check(fix:)`: what is put right, what is left alone, and that readers see the right values meanwhile and afterwards (P48).
@Suite struct RepairTests {
    private let scratch: ScratchDirectory
    private let handle: StoreHandle

    init() throws {
        scratch = try ScratchDirectory()
        handle = try StoreHandle(directory: scratch.path + "/store", options: StoreOptions(), environment: .system)
    }

    private func check(fix: Bool = false) throws -> [Store.Finding.Kind] {
        try handle.withStore { (store) throws(EngineError) in
            try store.check(timeout: StoreClient.timeout, fix: fix).map(\.kind)
        }
    }

    private func expectRepaired(_ kind: Store.Finding.Kind) throws {
        #expect(try check().contains(kind))
        #expect(try check(fix: true).contains(kind))
        #expect(try check().isEmpty)
    }

    private func write(_ path: String, _ bytes: [UInt8]) throws {
        try scratch.files.write(scratch.files.open(path, in: nil, [.write, .create]), bytes, at: 0)
    }

    @Test func aCleanStoreStaysAsItIs() throws {
        for number in 0..<200 { try StoreTests.set(handle, "\(number)", "x") }
        let tail = try handle.withStore { CommitBlock.tail($0.block.word.acquire()) }
        #expect(try check(fix: true).isEmpty)
        #expect(try handle.withStore { CommitBlock.tail($0.block.word.acquire()) } == tail)
    }

    @Test func aLostSlotComesBack() throws {
        for number in 0..<2000 { try StoreTests.set(handle, "\(number)", "value \(number)") }
        try StoreTests.set(handle, "7", "newer")
        try handle.withStore { (store) throws(EngineError) in
            for name in ["7", "8", "9"] {
                let hash = try StoreTests.withBytes(name) { store.hash(KeyClass.text, $0) }
                let position = try StoreTests.withBytes(name) { (key) throws(EngineError) in
                    try store.find(KeyClass.text, key)?.position ?? 0
                }
                try store.index.slot(naming: position, hash: hash)?.slot.store(Slot.vacant)
            }
        }
        #expect(try StoreTests.get(handle, "7") == nil)
        try expectRepaired(.wrongIndex)
        #expect(try StoreTests.get(handle, "7") == "newer")
        for number in 8..<2000 { #expect(try StoreTests.get(handle, "\(number)") == "value \(number)") }
        try StoreTests.set(handle, "8", "later")
        handle.close()
        #expect(try StoreTests.get(handle, "8") == "later")
        #expect(try handle.withStore { $0.recovery } == nil)
        #expect(try StoreCheck.problems(handle).isEmpty)
    }

    @Test func aWrongCounterIsCountedAgain() throws {
        for number in 0..<50 { try StoreTests.set(handle, "\(number)", "x") }
        try handle.withStore { (store) throws(EngineError) in
            try store.write(timeout: StoreClient.timeout) { () throws(EngineError) in
                store.counters.count += 3
                store.counters.live -= 8
                _ = try StoreTests.withBytes("50") { (key) throws(EngineError) in
                    try store.put(
                        timeout: 0, KeyClass.text, key, form: ValueFormCode.text, value: key, RecordAttributes())
                }
            }
        }
        #expect(try handle.withStore { $0.count } == 54)
        try expectRepaired(.wrongCounter)
        #expect(try handle.withStore { $0.count } == 51)
        // Row numbers are never used again.
        try StoreTests.set(handle, "new", "x")
        #expect(try StoreCheck.problems(handle).isEmpty)
    }

    @Test func aRowWithoutItsFileGoes() throws {
        let large = String(repeating: "v", count: 50_000)
        for number in 0..<4 { try StoreTests.set(handle, "\(number)", large) }
        try StoreTests.set(handle, "small", "x")
        let paths = try (0..<2).map { number in
            try handle.withStore { (store) throws(EngineError) in
                try StoreTests.withBytes("\(number)") { (key) throws(EngineError) in
                    try store.find(KeyClass.text, key).flatMap { store.file(of: $0)?.path } ?? ""
                }
            }
        }
        try scratch.files.unlink(paths[0], in: nil, isDirectory: false)
        let damaged = try scratch.files.open(paths[1], in: nil, [.write])
        try scratch.files.write(damaged, [UInt8(ascii: "w")], at: 20_000)
        let found = try check()
        #expect(Set(found) == [.missingFile, .damagedFile] as Set)
        #expect(Set(try check(fix: true)) == [.missingFile, .damagedFile] as Set)
        #expect(try handle.withStore { $0.count } == 3)
        try handle.withStore { (store) throws(EngineError) in try store.sync() }
        #expect(try check().isEmpty)
        #expect(try StoreCheck.problems(handle, files: true).isEmpty)
    }

    @Test func onlyOwnFilesAreRemoved() throws {
        try StoreTests.set(handle, "large", String(repeating: "v", count: 50_000))
        let path = try handle.withStore { (store) throws(EngineError) in
            try StoreTests.withBytes("large") { (key) throws(EngineError) in
                try store.find(KeyClass.text, key).flatMap { store.file(of: $0)?.path } ?? ""
            }
        }
        let orphan = String(path.dropLast(6)) + (path.hasSuffix("00.val") ? "01.val" : "00.val")
        try write(orphan, [1, 2, 3])
        let others = [
            scratch.path + "/store/notes.txt", scratch.path + "/store/files/readme", scratch.path + "/store/log/x.seg",
        ]
        for other in others { try write(other, [1]) }
        try expectRepaired(.unknownFile)
        let names = try scratch.tree().map { scratch.path + "/" + $0 }
        #expect(!names.contains(orphan) && others.allSatisfy(names.contains))
        #expect(try StoreTests.get(handle, "large") != nil)
    }

    /// A value that can't be read isn't taken for a missing one by a verb that would go on from there.
    @Test func aDamagedValueIsNotCountedOn() throws {
        for number in 0..<20 { try StoreTests.set(handle, "\(number)", "value \(number)") }
        let (position, first) = try handle.withStore { (store) throws(EngineError) in
            try StoreTests.withBytes("7") { (key) throws(EngineError) in
                (try store.find(KeyClass.text, key)?.position ?? 0, store.log.activeFirst)
            }
        }
        let segment = try scratch.files.open(
            scratch.path + "/store/log/" + SegmentHeader.name(first), in: nil, [.write])
        try scratch.files.write(segment, [0xFF], at: Int(position - first) + RecordLayout.headerSize + 3)
        func code(_ body: (Store, UnsafeRawBufferPointer) throws(EngineError) -> Void) throws -> EngineError.Code? {
            do {
                try handle.withStore { (store) throws(EngineError) in
                    try StoreTests.withBytes("7") { (key) throws(EngineError) in try body(store, key) }
                }
                return nil
            } catch {
                return error.code
            }
        }
        let timeout = StoreClient.timeout
        #expect(throws: EngineError.self) { try StoreTests.get(handle, "7") }
        #expect(
            try code { (store, key) throws(EngineError) in
                _ = try store.increment(timeout: timeout, KeyClass.text, key, by: .integer(1), start: .integer(0))
            } == .corrupted)
        #expect(
            try code { (store, key) throws(EngineError) in _ = try store.pop(timeout: timeout, KeyClass.text, key) }
                == .corrupted)
        #expect(try check() == [.damagedLog, .wrongIndex])
        // Another value takes its place.
        try StoreTests.set(handle, "7", "again")
        #expect(try StoreTests.get(handle, "7") == "again")
        for number in 8..<20 { #expect(try StoreTests.get(handle, "\(number)") == "value \(number)") }
    }
}
