import Synchronization

/// The range of addresses into which the live segments are mapped: position to pointer is one mask and one add.
///
/// Between the segments, and where a segment's file is shorter than its place, lie zeros, so a read inside `start ..< end`
/// never faults, whatever it reads. `base`, `mask` and the reservation never change; a log that outgrows half of a window gets
/// another one, and this one is unmapped when its readers have left (`ReaderPins`).
///
/// `end` grows and `start` grows. A reader that loads an old one sees fewer segments and looks again under the log's mutex.
struct LogWindow: @unchecked Sendable {
    /// base 8 · mask 8 · start 8 · end 8: one cache line, read by every get.
    let fields: UnsafeMutableRawPointer

    static let smallest = 64 << 20
    static let largest = 64 << 30

    /// Reserves a window of at least `wanted` bytes, less where the address space doesn't give that much.
    init(wanted: Int) throws(SystemError) {
        var size = Self.smallest
        while size < wanted && size < Self.largest { size <<= 1 }
        while true {
            do {
                let base = try SystemCalls.mapZeros(count: size, writable: false, at: nil)
                fields = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
                fields.storeBytes(of: base, toByteOffset: 0, as: UnsafeMutableRawPointer.self)
                fields.storeBytes(of: UInt64(size - 1), toByteOffset: 8, as: UInt64.self)
                fields.storeBytes(of: 0, toByteOffset: 16, as: UInt64.self)
                fields.storeBytes(of: 0, toByteOffset: 24, as: UInt64.self)
                return
            } catch {
                if size <= Self.smallest { throw error }
                size >>= 1
            }
        }
    }

    @inline(__always) init(fields: UnsafeMutableRawPointer) { self.fields = fields }

    @inline(__always) var base: UnsafeMutableRawPointer {
        fields.load(as: UnsafeMutableRawPointer.self)
    }
    @inline(__always) var mask: UInt64 { fields.load(fromByteOffset: 8, as: UInt64.self) }
    @inline(__always) var size: Int { Int(mask) + 1 }
    @inline(__always) private var startWord: UnsafeMutablePointer<Atomic<UInt64>> {
        (fields + 16).assumingMemoryBound(to: Atomic<UInt64>.self)
    }
    @inline(__always) private var endWord: UnsafeMutablePointer<Atomic<UInt64>> {
        (fields + 24).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Everything in `start ..< end` that belongs to a segment is mapped.
    @inline(__always) var start: Position {
        get { startWord.pointee.load(ordering: .acquiring) }
        nonmutating set { startWord.pointee.store(newValue, ordering: .releasing) }
    }
    @inline(__always) var end: Position {
        get { endWord.pointee.load(ordering: .acquiring) }
        nonmutating set { endWord.pointee.store(newValue, ordering: .releasing) }
    }

    @inline(__always) func address(_ position: Position) -> UnsafeMutableRawPointer {
        base + Int(truncatingIfNeeded: position & mask)
    }

    /// Gives the addresses back. Only when no reader is left.
    func free() {
        SystemCalls.unmap(base, count: size)
        fields.deallocate()
    }
}
