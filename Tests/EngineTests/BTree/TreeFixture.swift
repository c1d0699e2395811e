import Testing

@testable import DiskCacheEngine

/// What a tree ought to hold: a sorted array.
struct TreeModel: Equatable {
    private(set) var sorted: [TreeEntry] = []

    var count: Int { sorted.count }

    subscript(key: [UInt8]) -> [UInt8]? {
        get {
            let index = lowerBound(key)
            return index < sorted.count && sorted[index].key == key ? sorted[index].value : nil
        }
        set {
            let index = lowerBound(key)
            let isThere = index < sorted.count && sorted[index].key == key
            if let newValue {
                if isThere {
                    sorted[index].value = newValue
                } else {
                    sorted.insert(TreeEntry(key: key, value: newValue), at: index)
                }
            } else if isThere {
                sorted.remove(at: index)
            }
        }
    }

    /// The index of the first entry that doesn't lie before `key`.
    func lowerBound(_ key: [UInt8]) -> Int {
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            if Self.isBefore(sorted[middle].key, key) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The entries of a range.
    func entries(_ range: BTreeRange) -> [TreeEntry] {
        var start = 0
        var end = sorted.count
        if let lower = range.lower {
            start = lowerBound(lower.key)
            if !lower.isIncluded, start < end, sorted[start].key == lower.key { start += 1 }
        }
        if let upper = range.upper {
            end = lowerBound(upper.key)
            if upper.isIncluded, end < sorted.count, sorted[end].key == upper.key { end += 1 }
        }
        return start < end ? Array(sorted[start..<end]) : []
    }

    /// `ByteOrder`, which a test holds against the standard library, since that is slow in debug builds.
    static func isBefore(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.withUnsafeBytes { a in
            b.withUnsafeBytes { b in
                guard let left = a.baseAddress, let right = b.baseAddress else { return a.count < b.count }
                return ByteOrder.compare(left, a.count, right, b.count) < 0
            }
        }
    }
}

struct TreeEntry: Equatable {
    var key: [UInt8]
    var value: [UInt8]

    /// That of the standard library takes most of a test's time in debug builds.
    static func == (a: Self, b: Self) -> Bool {
        a.key.count == b.key.count && !TreeModel.isBefore(a.key, b.key) && !TreeModel.isBefore(b.key, a.key)
            && a.value == b.value
    }
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
        while try cursor.next(entries, limit: limit, in: pager) > 0 {
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
