/// XXH64, the checksum of every record and file (xxHash, Yann Collet; the 64-bit variant of its specification, version 0.1.1).
///
/// Not made to resist forgery: it finds damage. Values are the same in every process and on every machine.
package struct XXH64: Sendable {
    private static let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
    private static let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
    private static let prime3: UInt64 = 0x1656_67B1_9E37_79F9
    private static let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
    private static let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

    private var a: UInt64
    private var b: UInt64
    private var c: UInt64
    private var d: UInt64
    private let seed: UInt64
    private var total: UInt64 = 0
    /// Bytes of a stripe that isn't complete.
    private var rest: [UInt8] = []

    /// Begins a checksum of bytes that come in pieces.
    package init(seed: UInt64) {
        self.seed = seed
        a = seed &+ Self.prime1 &+ Self.prime2
        b = seed &+ Self.prime2
        c = seed
        d = seed &- Self.prime1
    }

    /// The checksum of `bytes` in one piece.
    @inline(__always)
    package static func hash(_ bytes: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
        guard let base = bytes.baseAddress else { return finish(seed &+ prime5, UnsafeRawPointer(bitPattern: 8)!, 0) }
        return hash(base, bytes.count, seed: seed)
    }

    /// The checksum of `count` bytes at `start`.
    package static func hash(_ start: UnsafeRawPointer, _ count: Int, seed: UInt64) -> UInt64 {
        var p = start
        var left = count
        var h: UInt64
        if left >= 32 {
            var a = seed &+ prime1 &+ prime2
            var b = seed &+ prime2
            var c = seed
            var d = seed &- prime1
            repeat {
                a = round(a, word(p))
                b = round(b, word(p + 8))
                c = round(c, word(p + 16))
                d = round(d, word(p + 24))
                p += 32
                left &-= 32
            } while left >= 32
            h = merge(a, b, c, d)
        } else {
            h = seed &+ prime5
        }
        return finish(h &+ UInt64(truncatingIfNeeded: count), p, left)
    }

    /// Takes in the next bytes.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard var p = bytes.baseAddress else { return }
        var left = bytes.count
        total &+= UInt64(truncatingIfNeeded: left)
        if !rest.isEmpty {
            let take = min(32 - rest.count, left)
            rest.append(contentsOf: UnsafeRawBufferPointer(start: p, count: take))
            p += take
            left -= take
            if rest.count < 32 { return }
            rest.withUnsafeBytes { stripe($0.baseAddress!) }
            rest.removeAll(keepingCapacity: true)
        }
        while left >= 32 {
            stripe(p)
            p += 32
            left -= 32
        }
        if left > 0 { rest.append(contentsOf: UnsafeRawBufferPointer(start: p, count: left)) }
    }

    /// The checksum of all that was taken in.
    package func value() -> UInt64 {
        let h = total >= 32 ? Self.merge(a, b, c, d) : seed &+ Self.prime5
        return rest.withUnsafeBytes {
            Self.finish(h &+ total, $0.baseAddress ?? UnsafeRawPointer(bitPattern: 8)!, $0.count)
        }
    }

    private mutating func stripe(_ p: UnsafeRawPointer) {
        a = Self.round(a, Self.word(p))
        b = Self.round(b, Self.word(p + 8))
        c = Self.round(c, Self.word(p + 16))
        d = Self.round(d, Self.word(p + 24))
    }

    @inline(__always) private static func word(_ p: UnsafeRawPointer) -> UInt64 {
        UInt64(littleEndian: p.loadUnaligned(as: UInt64.self))
    }

    @inline(__always) private static func rotate(_ x: UInt64, _ n: UInt64) -> UInt64 { (x &<< n) | (x &>> (64 &- n)) }

    @inline(__always) private static func round(_ lane: UInt64, _ input: UInt64) -> UInt64 {
        rotate(lane &+ input &* prime2, 31) &* prime1
    }

    @inline(__always) private static func merge(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64) -> UInt64 {
        var h = rotate(a, 1) &+ rotate(b, 7) &+ rotate(c, 12) &+ rotate(d, 18)
        h = (h ^ round(0, a)) &* prime1 &+ prime4
        h = (h ^ round(0, b)) &* prime1 &+ prime4
        h = (h ^ round(0, c)) &* prime1 &+ prime4
        return (h ^ round(0, d)) &* prime1 &+ prime4
    }

    @inline(__always) private static func finish(_ start: UInt64, _ tail: UnsafeRawPointer, _ count: Int) -> UInt64 {
        var h = start
        var p = tail
        var left = count
        while left >= 8 {
            h = rotate(h ^ round(0, word(p)), 27) &* prime1 &+ prime4
            p += 8
            left &-= 8
        }
        if left >= 4 {
            let half = UInt64(UInt32(littleEndian: p.loadUnaligned(as: UInt32.self)))
            h = rotate(h ^ (half &* prime1), 23) &* prime2 &+ prime3
            p += 4
            left &-= 4
        }
        while left > 0 {
            h = rotate(h ^ (UInt64(p.load(as: UInt8.self)) &* prime5), 11) &* prime1
            p += 1
            left &-= 1
        }
        h = (h ^ (h &>> 33)) &* prime2
        h = (h ^ (h &>> 29)) &* prime3
        return h ^ (h &>> 32)
    }
}
