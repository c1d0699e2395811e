/// An end of a queue.
public enum Side: Hashable, Sendable, CaseIterable {
    /// Where `pull` takes from by default.
    case front
    /// Where `push` adds by default.
    case back
}
