extension HashIndex {
    /// What of the index breaks its invariants, in words; empty: nothing. For the holder of the write lock, with no split open.
    ///
    /// `hash` gives the hash of the key of the record at a position; nil: nothing is there any more. Slots that name such a
    /// place count for nothing, and are looked at as far as they go. A key may have other slots that name what lies below `head`.
    func brokenInvariants(
        anchor: Position, head: Position, hash: (Position) throws(EngineError) -> UInt64?
    ) throws(EngineError) -> [String] {
        var broken: [String] = []
        func word(_ at: Int) -> UInt64 { (base + at).load(as: UInt64.self) }
        let root = word(IndexLayout.root)
        guard isValid(root: root) else { return ["the root names no directory"] }
        if word(IndexLayout.intent) != 0 { broken.append("a split is half published") }
        let depth = Self.depth(ofRoot: root)
        let directory = base + Self.run(ofRoot: root) * IndexLayout.pageSize
        let unused = word(IndexLayout.pages)
        if UInt64(Self.run(ofRoot: root) + IndexLayout.directoryPages(depth)) > unused {
            broken.append("the directory lies beyond the pages in use")
        }
        // I1, and that nothing reachable counts as free.
        var pages: [Int: (entry: DirectoryEntry, prefix: UInt64)] = [:]
        for index in 0..<1 << depth {
            let entry = DirectoryEntry(raw: (directory + index * 4).load(as: UInt32.self))
            guard isValid(entry), entry.depth <= depth else {
                broken.append("entry \(index) names no page")
                continue
            }
            let prefix = UInt64(index) & ((1 << UInt64(entry.depth)) - 1)
            if let known = pages[entry.page], known.entry != entry || known.prefix != prefix {
                broken.append("I1: page \(entry.page) is named by entries \(known.prefix) and \(index)")
            }
            if pages[entry.page] == nil {
                pages[entry.page] = (entry, prefix)
                for other in stride(from: Int(prefix), to: 1 << depth, by: 1 << entry.depth)
                where (directory + other * 4).load(as: UInt32.self) != entry.raw {
                    broken.append("I1: entry \(other) agrees with page \(entry.page) and doesn't name it")
                }
            }
            if UInt64(entry.page) >= unused { broken.append("page \(entry.page) lies beyond the pages in use") }
        }
        let spare = word(IndexLayout.spare)
        if spare != 0, pages[Int(clamping: spare)] != nil { broken.append("the spare page \(spare) is in use") }
        // I2, I3, I4.
        var seen: [UInt64: Int] = [:]
        for (page, place) in pages {
            let buckets = base + page * IndexLayout.pageSize + 64
            func slot(_ bucket: Int, _ index: Int) -> UInt64 {
                (buckets + bucket * IndexLayout.bucketSize + index * 8).load(as: UInt64.self)
            }
            for bucket in 0..<IndexLayout.buckets {
                var index = -1
                while index + 1 < IndexLayout.slotsPerBucket {
                    index += 1
                    let found = Slot(raw: slot(bucket, index))
                    if found.isFree { continue }
                    if found.low < PackedPosition.firstUsable {
                        broken.append("slot \(page)/\(bucket)/\(index) holds no position")
                        continue
                    }
                    let home = HashBits.home(of: found, in: bucket)
                    let step = HashBits.step(found.fingerprint)
                    for displacement in 0..<found.displacement {
                        let passed = HashBits.bucket(home, step, displacement)
                        if (0..<IndexLayout.slotsPerBucket).contains(where: { slot(passed, $0) == Slot.neverUsed }) {
                            broken.append("I4: slot \(page)/\(bucket)/\(index) stands behind the free bucket \(passed)")
                        }
                    }
                    let position = PackedPosition.complete(found.low, around: anchor)
                    guard let hash = try hash(position) else { continue }
                    if position >= head, let other = seen.updateValue(page, forKey: hash) {
                        broken.append("I2: the key at \(position) stands in pages \(other) and \(page)")
                    }
                    let prefix = (hash &>> 16) & ((1 << UInt64(place.entry.depth)) - 1)
                    if prefix != place.prefix || HashBits.home(hash) != home
                        || HashBits.fingerprint(hash, depth: place.entry.depth) != found.fingerprint
                    {
                        broken.append("I3: the key at \(position) doesn't belong to slot \(page)/\(bucket)/\(index)")
                    }
                }
            }
        }
        return broken
    }
}
