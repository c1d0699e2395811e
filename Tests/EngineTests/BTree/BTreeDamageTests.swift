import TestSupport
import Testing

@testable import DiskCacheEngine

/// Files whose content isn't what was written: by accident, and by malice.
@Suite struct BTreeDamageTests {
    /// A tree of few small pages, four deep, with long keys.
    private static func fixture() throws -> (TreeFixture, [TreeEntry]) {
        let fixture = try TreeFixture()
        var model = TreeModel()
        var random = ReplayableRandom(seed: 11)
        for number in 0..<28 {
            let shared = [UInt8](repeating: UInt8(number / 4), count: 700)
            model[shared + [UInt8(number)] + random.bytes(20)] = [UInt8(number), 1, 2]
        }
        for number in 0..<3 { model[[UInt8](repeating: 9, count: 970 + 3100 * number) + [1]] = [5] }
        try fixture.apply(model.sorted.map { ($0.key, $0.value) }, position: 1)
        try fixture.apply((0..<5).map { (TreeFixture.number($0), [1]) }, to: .rowid, position: 2)
        return (fixture, model.sorted)
    }

    /// Who names a page, and where the check beside its number stands.
    private struct Parent {
        var page: Int
        var check: Int
    }

    private struct Map {
        var parents: [Int: Parent] = [:]
        var pages: [Int] = []
    }

    private static func map(_ pager: Pager) throws -> Map {
        var map = Map()
        let root = try pager.fileRoot()
        let slot = PageLayout.root(ofBatch: root.batch)
        for (index, tree) in root.trees.enumerated() where tree.page.page != 0 {
            let at = slot + PageLayout.rootTrees + index * PageLayout.rootTreeSize + 4
            map.parents[Int(tree.page.page)] = Parent(page: 0, check: at)
            try walk(pager, tree.page, tree.level, root, &map)
        }
        return map
    }

    private static func walk(
        _ pager: Pager, _ reference: PageReference, _ level: Int, _ root: FileRoot, _ map: inout Map
    ) throws {
        let number = Int(reference.page)
        map.pages.append(number)
        let view = Pager.View(batch: root.batch, pages: root.pages, isWriter: true)
        let buffer = PageBuffer()
        let page = try #require(try pager.load(reference, level: level, view, into: buffer))
        func offset(_ pointer: UnsafeRawPointer) -> Int { pointer - UnsafeRawPointer(buffer.base) }
        for index in 0..<page.count {
            let cell = page.cell(index)
            if cell.longCount > 0 {
                var parent = Parent(page: number, check: number * 4096 + offset(cell.suffix) + cell.suffixCount + 8)
                var chain = cell.chain
                while chain.page != 0 {
                    let at = Int(chain.page)
                    map.parents[at] = parent
                    map.pages.append(at)
                    parent = Parent(page: at, check: at * 4096 + PageLayout.overflowNext + 4)
                    let next = PageBuffer()
                    _ = try pager.loadOverflow(chain, view, into: next)
                    chain = Pager.next(ofOverflow: next)
                }
            }
            if level > 0 {
                let child = page.child(index)
                map.parents[Int(child.page)] = Parent(page: number, check: number * 4096 + offset(cell.suffix) - 4)
                try walk(pager, child, level - 1, root, &map)
            }
        }
    }

    /// Makes all checksums from a page up to the root right again.
    private static func fix(_ pager: Pager, _ page: Int, _ map: Map) {
        var page = page
        while page != 0 {
            let start = pager.base + page * 4096
            let check = pager.checksum(start, page: UInt32(page))
            start.storeBytes(of: check.littleEndian, as: UInt64.self)
            guard let parent = map.parents[page] else { return }
            let low = UInt32(truncatingIfNeeded: check).littleEndian
            pager.base.storeBytes(of: low, toByteOffset: parent.check, as: UInt32.self)
            page = parent.page
        }
        let root = pager.base + PageLayout.root(ofBatch: pager.batchWord.relaxed())
        let check = XXH64.hash(root, PageLayout.rootCheck, seed: pager.seed)
        root.storeBytes(of: check.littleEndian, toByteOffset: PageLayout.rootCheck, as: UInt64.self)
    }

    /// Changes some bytes of a page's content, those of the header, of offsets and of page numbers more often than others.
    private static func mutate(_ pager: Pager, _ page: Int, _ random: inout ReplayableRandom) {
        let start = pager.base + page * 4096
        let end = max(40, min(4096, Int(Page.short(start, PageLayout.end))))
        for _ in 0...random.below(4) {
            let at: Int
            switch random.below(5) {
            case 0: at = 8 + random.below(24)
            case 1: at = 32 + random.below(24)
            case 2: at = 8 + random.below(4088)
            default: at = 32 + random.below(end - 32)
            }
            let old = start.load(fromByteOffset: at, as: UInt8.self)
            let choices: [UInt8] = [
                0, 1, 0x7F, 0x80, 0xFF, old &+ 1, old &- 1, UInt8(truncatingIfNeeded: random.next()),
            ]
            start.storeBytes(of: choices[random.below(choices.count)], toByteOffset: at, as: UInt8.self)
        }
        // Another page's content in this place, or one child instead of another.
        if random.below(12) == 0 {
            let other = pager.base + (PageLayout.firstTreePage + random.below(12)) * 4096
            start.copyMemory(from: other, byteCount: 4096)
        }
    }

