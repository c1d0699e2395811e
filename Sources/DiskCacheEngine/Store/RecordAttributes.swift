/// Expiry and tag of a record that is about to be written.
public struct RecordAttributes {
    /// Microseconds since 1970; nil: never.
    public var expiry: Int64?
    /// Form and bytes.
    public var tag: (form: UInt8, bytes: UnsafeRawBufferPointer)?
    /// Take the store's default expiry, as it is under the write lock, instead of `expiry`.
    public var expiresByDefault = false

    /// Attributes with these parts.
    @inline(__always)
    public init(expiry: Int64? = nil, tag: (form: UInt8, bytes: UnsafeRawBufferPointer)? = nil) {
        self.expiry = expiry
        self.tag = tag
    }
}
