import TestSupport
import Testing

@testable import DiskCacheEngine

/// The bytes themselves, as literals: what a diagram says can't drift from what is stored.
@Suite struct LayoutTests {
    private static let storeID: (UInt64, UInt64) = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908)
    private static let salt: UInt64 = 0x1122_3344_5566_7788

    private func record(_ draft: RecordDraft, at position: Position = 0x10080) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xee, count: draft.size)
        bytes.withUnsafeMutableBytes { draft.write(to: $0.baseAddress!, position: position, salt: Self.salt) }
        return bytes
    }

    private func draft(
        _ kind: RecordKind, _ key: [UInt8], _ value: [UInt8], _ change: (inout RecordDraft) -> Void
    ) -> [UInt8] {
        key.withUnsafeBytes { key in
            value.withUnsafeBytes { value in
                var draft = RecordDraft(kind: kind)
                draft.key = key
                draft.value = value
                change(&draft)
                return record(draft)
            }
        }
    }

    @Test func shortRecord() {
        let bytes = draft(.put, Array("key".utf8), Array("value".utf8)) {
            $0.form = 3
            $0.keyClass = 3
            $0.flags = RecordBits.commit
            $0.previous = 0x10040
            $0.rowid = 0x0102030405
            $0.storedTime = 0x1112131415
        }
        #expect(
            hex(bytes)
                == "2dcb48e809660305001040000000050403020115141312116b657976616c7565")
    }

    @Test func fullRecord() {
        let tag: [UInt8] = [0x74, 0x61]
        let bytes = tag.withUnsafeBytes { tag in
            draft(.put, [0x6b], [0x76]) {
                $0.form = 4
                $0.keyClass = 4
                $0.flags = RecordBits.kept
                $0.expiry = 0x0102_0304_0506_0708
                $0.tag = (3, tag)
            }
        }
        #expect(
            hex(bytes)
                == "c5269caca189010100000000000000000000000000000000080706050403020103020074616b7600")
    }

    @Test func wideRecord() {
        let bytes = draft(.put, [UInt8](repeating: 0x6b, count: 256), [0x76]) {
            $0.form = 4
            $0.keyClass = 4
        }
        #expect(bytes.count == 292)
        #expect(hex(bytes[0..<36]) == "d4950170418800000000000000000000000000000000000000010000010000006b6b6b6b")
        #expect(hex(bytes[284...]) == "6b6b6b6b76000000")
        let large = draft(.put, [0x6b], [UInt8](repeating: 0x76, count: 65_536)) { _ in }
        #expect(hex(large[4..<9]) == "4100000000")
        #expect(hex(large[24..<33]) == "01000000000001006b")
        #expect(draft(.put, [0x6b], [UInt8](repeating: 0x76, count: 65_535)) { _ in }[4] == 0x01)
        #expect(draft(.put, [UInt8](repeating: 0x6b, count: 255), []) { _ in }[4] == 0x01)
    }

    @Test func kindsFormsAndClasses() {
        let kinds: [RecordKind] = [.put, .tombstone, .commit, .void, .head, .system]
        #expect(kinds.map(\.rawValue) == [1, 2, 3, 4, 5, 6])
        #expect([TombstoneCause.deleted, .evicted, .expired].map(\.rawValue) == [0, 1, 2])
        #expect(
            [RecordBits.commit, RecordBits.copy, RecordBits.kept, RecordBits.wide, RecordBits.expiry, RecordBits.tag]
                == [8, 16, 32, 64, 128, 256])
        #expect(
            [
                KeyClass.null, KeyClass.integer, KeyClass.float, KeyClass.text, KeyClass.bytes, KeyClass.encoded,
                KeyClass.queue, KeyClass.system,
            ] == [0, 1, 2, 3, 4, 5, 6, 7])
        #expect(
            [
                ValueFormCode.null, ValueFormCode.integer, ValueFormCode.double, ValueFormCode.text,
                ValueFormCode.bytes, ValueFormCode.encoded, ValueFormCode.textFile, ValueFormCode.bytesFile,
                ValueFormCode.encodedFile, ValueFormCode.unsigned,
            ] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
        #expect(RecordBits(kind: .system, form: 15, keyClass: 7, flags: RecordBits.tag).raw == 0xff06)
    }

    @Test func queueRecord() throws(EngineError) {
        var ends = QueueEnds()
        ends.front = 0x0102_0304_0506
        ends.back = 0x1112_1314_1516
        ends.count = 0x21
        ends.maximum = 0x3132
        ends.isBackOpen = true
        let bytes = try ends.withBytes { Array($0) }
        #expect(hex(bytes) == "060504030201000016151413121100002100000000000000323100000000000002")
        #expect(bytes.withUnsafeBytes { QueueEnds($0) } == ends)
        let name = [UInt8](unsafeUninitializedCapacity: QueueName.extra + 1) { buffer, count in
            let name = QueueName(UnsafeMutableRawBufferPointer(buffer)) { target in
                target.storeBytes(of: 0, as: UInt8.self)
                return 1
            }
            #expect(hex(name.item(5)) == "008000000000000005")
            #expect(hex(name.system) == "717565756500")
            #expect(hex(name.prefix) == "00")
            count = 14
        }
        #expect(name.count == 14)
    }

    @Test func segmentHeader() {
        let header = SegmentHeader(
            salt: Self.salt, storeID: Self.storeID, first: 0x20000, length: 0x30000, predecessor: 0x10000,
            predecessorEnd: 0x1abcc, head: 0x10084, settings: 0x10088, epoch: -2)
        let expected = [
            "894443530d0a1a0a 0100000000000000 8877665544332211 0001020304050607 08090a0b0c0d0e0f",
            "0000020000000000 0000030000000000 0000010000000000 ccab010000000000 8400010000000000",
            "8800010000000000 feffffffffffffff 0000000000000000 0000000000000000 0000000000000000",
            "4193f69960973b6b",
        ]
        #expect(header.encoded() == unhex(expected.joined()))
        #expect(SegmentHeader.name(0x20000) == "0000000000020000.seg")
        #expect(SegmentHeader.position(ofName: "00000000000abcde.seg") == 0xabcde)
        #expect(SegmentHeader.position(ofName: "00000000000ABCDE.seg") == nil)
        #expect(SegmentHeader.position(ofName: "0000000000abcde.seg") == nil)
    }

    @Test func identity() {
        var identity = StoreIdentity(
            storeID: Self.storeID, salt: Self.salt, epoch: 0x0102, boot: (3, 4), device: 5, inode: 6)
        identity.format = 1
        let expected = [
            "8944434d0d0a1a0a 0100000000000000 0001020304050607 08090a0b0c0d0e0f 8877665544332211",
            "0201000000000000 0300000000000000 0400000000000000 0500000000000000 0600000000000000",
            "0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000",
            "340e47441fc92eb3",
        ]
        #expect(identity.encoded() == unhex(expected.joined()))
        #expect(StoreIdentity.bootWords("golden") == (0x96ad7d0a5e5913eb, 0xe829ad5a22f76b63))
        #expect(StoreIdentity.bootWords("") == (0, 0))
    }

    @Test func commitBlockAndSeal() {
        let base = UnsafeMutableRawPointer.allocate(byteCount: CommitBlock.fileSize, alignment: 64)
        defer { base.deallocate() }
        base.initializeMemory(as: UInt8.self, repeating: 0, count: CommitBlock.fileSize)
        let block = CommitBlock(base: base)
        var counters = CommitBlock.Counters()
        counters.count = 1
        counters.live = 2
        counters.dead = 3
        counters.fileBytes = 4
        counters.nextRowid = 5
        counters.lastStoredTime = 6
        counters.earliestExpiry = 7
        counters.lastRecord = 8
        counters.settings = 9
        block.publish(tail: 0x100, head: 0x80, counters)
        block.publish(tail: 0x200, head: 0x90, counters)
        block.indexGeneration.store(10)
        block.poison.store(11)
        block.floor.store(12)
        block.modes.store(13)
        block.synced.store(14)
        block.syncing.store(15)
        block.knocks.store(16)
        block.owner.store(17)
        block.active.store(18)
        block.deadFiles.store(19)
        block.making.store(20)
        block.beyond.store(21)
        Seal(word: 20, head: 21, generation: 22, indexSum: 23, indexSize: 24).write(to: base)
        func word(_ at: Int) -> UInt64 { base.load(fromByteOffset: at, as: UInt64.self) }
        #expect(
            stride(from: 0, to: 144, by: 8).map(word)
                == [0x200, 0x90, 0x80, 10, 11, 12, 13, 0, 14, 15, 16, 17, 0, 0, 18, 19, 20, 21])
        #expect(stride(from: 256, to: 328, by: 8).map(word) == [1, 2, 3, 4, 5, 6, 7, 8, 9])
        #expect(stride(from: 384, to: 456, by: 8).map(word) == [1, 2, 3, 4, 5, 6, 7, 8, 9])
        #expect(word(328) == 0x9f137779df6a1f05)
        #expect(word(456) == 0x9f137779df6a1c07)
        #expect(stride(from: 640, to: 688, by: 8).map(word) == [0x0000_6465_6c61_6573, 20, 21, 22, 23, 24])
        #expect(word(760) == 0x04318f918bf6fbf5)
        #expect((CommitBlock.identityOffset, CommitBlock.sealOffset, CommitBlock.statisticsOffset) == (512, 640, 1024))
        #expect(CommitBlock.fileSize == 4096)
    }

    @Test func index() {
        #expect(
            [
                IndexLayout.root, IndexLayout.covered, IndexLayout.pages, IndexLayout.spare, IndexLayout.intent,
                IndexLayout.splitPage, IndexLayout.lowPage, IndexLayout.highPage,
            ] == [128, 136, 144, 152, 192, 200, 208, 216])
        #expect(DirectoryEntry(page: 0x1234, depth: 21).raw == 0x48d15)
        #expect(Slot(fingerprint: 0x3f_ffff, displacement: 2, position: 0x10080).raw == 0xffff_fe00_0000_4020)
        #expect(Slot(fingerprint: 0x15_5555, displacement: 1, position: 1 << 42 | 0x100).raw == 0x5555_5500_0000_0040)
        let hash: UInt64 = 0xfedc_ba98_7654_3210
        #expect(HashBits.fingerprint(hash, depth: 7) == 0x18_7654)
        #expect(HashBits.fingerprint(hash, depth: 8) == 0x3a_9876)
        #expect(HashBits.home(hash) == 12)
        #expect(HashBits.step(0x3f_ffff) == 20)
        #expect(HashBits.step(0) == 1)
        #expect(HashBits.directoryIndex(hash, 8) == 0x54)
        #expect(HashBits.bucket(60, 20, 3) == 57)
        #expect(IndexLayout.name(12) == "index.12")
    }

    @Test func fanout() throws(EngineError) {
        let bytes = FanoutFile(count: 8).encoded()
        #expect(hex(bytes) == "894443460d0a1a0a0100000008000000158135c5a7973d3d")
        #expect(try FanoutFile(bytes, path: "") == FanoutFile(count: 8))
    }

    @Test func shards() {
        func shards(_ keyClass: UInt8, _ key: String) -> [Int] {
            unhex(key).withUnsafeBytes { key in
                [8, 3, 1, 1000].map { FanoutDirectory.shard(of: keyClass, key, among: $0) }
            }
        }
        #expect(shards(0, "") == [7, 2, 0, 934])
        #expect(shards(1, "bff0000000000000") == [4, 1, 0, 581])
        #expect(shards(2, "bff0000000000000") == [4, 1, 0, 581])
        #expect(shards(2, "4007ffffffffffff") == [0, 0, 0, 120])
        #expect(shards(1, "c3400000000000000001") == [2, 1, 0, 369])
        #expect(shards(3, "") == [1, 0, 0, 227])
        #expect(shards(3, "616c706861") == [3, 1, 0, 434])
        #expect(shards(4, "61") == [7, 2, 0, 954])
        #expect(shards(5, "820102") == [0, 0, 0, 82])
        for number in ["8000000000000005", "7fffffffffffffff"] {
            #expect(shards(6, "00" + number) == [6, 2, 0, 802])
            #expect(shards(6, "016a6f62730001" + number) == [7, 2, 0, 990])
        }
        #expect(FanoutDirectory.name(of: 0) == "000" && FanoutDirectory.name(of: 999) == "999")
    }

    @Test func packedPositions() {
        #expect(PackedPosition.pack(1 << 42 | 0x40) == 0x10)
        #expect(PackedPosition.complete(0x10, around: 1 << 42) == 1 << 42 | 0x40)
        #expect(PackedPosition.complete(0xff_ffff_ffff, around: 1 << 42) == 1 << 42 - 4)
        #expect(PackedPosition.complete(0x10, below: 1 << 42 | 0x3c) == 0x40)
        #expect(PackedPosition.complete(0x10, below: 1 << 42 | 0x44) == 1 << 42 | 0x40)
        #expect(PackedPosition.complete(0, below: 1 << 42) == 0)
        #expect(PackedPosition.complete(0x10, below: 1 << 42 | 0x40) == 0)
        #expect(PackedPosition.complete(0x11, below: 0x40) == 0)
    }

    /// The vectors of FORMAT.md, 4 and 13.
    @Test func vectors() throws {
        let lines = try Disk.specification()
        let keyHash = KeyHash(storeID: Self.storeID)
        var sums = 0
        var hashes = 0
        for line in lines where line.hasPrefix("|") {
            let cells = line.split(separator: "|").map { $0.trimmingPrefix { $0 == " " }.replacing("`", with: "") }
                .map { String($0.reversed().drop { $0 == " " }.reversed()) }
            guard cells.count == 3, cells[2].count == 16, let wanted = UInt64(cells[2], radix: 16) else { continue }
            if let keyClass = UInt8(cells[0]) {
                let key = cells[1] == "(empty)" ? [] : unhex(cells[1])
                #expect(key.withUnsafeBytes { keyHash(keyClass, $0) } == wanted, "\(line)")
                hashes += 1
            } else if let seed = UInt64(cells[1]) {
                let text = cells[0] == "(empty)" ? [] : Array(cells[0].utf8)
                #expect(text.withUnsafeBytes { XXH64.hash($0, seed: seed) } == wanted, "\(line)")
                sums += 1
            }
        }
        #expect(sums == 4)
        #expect(hashes == 7)
    }
}
