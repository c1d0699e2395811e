import Testing

@testable import DiskCacheEngine

/// What a tree ought to hold, in plain arrays.
struct TreeModel: Equatable {
    var values: [[UInt8]: [UInt8]] = [:]

    /// All entries in order.
    var sorted: [TreeEntry] {
        values.map { TreeEntry(key: $0.key, value: $0.value) }.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }
}

struct TreeEntry: Equatable {
    var key: [UInt8]
    var value: [UInt8]
}

/// A file of trees in a directory of its own, with what the tests do to it.
final class TreeFixture {
    let scratch: ScratchDirectory
    let directory: FileDescriptor
    let files: any FileSystem
    var pager: Pager

    static let storeID: (UInt64, UInt64) = (0x1122_3344_5566_7788, 0x99AA_BBCC_DDEE_FF00)
    static let boot: (UInt64, UInt64) = (1, 2)

    init(files: any FileSystem = SystemFiles()) throws {
        scratch = try ScratchDirectory()
        directory = try scratch.open()
        self.files = files
        pager = try Pager.create(
            generation: 1, in: directory, files: files, storeID: Self.storeID, boot: Self.boot, position: 0)
    }

    /// A copy of a file that was read at some instant, as it would be found by the next process.
    init(image: [UInt8]) throws {
        scratch = try ScratchDirectory()
        directory = try scratch.open()
        files = SystemFiles()
        let file = try files.open(PageLayout.name(1), in: directory, [.write, .create])
        try files.write(file, image, at: 0)
        let status = try files.status(file)
        let identity = Pager.Identity(
            storeID: Self.storeID, generation: 1, boot: Self.boot, device: status.device, inode: status.inode)
        try files.write(file, identity.encoded(), at: 0)
        let opened = try Pager.open(generation: 1, in: directory, files: files, storeID: Self.storeID)
        pager = try #require(opened).pager
    }

    /// The file as it is now.
    func image() throws -> [UInt8] {
        let size = try SystemFiles().status(pager.file).size
        return try SystemFiles().read(pager.file, count: size, at: 0)
    }

    func reopen() throws {
        let opened = try Pager.open(generation: 1, in: directory, files: files, storeID: Self.storeID)
        pager = try #require(opened).pager
    }

    /// One batch, as changes to a tree: nil deletes.
    func apply(_ changes: [(key: [UInt8], value: [UInt8]?)], to tree: TreeID = .key, position: Position = 1) throws {
        let batch = try BTreeBatch(pager)
        try batch.apply(Self.changes(changes), to: tree)
        try batch.publish(position: position)
    }

    static func changes(_ list: [(key: [UInt8], value: [UInt8]?)]) throws -> BTreeChanges {
        let changes = BTreeChanges()
        for (key, value) in list {
            try key.withUnsafeBytes { key in
                if let value {
                    try value.withUnsafeBytes { try changes.insert(key, $0) }
                } else {
                    try changes.delete(key)
                }
            }
        }
        return changes
    }

    func scan(
        _ tree: TreeID = .key, _ range: BTreeRange = BTreeRange(), reversed: Bool = false, limit: Int = 64
    ) throws -> [TreeEntry] {
        try Self.scan(pager, tree, range, reversed: reversed, limit: limit)
    }

    static func scan(
        _ pager: Pager, _ tree: TreeID, _ range: BTreeRange = BTreeRange(), reversed: Bool = false, limit: Int = 64
    ) throws -> [TreeEntry] {
        let cursor = BTree(pager, tree).cursor(range, reversed: reversed)
        let entries = BTreeEntries()
        var all: [TreeEntry] = []
        while try cursor.next(entries, limit: limit) > 0 {
            for index in 0..<entries.count {
                all.append(TreeEntry(key: [UInt8](entries.key(index)), value: [UInt8](entries.value(index))))
            }
        }
        return all
    }

    func value(_ key: [UInt8], _ tree: TreeID = .key) throws -> [UInt8]? {
        try key.withUnsafeBytes { try BTree(pager, tree).value(of: $0) }
    }

    /// A row id's key.
    static func number(_ value: Int) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) }
    }
}
