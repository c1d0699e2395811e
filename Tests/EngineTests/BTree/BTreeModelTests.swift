import TestSupport
import Testing

@testable import DiskCacheEngine

/// Random batches against a plain dictionary.
@Suite struct BTreeModelTests {
    /// 120,000 changes in 300 batches to two trees, through growth, shrinking to nothing and growth again.
    @Test func randomBatchesEqualTheModel() throws {
        var random = ReplayableRandom(tree: "randomBatchesEqualTheModel")
        let fixture = try TreeFixture()
        var keys = TreeModel()
        var rows = TreeModel()
        var known: [[UInt8]] = []
        var nextRow = 0
        for number in 1...300 {
            // Every third stretch of 30 batches mostly deletes.
            let deletions = number / 30 % 3 == 2 ? 85 : keys.count > 4000 ? 55 : 15
            var list: [(key: [UInt8], value: [UInt8]?)] = []
            for _ in 0..<(number % 10 == 0 ? 1200 : 180) {
                let isKnown = !known.isEmpty && random.below(100) < max(40, deletions)
                let key = isKnown ? known[random.below(known.count)] : random.key()
                if random.below(100) < deletions {
                    list.append((key, nil))
                } else {
                    list.append((key, random.bytes(random.below(10) == 0 ? random.below(65) : 8)))
                    if !isKnown { known.append(key) }
                }
            }
            for (key, value) in list { keys[key] = value }
            if keys.count < known.count / 2 { known = keys.sorted.map(\.key) }
            var rowList: [(key: [UInt8], value: [UInt8]?)] = []
            for _ in 0..<120 {
                if random.below(100) < deletions, nextRow > 0 {
                    rowList.append((TreeFixture.number(random.below(nextRow)), nil))
                } else {
                    rowList.append((TreeFixture.number(nextRow), random.bytes(5)))
                    nextRow += 1
                }
            }
            for (key, value) in rowList { rows[key] = value }
            let batch = try BTreeBatch(fixture.pager)
            try batch.apply(TreeFixture.changes(list), to: .key)
            try batch.apply(TreeFixture.changes(rowList), to: .rowid)
            #expect(batch.count(.key) == keys.count)
            if random.below(12) == 0 {
                batch.abandon()
                let again = try BTreeBatch(fixture.pager)
                try again.apply(TreeFixture.changes(list), to: .key)
                try again.apply(TreeFixture.changes(rowList), to: .rowid)
                try again.publish(position: UInt64(number))
            } else {
                try batch.publish(position: UInt64(number))
            }
            if random.below(9) == 0 { try fixture.pager.sync() }
            if number % 6 == 0 {
                _ = try BTreeChecker.check(fixture.pager)
                #expect(try fixture.scan(.key) == keys.sorted)
                #expect(try fixture.scan(.rowid, reversed: true) == rows.sorted.reversed())
            }
            if number % 3 == 0 { try compareRanges(fixture, keys, &random) }
            if number % 7 == 0 { try fixture.reopen() }
            #expect(try BTree(fixture.pager, .key).position().position == UInt64(number))
        }
        let empty = try TreeFixture.changes(keys.sorted.map { ($0.key, nil) })
        let last = try BTreeBatch(fixture.pager)
        try last.apply(empty, to: .key)
        try last.drop(.rowid)
        try last.publish(position: 1000)
        #expect(try BTree(fixture.pager, .key).count() == 0)
        #expect(try BTree(fixture.pager, .key).exists())
        #expect(try !BTree(fixture.pager, .rowid).exists())
        let report = try BTreeChecker.check(fixture.pager)
        #expect(report.leaves == 0 && report.branches == 0 && report.overflowPages == 0)
    }

