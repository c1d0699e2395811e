import Foundation
import TestSupport
import Testing

@testable import DiskCacheEngine

/// The worked example of FORMAT.md, 23, made again by the code. `FORMAT_WRITE=1` puts it into the file.
@Suite(.serialized) struct ExampleTests {
    /// Fields of a file, as they are shown: offset, bytes, words about them.
    private struct Dump {
        let bytes: [UInt8]
        var lines: [String] = []
        var at = 0

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        /// The next `count` bytes; long ones take several lines.
        mutating func field(_ count: Int, _ name: String) {
            for begin in stride(from: at, to: at + count, by: 8) {
                let part = bytes[begin..<min(begin + 8, at + count)]
                let digits = part.map { hex([$0]) }.joined(separator: " ")
                let padded = digits.padding(toLength: 24, withPad: " ", startingAt: 0)
                let offset = String(begin)
                let words = begin == at ? name : ""
                let line = String(repeating: " ", count: 5 - offset.count) + offset + "  " + padded + " " + words
                lines.append(String(line.reversed().drop { $0 == " " }.reversed()))
            }
            at += count
        }

        /// The word at an offset, unless it is 0.
        mutating func word(_ offset: Int, _ name: String) {
            at = offset
            if bytes[offset..<offset + 8].contains(where: { $0 != 0 }) { field(8, name) }
        }
    }

    /// Device and inode of what is opened are always the same: for one store at a time.
    private var fixedFiles: UnsyncedFiles {
        UnsyncedFiles { status, _ in
            var status = status
            status.device = 0x2a
            status.inode = status.kind == .directory ? 0x1001 : 0x1002
            return status
        }
    }

    private func makeStore(_ path: String) throws {
        let store = try TestStore(path, TestStore.environment(files: fixedFiles))
        try store.set(try TestKey("alpha"), TestValue("first"))
        try store.set(
            try TestKey(42),
            TestValue(1, [7, 0, 0, 0, 0, 0, 0, 0], expiry: TestStore.epoch + 60_000_000, tag: TestTag("t")))
        try store.set(try TestKey("alpha"), TestValue(4, [1, 2, 3]))
        store.close()
    }

    @Test func dumpsOfTheExample() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/store"
        try makeStore(path)
        try compare("segment", segment(Disk.read(path + "/log/0000000000010000.seg")))
        try compare("meta", meta(Disk.read(path + "/meta")))
        try compare("index", index(Disk.read(path + "/index.1")))
        let rows = try PythonReader.run([path, "--same-boot"])
        #expect(rows.contains(#""key":"616c706861","form":4,"value":"010203","#))
        #expect(rows.contains(#""key":"c045000000000000","form":1,"value":"0700000000000000","#))
    }

    private func segment(_ bytes: [UInt8]) -> [String] {
        var dump = Dump(bytes)
        dump.field(8, "magic")
        dump.field(4, "format 1")
        dump.field(4, "reserved")
        dump.field(8, "salt")
        dump.field(16, "store id")
        dump.field(8, "first 65536")
        dump.field(8, "length 65536")
        dump.field(8, "predecessor: none")
        dump.field(8, "predecessor end")
        dump.field(8, "head: the beginning")
        dump.field(8, "settings: none")
        dump.field(8, "epoch 1700000000000")
        dump.field(24, "reserved")
        dump.field(8, "check")
        record(&dump, "put, commit; text; class text", 5, 5, "previous: none", 1, attributes: false)
        record(
            &dump, "put, commit, expiry, tag; integer; class integer", 8, 8, "previous: none", 2, attributes: true)
        record(
            &dump, "put, commit; bytes; class text", 5, 3, "previous 16416, the first record", 1, attributes: false)
        dump.field(8, "never written")
        return dump.lines
    }

    private func record(
        _ dump: inout Dump, _ bits: String, _ key: Int, _ value: Int, _ previous: String, _ rowid: Int,
        attributes: Bool
    ) {
        let start = dump.at
        dump.field(4, "check of the record at \(65536 + start)")
        dump.field(2, bits)
        dump.field(1, "key length")
        dump.field(2, "value length")
        dump.field(5, previous)
        dump.field(5, "rowid \(rowid)")
        dump.field(5, "stored time")
        if attributes {
            dump.field(8, "expiry, 60 s after the epoch")
            dump.field(1, "tag form text")
            dump.field(2, "tag length")
            dump.field(1, "tag")
        }
        dump.field(key, "key")
        dump.field(value, "value")
        let padding = (4 - (dump.at - start) % 4) % 4
        if padding != 0 { dump.field(padding, "padding") }
    }

    private func meta(_ bytes: [UInt8]) -> [String] {
        var dump = Dump(bytes)
        let names = [
            0: "commit word: T, slot", 8: "head, slot 0", 16: "head, slot 1", 24: "index generation", 32: "poison",
            40: "floor", 48: "modes", 64: "synced", 72: "syncing", 80: "knocks", 88: "owner: random 7, process 42",
            112: "active", 120: "dead files",
        ]
        for (offset, name) in names.sorted(by: { $0.key < $1.key }) { dump.word(offset, name) }
        let counters = [
            "count", "live", "dead", "file bytes", "next rowid", "last stored time", "earliest expiry", "last record",
            "settings", "check",
        ]
        for slot in 0..<2 {
            for (number, name) in counters.enumerated() {
                dump.word(256 + slot * 128 + number * 8, "slot \(slot): \(name)")
            }
        }
        dump.at = 512
        dump.field(8, "identity: magic")
        dump.field(4, "format 1")
        dump.field(4, "reserved")
        dump.field(16, "store id")
        dump.field(8, "salt")
        dump.field(8, "epoch")
        dump.field(16, "boot \"golden\"")
        dump.field(8, "device")
        dump.field(8, "inode")
        dump.field(40, "reserved")
        dump.field(8, "check")
        return dump.lines
    }

    private func index(_ bytes: [UInt8]) -> [String] {
        var dump = Dump(bytes)
        dump.field(8, "magic")
        dump.field(4, "format 1")
        dump.field(4, "reserved")
        dump.field(16, "store id")
        dump.field(8, "generation")
        dump.field(16, "boot \"golden\"")
        dump.field(8, "device")
        dump.field(8, "inode")
        dump.field(48, "reserved")
        dump.field(8, "check")
        dump.field(8, "root: page 1, G = 0")
        dump.field(8, "covered")
        dump.field(8, "pages")
        dump.at = 4096
        dump.field(4, "directory: page 2, depth 0")
        for offset in stride(from: 8192, to: bytes.count, by: 8) {
            let within = (offset - 8192 - 64)
            dump.word(offset, "page 2: bucket \(within / 64), slot \(within % 64 / 8)")
        }
        return dump.lines
    }

    /// Compares with the block behind `<!-- dump: name -->`.
    private func compare(_ name: String, _ dump: [String]) throws {
        var lines = try Disk.specification()
        let mark = try #require(lines.firstIndex(of: "<!-- dump: \(name) -->"))
        let begin = mark + 2
        let end = try #require(lines[begin...].firstIndex(of: "```"))
        if ProcessInfo.processInfo.environment["FORMAT_WRITE"] == "1" {
            lines.replaceSubrange(begin..<end, with: dump)
            try lines.joined(separator: "\n").write(
                toFile: Disk.here + "/../../FORMAT.md", atomically: true, encoding: .utf8)
            return
        }
        #expect(Array(lines[begin..<end]) == dump, "FORMAT.md, dump of \(name)")
    }
}
