/// What a root says of one tree.
struct TreeRoot: Equatable, Sendable {
    /// Page 0: the tree is empty.
    var page = PageReference.none
    var level = 0
    var count: UInt64 = 0
    /// Whether the view is kept at all; an empty tree that exists is one that holds no entry.
    var exists = false
}

/// A root of all trees: see `PageLayout`.
struct FileRoot: Equatable, Sendable {
    var batch: UInt64
    var position: Position
    /// Pages from here on were never used.
    var pages: Int
    var trees = [TreeRoot](repeating: TreeRoot(), count: PageLayout.maximumTrees)

    init(batch: UInt64, position: Position, pages: Int) {
        self.batch = batch
        self.position = position
        self.pages = pages
    }

    /// The 256 bytes.
    func encoded(seed: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: PageLayout.rootSize)
        bytes.withUnsafeMutableBytes { raw in
            func put<T: FixedWidthInteger>(_ value: T, _ at: Int) {
                raw.storeBytes(of: value.littleEndian, toByteOffset: at, as: T.self)
            }
            put(batch, 0)
            put(position, PageLayout.rootPosition)
            put(UInt64(pages), PageLayout.rootPages)
            for (index, tree) in trees.enumerated() {
                let at = PageLayout.rootTrees + index * PageLayout.rootTreeSize
                put(tree.page.page, at)
                put(tree.page.check, at + 4)
                put(UInt8(tree.level), at + 8)
                put(tree.page.flags | (tree.exists ? PageLayout.treeExists : 0), at + 9)
                put(tree.count, at + 16)
            }
            let check = XXH64.hash(UnsafeRawBufferPointer(rebasing: raw[..<PageLayout.rootCheck]), seed: seed)
            put(check, PageLayout.rootCheck)
        }
        return bytes
    }

    /// The root in 256 bytes; nil if they aren't a whole one, or name pages outside of a file of `filePages`.
    init?(_ bytes: UnsafeRawPointer, seed: UInt64, filePages: Int) {
        guard Self.isWhole(bytes, seed: seed) else { return nil }
        batch = Self.word(bytes, 0)
        position = Self.word(bytes, PageLayout.rootPosition)
        let pages = Self.word(bytes, PageLayout.rootPages)
        guard batch < 1 << 62, pages >= UInt64(PageLayout.firstTreePage), pages <= UInt64(filePages) else { return nil }
        self.pages = Int(pages)
        for index in 0..<PageLayout.maximumTrees {
            guard let tree = Self.tree(index, in: bytes, filePages: filePages) else { return nil }
            trees[index] = tree
        }
    }

    /// Whether the bytes are those that `encoded` made.
    static func isWhole(_ bytes: UnsafeRawPointer, seed: UInt64) -> Bool {
        word(bytes, PageLayout.rootCheck) == XXH64.hash(bytes, PageLayout.rootCheck, seed: seed)
    }

    /// One tree of a whole root; nil if its page lies outside of the file.
    static func tree(_ index: Int, in bytes: UnsafeRawPointer, filePages: Int) -> TreeRoot? {
        let at = PageLayout.rootTrees + index * PageLayout.rootTreeSize
        func half(_ at: Int) -> UInt32 {
            UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
        }
        let level = Int(bytes.load(fromByteOffset: at + 8, as: UInt8.self))
        let flags = bytes.load(fromByteOffset: at + 9, as: UInt8.self)
        var page = PageReference(page: half(at), check: half(at + 4))
        page.flags = flags & PageLayout.overflowBeneath
        let count = word(bytes, at + 16)
        guard level < PageLayout.maximumDepth, page.page < filePages, count < 1 << 62,
            page.page == 0 ? count == 0 && level == 0 : page.page >= PageLayout.firstTreePage && count > 0
        else { return nil }
        return TreeRoot(page: page, level: level, count: count, exists: flags & PageLayout.treeExists != 0)
    }

    static func word(_ bytes: UnsafeRawPointer, _ at: Int) -> UInt64 {
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
    }
}
