/// The keys, the values and the buffers that every engine is given: all memory a timed loop touches beside the
/// engine's own, allocated once and written once before anything is timed.
///
/// A value's first eight bytes say its key (`stamp`), so that every answer is checked where it is read.
public final class Workload {
    /// Keys in the store.
    public let keyCount: Int
    /// Bytes a value.
    public let valueSize: Int

    /// Room for one latency an operation.
    let latencies: UnsafeMutablePointer<UInt32>
    /// 0, 1, … `keyCount - 1` in an order that is random and the same in every run.
    private let order: UnsafeMutablePointer<UInt32>
    @usableFromInline let numbers: UnsafeMutablePointer<UInt32>
    @usableFromInline let keyBuffer: UnsafeMutableRawBufferPointer
    @usableFromInline let valueBuffer: UnsafeMutableRawBufferPointer
    @usableFromInline let answerBuffer: UnsafeMutableRawBufferPointer

    /// A workload of `keyCount` keys (at least 20, under 2³¹) with values of `valueSize` bytes (at least 8).
    public init(keyCount: Int, valueSize: Int = 100) {
        precondition(keyCount >= 20 && keyCount < 1 << 31 && valueSize >= 8)
        self.keyCount = keyCount
        self.valueSize = valueSize
        latencies = .allocate(capacity: keyCount)
        latencies.initialize(repeating: 0, count: keyCount)
        numbers = .allocate(capacity: keyCount)
        numbers.initialize(repeating: 0, count: keyCount)
        order = .allocate(capacity: keyCount)
        for index in 0..<keyCount { order[index] = UInt32(index) }
        var random = SplitMix64(state: 42)
        for index in stride(from: keyCount - 1, to: 0, by: -1) {
            let other = Int(random.next() % UInt64(index + 1))
            (order[index], order[other]) = (order[other], order[index])
        }
        keyBuffer = KeyFormat.allocate()
        valueBuffer = .allocate(byteCount: valueSize, alignment: 16)
        valueBuffer.initializeMemory(as: UInt8.self, repeating: UInt8(ascii: "x"))
        answerBuffer = .allocate(byteCount: valueSize + 1, alignment: 16)
        answerBuffer.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        latencies.deallocate()
        numbers.deallocate()
        order.deallocate()
        keyBuffer.deallocate()
        valueBuffer.deallocate()
        answerBuffer.deallocate()
    }

    /// Lays out the key numbers of `operation` in the order in which its loop will use them.
    func prepare(_ operation: Operation) {
        for index in 0..<operation.count(keyCount: keyCount) {
            // Deletes take the permutation's first tenth, so what is read after a reopening comes from its end.
            let place = operation == .reopen ? keyCount - 1 - index : index
            numbers[index] = operation.keyNumber(order[place], keyCount: keyCount)
        }
    }

    /// The key of `number`, valid until the next call.
    @inlinable
    @inline(__always)
    func key(_ number: UInt32) -> UnsafeRawBufferPointer {
        KeyFormat.write(UInt64(number), to: keyBuffer.baseAddress.unsafelyUnwrapped)
        return UnsafeRawBufferPointer(keyBuffer)
    }

    /// A value that carries `stamp`, valid until the next call.
    @inlinable
    @inline(__always)
    func value(_ stamp: UInt64) -> UnsafeRawBufferPointer {
        valueBuffer.storeBytes(of: stamp, as: UInt64.self)
        return UnsafeRawBufferPointer(valueBuffer)
    }

    /// The stamp of the value read last.
    @inlinable
    @inline(__always)
    var stamp: UInt64 { answerBuffer.load(as: UInt64.self) }
}

/// The generator of the key order; fixed, so that every run on every platform has the same order.
struct SplitMix64 {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word &>> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word &>> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word &>> 31
    }
}
