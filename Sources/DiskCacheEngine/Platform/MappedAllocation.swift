/// Blocks, and pages, for a range of a file that is stored to through a mapping.
///
/// A range that has no blocks yet is filled with zeros by writes of 16 KiB at multiples of 16 KiB: the page cache then holds it in
/// pieces of that size, each of pages that lie side by side in memory, and a processor that joins the translations of such pages (AMD's
/// since Zen) needs a quarter of them. Left to page faults every page lies anywhere. Not more than 16 KiB, for the system writes a piece
/// back as a whole however little of it has changed.
extension FileSystem {
    /// Blocks for `count` bytes from `offset` on and their pages present, so that no store into `base`, the file's mapping from
    /// `offset` on, meets a full disk or a page fault. nil: the file isn't stored to through a mapping. Nobody has stored anything from
    /// `unused` on.
    func allocate(
        _ file: FileDescriptor, offset: Int, count: Int, mappedAt base: UnsafeMutableRawPointer?, unused: Int
    ) throws(SystemError) {
        guard let base else { return try allocate(file, offset: offset, count: count) }
        // Blocks are allocated from the beginning of a file on, so the range that others have made ready ends about there.
        let ready = try status(file).allocated
        try allocate(file, offset: offset, count: count)
        try MappedAllocation.clear(file, self, from: max(offset, unused, ready), to: offset + count)
        SystemCalls.populate(base, count: count)
    }
}

enum MappedAllocation {
    /// Bytes that are made to lie side by side in memory.
    static let piece = 16 << 10
    /// Writes zeros over the whole pieces of a range.
    static func clear(
        _ file: FileDescriptor, _ files: some FileSystem, from start: Int, to end: Int
    ) throws(SystemError) {
        var at = (start + piece - 1) / piece * piece
        while at + piece <= end {
            try files.write(file, zeros, at: at)
            at += piece
        }
    }

    /// A piece of zeros; never freed.
    fileprivate static var zeros: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory.pointer, count: piece) }
    private static let memory = Zeros()

    private struct Zeros: @unchecked Sendable {
        let pointer: UnsafeRawPointer

        init() {
            let memory = UnsafeMutableRawPointer.allocate(byteCount: piece, alignment: 4096)
            memory.initializeMemory(as: UInt8.self, repeating: 0, count: piece)
            pointer = UnsafeRawPointer(memory)
        }
    }
}
