#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// SplitMix64: random numbers that a seed brings back, the same everywhere. Set `CRASH_SEED`, or the variable that a test prints, to
/// replay a run.
package struct ReplayableRandom: RandomNumberGenerator, Sendable {
    package let seed: UInt64
    private var state: UInt64

    package init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    /// Independent numbers for one of many cases.
    package init(case parts: UInt64...) {
        var mixed = Self(seed: 0)
        for part in parts {
            mixed.state ^= part
            mixed.state = mixed.next()
        }
        self.init(seed: mixed.state)
    }

    /// Those of a test, whose seed is printed.
    package init(for test: String, variable: String = "CRASH_SEED") {
        self.init(seed: Self.seed(for: test, variable: variable))
    }

    /// The seed of a test, printed: that of a variable of the environment, or a new one.
    package static func seed(for test: String, variable: String = "CRASH_SEED") -> UInt64 {
        let given = getenv(variable).flatMap { UInt64(String(cString: $0)) }
        let seed = given ?? UInt64.random(in: 0..<1 << 48)
        print("\(test): \(variable)=\(seed)")
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

    /// One of `0..<bound`.
    package mutating func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: next() % UInt64(bound)) }

    /// True once in `count` times.
    package mutating func oneIn(_ count: Int) -> Bool { below(count) == 0 }
}

/// A whole number from the environment, for runs longer than those of continuous integration.
package func environmentNumber(_ name: String, default usual: Int) -> Int {
    getenv(name).flatMap { Int(String(cString: $0)) } ?? usual
}
