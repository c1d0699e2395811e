/// What this build of the library calls itself, and the on-disk format that it writes.
public enum EngineVersion {
    /// The library's version.
    public static let library = "0.1.0"
    /// The major number of the on-disk format; a store with a greater one is refused.
    public static let format: UInt32 = 1
}
