#if FAILPOINTS
    /// What a step machine does at one step instead of letting the running actor go on.
    struct Deviation: Equatable, CustomStringConvertible, Sendable {
        enum Choice: Equatable, Sendable {
            /// Another actor runs from here on.
            case run(Int)
            /// The running actor is killed before this store.
            case kill
            /// The running actor is killed inside this copy: so many quarters of it are done.
            case killInside(Int)
        }
        var step: Int
        var choice: Choice

        var description: String {
            switch choice {
            case .run(let actor): "(\(step), .run(\(actor)))"
            case .kill: "(\(step), .kill)"
            case .killInside(let part): "(\(step), .killInside(\(part)))"
            }
        }
    }

    /// A place in a run where something else could have happened.
    struct Choice: Sendable {
        var step: Int
        var actor: Int
        /// Which actors could run instead, one bit each.
        var others: UInt32
        /// The running actor couldn't go on, so that another's turn costs no preemption.
        var isForced: Bool
        var canDie: Bool
        var canDieInside: Bool
    }

    /// Seeded numbers (SplitMix64, Steele et al., 2014).
    struct StepRandom {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }

        mutating func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: next() % UInt64(bound)) }

        /// True once in `n` times.
        mutating func onceIn(_ n: Int) -> Bool { below(n) == 0 }
    }
#endif
