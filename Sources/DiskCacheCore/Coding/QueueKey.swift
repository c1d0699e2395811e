internal import DiskCacheEngine

/// The key of an item that was pushed: its queue's prefix, and its number in the queue.
///
/// `push` returns it; `get`, `delete` and the like take it. No other key is ever equal to it: the integer 5 and the
/// item number 5 of a queue are different things.
public struct QueueKey: CacheKey, Codable {
    /// The queue's name; nil is a queue of its own, and not the one named "".
    public var prefix: String?

    /// The item's number: `back` counts up, `front` counts down.
    public var number: Int64

    /// The key of the item `number` in the queue `prefix`.
    public init(prefix: String? = nil, number: Int64) {
        self.prefix = prefix
        self.number = number
    }

    /// Writes prefix and number.
    public func encode(into key: inout KeyBytes) { key.encode(self) }

    /// Whether prefix, by its UTF-8 bytes, and number are the same.
    public static func == (left: QueueKey, right: QueueKey) -> Bool {
        guard left.number == right.number else { return false }
        switch (left.prefix, right.prefix) {
        case (nil, nil): return true
        case (let first?, let second?): return sameText(first, second)
        default: return false
        }
    }

    /// Feeds prefix and number.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(number)
        hasher.combine(prefix == nil)
        if let prefix { hashText(prefix, into: &hasher) }
    }
}

// Bytes, in the order by prefix and then by number under `memcmp`:
//
//     no prefix    00                                number + 2^63, 8 bytes, BE
//     prefix       01 | prefix, 00 as 00 FF | 00 01  number + 2^63, 8 bytes, BE
//
// The end mark 00 01 is less than whatever can go on there (00 FF, or a byte above 00), so "a" sorts before "a…", and
// it can't be met inside a prefix, so the bytes before the number are never the beginning of another queue's.
extension QueueKey {
    /// The bytes that all of a queue's keys begin with, and no other queue's.
    static func encodedPrefix(_ prefix: String?) -> [UInt8] {
        guard let prefix else { return [0] }
        return withUTF8(of: prefix) { text in
            [UInt8](unsafeUninitializedCapacity: 3 + 2 * text.count) { buffer, count in
                count = writePrefix(text, to: UnsafeMutableRawBufferPointer(buffer))
            }
        }
    }

    /// The number as it stands at the end of a key.
    static func encodedNumber(_ number: Int64) -> UInt64 {
        (UInt64(bitPattern: number) ^ (1 << 63)).bigEndian
    }

    /// The key's bytes in an array of their own.
    var encoded: [UInt8] { withBytes { Array($0) } }

    /// Lends the key's bytes, from the stack unless the prefix is long.
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        guard let prefix else {
            return try withUnsafeTemporaryAllocation(byteCount: 9, alignment: 1) { buffer in
                buffer[0] = 0
                buffer.storeBytes(of: QueueKey.encodedNumber(number), toByteOffset: 1, as: UInt64.self)
                return try body(UnsafeRawBufferPointer(buffer))
            }
        }
        return try withUTF8(of: prefix) { text in
            try withUnsafeTemporaryAllocation(byteCount: 11 + 2 * text.count, alignment: 1) { buffer in
                let count = QueueKey.writePrefix(text, to: buffer)
                buffer.storeBytes(of: QueueKey.encodedNumber(number), toByteOffset: count, as: UInt64.self)
                return try body(UnsafeRawBufferPointer(rebasing: buffer[..<(count + 8)]))
            }
        }
    }

    /// Writes mark, escaped prefix and end mark; returns how many bytes they are, 3 + 2 · count at most.
    fileprivate static func writePrefix(_ text: UnsafeRawBufferPointer, to buffer: UnsafeMutableRawBufferPointer) -> Int
    {
        buffer[0] = 1
        var count = 1
        for byte in text {
            buffer[count] = byte
            count += 1
            if byte == 0 {
                buffer[count] = 0xff
                count += 1
            }
        }
        buffer[count] = 0
        buffer[count + 1] = 1
        return count + 2
    }

    /// Takes a key's bytes apart; nil unless they are as written above.
    init?(bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 9 else { return nil }
        let end = bytes.count - 8
        let number = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: end, as: UInt64.self))
        self.number = Int64(bitPattern: number ^ (1 << 63))
        guard let prefix = QueueKey.decodePrefix(UnsafeRawBufferPointer(rebasing: bytes[..<end])) else { return nil }
        self.prefix = prefix
    }

    /// Takes the bytes before the number apart: the prefix, which may be none; or nil if they are malformed.
    static func decodePrefix(_ bytes: UnsafeRawBufferPointer) -> String?? {
        if bytes.count == 1, bytes[0] == 0 { return .some(.none) }
        guard bytes.count >= 3, bytes[0] == 1 else { return nil }
        let end = bytes.count - 2
        guard bytes[end] == 0, bytes[end + 1] == 1 else { return nil }
        var text: [UInt8] = []
        text.reserveCapacity(end)
        var index = 1
        while index < end {
            text.append(bytes[index])
            if bytes[index] == 0 {
                guard index + 1 < end, bytes[index + 1] == 0xff else { return nil }
                index += 1
            }
            index += 1
        }
        guard let prefix = String(validating: text, as: UTF8.self) else { return nil }
        return .some(prefix)
    }
}

extension QueueName {
    /// Lends the name of the queue `prefix`, from the stack unless it is long.
    static func with<R>(_ prefix: String?, _ body: (QueueName) throws -> R) rethrows -> R {
        guard let prefix else {
            return try withUnsafeTemporaryAllocation(byteCount: 1 + extra, alignment: 8) { buffer in
                try body(
                    QueueName(buffer) { target in
                        target.storeBytes(of: 0, as: UInt8.self)
                        return 1
                    })
            }
        }
        return try withUTF8(of: prefix) { text in
            let greatest = 3 + 2 * text.count
            return try withUnsafeTemporaryAllocation(byteCount: greatest + extra, alignment: 8) { buffer in
                try body(
                    QueueName(buffer) { target in
                        QueueKey.writePrefix(text, to: UnsafeMutableRawBufferPointer(start: target, count: greatest))
                    })
            }
        }
    }
}

/// Whether two texts have the same UTF-8 bytes: `String ==` would take canonical equivalents for equal.
func sameText(_ left: String, _ right: String) -> Bool {
    left.utf8.elementsEqual(right.utf8)
}

/// Feeds a text's UTF-8 bytes, as `sameText` compares them: `String`'s own hash goes by the normalised text.
func hashText(_ text: String, into hasher: inout Hasher) {
    withUTF8(of: text) { bytes in
        hasher.combine(bytes.count)
        hasher.combine(bytes: bytes)
    }
}
