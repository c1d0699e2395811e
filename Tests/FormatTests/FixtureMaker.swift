import Foundation

@testable import DiskCacheCore
@testable import DiskCacheEngine

/// How the stores in `Fixtures/v1` were made. They are kept as files, since old stores must stay readable whatever the code
/// does; `FORMAT_WRITE=1` makes those that are missing.
struct Fixture {
    let name: String
    /// What it is there for.
    let words: String
    /// Fills the directory at a path.
    let make: (String) throws -> Void

    private static let log = "/log/0000000000010000.seg"

    /// What the engine makes, with everything but the log taken away.
    private static func engine(
        _ name: String, _ words: String, keeping kept: [String] = [], _ body: @escaping (TestStore) throws -> Void
    ) -> Fixture {
        Fixture(name: name, words: words) { path in
            let store = try TestStore(path)
            try body(store)
            store.close()
            for file in Disk.files(below: path) {
                if file.hasPrefix("log/") || file.hasPrefix("files/") || kept.contains(file) { continue }
                try FileManager.default.removeItem(atPath: path + "/" + file)
            }
        }
    }

    /// A log that is put together by hand, and a `meta` if `synced` is given.
    private static func crafted(
        _ name: String, _ words: String, synced: Position? = nil, _ body: @escaping (inout LogBuilder) throws -> Void
    ) -> Fixture {
        Fixture(name: name, words: words) { path in
            var log = LogBuilder()
            try body(&log)
            for (name, bytes) in log.files { try Disk.write(bytes, to: path + "/log/" + name) }
            if let synced { try Disk.write(LogBuilder.meta(synced: synced), to: path + "/meta") }
        }
    }

    /// Four values in files, of which one is whole.
    private static func badFiles(_ name: String, _ words: String, isSynced: Bool = false) -> Fixture {
        Fixture(name: name, words: words) { path in
            let store = try TestStore(path)
            try store.configure { $0.minFileSize = 4 }
            for key in ["whole", "missing", "longer", "flipped"] {
                try store.set(try TestKey(key), TestValue("value of \(key)"))
            }
            let tail = try store.handle.withStore { CommitBlock.tail($0.block.word.relaxed()) }
            store.close()
            for file in Disk.files(below: path) {
                if !file.hasPrefix("files/") {
                    if !file.hasPrefix("log/") { try FileManager.default.removeItem(atPath: path + "/" + file) }
                    continue
                }
                var bytes = try Disk.read(path + "/" + file)
                let text = String(decoding: bytes, as: UTF8.self)
                if text.hasSuffix("missing") { try FileManager.default.removeItem(atPath: path + "/" + file) }
                if text.hasSuffix("longer") { try Disk.write(bytes + [0], to: path + "/" + file) }
                if text.hasSuffix("flipped") {
                    bytes[0] ^= 1
                    try Disk.write(bytes, to: path + "/" + file)
                }
            }
            if isSynced { try Disk.write(LogBuilder.meta(synced: tail), to: path + "/meta") }
        }
    }

