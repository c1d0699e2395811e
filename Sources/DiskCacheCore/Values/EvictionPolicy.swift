/// Which items go first when a cache is over its size limit. Expired ones always go before any other.
public enum EvictionPolicy: String, Hashable, Sendable, CaseIterable {
    // Raw values are stored in files; never rename.

    /// Those whose value was stored longest ago. Reading costs nothing.
    case leastRecentlyStored = "least-recently-stored"
    /// Those that were read longest ago.
    case leastRecentlyUsed = "least-recently-used"
    /// Those that were read least often.
    case leastFrequentlyUsed = "least-frequently-used"
    /// None: only expired items are removed, and the cache may outgrow its limit.
    case none = "none"
}
