extension Pager {
    /// What the header of a file of trees says about where and when it was made.
    struct Identity: Equatable, Sendable {
        var storeID: (UInt64, UInt64)
        var generation: UInt64
        var boot: (UInt64, UInt64)
        var device: UInt64
        var inode: UInt64

        static func == (a: Self, b: Self) -> Bool {
            a.storeID == b.storeID && a.generation == b.generation && a.boot == b.boot && a.device == b.device
                && a.inode == b.inode
        }

        init(storeID: (UInt64, UInt64), generation: UInt64, boot: (UInt64, UInt64), device: UInt64, inode: UInt64) {
            self.storeID = storeID
            self.generation = generation
            self.boot = boot
            self.device = device
            self.inode = inode
        }

        /// The first 128 bytes of the file.
        func encoded() -> [UInt8] {
            var header = [UInt8](repeating: 0, count: PageLayout.identitySize + 8)
            header.withUnsafeMutableBytes { raw in
                func put(_ value: UInt64, _ at: Int) {
                    raw.storeBytes(of: value.littleEndian, toByteOffset: at, as: UInt64.self)
                }
                put(PageLayout.magic, 0)
                put(UInt64(EngineVersion.format), 8)
                put(storeID.0, 16)
                put(storeID.1, 24)
                put(generation, 32)
                put(boot.0, 40)
                put(boot.1, 48)
                put(device, 56)
                put(inode, 64)
                let identity = UnsafeRawBufferPointer(rebasing: raw[..<PageLayout.identitySize])
                put(XXH64.hash(identity, seed: 0), PageLayout.identitySize)
            }
            return header
        }

        /// The identity in the first 128 bytes of a file; nil if they aren't such.
        init?(_ header: [UInt8]) {
            guard header.count == PageLayout.identitySize + 8 else { return nil }
            let words = header.withUnsafeBytes { raw -> [UInt64]? in
                guard let start = raw.baseAddress else { return nil }
                let words = (0..<16).map { FileRoot.word(start, 8 * $0) }
                guard words[0] == PageLayout.magic, words[1] == UInt64(EngineVersion.format),
                    words[15] == XXH64.hash(start, PageLayout.identitySize, seed: 0)
                else { return nil }
                return words
            }
            guard let words else { return nil }
            self.init(
                storeID: (words[2], words[3]), generation: words[4], boot: (words[5], words[6]), device: words[7],
                inode: words[8])
        }
    }
}
