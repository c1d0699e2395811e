/// Where things stand in the file `trees.<generation>`. Stored in files; never renumber.
///
/// The file is a run of pages of 4 KiB. Page 0 is the header:
///
/// ```
///     0  magic 8          89 'D' 'C' 'T' 0D 0A 1A 0A
///     8  format 4         1
///    12  reserved 4       0
///    16  store id 16
///    32  generation 8
///    40  boot 16          two XXH64 of the identity of the boot that last believed or made the file
///    56  device 8         of this file, as of then
///    64  inode 8
///    72  reserved 48      0
///   120  check 8          XXH64 of bytes 0 to 119, seed 0
///   128  batch 8          the number of the last batch that was published; its lowest bit says which root counts
///  1024  root 0, 256      of the last even batch
///  2048  root 1, 256      of the last odd batch
/// ```
///
/// Pages 1 and 2 each begin with a root of 256 bytes that was synced, with everything that it leads to; the later one counts.
/// All other pages belong to a tree, or are free: which ones are free is not stored, it follows from the roots.
///
/// A **root** (a superblock, as file systems call it):
///
/// ```
///    0  batch 8           the batch that it ends
///    8  position 8        the trees hold what the log says below this position
///   16  pages 8           pages from here on were never used
///   24  reserved 8        0
///   32  trees 8 x 24      page 4 (0: empty) | check 4 | level 1 | flags 1 (1: overflow beneath, 128: exists) | 0 2 |
///                         reserved 4 | count 8
///  224  reserved 24       0
///  248  check 8           XXH64 of bytes 0 to 247, seeded with the file's seed
/// ```
///
/// The file's seed is the XXH64 of bytes 16 to 39 of the header, seed 0. A **page** of a tree:
///
/// ```
///    0  check 8           XXH64 of bytes 8 to 4095, seeded with the file's seed + the page's number
///    8  batch 8           the batch that wrote it
///   16  kind 1            1 leaf, 2 branch, 3 overflow
///   17  level 1           0 leaf and overflow; a branch: one more than its children
///   18  count 2           cells; in an overflow page: bytes
///   20  prefix 2          bytes that all keys of the page begin with, at most 256
///   22  end 2             where the cells end; zeros behind it
///   24  reserved 8        0
///   32  ends 2 x count    where each cell ends
///       prefix
///       cells             in order, without gaps: a cell begins where the one before it ends
/// ```
///
/// A cell of a **leaf** is a key with its value, one of a **branch** a child with the key that separates it from the child
/// before it; the first has no key. All keys below a child are at or above its own separator and below the next one's.
///
/// ```
///  leaf     flags 1 | key | chain 12 if the key is long | value
///           flags: 128 long key, the rest the length of the value (0 to 64)
///  branch   flags 1 | page 4 | check 4 | key | chain 12 if the key is long
///           flags: 128 long key, 1 the child is a leaf that holds long keys
///  key      what follows the page's prefix
///  chain    length of the whole key 4 | first overflow page 4 | check 4
///  overflow page, from byte 32: next page 4 (0: last) | check of the next 4 | bytes
/// ```
///
/// A key beyond 960 bytes is long: its first 256 bytes stand in the cell (and prefix), the rest in overflow pages. A `check`
/// beside a page's number is the low half of the page's own, so that a page can't pass for another, nor old content for new.
enum PageLayout {
    static let magic: UInt64 = 0x0A1A_0A0D_5443_4489
    static let pageSize = 4096

    static let identitySize = 120
    static let batch = 128
    static let rootSize = 256
    static let rootPosition = 8
    static let rootPages = 16
    static let rootTrees = 32
    static let rootTreeSize = 24
    static let rootCheck = 248
    static let maximumTrees = 8
    static let treeExists: UInt8 = 128

    /// Where the root of a batch stands.
    static func root(ofBatch batch: UInt64) -> Int { batch & 1 == 0 ? 1024 : 2048 }
    /// Where the two synced roots stand.
    static let syncedRoots = [pageSize, 2 * pageSize]
    /// The first page that may belong to a tree.
    static let firstTreePage = 3

    static let pageBatch = 8
    static let kind = 16
    static let level = 17
    static let count = 18
    static let prefix = 20
    static let end = 22
    static let cellEnds = 32

    static let leaf: UInt8 = 1
    static let branch: UInt8 = 2
    static let overflow: UInt8 = 3

    static let longKey: UInt8 = 128
    static let overflowBeneath: UInt8 = 1
    static let leafCellHead = 1
    static let branchCellHead = 9
    static let chainSize = 12
    static let overflowNext = 32
    static let overflowBytes = 40
    static let overflowCapacity = pageSize - overflowBytes

    static let maximumDepth = 16
    static let maximumValue = 64
    /// Longer keys have all but their head in overflow pages.
    static let maximumInlineKey = 960
    /// What stands in the page of a long key; no page's prefix is longer.
    static let inlineHead = 256
    static let maximumKey = 17 << 20
    /// What a page that has room to choose is filled to: nine tenths.
    static let fill = pageSize * 9 / 10
    /// A page with fewer bytes is merged with a neighbour.
    static let underfull = pageSize / 4

    /// The name of the file of a generation.
    static func name(_ generation: UInt64) -> String { "trees.\(generation)" }

    /// The generation whose file has this name.
    static func generation(ofName name: String) -> UInt64? {
        guard name.hasPrefix("trees."), let number = UInt64(name.dropFirst(6)), isGeneration(number),
            self.name(number) == name
        else { return nil }
        return number
    }

    /// Whether a store can come to have as many files of trees, one after the other: far below where numbers end.
    static func isGeneration(_ number: UInt64) -> Bool { number < 1 << 48 }
}

/// The ordered views that have a tree in the file. Stored in files; never renumber.
enum TreeID: Int, CaseIterable, Sendable {
    case rowid = 0
    case key = 1
    case expiry = 2
    case tag = 3
}

/// A page and the check by which its content is known.
struct PageReference: Equatable, Sendable {
    var page: UInt32
    var check: UInt32
    /// `PageLayout.overflowBeneath` or 0.
    var flags: UInt8 = 0

    static let none = PageReference(page: 0, check: 0)
}

/// Where the rest of a long key lies.
struct KeyChain: Equatable, Sendable {
    var page: UInt32
    var check: UInt32

    static let none = KeyChain(page: 0, check: 0)
}
