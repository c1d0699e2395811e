/// What one step of a script does to one key.
public enum Verb: UInt8, CaseIterable, Codable, Sendable {
    /// Stores under a key that isn't there.
    case set
    /// Stores another value of the same size under a key that is there.
    case overwrite
    /// Copies the value of a key that is there into a buffer that is used again.
    case get
    /// Asks for a key that isn't there.
    case miss
    /// Asks for a key that may or may not be there.
    case probe
    /// Looks at the value of a key that is there where it lies, without a copy.
    case borrow
    /// Gets the value of a key that is there as a new `[UInt8]`.
    case array
    /// Gets the value of a key that is there as a new `String`.
    case string
    /// Gets a value, then stores another.
    case modify
    /// Deletes a key that is there.
    case delete
    /// Deletes a key that may or may not be there.
    case remove
    /// Counts a number up by one.
    case incr
    /// Appends to a queue.
    case push
    /// Takes from the front of a queue that isn't empty.
    case pull
    /// Visits keys and values in the order of the keys, from a key on.
    case range
    /// Visits all keys in their order.
    case scanSorted
    /// Visits all keys in the order in which they were stored.
    case scanInsertion

    /// The name in tables, on the command line and in files.
    public var name: String {
        switch self {
        case .set: "set-new"
        case .overwrite: "overwrite"
        case .get: "get-hit"
        case .miss: "get-miss"
        case .probe: "get"
        case .borrow: "get-borrowed"
        case .array: "get-array"
        case .string: "get-string"
        case .modify: "read-modify-write"
        case .delete: "delete"
        case .remove: "remove"
        case .incr: "incr"
        case .push: "push"
        case .pull: "pull"
        case .range: "range-100"
        case .scanSorted: "scan-sorted"
        case .scanInsertion: "scan-insertion"
        }
    }

    /// A step is the verb in the upper 5 bits of a word, and the key's number in the lower 27.
    public static let numberMask: UInt32 = 1 << 27 - 1

    /// A step that does this to the key `number`.
    @inlinable
    public func step(_ number: Int) -> UInt32 { UInt32(rawValue) << 27 | UInt32(number) & Self.numberMask }

    /// What `step` does.
    @inlinable
    @inline(__always)
    public init(of step: UInt32) {
        // Every raw value up to the last case's is a case, and steps are made above alone.
        self = unsafeBitCast(UInt8(truncatingIfNeeded: step &>> 27), to: Verb.self)
    }
}
