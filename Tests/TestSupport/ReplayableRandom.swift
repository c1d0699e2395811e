#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// SplitMix64: random numbers that a seed brings back. Set `CRASH_SEED` to replay a run.
package struct ReplayableRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    /// The seed of a test, printed: that of `CRASH_SEED`, or a new one.
    package static func seed(for test: String) -> UInt64 {
        let given = getenv("CRASH_SEED").flatMap { UInt64(String(cString: $0)) }
        let seed = given ?? UInt64.random(in: 0..<1 << 48)
        print("\(test): CRASH_SEED=\(seed)")
        return seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return Self.mix(state)
    }

    /// A word from two.
    package static func mix(_ a: UInt64, _ b: UInt64 = 0) -> UInt64 {
        var word = a &+ b &* 0x2545_f491_4f6c_dd1d
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }

    /// True once in `count` times.
    package mutating func oneIn(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &self) == 0 }
}

/// A whole number from the environment, for runs longer than those of continuous integration.
package func environmentNumber(_ name: String, default usual: Int) -> Int {
    getenv(name).flatMap { Int(String(cString: $0)) } ?? usual
}
