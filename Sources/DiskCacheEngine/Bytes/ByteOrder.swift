/// Byte strings: their order, which is that of `memcmp`, a prefix before what it begins; and copies of short ones.
enum ByteOrder {
    /// Below 0, 0 or above 0, as `a` comes before `b`, equals it or comes after it.
    @inline(__always)
    static func compare(_ a: UnsafeRawPointer, _ aCount: Int, _ b: UnsafeRawPointer, _ bCount: Int) -> Int {
        let common = min(aCount, bCount)
        let equal = commonPrefix(a, b, common)
        if equal == common { return aCount &- bCount }
        let left = a.load(fromByteOffset: equal, as: UInt8.self)
        return left < b.load(fromByteOffset: equal, as: UInt8.self) ? -1 : 1
    }

    /// How many of the first `count` bytes are the same.
    @inline(__always)
    static func commonPrefix(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ count: Int) -> Int {
        var at = 0
        while at &+ 8 <= count {
            let difference = word(a, at) ^ word(b, at)
            if difference != 0 { return at &+ difference.trailingZeroBitCount &>> 3 }
            at &+= 8
        }
        if at &+ 4 <= count {
            let difference = half(a, at) ^ half(b, at)
            if difference != 0 { return at &+ difference.trailingZeroBitCount &>> 3 }
            at &+= 4
        }
        while at < count {
            if a.load(fromByteOffset: at, as: UInt8.self) != b.load(fromByteOffset: at, as: UInt8.self) { return at }
            at &+= 1
        }
        return count
    }

    /// The first eight bytes as a number that orders as they do; bytes that are missing count as 0.
    @inline(__always)
    static func head(_ bytes: UnsafeRawPointer, _ count: Int) -> UInt64 {
        if count >= 8 { return word(bytes, 0).byteSwapped }
        var head: UInt64 = 0
        for at in 0..<count { head |= UInt64(bytes.load(fromByteOffset: at, as: UInt8.self)) &<< UInt64(56 &- 8 &* at) }
        return head
    }

    /// Copies bytes; few of them faster than a call does. The two must not overlap.
    @inline(__always)
    static func copy(_ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, _ count: Int) {
        if count > 32 {
            target.copyMemory(from: source, byteCount: count)
        } else if count > 16 {
            let (first, second) = (word(source, 0), word(source, 8))
            let (third, last) = (word(source, count &- 16), word(source, count &- 8))
            target.storeBytes(of: first.littleEndian, as: UInt64.self)
            target.storeBytes(of: second.littleEndian, toByteOffset: 8, as: UInt64.self)
            target.storeBytes(of: third.littleEndian, toByteOffset: count &- 16, as: UInt64.self)
            target.storeBytes(of: last.littleEndian, toByteOffset: count &- 8, as: UInt64.self)
        } else if count >= 8 {
            let (first, last) = (word(source, 0), word(source, count &- 8))
            target.storeBytes(of: first.littleEndian, as: UInt64.self)
            target.storeBytes(of: last.littleEndian, toByteOffset: count &- 8, as: UInt64.self)
        } else if count >= 4 {
            let (first, last) = (half(source, 0), half(source, count &- 4))
            target.storeBytes(of: first.littleEndian, as: UInt32.self)
            target.storeBytes(of: last.littleEndian, toByteOffset: count &- 4, as: UInt32.self)
        } else {
            for at in 0..<count {
                target.storeBytes(of: source.load(fromByteOffset: at, as: UInt8.self), toByteOffset: at, as: UInt8.self)
            }
        }
    }

    @inline(__always) private static func word(_ p: UnsafeRawPointer, _ at: Int) -> UInt64 {
        UInt64(littleEndian: p.loadUnaligned(fromByteOffset: at, as: UInt64.self))
    }

    @inline(__always) private static func half(_ p: UnsafeRawPointer, _ at: Int) -> UInt32 {
        UInt32(littleEndian: p.loadUnaligned(fromByteOffset: at, as: UInt32.self))
    }
}
