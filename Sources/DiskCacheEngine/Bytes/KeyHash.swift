/// The hash of keys: folded 64 × 64 → 128 bit multiplications (the form of wyhash, Wang Yi), with every constant
/// that meets key bytes drawn from the store's id, so that nobody can make keys collide who doesn't know the store.
struct KeyHash: Sendable {
    private let secret0: UInt64
    private let secret1: UInt64
    private let secret2: UInt64
    private let secret3: UInt64
    private let secret4: UInt64

    /// Derives the secrets from the 16 bytes of the store's id.
    init(storeID: (UInt64, UInt64)) {
        func derive(_ n: UInt64) -> UInt64 {
            var input = (storeID.0, storeID.1, n)
            // Odd, so that no factor of a product loses bits.
            return withUnsafeBytes(of: &input) { XXH64.hash($0, seed: 0x6B65_7968_6173_6800 &+ n) } | 1
        }
        secret0 = derive(0)
        secret1 = derive(1)
        secret2 = derive(2)
        secret3 = derive(3)
        secret4 = derive(4)
    }

    /// The hash of a key's bytes; `keyClass` keeps equal bytes of different classes apart.
    @inline(__always)
    func callAsFunction(_ keyClass: UInt8, _ key: UnsafeRawBufferPointer) -> UInt64 {
        let count = key.count
        guard let base = key.baseAddress, count > 0 else { return finish(0, 0, 0, keyClass) }
        var p = base
        var left = count
        var state = secret0
        while left > 16 {
            state = Self.fold(Self.word(p) ^ secret1, Self.word(p + 8) ^ state) &+ secret4
            p += 16
            left &-= 16
        }
        var a: UInt64
        var b: UInt64
        if left >= 8 {
            a = Self.word(p)
            b = Self.word(p + (left &- 8))
        } else if left >= 4 {
            a = UInt64(UInt32(littleEndian: p.loadUnaligned(as: UInt32.self)))
            b = UInt64(UInt32(littleEndian: (p + (left &- 4)).loadUnaligned(as: UInt32.self)))
        } else {
            a = UInt64(p.load(as: UInt8.self)) &<< 16 | UInt64((p + (left &>> 1)).load(as: UInt8.self)) &<< 8
            a |= UInt64((p + (left &- 1)).load(as: UInt8.self))
            b = 0
        }
        a ^= state
        return finish(a, b, UInt64(truncatingIfNeeded: count), keyClass)
    }

    @inline(__always) private func finish(_ a: UInt64, _ b: UInt64, _ count: UInt64, _ keyClass: UInt8) -> UInt64 {
        let inner = Self.fold(a ^ secret1, b ^ secret2)
        return Self.fold(inner ^ secret3, (count &<< 8 | UInt64(keyClass)) &+ secret4 ^ inner &* secret0)
    }

    @inline(__always) private static func word(_ p: UnsafeRawPointer) -> UInt64 {
        UInt64(littleEndian: p.loadUnaligned(as: UInt64.self))
    }

    @inline(__always) private static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.high ^ product.low
    }
}