    static var all: [Fixture] {
        [
            engine("empty", "a store in which nothing was ever written", keeping: ["meta"]) { _ in },
            engine("put", "one key") { try $0.set(try TestKey("key"), TestValue("value")) },
            engine("overwrite", "a key with three versions") { store in
                for value in ["one", "two", "three"] { try store.set(try TestKey("key"), TestValue(value)) }
            },
            engine("delete", "a key deleted, one deleted and stored again") { store in
                for key in ["a", "b", "c"] { try store.set(try TestKey(key), TestValue(key)) }
                try store.delete(try TestKey("a"))
                try store.delete(try TestKey("b"))
                try store.set(try TestKey("b"), TestValue("again"))
            },
            engine("transaction", "three records and a commit record") { store in
                try store.transact { store in
                    for key in ["a", "b", "a"] { try store.set(try TestKey(key), TestValue(key)) }
                }
            },
            engine("aborted-transaction", "a transaction taken back by a void record, between two that count") {
                store in
                try store.set(try TestKey("a"), TestValue("before"))
                try store.transact(undone: true) { store in
                    try store.set(try TestKey("a"), TestValue("never"))
                    try store.set(try TestKey("b"), TestValue("never"))
                    try store.delete(try TestKey("a"))
                }
                try store.set(try TestKey("c"), TestValue("after"))
            },
            engine("nested-transaction", "a transaction of which a part was taken back") { store in
                try store.transact { store in
                    try store.set(try TestKey("a"), TestValue("outer"))
                    try store.transact(undone: true) { store in
                        try store.set(try TestKey("a"), TestValue("inner"))
                        try store.set(try TestKey("b"), TestValue("inner"))
                    }
                    try store.set(try TestKey("c"), TestValue("outer"))
                }
            },
            engine("cleared", "settings, rows, clear, a row") { store in
                try store.configure { $0.cullLimit = 3 }
                for key in ["a", "b"] { try store.set(try TestKey(key), TestValue(key)) }
                try store.clear()
                try store.set(try TestKey("b"), TestValue("new"))
            },
            engine("expired", "a row that expired at 1 µs, one at the end of time") { store in
                try store.set(try TestKey("past"), TestValue("x", expiry: 1))
                try store.set(try TestKey("future"), TestValue("x", expiry: .max))
            },
            engine("touched", "a changed expiry: an older stored time") { store in
                try store.set(try TestKey("a"), TestValue("x"))
                try store.set(try TestKey("b"), TestValue("x"))
                try store.touch(try TestKey("a"), expiry: .max)
            },
            engine("keys", "keys of all classes") { store in
                for (number, key) in try keysOfAllClasses().enumerated() { try store.set(key, TestValue("\(number)")) }
                // The form in which a number was first given stays.
                try store.set(try TestKey(1.0), TestValue("one"))
            },
            crafted("queue-keys", "keys of items of queues") { log in
                for key in try keysOfQueues() { log.put(key, TestValue("item")) }
            },
            engine("queues", "records of queues: with gaps, emptied, with an open end, rolled back") { store in
                for number in 0..<5 { _ = try store.push(nil, TestValue("item \(number)")) }
                try store.delete(try TestKey(QueueKey(number: 500_000_000_000_001)))
                _ = try store.pull(nil)
                _ = try store.push(nil, TestValue("front", expiry: .max, tag: TestTag("t")), atFront: true)
                try store.set(try TestKey(QueueKey(number: 500_000_000_000_003)), TestValue("changed"))
                _ = try store.push("emptied", TestValue("x"))
                _ = try store.pull("emptied")
                for _ in 0..<200 { _ = try store.push("open", TestValue("x"), atFront: true) }
                for number in 3..<200 {
                    try store.delete(try TestKey(QueueKey(prefix: "open", number: 500_000_000_000_000 - Int64(number))))
                }
                _ = try store.push("open", TestValue("x"))
                for _ in 0..<100 { _ = try store.push("gap", TestValue("x")) }
                for number in 1..<99 {
                    try store.delete(try TestKey(QueueKey(prefix: "gap", number: 500_000_000_000_000 + Int64(number))))
                }
                _ = try store.push("gap", TestValue("x"), atFront: true)
                _ = try store.pull("gap", fromFront: false)
                try store.transact { store in
                    _ = try store.push("rolled", TestValue("stays"))
                    try store.transact(undone: true) { store in
                        _ = try store.push("rolled", TestValue("goes"))
                        _ = try store.push("gone", TestValue("goes"))
                    }
                    _ = try store.push("rolled", TestValue("stays"))
                }
                try store.transact(undone: true) { store in _ = try store.pull("rolled") }
            },
            engine("queues-cleared", "clear, and a queue after it") { store in
                for _ in 0..<3 { _ = try store.push(nil, TestValue("x")) }
                _ = try store.push("a", TestValue("x"))
                try store.transact { store in
                    _ = try store.pull(nil)
                    try store.clear()
                    _ = try store.push("a", TestValue("y"), atFront: true)
                }
            },
            engine("values", "values of all forms that lie in records") { store in
                for (number, value) in try valuesOfAllForms().enumerated() {
                    try store.set(try TestKey(number), TestValue(value.form, value.bytes))
                }
            },
            engine("tags", "tags, and a tag with an expiry") { store in
                try store.set(try TestKey("a"), TestValue("x", tag: TestTag("tag")))
                try store.set(try TestKey("b"), TestValue("x", expiry: .max, tag: TestTag("")))
                var number = TestTag("")
                number.form = 1
                number.bytes = try TestKey(5).bytes
                try store.set(try TestKey("c"), TestValue("x", tag: number))
            },
            engine("wide", "a wide record with expiry and tag") { store in
                let key = TestKey(4, [UInt8](repeating: 0x6b, count: 300))
                try store.set(key, TestValue("x", expiry: .max, tag: TestTag("t")))
            },
            engine("value-files", "values in files of their own, one replaced") { store in
                try store.configure { $0.minFileSize = 8 }
                try store.set(try TestKey("text"), TestValue("a text of some length"))
                try store.set(try TestKey("bytes"), TestValue(4, [UInt8](0..<32)))
                try store.set(try TestKey("encoded"), TestValue(5, [0x88, 1, 2, 3, 4, 5, 6, 7, 8]))
                try store.set(try TestKey("bytes"), TestValue(4, [UInt8](0..<16)))
            },
            engine("settings", "all settings, and one that this version doesn't know") { store in
                try store.configure { settings in
                    settings.sizeLimit = 1 << 20
                    settings.cullLimit = 0
                    settings.evictionPolicy = .leastFrequentlyUsed
                    settings.statistics = true
                    settings.tagIndex = true
                    settings.durability = .full
                    settings.defaultExpire = 5_000_000
                    settings.kind = .index
                    settings.unknown = ["colour": [0x63, 0x72, 0x65, 0x64]]
                }
            },
            engine("sealed", "meta with a seal, and the index, of another boot", keeping: ["meta", "index.1"]) {
                store in
                for key in ["a", "b"] { try store.set(try TestKey(key), TestValue(key)) }
            },
            crafted("second-segment", "a log that goes on in a second segment, whose header cuts the first") { log in
                try log.put("a", "one")
                let cut = log.tail
                try log.put("b", "behind the cut")
                log.roll(predecessorEnd: cut)
                try log.put("c", "three")
            },
            crafted("hinted", "a sealed segment with a hint", synced: 0x20080) { log in
                try log.put("a", String(repeating: "a", count: 2000))
                try log.put("b", String(repeating: "b", count: 2000))
                try log.put("a", String(repeating: "c", count: 2100))
                log.hint()
                log.roll()
                try log.put("c", "three")
            },
            crafted("two-successors", "two segments with one predecessor: the highest counts") { log in
                try log.put("a", "one")
                log.roll()
                try log.put("b", "passed over")
                log.roll(predecessor: 0x10000, predecessorEnd: 0x10080 + 28)
                try log.put("c", "three")
            },
            crafted("lost-below-head", "the first of two segments isn't there, and lies below the head") { log in
                try log.put("a", "one")
                log.roll()
                try log.head(log.tail)
                try log.put("b", "two")
                log.files["0000000000010000.seg"] = nil
            },
            crafted("empty-leftover", "a segment of no bytes above the newest") { log in
                try log.put("a", "one")
                log.files["0000000000020000.seg"] = []
                log.files["notes.txt"] = [0x78]
            },
            crafted("savepoint", "a void record inside a transaction that goes on") { log in
                try log.put("a", "one", commit: false)
                let begin = log.tail
                try log.put("b", "taken back", commit: false)
                try log.void(from: begin, commit: false)
                try log.put("c", "three")
            },
            crafted("head-below", "a head record that names a position below it, above which all rows lie") { log in
                try log.put("a", "one")
                let head = log.tail
                try log.put("b", "two")
                try log.put("a", "three")
                try log.head(head)
            },
            // Of these the verdict isn't "whole".
            crafted("torn-tail", "the last record is half there") { log in
                try log.put("a", "one")
                try log.put("b", "a value that was torn in the middle")
                log.spoil(from: log.tail - 20, count: 20)
            },
            crafted("torn-transaction", "a transaction without its end") { log in
                try log.put("a", "one")
                try log.put("a", "two", commit: false)
                try log.put("b", "two", commit: false)
            },
            crafted("uncommitted-clear", "a head record that wasn't committed") { log in
                try log.put("a", "one")
                try log.head(log.tail, commit: false)
            },
            crafted("clear-without-its-file", "a clear whose transaction lacks a value's file: nothing was cleared") {
                log in
                try log.put("a", "one")
                log.roll()
                try log.put("b", "two")
                try log.head(log.tail, commit: false)
                log.put(try TestKey("c"), TestValue(ValueFormCode.textFile, [UInt8](repeating: 1, count: 32)))
            },
            crafted("unproved-head", "a header's head of which no record tells that counts, and nothing below it") {
                log in
                try log.put("a", "one")
                log.roll()
                try log.put("b", "two")
                let torn = log.tail
                try log.put("c", "three")
                try log.head(0x20000)
                log.flip(torn + 26)
                log.roll()
                log.setHeader { $0.replaceSubrange(72..<80, with: [0, 0, 2, 0, 0, 0, 0, 0]) }
                try log.put("d", "four")
                log.files["0000000000010000.seg"] = nil
            },
            crafted("damage-in-the-middle", "a flipped bit below synced", synced: 0x10080 + 5 * 28) { log in
                for key in ["a", "b", "c", "b", "d"] { try log.put(key, "one") }
                // An overwrite names the version before it: 0x1009c / 4.
                log.set(0x10080 + 3 * 28 + 9, 0x27)
                log.set(0x10080 + 3 * 28 + 10, 0x40)
                log.flip(0x10080 + 3 * 28 + 26)
            },
            crafted("damage-without-meta", "a flipped bit, and nothing known of synced") { log in
                for key in ["a", "b", "c"] { try log.put(key, "one") }
                log.flip(0x10080 + 28 + 26)
            },
            crafted("damaged-lengths", "a length below synced that leads beyond the end", synced: 0x10080 + 84) { log in
                for key in ["a", "b", "c"] { try log.put(key, "one") }
                log.set(0x10080 + 28 + 8, 0xff)
            },
            crafted("moved-record", "a whole record at a position that isn't its own") { log in
                try log.put("a", "one")
                let copied = log.bytes(0x10080, 0x10080 + 28)
                log.append(copied)
            },
            crafted("unknown-kind", "a record of kind 7 with the right check") { log in
                try log.put("a", "one")
                log.raw(bits: 7 | 8, key: [0x6b], value: [])
            },
            crafted("kind-zero", "a record of kind 0 with the right check") { log in
                try log.put("a", "one")
                log.raw(bits: 8, key: [0x6b], value: [])
            },
            crafted("wide-with-short-lengths", "a wide record whose short lengths aren't 0, with the right check") {
                log in
                try log.put("a", "one")
                log.raw(bits: 1 | 8 | 64, key: [1, 0, 0, 0, 1, 0, 0, 0, 0x6b, 0x76], value: [])
            },
            crafted("wide-too-long", "a wide record whose key is longer than keys may be") { log in
                try log.put("a", "one")
                log.raw(bits: 1 | 8 | 64, key: [], value: [], wide: (0xffff_ffff, 0xffff_ffff))
            },
            crafted("tag-beyond-the-end", "a tag that is longer than the segment") { log in
                try log.put("a", "one")
                log.raw(bits: 1 | 8 | 256, key: [3, 0xff, 0xff], value: [])
            },
            crafted("missing-predecessor", "the first of two segments isn't there", synced: 0x20080) { log in
                try log.put("a", "one")
                log.roll()
                try log.put("b", "two")
                log.files["0000000000010000.seg"] = nil
            },
            crafted("foreign-segment", "a segment of another store above the newest", synced: 0) { log in
                try log.put("a", "one")
                var other = LogBuilder(storeID: (1, 2), first: 0x20000)
                try other.put("b", "foreign")
                log.files["0000000000020000.seg"] = other.files["0000000000020000.seg"]
            },
            crafted("misnamed-segment", "a segment under another position's name", synced: 0) { log in
                try log.put("a", "one")
                log.files["0000000000020000.seg"] = log.files["0000000000010000.seg"]
            },
            crafted("damaged-header", "the only header is damaged, and there is no meta: refused") { log in
                try log.put("a", "one")
                log.flip(0x10000 + 40)
            },
            crafted("newer-segment", "a header of format 2, and no meta: refused") { log in
                try log.put("a", "one")
                log.setHeader { $0[8] = 2 }
            },
            crafted("straddling-segment", "a header whose segment straddles 64 MiB, and no meta: refused") { log in
                try log.put("a", "one")
                log.setHeader { $0.replaceSubrange(48..<56, with: [0, 0, 0, 4, 0, 0, 0, 0]) }
            },
            Fixture(name: "newer-format", words: "meta of format 2: refused") { path in
                try Disk.write(LogBuilder.meta(synced: 0, format: 2), to: path + "/meta")
            },
            Fixture(name: "damaged-meta", words: "meta is damaged, the log isn't") { path in
                var log = LogBuilder()
                try log.put("a", "one")
                for (name, bytes) in log.files { try Disk.write(bytes, to: path + "/log/" + name) }
                var meta = LogBuilder.meta(synced: 0)
                meta[530] ^= 1
                try Disk.write(meta, to: path + "/meta")
            },
            badFiles(
                "value-file-missing", "one value's file is missing, another's damaged, and nothing known of synced"),
            badFiles("synced-value-file-missing", "the same below synced", isSynced: true),
        ]
    }
}