    @Test func byteOrderIsThatOfTheStandardLibrary() {
        var random = ReplayableRandom(tree: "byteOrderIsThatOfTheStandardLibrary")
        for _ in 0..<5000 {
            let a = random.bytes(random.below(24))
            var b = random.below(2) == 0 ? Array(a.prefix(random.below(24))) : a
            if random.below(2) == 0, !b.isEmpty { b[random.below(b.count)] &+= UInt8(random.below(2)) }
            #expect(TreeModel.isBefore(a, b) == a.lexicographicallyPrecedes(b))
            let heads = [a, b].map { key in
                key.withUnsafeBytes { ByteOrder.head($0.baseAddress ?? UnsafeRawPointer(bitPattern: 8)!, $0.count) }
            }
            if heads[0] != heads[1] { #expect((heads[0] < heads[1]) == a.lexicographicallyPrecedes(b)) }
        }
    }

    private func compareRanges(_ fixture: TreeFixture, _ model: TreeModel, _ random: inout ReplayableRandom) throws {
        let sorted = model.sorted
        for _ in 0..<2 {
            var bounds = [random.key(), random.key()]
            if !sorted.isEmpty, random.below(2) == 0 {
                bounds[random.below(2)] = sorted[random.below(sorted.count)].key
            }
            bounds.sort { $0.lexicographicallyPrecedes($1) }
            var range = BTreeRange()
            if random.below(4) > 0 { range.lower = .init(key: bounds[0], isIncluded: random.below(2) == 0) }
            if random.below(4) > 0 { range.upper = .init(key: bounds[1], isIncluded: random.below(2) == 0) }
            let expected = model.entries(range)
            let limit = [1, 3, 64, 1000][random.below(4)]
            #expect(try fixture.scan(.key, range, limit: limit) == expected)
            #expect(try fixture.scan(.key, range, reversed: true, limit: limit) == expected.reversed())
        }
        for _ in 0..<10 {
            let key = sorted.isEmpty || random.below(2) == 0 ? random.key() : sorted[random.below(sorted.count)].key
            #expect(try fixture.value(key) == model[key])
        }
    }

    /// A sorted list into an empty tree, and appending to its end, fill pages to nine tenths.
    @Test func sortedInputFillsPages() throws {
        let fixture = try TreeFixture()
        try fixture.apply((0..<30_000).map { (TreeFixture.number($0), [1, 2, 3]) }, to: .rowid)
        for batch in 0..<10 {
            let first = 30_000 + batch * 1000
            try fixture.apply((first..<(first + 1000)).map { (TreeFixture.number($0), [1, 2, 3]) }, to: .rowid)
        }
        let report = try BTreeChecker.check(fixture.pager)
        #expect(report.entries == 40_000)
        #expect(report.leafBytes > report.leaves * PageLayout.pageSize * 87 / 100)
        #expect(try fixture.scan(.rowid).map(\.key) == (0..<40_000).map { TreeFixture.number($0) })
    }

    /// Space is used again: the file stays as long as its content does.
    @Test func pagesAreUsedAgain() throws {
        let fixture = try TreeFixture()
        var random = ReplayableRandom(seed: 5)
        let keys = (0..<3000).map { _ in random.bytes(16) }
        try fixture.apply(keys.map { ($0, [0]) })
        let used = try BTreeChecker.check(fixture.pager)
        for round in 1...40 {
            try fixture.apply(keys.map { ($0, [UInt8(round)]) })
            if round % 10 == 0 { try fixture.pager.sync() }
        }
        let root = try fixture.pager.fileRoot()
        // The last root, the one before, the synced one, and the batch in work.
        #expect(root.pages <= 5 * (used.leaves + used.branches) + 8)
        _ = try BTreeChecker.check(fixture.pager)
    }

    /// A batch that changes nothing writes no page.
    @Test func unchangedPagesStay() throws {
        let fixture = try TreeFixture()
        let list = (0..<5000).map { (key: TreeFixture.number($0), value: [UInt8(1)] as [UInt8]?) }
        try fixture.apply(list)
        let before = try fixture.pager.fileRoot()
        try fixture.apply(list + [(Array("none".utf8), nil)])
        let after = try fixture.pager.fileRoot()
        #expect(after.trees == before.trees)
        #if FAILPOINTS
            // One new key rewrites one page a level.
            var written = 0
            fixture.pager.stepHandler = { if $0 == .treesPageWritten { written += 1 } }
            try fixture.apply([(TreeFixture.number(2500) + [0], [1])])
            fixture.pager.stepHandler = nil
            #expect(written == after.trees[TreeID.key.rawValue].level + 1)
        #endif
    }

    /// The last of several changes of one key counts, in whatever order they come.
    @Test func theLastChangeOfAKeyCounts() throws {
        let fixture = try TreeFixture()
        try fixture.apply([([2], [1]), ([1], [1]), ([2], nil), ([1], nil), ([1], [7]), ([], [9])])
        #expect(try fixture.scan() == [TreeEntry(key: [], value: [9]), TreeEntry(key: [1], value: [7])])
        let tree = BTree(fixture.pager, .key)
        #expect(try tree.first()?.key == [])
        #expect(try tree.first(last: true)?.key == [1])
    }

    @Test func prefixesAreRanges() throws {
        let fixture = try TreeFixture()
        try fixture.apply([([1], [1]), ([1, 255], [2]), ([1, 255, 255, 3], [3]), ([2], [4]), ([255, 255], [5])])
        #expect(try fixture.scan(.key, BTreeRange(prefix: [1, 255])).map(\.value) == [[2], [3]])
        #expect(try fixture.scan(.key, BTreeRange(prefix: [255])).map(\.value) == [[5]])
        #expect(try fixture.scan(.key, BTreeRange(prefix: [])).count == 5)
        #expect(try fixture.scan(.key, BTreeRange(from: [1, 0], upTo: [2])).map(\.value) == [[2], [3]])
    }

    /// A cursor goes on in the newest batch, behind the last key that it gave.
    @Test func cursorsGoOnAfterBatches() throws {
        let fixture = try TreeFixture()
        try fixture.apply((0..<1000).map { (TreeFixture.number($0 * 2), [1]) })
        let cursor = BTree(fixture.pager, .key).cursor()
        let entries = BTreeEntries()
        #expect(try cursor.next(entries, limit: 100, in: fixture.pager) == 100)
        let batch = cursor.batch
        try fixture.apply([(TreeFixture.number(199), [2])])
        #expect(try cursor.next(entries, limit: 1, in: fixture.pager) == 1)
        #expect(cursor.batch == batch)
        try fixture.apply([(TreeFixture.number(201), [3])])
        #expect(try cursor.next(entries, limit: 2, in: fixture.pager) == 2)
        #expect(cursor.batch == batch + 2)
        #expect([UInt8](entries.key(0)) == TreeFixture.number(201))
        cursor.seek(to: UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(try cursor.next(entries, in: fixture.pager) == 64)
    }

    /// The bytes of a small leaf, as `PageLayout` draws them.
    @Test func goldenLeaf() throws {
        let fixture = try TreeFixture()
        try fixture.apply([(Array("abc1".utf8), [7]), (Array("abd".utf8), [])])
        let root = try fixture.pager.fileRoot().trees[TreeID.key.rawValue]
        let page = Int(root.page.page)
        #expect(page == PageLayout.firstTreePage)
        let bytes = Array(try fixture.image()[(page * 4096)..<((page + 1) * 4096)])
        let expected: [UInt8] =
            [3, 0, 0, 0, 0, 0, 0, 0] + [1, 0, 2, 0, 2, 0, 44, 0] + [0, 0, 0, 0, 0, 0, 0, 0]
            + [42, 0, 44, 0, 0x61, 0x62] + [1, 0x63, 0x31, 7] + [0, 0x64]
        #expect(Array(bytes[8..<44]) == expected)
        #expect(bytes[44...].allSatisfy { $0 == 0 })
        let check = bytes[8...].withUnsafeBytes { XXH64.hash($0, seed: fixture.pager.seed &+ UInt64(page)) }
        #expect(bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) } == check)
        #expect(UInt32(truncatingIfNeeded: check) == root.page.check)
    }
}
