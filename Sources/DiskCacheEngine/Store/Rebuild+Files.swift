/// What a power loss did to value files: a record above `synced` may be whole while its file is not (DESIGN 7.4).
extension Rebuild {
    /// Applies those of the held transactions that count. False: some don't.
    mutating func applyHeld() throws(EngineError) -> Bool {
        let count = try wholeTransactions()
        for transaction in held[..<count] { try apply(transaction) }
        defer { held = [] }
        return count == held.count
    }

    /// How many of the held transactions form a prefix in which no key's newest record lacks its file. A file that was replaced
    /// may be gone rightly; so while some newest one's is bad, the log ends before the first such transaction, and others are
    /// newest. What a head record has left below itself isn't looked at.
    private func wholeTransactions() throws(EngineError) -> Int {
        var count = held.count
        var verdicts: [ValueFileName: Bool] = [:]
        while count > 0 {
            var newest: [UInt64: (transaction: Int, position: Position, file: ValueFileReference?)] = [:]
            for (number, transaction) in held[..<count].enumerated() {
                for record in transaction.records {
                    switch record.meaning {
                    case .version(let file): newest[record.hash] = (number, record.position, file)
                    case .head(let head): newest = newest.filter { $0.value.position >= head }
                    case .other, .damage: break
                    }
                }
            }
            var firstBad = count
            for (number, _, file) in newest.values where number < firstBad {
                guard let file else { continue }
                let isGood: Bool
                if let known = verdicts[file.name] { isGood = known } else { isGood = try isWhole(file) }
                verdicts[file.name] = isGood
                if !isGood { firstBad = number }
            }
            if firstBad == count { break }
            count = firstBad
        }
        return count
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