/// A log that is put together byte by byte.
struct LogBuilder {
    static let salt: UInt64 = 0x1122_3344_5566_7788
    static let storeID: (UInt64, UInt64) = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908)

    private let storeID: (UInt64, UInt64)
    private var first: Position
    private var rowid: UInt64 = 0
    /// What lies in `log/`.
    var files: [String: [UInt8]] = [:]

    init(storeID: (UInt64, UInt64) = LogBuilder.storeID, first: Position = Log.origin) {
        self.storeID = storeID
        self.first = first
        begin(predecessor: 0, predecessorEnd: 0)
    }

    private var name: String { SegmentHeader.name(first) }
    var tail: Position { first + UInt64(files[name]?.count ?? 0) }

    private mutating func begin(predecessor: Position, predecessorEnd: Position) {
        let header = SegmentHeader(
            salt: Self.salt, storeID: storeID, first: first, length: 65536, predecessor: predecessor,
            predecessorEnd: predecessorEnd, head: 0, settings: 0, epoch: TestStore.epoch / 1000)
        files[name] = header.encoded()
    }

    /// Goes on in another segment.
    mutating func roll(predecessor: Position? = nil, predecessorEnd: Position? = nil) {
        let before = predecessor ?? first
        let end = predecessorEnd ?? tail
        first += 65536
        begin(predecessor: before, predecessorEnd: end)
    }

    mutating func append(_ bytes: [UInt8]) { files[name]?.append(contentsOf: bytes) }

    private mutating func add(
        _ kind: RecordKind, _ key: [UInt8], _ value: [UInt8], _ change: (inout RecordDraft) -> Void
    ) {
        let bytes = key.withUnsafeBytes { key in
            value.withUnsafeBytes { value -> [UInt8] in
                var draft = RecordDraft(kind: kind)
                draft.key = key
                draft.value = value
                draft.rowid = rowid
                draft.storedTime = rowid
                change(&draft)
                var bytes = [UInt8](repeating: 0, count: draft.size)
                bytes.withUnsafeMutableBytes { draft.write(to: $0.baseAddress!, position: tail, salt: Self.salt) }
                return bytes
            }
        }
        append(bytes)
    }

    /// A hint beside the segment as it is now.
    mutating func hint() {
        let bytes = files[name] ?? []
        let hint = bytes.withUnsafeBytes { content -> [UInt8]? in
            guard let header = SegmentHeader(content) else { return nil }
            return SegmentHint.encoded(header, end: tail, content, hash: KeyHash(storeID: storeID))
        }
        files[SegmentHint.name(first)] = hint
    }

    /// 28 bytes for a key of one letter and a value of three, and 4 more for one of up to seven.
    mutating func put(_ key: String, _ value: String, commit: Bool = true) throws {
        rowid += 1
        add(.put, Array(key.utf8), Array(value.utf8)) {
            $0.form = ValueFormCode.text
            $0.keyClass = KeyClass.text
            $0.flags = commit ? RecordBits.commit : 0
        }
    }

    mutating func put(_ key: TestKey, _ value: TestValue) {
        rowid += 1
        add(.put, key.bytes, value.bytes) {
            $0.form = value.form
            $0.keyClass = key.keyClass
            $0.flags = RecordBits.commit
        }
    }

    private static func bytes(_ word: UInt64) -> [UInt8] { withUnsafeBytes(of: word.littleEndian) { Array($0) } }

    mutating func void(from position: Position, commit: Bool) throws {
        add(.void, [], Self.bytes(position)) { $0.flags = commit ? RecordBits.commit : 0 }
    }

    mutating func head(_ position: Position, commit: Bool = true) throws {
        add(.head, [], Self.bytes(position) + Self.bytes(rowid + 1)) { $0.flags = commit ? RecordBits.commit : 0 }
    }

    /// A record of any form, with the check that belongs to it.
    mutating func raw(bits: UInt16, key: [UInt8], value: [UInt8], wide: (UInt32, UInt32)? = nil) {
        var bytes: [UInt8] = [0, 0, 0, 0, UInt8(bits & 255), UInt8(bits >> 8), UInt8(wide == nil ? key.count : 0)]
        bytes += [UInt8](repeating: 0, count: 17)
        if let wide {
            for length in [wide.0, wide.1] { bytes += withUnsafeBytes(of: length.littleEndian) { Array($0) } }
        }
        bytes += key + value
        let check = bytes.withUnsafeBytes {
            Record.checksum($0.baseAddress!, $0.count, salt: Self.salt, position: tail)
        }
        withUnsafeBytes(of: check.littleEndian) { bytes.replaceSubrange(0..<4, with: $0) }
        while bytes.count % 4 != 0 { bytes.append(0) }
        append(bytes)
    }

    func bytes(_ from: Position, _ to: Position) -> [UInt8] {
        Array((files[name] ?? [])[Int(from - first)..<Int(to - first)])
    }

    mutating func set(_ position: Position, _ byte: UInt8) { files[name]?[Int(position - first)] = byte }

    mutating func flip(_ position: Position) { files[name]?[Int(position - first)] ^= 0x10 }

    mutating func spoil(from position: Position, count: Int) {
        for offset in 0..<count { set(position + UInt64(offset), 0) }
    }

    /// Changes the header and gives it the check that belongs to it.
    mutating func setHeader(_ change: (inout [UInt8]) -> Void) {
        guard var bytes = files[name] else { return }
        change(&bytes)
        let check = bytes[0..<120].withUnsafeBytes { XXH64.hash($0, seed: 0) }
        bytes.replaceSubrange(120..<128, with: Self.bytes(check))
        files[name] = bytes
    }

    /// A `meta` of the boot "golden" whose commit block ends where the log was durable.
    static func meta(synced: Position, format: UInt32 = 1) -> [UInt8] {
        var identity = StoreIdentity(
            storeID: storeID, salt: salt, epoch: TestStore.epoch / 1000, boot: StoreIdentity.bootWords("golden"),
            device: 0, inode: 0)
        identity.format = format
        let base = UnsafeMutableRawPointer.allocate(byteCount: CommitBlock.fileSize, alignment: 64)
        defer { base.deallocate() }
        base.initializeMemory(as: UInt8.self, repeating: 0, count: CommitBlock.fileSize)
        let block = CommitBlock(base: base)
        block.publish(tail: synced, head: 0, CommitBlock.Counters())
        block.synced.store(synced)
        (base + CommitBlock.identityOffset).copyMemory(from: identity.encoded(), byteCount: StoreIdentity.size)
        return Array(UnsafeRawBufferPointer(start: base, count: CommitBlock.fileSize))
    }
}
