/// The buffers that one thread's steps use: all memory a timed loop touches beside the engine's own, written once before
/// anything is timed.
///
/// A value's first eight bytes are its stamp: the last eight digits of its key, with a bit more in each byte if the value
/// was overwritten; so every answer is checked where it is read. What follows are random characters, other ones for keys
/// near each other, so that an engine that compresses gains about what it would from text in base 64.
public final class Buffers {
    /// Bytes a value.
    public let valueSize: Int
    /// Keys that a range visits.
    public var rangeLength = 100

    @usableFromInline let keyBuffer: UnsafeMutableRawBufferPointer
    @usableFromInline let values: UnsafeMutableRawPointer
    /// Where `get` copies values to.
    @usableFromInline let answerBuffer: UnsafeMutableRawBufferPointer

    /// What an overwritten value's stamp has more than the first value's.
    @usableFromInline static let overwritten: UInt64 = 0x4040_4040_4040_4040

    /// Buffers for values of `valueSize` bytes, at least 8.
    public init(valueSize: Int) {
        precondition(valueSize >= 8)
        self.valueSize = valueSize
        keyBuffer = KeyFormat.allocate()
        let size = 512 * 128 + valueSize
        values = .allocate(byteCount: size, alignment: 128)
        let characters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var random = SplitMix64(state: 7)
        for offset in 0..<size {
            values.storeBytes(of: characters[Int(random.next() & 63)], toByteOffset: offset, as: UInt8.self)
        }
        answerBuffer = .allocate(byteCount: valueSize + 8, alignment: 16)
        answerBuffer.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        keyBuffer.deallocate()
        values.deallocate()
        answerBuffer.deallocate()
    }

    /// The key of `number`, valid until the next call.
    @inlinable
    @inline(__always)
    public func key(_ number: UInt32) -> UnsafeRawBufferPointer {
        KeyFormat.write(UInt64(number), to: keyBuffer.baseAddress.unsafelyUnwrapped)
        return UnsafeRawBufferPointer(keyBuffer)
    }

    /// The value of the key written last, valid until the next call.
    @inlinable
    @inline(__always)
    func value(_ number: UInt32, overwritten: Bool) -> UnsafeRawBufferPointer {
        let place = values + Int(number & 511) &* 128
        place.storeBytes(of: keyStamp ^ (overwritten ? Self.overwritten : 0), as: UInt64.self)
        return UnsafeRawBufferPointer(start: place, count: valueSize)
    }

    /// The stamp of the key written last.
    @inlinable
    @inline(__always)
    var keyStamp: UInt64 { keyBuffer.load(fromByteOffset: 8, as: UInt64.self) }

    /// Whether `stamp` is that of a value of the key written last.
    @inlinable
    @inline(__always)
    func isRight(_ stamp: UInt64) -> Bool { (stamp ^ keyStamp) & ~Self.overwritten == 0 }

    /// Whether what was copied last is a value of the key written last.
    @inlinable
    @inline(__always)
    func isAnswerRight(_ size: Int) -> Bool { size == valueSize && isRight(answerBuffer.load(as: UInt64.self)) }
}

extension Buffers {
    /// Key and value of a step that stores anew, valid until the next call.
    public func pair(_ step: UInt32) -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        let number = step & Verb.numberMask
        let key = key(number)
        return (key, value(number, overwritten: false))
    }
}
