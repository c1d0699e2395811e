import DiskCacheCore

/// When the result of a memoised function is computed again.
public struct Recomputation: Sendable {
    enum Kind {
        case whenMissing
        case ahead(Duration)
        case early(Double)
    }

    let kind: Kind

    /// When it is missing: never stored, expired, evicted.
    public static let whenMissing = Recomputation(kind: .whenMissing)

    /// When it is older than `age`, too: whoever asks then is given the old one, and it is computed again in the background.
    public static func ahead(after age: Duration) -> Recomputation { Recomputation(kind: .ahead(age)) }

    /// Now and then before it expires, more likely the nearer that is and the longer it took: whoever asks is given the old one, and it is
    /// computed again in the background. So a result that is asked for often doesn't expire, and nobody waits for it, though the callers
    /// agree on nothing (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, VLDB 8(8), 2015: XFetch).
    ///
    /// With δ the time that the last computation took and r uniform in (0, 1], a caller computes if −δ · `beta` · ln r ≥ what is left until
    /// the expiry. A `beta` above 1 computes earlier, one that isn't above 0 never before the expiry. How long it took is stored with the
    /// result. Without an expiry it is `whenMissing`.
    public static func early(beta: Double = 1) -> Recomputation {
        Recomputation(kind: .early(beta > 0 ? beta : 0))
    }
}

/// Among whom a missing result is computed once: of several who ask for it at a time one computes, the others wait for that.
public enum SingleFlight: Sendable {
    /// Among the threads and tasks of a process that call the same memoised function: what one call of `memoize` made, and copies of it.
    /// Two that were made with the same name share their results, not the waiting.
    case process
    /// Among all processes that use the cache. Costs a file that is made and removed for each computation.
    case allProcesses
}
