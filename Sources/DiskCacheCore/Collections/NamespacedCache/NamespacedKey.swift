internal import DiskCacheEngine

/// The key that an item of a `NamespacedCache` has in the cache beneath: serialised, so it is no other kind of key's equal, and
/// structured, so no prefix runs into a key.
///
/// ```
/// CBOR: [prefix, version, class, bytes]      class and bytes are the item's own key's, integers and floats being one class
/// ```
///
/// All keys of a prefix begin with the same bytes, and so do all of one version of it.
struct NamespacedKey: CacheKey {
    let bytes: [UInt8]

    init(_ key: some CacheKey, in namespace: [UInt8]) throws {
        bytes = try withKeyBytes(key) { keyClass, own in
            var bytes = namespace
            bytes.reserveCapacity(namespace.count + own.count + 6)
            bytes.appendHead(.unsigned, UInt64(KeyClass.identity(of: keyClass)))
            bytes.appendByteString(own)
            return bytes
        }
    }

    /// The bytes that all keys of a prefix, and of one version of it, begin with; nil: of all versions.
    static func namespace(_ prefix: String, _ version: Int?) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendHead(.array, 4)
        bytes.appendText(prefix)
        if let version { bytes.appendInteger(Int64(version)) }
        return bytes
    }

    func encode(into key: inout KeyBytes) { key.encode(serialized: bytes) }
}
