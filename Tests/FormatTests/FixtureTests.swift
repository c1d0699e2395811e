import Foundation
import TestSupport
import Testing

@testable import DiskCacheEngine

/// Stores of format 1 that must stay readable, and the verdict about those that are damaged. To the letter the same from
/// the engine, from `reader.py`, and in `expected.json`.
@Suite(.serialized) struct FixtureTests {
    private static let folder = Disk.here + "/Fixtures/v1"

    @Test func fixtures() throws {
        if ProcessInfo.processInfo.environment["FORMAT_WRITE"] == "1" { try write() }
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder).sorted()
        #expect(names == Fixture.all.map(\.name).sorted())
        let scratch = try Scratch()
        let paths = names.map { scratch.path + "/" + $0 }
        var expected: [String] = []
        for (name, path) in zip(names, paths) {
            expected.append(try String(contentsOfFile: Self.folder + "/" + name + "/expected.json", encoding: .utf8))
            try copy(Self.folder + "/" + name + "/store", to: path)
        }
        for (path, (answer, wanted)) in zip(paths, zip(try PythonReader.run(paths.map { [$0] }), expected)) {
            #expect(answer == wanted, "reader.py, \(path)")
            #expect(try engine(path, wanted) == wanted, "engine, \(path)")
            // What was recovered stays as it is.
            if !wanted.contains("refused") {
                #expect(try rows(engine(path, wanted)) == rows(wanted), "engine, \(path), again")
            }
        }
        for (path, (answer, wanted)) in zip(paths, zip(try PythonReader.run(paths.map { [$0] }), expected))
        where !wanted.contains("refused") {
            #expect(rows(answer) == rows(wanted), "reader.py, \(path), after recovery")
        }
        try listedInSpecification()
    }

    /// Hints as `reader.py` would write them: the one that is kept, and those that the engine writes beside records of all kinds.
    @Test func hints() throws {
        let scratch = try Scratch()
        try copy(Self.folder + "/hinted/store", to: scratch.path + "/kept")
        #expect(try PythonReader.run([scratch.path + "/kept", "--hints"]) == "{\"0000000000010000\": true}\n")
        let path = scratch.path + "/made"
        let store = try TestStore(path)
        try store.configure {
            $0.minFileSize = 4000
            // The sealed segments are to be there still when their hints are written.
            $0.compaction = 0
        }
        for number in 0..<120 {
            let key = try TestKey("key \(number % 40)")
            try store.set(key, TestValue(String(repeating: "v", count: number % 30 == 7 ? 5000 : 1500)))
            if number % 17 == 4 { try store.delete(key) }
        }
        try store.handle.withStore { (store) throws(EngineError) in
            try store.sync()
            store.writeHints()
        }
        store.close()
        let answer = try PythonReader.run([path, "--hints"])
        #expect(answer.contains(": true") && !answer.contains(": false"), "\(answer)")
    }

    /// FORMAT.md, 24, has a row for each.
    private func listedInSpecification() throws {
        let rows = try Disk.specification()
        for fixture in Fixture.all {
            #expect(rows.contains("| `\(fixture.name)` | \(fixture.words) |"), "FORMAT.md, 24")
        }
    }

    private func rows(_ report: String) -> Substring {
        report[(report.range(of: "\"settings\"")?.lowerBound ?? report.startIndex)...]
    }

    /// Copies a store; segments, which are kept without the zeros behind their records, get their whole length.
    private func copy(_ from: String, to path: String) throws {
        for name in Disk.files(below: from) where !name.hasSuffix(".gitkeep") {
            var bytes = try Disk.read(from + "/" + name)
            if name.hasSuffix(".seg"), bytes.count >= 128, let header = bytes.withUnsafeBytes({ SegmentHeader($0) }) {
                bytes += [UInt8](repeating: 0, count: Int(header.length) - bytes.count)
            }
            if name == "meta", bytes.count >= 1024 { try bind(&bytes, to: path) }
            try Disk.write(bytes, to: path + "/" + name)
        }
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
    }

    /// Has a whole identity name the directory in which it stands now: what is read is no copy then.
    private func bind(_ meta: inout [UInt8], to path: String) throws {
        let identity = CommitBlock.identityOffset..<CommitBlock.identityOffset + StoreIdentity.size
        guard var known = meta[identity].withUnsafeBytes({ StoreIdentity($0) }) else { return }
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let status = try SystemFiles().status(of: path, in: nil)
        known.device = status?.device ?? 0
        known.inode = status?.inode ?? 0
        let format = meta[identity][identity.lowerBound + 8..<identity.lowerBound + 12]
        if format.first == UInt8(EngineVersion.format) { meta.replaceSubrange(identity, with: known.encoded()) }
    }

    /// What the engine says of a store, in the words of `reader.py`. It looks up the keys that are expected.
    private func engine(_ path: String, _ expected: String) throws -> String {
        let store: TestStore
        do {
            store = try TestStore(path, TestStore.environment(boot: "another"))
        } catch let error as EngineError {
            let reason: String
            switch error.code {
            case .unsupportedFormat: reason = "newer format"
            case .corrupted: reason = "damaged headers"
            default: reason = "\(error)"
            }
            return "{\n \"refused\":\"\(reason)\"\n}\n"
        }
        defer { store.close() }
        let parsed = try JSONSerialization.jsonObject(with: Data(expected.utf8)) as? [String: Any] ?? [:]
        func keys(_ name: String) -> [TestKey] {
            (parsed[name] as? [[String: Any]] ?? []).map {
                TestKey(UInt8($0["class"] as? Int ?? 0), unhex($0["key"] as? String ?? ""))
            }
        }
        let damaged = keys("damaged")
        for key in damaged {
            #expect(throws: EngineError.self, "\(path), \(key)") { try store.row(key) }
        }
        #expect(try store.count == keys("rows").count, "\(path)")
        return try store.report(rows: keys("rows"), damaged: damaged)
    }

    // MARK: Making them

    private func write() throws {
        for fixture in Fixture.all {
            let folder = Self.folder + "/" + fixture.name
            if FileManager.default.fileExists(atPath: folder) { continue }
            let scratch = try Scratch()
            let path = scratch.path + "/store"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
            try fixture.make(path)
            for name in Disk.files(below: path) {
                var bytes = try Disk.read(path + "/" + name)
                if name.hasSuffix(".seg") { bytes = Array(bytes.reversed().drop { $0 == 0 }.reversed()) }
                // A record's padding belongs to it.
                if name.hasSuffix(".seg"), bytes.count >= 128 { while bytes.count % 4 != 0 { bytes.append(0) } }
                try Disk.write(bytes, to: folder + "/store/" + name)
            }
            let whole = scratch.path + "/whole"
            try copy(folder + "/store", to: whole)
            try Disk.write(Array(try PythonReader.run([whole]).utf8), to: folder + "/expected.json")
        }
    }
}
