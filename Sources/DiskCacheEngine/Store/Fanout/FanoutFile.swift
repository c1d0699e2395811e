/// The file `fanout`, which says of a directory that its items are spread over so many stores, its shards. Stored in files; never
/// renumber.
///
/// ```
///   0  magic 8      89 'D' 'C' 'F' 0D 0A 1A 0A
///   8  format 4     1
///  12  shards 4     1 to 1000
///  16  check 8      XXH64 of bytes 0 to 15, seed 0
/// ```
///
/// Renamed into place, synced, before any shard is made, and never changed: so shards without it were never somebody's.
struct FanoutFile: Equatable, Sendable {
    static let name = "fanout"
    static let newName = "fanout.new"
    static let size = 24
    static let magic: UInt64 = 0x0A1A_0A0D_4643_4489
    static let format: UInt32 = 1
    /// The names of shards have three digits.
    static let largestCount = 1000

    let count: Int

    /// The 24 bytes.
    func encoded() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.size)
        bytes.withUnsafeMutableBytes { raw in
            raw.storeBytes(of: Self.magic.littleEndian, as: UInt64.self)
            raw.storeBytes(of: Self.format.littleEndian, toByteOffset: 8, as: UInt32.self)
            raw.storeBytes(of: UInt32(truncatingIfNeeded: count).littleEndian, toByteOffset: 12, as: UInt32.self)
            let check = XXH64.hash(UnsafeRawBufferPointer(rebasing: raw[0..<16]), seed: 0)
            raw.storeBytes(of: check.littleEndian, toByteOffset: 16, as: UInt64.self)
        }
        return bytes
    }

    init(count: Int) { self.count = count }

    /// What a file of these bytes says. `path`: for errors.
    init(_ bytes: [UInt8], path: String) throws(EngineError) {
        let found = bytes.withUnsafeBytes { raw -> (format: UInt32, count: UInt32)? in
            guard raw.count >= Self.size, UInt64(littleEndian: raw.loadUnaligned(as: UInt64.self)) == Self.magic,
                UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
                    == XXH64.hash(UnsafeRawBufferPointer(rebasing: raw[0..<16]), seed: 0)
            else { return nil }
            func word(_ at: Int) -> UInt32 {
                UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt32.self))
            }
            return (word(8), word(12))
        }
        guard let found else { throw Self.damaged(path) }
        // A later format may be longer, but begins in the same way.
        guard found.format == Self.format else {
            throw EngineError(
                .unsupportedFormat, "the shards are of format \(found.format), which this version doesn't know",
                path: path)
        }
        guard bytes.count == Self.size, (1...Self.largestCount).contains(Int(found.count)) else {
            throw Self.damaged(path)
        }
        count = Int(found.count)
    }

    private static func damaged(_ path: String) -> EngineError {
        EngineError(
            .corrupted,
            "the file that says how many shards there are is damaged; count the directories 000, 001, … and restore it",
            path: path)
    }
}
