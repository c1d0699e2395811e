/// What a power loss did to value files: a record above `synced` may be whole while its file is not (DESIGN 7.4).
extension Rebuild {
    /// Applies those of the held transactions that count. False: some don't.
    mutating func applyHeld() throws(EngineError) -> Bool {
        let count = try wholeTransactions()
        for transaction in held[..<count] { try apply(transaction) }
        defer { held = [] }
        return count == held.count
    }

    /// A version of a key in the held transactions.
    private struct Version {
        let transaction: Int
        let hash: UInt64
        let position: Position
        let file: ValueFileReference?
        /// The index of the key's version before it; nil: none of these.
        let before: Int?
    }

    /// How many of the held transactions form a prefix in which no key's newest record lacks its file. A file that was replaced
    /// may be gone rightly; so while some newest one's is bad, the log ends before the first such transaction, and others are
    /// newest. What a head record has left below itself isn't looked at. Each version is looked at once, however often that happens.
    private func wholeTransactions() throws(EngineError) -> Int {
        var versions: [Version] = []
        var newest: [UInt64: Int] = [:]
        var heads: [(transaction: Int, head: Position)] = []
        for (number, transaction) in held.enumerated() {
            for record in transaction.records {
                switch record.meaning {
                case .version(let file):
                    let before = newest.updateValue(versions.count, forKey: record.hash)
                    versions.append(
                        Version(
                            transaction: number, hash: record.hash, position: record.position, file: file,
                            before: before))
                case .head(let head): heads.append((number, max(head, heads.last?.head ?? 0)))
                case .other, .damage: break
                }
            }
        }
        var count = held.count
        var verdicts: [ValueFileName: Bool] = [:]
        var unseen = Array(newest.values)
        while true {
            let head = heads.last?.head ?? 0
            var firstBad = count
            for version in unseen.map({ versions[$0] })
            where version.transaction < firstBad && version.position >= head {
                guard let file = version.file else { continue }
                let isGood: Bool
                if let known = verdicts[file.name] { isGood = known } else { isGood = try isWhole(file) }
                verdicts[file.name] = isGood
                if !isGood { firstBad = version.transaction }
            }
            if firstBad == count { return count }
            count = firstBad
            var uncovered: Set<UInt64> = []
            while let last = versions.last, last.transaction >= count {
                newest[last.hash] = last.before
                uncovered.insert(last.hash)
                versions.removeLast()
            }
            let headCount = heads.count
            while let last = heads.last, last.transaction >= count { heads.removeLast() }
            // A `clear` that doesn't count hides nothing.
            unseen = heads.count < headCount ? Array(newest.values) : uncovered.compactMap { newest[$0] }
        }
    }
}

extension ValueFiles {
    /// Whether a file is there and is the one that was written. One that can't be read now counts as whole: nothing is cut off for that,
    /// and who reads it is told.
    func isWhole(_ reference: ValueFileReference) throws(EngineError) -> Bool {
        do throws(ValueFileError) {
            guard let reader = try open(reference) else { return false }
            let buffer = UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(1, min(reference.length, 1 << 18)), alignment: 16)
            defer { buffer.deallocate() }
            while try reader.read(into: buffer) > 0 {}
            return true
        } catch {
            guard case .system(let failed) = error else { return false }
            if failed.errno != ErrorNumber.inputOutput { throw EngineError(failed) }
            return true
        }
    }
}