    /// 20,000 pages are changed with their checksums made right, up to the root. Whatever is asked of the file then is
    /// answered or refused: no trap, no way out of the mapping, no endless loop.
    @Test func hostilePages() throws {
        var random = ReplayableRandom(tree: "hostilePages")
        let (fixture, entries) = try Self.fixture()
        let pager = fixture.pager
        let map = try Self.map(pager)
        let size = try pager.fileRoot().pages * 4096
        let image = try fixture.image()
        var list: [(key: [UInt8], value: [UInt8]?)] = []
        for (index, entry) in entries.enumerated() { list.append((entry.key, index % 3 == 0 ? nil : [9])) }
        for number in 0..<20 { list.append(([UInt8(number / 2)] + random.bytes(900), [1])) }
        let changes = try TreeFixture.changes(list)
        var mutated = 0
        var refused = 0
        while mutated < 20_000 {
            for _ in 0..<(1 + random.below(6)) {
                let page = map.pages[random.below(map.pages.count)]
                Self.mutate(pager, page, &random)
                Self.fix(pager, page, map)
                mutated += 1
            }
            if random.below(20) == 0 {
                let root = pager.base + PageLayout.root(ofBatch: pager.batchWord.relaxed())
                root.storeBytes(of: UInt8(random.below(256)), toByteOffset: 8 + random.below(100), as: UInt8.self)
                Self.fix(pager, 0, map)
            }
            do {
                switch random.below(8) {
                case 0...1: #expect(try fixture.scan().count < 20_000)
                case 2...3: #expect(try fixture.scan(.key, reversed: true).count < 20_000)
                case 4: _ = try fixture.value(entries[random.below(entries.count)].key)
                case 5: _ = try BTreeChecker.check(pager)
                default:
                    let batch = try BTreeBatch(pager)
                    if random.below(3) == 0 { try batch.drop(.key) }
                    try batch.apply(changes, to: .key)
                    try batch.publish(position: 9)
                    _ = try fixture.scan()
                }
            } catch let error as EngineError {
                #expect([.corrupted, .limitReached].contains(error.code))
                refused += 1
            }
            pager.allocator = nil
            image.withUnsafeBytes { pager.base.copyMemory(from: $0.baseAddress!, byteCount: size) }
        }
        print("hostilePages: \(mutated) pages, \(refused) files refused")
        #expect(try fixture.scan() == entries)
    }

    /// One bit anywhere: what is read is right, or an error.
    @Test func bitFlips() throws {
        var random = ReplayableRandom(tree: "bitFlips")
        let (fixture, entries) = try Self.fixture()
        let pager = fixture.pager
        let size = try pager.fileRoot().pages * 4096
        let rows = try fixture.scan(.rowid)
        var found = 0
        for number in 0..<3000 {
            // The first page's words and roots, then anything.
            let header = number % 2 == 0 ? 128 + random.below(8) : 1024 + random.below(1280)
            let at = number < 800 ? header : random.below(size)
            let old = pager.base.load(fromByteOffset: at, as: UInt8.self)
            pager.base.storeBytes(of: old ^ (1 << UInt8(random.below(8))), toByteOffset: at, as: UInt8.self)
            do {
                let isRight = try fixture.scan() == entries && fixture.scan(.rowid) == rows
                // A flipped batch number may lead to the root before, which is whole and has no rows yet.
                let isBefore = try at >= 128 && at < 136 && fixture.scan() == entries
                #expect(isRight || isBefore)
            } catch let error as EngineError {
                #expect(error.code == .corrupted)
                found += 1
            }
            pager.base.storeBytes(of: old, toByteOffset: at, as: UInt8.self)
        }
        print("bitFlips: \(found) of 3000 reported")
        #expect(found > 500)
        #expect(try fixture.scan() == entries)
    }

    /// A file that is shorter than its root says is refused, not read beyond its end.
    @Test func truncatedFiles() throws {
        let (fixture, _) = try Self.fixture()
        let image = try fixture.image()
        for pages in 0..<(image.count / 4096) {
            let scratch = try ScratchDirectory()
            let directory = try scratch.open()
            let file = try fixture.files.open(PageLayout.name(1), in: directory, [.write, .create])
            try fixture.files.write(file, Array(image[..<(pages * 4096)]), at: 0)
            let status = try fixture.files.status(file)
            let identity = Pager.Identity(
                storeID: TreeFixture.storeID, generation: 1, boot: (1, 1), device: status.device, inode: status.inode)
            try fixture.files.write(file, identity.encoded(), at: 0)
            do {
                let opened = try Pager.open(
                    generation: 1, in: directory, files: fixture.files, storeID: TreeFixture.storeID)
                if let opened { _ = try TreeFixture.scan(opened.pager, .key) }
            } catch let error as EngineError {
                #expect(error.code == .corrupted)
            }
        }
    }
}
