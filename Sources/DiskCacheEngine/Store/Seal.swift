/// What the last to close leaves in `meta`: the state of log and index at that moment, and the sum of the whole index file, so
/// that an opener who is alone can tell a damaged index. The first write clears it; one that doesn't match counts as none.
///
/// ```
///   0  magic 8       "sealed" and two zero bytes
///   8  commit word 8
///  16  head 8
///  24  generation 8  of the index
///  32  index sum 8   XXH64 of the index file, seed 0
///  40  index size 8
///  48  reserved 72   0
/// 120  check 8       XXH64 of bytes 0 to 119, seed 0
/// ```
struct Seal: Equatable {
    static let size = 128
    static let magic: UInt64 = 0x0000_6465_6C61_6573
    /// Indexes larger than this aren't summed at an opening in the same boot: that would take longer than it may.
    static let summedLimit = 4 << 20

    /// Nanoseconds that a store must have been open for a seal to be worth while: ten times what summing an index takes, at a
    /// gigabyte a second. Small ones cost nothing.
    static func leastOpen(indexSize: Int) -> UInt64 { indexSize <= summedLimit ? 0 : UInt64(indexSize) * 10 }

    var word: UInt64
    var head: Position
    var generation: UInt64
    var indexSum: UInt64
    var indexSize: UInt64

    init(word: UInt64, head: Position, generation: UInt64, indexSum: UInt64, indexSize: UInt64) {
        self.word = word
        self.head = head
        self.generation = generation
        self.indexSum = indexSum
        self.indexSize = indexSize
    }

    /// The seal in `meta`; nil if there is none, or not a whole one.
    init?(_ base: UnsafeRawPointer) {
        let bytes = UnsafeRawBufferPointer(start: base + CommitBlock.sealOffset, count: Self.size)
        func word(_ at: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        }
        guard word(0) == Self.magic,
            word(120) == XXH64.hash(UnsafeRawBufferPointer(rebasing: bytes[0..<120]), seed: 0)
        else { return nil }
        self.init(
            word: word(8), head: word(16), generation: word(24), indexSum: word(32), indexSize: word(40))
    }

    /// Puts the seal into `meta`.
    func write(to base: UnsafeMutableRawPointer) {
        var words: [UInt64] = [Self.magic, word, head, generation, indexSum, indexSize]
        words += [UInt64](repeating: 0, count: 10)
        let sum = words.withUnsafeBytes { XXH64.hash(UnsafeRawBufferPointer(rebasing: $0[0..<120]), seed: 0) }
        words[15] = sum
        words.withUnsafeBytes {
            SharedMemory.copy($0.baseAddress!, to: base + CommitBlock.sealOffset, count: Self.size)
        }
        FaultPoint.reach(.sealWritten)
    }

    /// Takes it away. One store: without its magic it is none.
    @inline(__always) static func clear(_ base: UnsafeMutableRawPointer) {
        let magic = SharedWord(base, CommitBlock.sealOffset)
        if magic.relaxed() != 0 {
            magic.store(0)
            FaultPoint.reach(.sealCleared)
        }
    }
}
