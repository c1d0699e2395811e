/// Where a queue begins and ends: the value of its system record (DESIGN 6.2), which is written in the same transaction as the
/// items that change it. Offsets are stored in files; never renumber.
///
/// ```
///  0  front 8      number of the first item; expired ones are items as long as they are stored
///  8  back 8       number of the last one
/// 16  count 8      items
/// 24  maximum 8    one more than how many a push is to leave at most; 0: any number
/// 32  open 1       bit 0: front, bit 1: back may be short of the first or the last item by numbers whose items are gone
/// ```
///
/// An empty queue has no record, unless it keeps a maximum; then front and back are 0. An *open* end is what a removal leaves that
/// would have had to look for the next item too long: who needs the end looks on from there.
struct QueueEnds: Equatable, Sendable {
    var front: Int64 = 0
    var back: Int64 = 0
    var count: Int64 = 0
    var maximum: Int64 = 0
    var isFrontOpen = false
    var isBackOpen = false

    static let size = 33
    /// The number of an empty queue's first item.
    static let start: Int64 = 500_000_000_000_000
    /// Numbers that an item can have: 15 digits, all zeros and all nines left out.
    static let numbers: ClosedRange<Int64> = 1...999_999_999_999_998

    /// An empty queue.
    init() {}

    /// nil: no writer left these bytes.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Self.size else { return nil }
        func word(_ at: Int) -> Int64 {
            Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: Int64.self))
        }
        front = word(0)
        back = word(8)
        count = word(16)
        maximum = word(24)
        isFrontOpen = bytes[32] & 1 != 0
        isBackOpen = bytes[32] & 2 != 0
        guard maximum >= 0, bytes[32] & ~3 == 0 else { return nil }
        if count == 0 {
            guard front == 0, back == 0, bytes[32] == 0 else { return nil }
        } else {
            guard count > 0, Self.numbers.contains(front), Self.numbers.contains(back), back &- front >= count &- 1
            else { return nil }
        }
    }

    /// Calls `body` with the record's value.
    @inline(__always)
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws(EngineError) -> R) throws(EngineError) -> R {
        let open: UInt8 = (isFrontOpen ? 1 : 0) | (isBackOpen ? 2 : 0)
        let words = (
            front.littleEndian, back.littleEndian, count.littleEndian, maximum.littleEndian, UInt64(open).littleEndian
        )
        return try withUnsafeBytes(of: words) { (bytes) throws(EngineError) in
            try body(UnsafeRawBufferPointer(rebasing: bytes[..<Self.size]))
        }
    }

    /// How many items a push is to leave at most; nil: any number.
    var limit: Int64? {
        get { maximum == 0 ? nil : maximum - 1 }
        set { maximum = newValue.map { min(max($0, 0), .max - 1) + 1 } ?? 0 }
    }

    /// Whether one more item would be too many.
    @inline(__always) var isFull: Bool { maximum != 0 && count >= maximum - 1 }

    /// Whether there are numbers between front and back without an item.
    var hasGaps: Bool { count != 0 && count != back - front + 1 }

    /// Whether the queue needs a record.
    var isKept: Bool { count != 0 || maximum != 0 }

    /// The number that the next item at an end that isn't open gets; nil: the numbers end there.
    func next(atFront: Bool) -> Int64? {
        if count == 0 { return Self.start }
        let number = atFront ? front - 1 : back + 1
        return Self.numbers.contains(number) ? number : nil
    }

    /// Item `number` has come, at an end or anywhere.
    mutating func add(_ number: Int64) {
        if count == 0 {
            front = number
            back = number
            isFrontOpen = false
            isBackOpen = false
        } else if number < front {
            front = number
            isFrontOpen = false
        } else if number > back {
            back = number
            isBackOpen = false
        }
        count += 1
    }

    /// Item `number`, between front and back, is gone. An end that it was at is open now, unless what is known tells the next.
    mutating func remove(_ number: Int64) {
        count -= 1
        if count == 0 {
            self = QueueEnds(maximum: maximum)
            return
        }
        if number == front {
            front += 1
            isFrontOpen = true
        }
        if number == back {
            back -= 1
            isBackOpen = true
        }
        close()
    }

    private init(maximum: Int64) { self.maximum = maximum }

    /// The same without items.
    var emptied: QueueEnds { QueueEnds(maximum: maximum) }

    /// Closes what can be closed without looking at items: a queue without gaps, or with one item and one known end.
    mutating func close() {
        if count == back - front + 1 {
            isFrontOpen = false
            isBackOpen = false
        } else if count == 1 {
            if isFrontOpen && !isBackOpen { front = back }
            if isBackOpen && !isFrontOpen { back = front }
            if front == back {
                isFrontOpen = false
                isBackOpen = false
            }
        }
    }
}

/// The names under which the index knows a queue and its items, written into a buffer of the caller's:
/// `"queue" ‖ prefix ‖ number 8`, of which the first two parts are the key of the queue's record, the last two an item's.
public struct QueueName {
    private let buffer: UnsafeMutableRawBufferPointer

    /// Bytes that the buffer needs beside the prefix.
    public static let extra = 5 + 8

    /// Takes a buffer of `extra` bytes more than the prefix has, which `prefix` writes where it is told.
    @inline(__always)
    public init(_ buffer: UnsafeMutableRawBufferPointer, _ prefix: (UnsafeMutableRawPointer) -> Int) {
        let base = buffer.baseAddress!
        base.copyMemory(from: SystemKey.queue.utf8Start, byteCount: 5)
        let count = prefix(base + 5)
        self.buffer = UnsafeMutableRawBufferPointer(start: base, count: 5 &+ count &+ 8)
    }

    /// The key of the queue's record, of class system.
    @inline(__always) var system: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: buffer.baseAddress, count: buffer.count &- 8)
    }
    /// What all keys of the queue's items begin with.
    @inline(__always) var prefix: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: buffer.baseAddress! + 5, count: buffer.count &- 13)
    }
    /// The key of an item, of class queue. Valid until the next one is asked for.
    @inline(__always) func item(_ number: Int64) -> UnsafeRawBufferPointer {
        Self.store(number, at: buffer.baseAddress! + (buffer.count &- 8))
        return UnsafeRawBufferPointer(start: buffer.baseAddress! + 5, count: buffer.count &- 5)
    }

    /// Writes a number as it ends an item's key: in the order of `memcmp`.
    @inline(__always) static func store(_ number: Int64, at target: UnsafeMutableRawPointer) {
        target.storeBytes(of: (UInt64(bitPattern: number) ^ (1 << 63)).bigEndian, as: UInt64.self)
    }

    /// Prefix and number of an item's key; nil: too short to be one.
    @inline(__always)
    static func parts(_ key: UnsafeRawBufferPointer) -> (prefix: UnsafeRawBufferPointer, number: Int64)? {
        guard key.count > 8 else { return nil }
        let end = key.count &- 8
        let number = UInt64(bigEndian: key.loadUnaligned(fromByteOffset: end, as: UInt64.self)) ^ (1 << 63)
        return (UnsafeRawBufferPointer(rebasing: key[..<end]), Int64(bitPattern: number))
    }
}
