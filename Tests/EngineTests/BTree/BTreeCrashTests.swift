import TestSupport
import Testing

@testable import DiskCacheEngine

/// What is left of a file after a power loss, and what a batch leaves that meets a full disk.
@Suite struct BTreeCrashTests {
    static func randomChanges(
        _ random: inout ReplayableRandom, _ model: inout TreeModel, _ count: Int
    ) -> [(key: [UInt8], value: [UInt8]?)] {
        var list: [(key: [UInt8], value: [UInt8]?)] = []
        for _ in 0..<count {
            let isKnown = model.count > 0 && random.below(3) > 0
            let key = isKnown ? model.sorted[random.below(model.count)].key : random.key()
            list.append((key, random.below(3) == 0 ? nil : random.bytes(8)))
        }
        for (key, value) in list { model[key] = value }
        return list
    }

    /// After a power loss the synced root is whole, whichever pages of the batches since reached the disk.
    @Test func powerLossLeavesTheSyncedRoot() throws {
        var random = ReplayableRandom(tree: "powerLossLeavesTheSyncedRoot")
        let fixture = try TreeFixture()
        var model = TreeModel()
        var images = 0
        #expect(fixture.pager.syncedRoot() == nil)
        for round in 1...12 {
            try fixture.apply(Self.randomChanges(&random, &model, 40), position: UInt64(round * 100))
            try fixture.pager.sync()
            let synced = try fixture.image()
            let expected = model.sorted
            for later in 1...6 {
                try fixture.apply(Self.randomChanges(&random, &model, 15), position: UInt64(round * 100 + later))
                if random.below(4) == 0 { try fixture.reopen() }
                let now = try fixture.image()
                for _ in 0..<3 {
                    images += 1
                    let copy = try TreeFixture(image: Self.mix(synced, now, &random))
                    let identity = try Self.identity(copy)
                    #expect(try copy.pager.restoreSyncedRoot(notBeyond: UInt64(round * 100), identity: identity))
                    #expect(try copy.scan() == expected)
                    #expect(try BTree(copy.pager, .key).position().position == UInt64(round * 100))
                    try copy.apply([([1], [1])])
                    _ = try BTreeChecker.check(copy.pager)
                }
            }
            let copy = try TreeFixture(image: synced)
            let identity = try Self.identity(copy)
            #expect(try !copy.pager.restoreSyncedRoot(notBeyond: UInt64(round * 100 - 1), identity: identity))
        }
        print("powerLossLeavesTheSyncedRoot: \(images) images")
    }

    static func identity(_ fixture: TreeFixture) throws -> Pager.Identity {
        let status = try SystemFiles().status(fixture.pager.file)
        return Pager.Identity(
            storeID: TreeFixture.storeID, generation: 1, boot: (3, 4), device: status.device, inode: status.inode)
    }

    /// Any of the pages that differ may have reached the disk; a page of the header or of the synced roots, in part.
    static func mix(_ old: [UInt8], _ new: [UInt8], _ random: inout ReplayableRandom) -> [UInt8] {
        var mixed = new
        for page in 0..<(old.count / 4096) {
            let sectors = page < PageLayout.firstTreePage ? 8 : 1
            let size = 4096 / sectors
            for sector in 0..<sectors where random.below(2) == 0 {
                let start = page * 4096 + sector * size
                mixed.replaceSubrange(start..<(start + size), with: old[start..<(start + size)])
            }
        }
        // Pages that were allocated since: written, or zero.
        for page in (old.count / 4096)..<(new.count / 4096) where random.below(2) == 0 {
            mixed.replaceSubrange((page * 4096)..<((page + 1) * 4096), with: [UInt8](repeating: 0, count: 4096))
        }
        return mixed
    }

    // MARK: Errors of the system

    /// All calls from one on fail, for each by which the file grows: an error, the last root as it was, and the same batch
    /// succeeds afterwards.
    @Test func fullDisk() throws {
        var random = ReplayableRandom(tree: "fullDisk")
        let files = FailingFiles()
        let fixture = try TreeFixture(files: files)
        var model = TreeModel()
        var failures = 0
        for _ in 0..<25 {
            let before = model.sorted
            let list = Self.randomChanges(&random, &model, 100)
            for target in 0..<1000 {
                files.fail { index, _ in index >= target ? ErrorNumber.noSpace : nil }
                do {
                    try fixture.apply(list)
                    break
                } catch let error as EngineError {
                    #expect(error.code == .diskFull)
                    failures += 1
                }
                files.fail { _, _ in nil }
                #expect(try fixture.scan() == before)
                if failures % 5 == 0 { _ = try BTreeChecker.check(fixture.pager) }
            }
            files.fail { _, _ in nil }
            #expect(try fixture.scan() == model.sorted)
            _ = try BTreeChecker.check(fixture.pager)
        }
        print("fullDisk: \(failures) failures")
        #expect(failures >= 20)
    }

    /// Every call of making, opening and syncing fails once.
    @Test func failingCalls() throws {
        let files = FailingFiles()
        let scratch = try ScratchDirectory()
        let directory = try scratch.open()
        for target in 0..<30 {
            for errno in [ErrorNumber.inputOutput, ErrorNumber.noSpace, ErrorNumber.tooManyOpenFiles] {
                files.fail { index, _ in index == target ? errno : nil }
                do {
                    let pager = try Pager.create(
                        generation: 1, in: directory, files: files, storeID: TreeFixture.storeID, boot: (1, 1),
                        position: 0)
                    let batch = try BTreeBatch(pager)
                    try batch.apply(TreeFixture.changes([([1], [1])]), to: .key)
                    try batch.publish(position: 5)
                    try pager.sync()
                    let opened = try Pager.open(
                        generation: 1, in: directory, files: files, storeID: TreeFixture.storeID)
                    #expect(try TreeFixture.scan(#require(opened).pager, .key) == [TreeEntry(key: [1], value: [1])])
                } catch let error as EngineError {
                    #expect([.io, .diskFull, .tooManyOpenFiles].contains(error.code))
                }
            }
        }
    }

    /// What isn't a file of this store and generation isn't opened.
    @Test func foreignFilesAreRefused() throws {
        let fixture = try TreeFixture()
        let other = try Pager.open(
            generation: 1, in: fixture.directory, files: fixture.files, storeID: (1, TreeFixture.storeID.1))
        #expect(other == nil)
        let missing = try Pager.open(
            generation: 2, in: fixture.directory, files: fixture.files, storeID: TreeFixture.storeID)
        #expect(missing == nil)
        let image = try fixture.image()
        for offset in 0..<128 {
            try SystemFiles().write(fixture.pager.file, [image[offset] ^ 0x10], at: offset)
            let opened = try Pager.open(
                generation: 1, in: fixture.directory, files: fixture.files, storeID: TreeFixture.storeID)
            #expect(opened == nil)
            try SystemFiles().write(fixture.pager.file, [image[offset]], at: offset)
        }
        let readOnly = try Pager.open(
            generation: 1, in: fixture.directory, files: fixture.files, storeID: TreeFixture.storeID, writable: false)
        #expect(try TreeFixture.scan(#require(readOnly).pager, .key).isEmpty)
    }
}
