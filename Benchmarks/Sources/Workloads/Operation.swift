/// What is timed. The cases stand in the order in which one store goes through them.
public enum Operation: String, CaseIterable, Sendable {
    /// Stores under a key that isn't there, all keys in random order.
    case setNew = "set-new"
    /// Copies the value of a key that is there into a buffer that is used again.
    case getHit = "get-hit"
    /// Asks for a key that isn't there.
    case getMiss = "get-miss"
    /// Stores another value of the same size under a key that is there.
    case overwrite
    /// Deletes a key that is there.
    case delete
    /// Opens a store that was closed, and gets one value.
    case reopen

    /// How often one turn does it in a store of `keyCount` keys.
    public func count(keyCount: Int) -> Int {
        switch self {
        case .setNew: keyCount
        case .getHit, .getMiss: min(keyCount, 1_000_000)
        case .overwrite: min(keyCount, 300_000)
        case .delete: min(keyCount / 10, 100_000)
        case .reopen: min(keyCount, 20)
        }
    }

    /// The key number that step `index` uses, where `shuffled` is the random permutation's number at `index`.
    func keyNumber(_ shuffled: UInt32, keyCount: Int) -> UInt32 {
        let shuffled = UInt64(shuffled)
        let keyCount = UInt64(keyCount)
        return switch self {
        case .setNew, .delete: UInt32(shuffled)
        case .getHit: UInt32(shuffled * 7919 % keyCount)
        case .getMiss: UInt32(keyCount + shuffled)
        case .overwrite: UInt32(shuffled * 104_729 % keyCount)
        case .reopen: UInt32(shuffled)
        }
    }
}
