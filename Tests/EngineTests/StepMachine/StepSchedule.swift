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
#endif
