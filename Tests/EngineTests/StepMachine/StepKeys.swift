#if FAILPOINTS
    import TestSupport

    @testable import DiskCacheEngine

    /// Keys that stand in certain places of the index: the stores of a step world all have one id, and so one hash.
    enum StepKeys {
        static let seed: UInt64 = 4711

        /// The id that a store gets in a step world: the second and third of its random numbers.
        static let storeID: (UInt64, UInt64) = {
            var random = ReplayableRandom(seed: seed)
            _ = random.next()
            return (random.next(), random.next())
        }()

        private static let keyHash = KeyHash(storeID: storeID)

        static func hash(_ key: UInt64) -> UInt64 { withUnsafeBytes(of: key) { keyHash(KeyClass.bytes, $0) } }

        /// The first keys above `above` whose hash is as wanted.
        static func find(_ count: Int, above: UInt64, _ isWanted: (UInt64) -> Bool) -> [UInt64] {
            var found: [UInt64] = []
            var key = above
            while found.count < count {
                key += 1
                if isWanted(hash(key)) { found.append(key) }
            }
            return found
        }

        private static func directory(_ hash: UInt64, _ bits: Int) -> UInt64 { hash >> 16 & (1 << UInt64(bits) - 1) }

        /// Directory bits 000: at home in the low page of each split.
        static let low = find(1, above: 1000) { directory($0, 3) == 0 }[0]
        /// In the same bucket as `low`; they part at the second split.
        static let neighbour = find(1, above: 1000) {
            directory($0, 2) == 0b10 && HashBits.home($0) == HashBits.home(hash(low))
        }[0]
        /// Directory bits 10: low in the first split, high in the second.
        static let high = find(1, above: 1000) { directory($0, 2) == 0b10 }[0]
        /// In the other half of the directory.
        static let away = find(1, above: 1000) { directory($0, 1) == 1 }[0]

        /// Keys that have the same four buckets, one more than there is room for.
        static let crowd: [UInt64] = {
            let first = hash(1001)
            func shape(_ hash: UInt64) -> Int {
                HashBits.home(hash) * 32 + HashBits.step(HashBits.fingerprint(hash, depth: 0))
            }
            return find(33, above: 1000) { shape($0) == shape(first) }
        }()
    }
#endif
