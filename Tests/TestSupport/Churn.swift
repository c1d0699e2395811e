package import DiskCacheEngine

/// Writes that make garbage: the same for a seed, so that who knows how many were done knows what the store holds.
package struct Churn {
    package static let keys = 300
    private var random: ReplayableRandom
    private var index: UInt32 = 0

    package init(seed: UInt64) { random = ReplayableRandom(seed: seed) }

    /// A key, and the value that it gets; nil: it is deleted.
    package struct Write {
        package let key: String
        package let value: [UInt8]?
    }

    package mutating func next() -> Write {
        index += 1
        // Some keys are cold, so that there is always something to copy.
        let key =
            random.oneIn(4) ? Int.random(in: 0..<Self.keys, using: &random) : Int.random(in: 0..<30, using: &random)
        if random.oneIn(6) { return Write(key: "key \(key)", value: nil) }
        let length = random.oneIn(40) ? 9000 : Int.random(in: 8...900, using: &random)
        var value = [UInt8](repeating: UInt8(truncatingIfNeeded: key), count: length)
        withUnsafeBytes(of: index) { value.replaceSubrange(0..<4, with: $0) }
        return Write(key: "key \(key)", value: value)
    }
}

extension StoreClient {
    package func perform(_ write: Churn.Write) throws(EngineError) {
        if let value = write.value { try set(write.key, value) } else { try delete(write.key) }
    }
}
