/// Bytes that lie end to end and are all let go of at once. What it has handed out stays where it is until `reset`.
final class ByteArena {
    @exclusivity(unchecked) private var blocks: [UnsafeMutableRawBufferPointer] = []
    @exclusivity(unchecked) private var block = 0
    @exclusivity(unchecked) private var used = 0
    private static let blockSize = 64 << 10

    deinit {
        for block in blocks { block.deallocate() }
    }

    /// Room for `count` bytes.
    @inline(__always)
    func allocate(_ count: Int) -> UnsafeMutableRawPointer {
        if block < blocks.count, used &+ count <= blocks[block].count, let start = blocks[block].baseAddress {
            defer { used &+= count }
            return start + used
        }
        return allocateSlowly(count)
    }

    @inline(never)
    private func allocateSlowly(_ count: Int) -> UnsafeMutableRawPointer {
        if block < blocks.count { block += 1 }
        // A block that is too small for this one is left out until the next reset.
        while block < blocks.count, blocks[block].count < count { block += 1 }
        if block == blocks.count {
            blocks.append(.allocate(byteCount: max(count, Self.blockSize), alignment: 16))
        }
        used = count
        return blocks[block].baseAddress!
    }

    /// A copy of bytes.
    @inline(__always)
    func copy(_ bytes: UnsafeRawPointer, _ count: Int) -> UnsafeMutableRawPointer {
        let target = allocate(count)
        target.copyMemory(from: bytes, byteCount: count)
        return target
    }

    /// All that was handed out is void; blocks are kept, but for large ones.
    func reset() {
        while let last = blocks.last, blocks.count > 4 || last.count > Self.blockSize {
            last.deallocate()
            blocks.removeLast()
        }
        block = 0
        used = 0
    }
}

/// Bytes that lie in one piece and may grow, which moves them.
final class ByteBuffer {
    @exclusivity(unchecked) private(set) var base: UnsafeMutableRawPointer
    @exclusivity(unchecked) private(set) var count = 0
    @exclusivity(unchecked) private var capacity: Int

    init(capacity: Int = 4096) {
        self.capacity = capacity
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    /// A copy of bytes.
    convenience init(_ bytes: [UInt8]) {
        self.init(capacity: max(bytes.count, 16))
        bytes.withUnsafeBytes { if let start = $0.baseAddress { append(start, $0.count) } }
    }

    deinit { base.deallocate() }

    /// Valid until the next change.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    func removeAll() { count = 0 }

    /// What was written behind the end, into reserved room, is part of it now.
    @inline(__always)
    func grow(to count: Int) { self.count = count }

    /// Forgets all but the first `count` bytes.
    func truncate(to count: Int) { self.count = count }

    @inline(__always)
    func append(_ bytes: UnsafeRawPointer, _ added: Int) {
        reserve(added)
        ByteOrder.copy(bytes, to: base + count, added)
        count &+= added
    }

    @inline(__always)
    func reserve(_ added: Int) {
        if count &+ added > capacity { grow(added) }
    }

    @inline(never)
    private func grow(_ added: Int) {
        capacity = max(capacity * 2, count + added)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        larger.copyMemory(from: base, byteCount: count)
        base.deallocate()
        base = larger
    }
}
